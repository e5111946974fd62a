"""A variable of any name leaves a call as it is: mod_xml_cdr makes elements of names that XML does not allow."""

import re
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.sources.freeswitch.document_leg import EXTRA
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.forms import opened
from humbug_agent.sources.freeswitch.leg import Leg
from tests.kit.fs_modules import ANSWERED, UUID, left, posted, recorded, url_encoded

pytestmark = pytest.mark.slow

ENCODES = ("none", "true", "base64", "textxml")
PLAIN = leg(recorded(ANSWERED, "xml"), UTC)
_FROM, _TO = (recorded(ANSWERED, "xml").index(tag) for tag in (b"<variables>", b"</variables>"))
_AT = [at.start() for at in re.finditer(rb"    <", recorded(ANSWERED, "xml")) if _FROM < at.start() < _TO]
VARIABLES = opened(recorded(ANSWERED, "xml")).variables
KNOWN = {*EXTRA, *VARIABLES, "cc_member_session_uuid", "call_direction", "accountcode", "userfield"}

# switch_event's names have no NUL. They are bytes of whatever a dialplan, or a browser over mod_verto, has there.
_PIECES = [
    "a", "a", "uuid", "3", " ", "\n", "\r", "\t", "<", ">", "</", "/>", "/", "a>", "<a", "</a>", "<a>", "&", "&amp;",
    "&#1;", "&x;", "'", '"', "=", ":", "[0]", "^^,", "%41", "%", "é", "日", "\udce9", "\x07", "\x0b", "-", "--", "<!--",
    "-->", "?>", "<?", "]]>", "<![CDATA[", "<!DOCTYPE", "<!ENTITY x 'y'>", "variables", "</variables>", "<variables>",
    "/variables", "</cdr>", "<originating_leg_uuid>x</originating_leg_uuid>", "<cc_side>agent</cc_side>", "\n    <",
    "</uuid>\n", "<b/", "<callflow>", "</variables>\n  <app_log>", "+", "\\", "\u2028", "\ufffe", "\U0001f4de",
]  # fmt: skip
_pieced = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=8).map("".join)
names = (_pieced | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)).filter(
    lambda name: name not in KNOWN
)
values = st.sampled_from(["", "1", "lua x", "<a>&\"'", "é\n", "%41", "\udce9"])


def element(name: str, value: str) -> bytes:
    """As switch_xml_toxml prints it."""
    raw, said = name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")
    return b"    <%b>%b</%b>\n" % (raw, url_encoded(said, 3 * len(said) + 1), raw)


class TwoWays(Exception):
    """A document that can be read in more than one way."""


def read(document: bytes) -> Leg:
    try:
        return leg(document, UTC)
    except ValueError as error:
        if "more than one way" in str(error):
            raise TwoWays from error
        raise


def with_variables(*variables: tuple[str, str], at: int = 0) -> bytes:
    document, place = recorded(ANSWERED, "xml"), _AT[at % len(_AT)]
    return document[:place] + b"".join(element(*one) for one in variables) + document[place:]


@pytest.mark.parametrize("encode", ENCODES)
@pytest.mark.parametrize("at", [0, 20, -1])
@pytest.mark.parametrize(
    "name",
    [
        "set api_hangup_hook", "sip_h_X[0]", "^^,default_language", "3cx_id", "a:b", "a&b", "a<b", "a>b", "a/b", "/a",
        "a/", "", "größe", "gr\udcf6sse", "日本", "-a", ".a", "a b c", "a=b", "a\nb", "a\"b'", "a(b)", "${a}", "%20",
        "a;b", "#", "?xml", "!--", "![CDATA[", "!DOCTYPE cdr", "variables", "/variables", "cdr", "x>1</x", "xmlns",
        "xml:lang", "a\x01b", "²", "{\"a\":\"b\"}", "L" * 4000,
    ],
)  # fmt: skip
def test_a_name_that_xml_does_not_allow_costs_nothing(name: str, at: int, encode: str) -> None:
    document = with_variables((name, "lua x"), at=at)
    found = leg(left(document, encode), ZoneInfo("Europe/Zurich"))
    assert replace(found, shown=PLAIN.shown) == leg(posted(document, encode), UTC) == PLAIN
    assert (found.number, found.destination, found.uuid) == ("1001", "8201", UUID)
    assert found.start.replace(microsecond=0, tzinfo=None) == datetime(2026, 11, 20, 18, 11, 8)


@pytest.mark.parametrize("name", ["a b", "/variables", "a>1</a", "größe", "", "a<b>c</b>"])
def test_its_value_is_kept_and_so_are_the_others(name: str) -> None:
    said = opened(with_variables((name, "x<y"), ("3", "z"), at=7)).variables
    assert {one: said[one] for one in VARIABLES} == dict(VARIABLES)
    assert (said[name], said["3"]) == ("x%3Cy", "z")


@settings(max_examples=300)
@given(st.lists(st.tuples(names, values), min_size=1, max_size=3), st.integers(0, 300))
def test_any_names_at_all(variables: list[tuple[str, str]], at: int) -> None:
    # Only a bracket in a name can make it look like two.
    twofold = suppress(TwoWays) if any(">" in name for name, _ in variables) else nullcontext()
    with twofold:
        assert read(with_variables(*variables, at=at)) == PLAIN


FORGED = "<originating_leg_uuid>x</originating_leg_uuid>"


@pytest.mark.parametrize(
    "name",
    [
        f"a>1</a>\n    {FORGED}\n    <b", f"a>{FORGED}<b/", f"a>{FORGED}<!--", f"a></a>{FORGED}<a", f"a>{FORGED}</a><a",
        f"a></variables><variables>{FORGED}<b", f"a>1</a></variables></cdr><!--{FORGED}",
        f"/variables>{FORGED}<variables", f"M>x</M>\n    {FORGED}\n    <M", f"M></M>{FORGED}<M",
        f"/M>x<//M>\n    {FORGED}\n    <z>y</M",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["", "1"])
def test_a_name_forges_no_variable(name: str, value: str) -> None:
    """A leg that another one originated would be left out."""
    for at in (0, 30, -1):
        assert leg(with_variables((name, value), at=at), UTC) == PLAIN


def test_what_could_be_two_ways_is_refused() -> None:
    """Three variables, or one: either may hide a call, and nobody can tell which it is."""
    three = with_variables(("a", ""), ("a></a", ""), ("a", ""))
    assert three == with_variables(("a></a>\n    <a></a", ""))
    with pytest.raises(ValueError, match="more than one way"):
        leg(three, UTC)


def test_elements_inside_of_a_variable_are_refused() -> None:
    document = recorded(ANSWERED, "xml").replace(b"<uuid>", b"<uuid>" + FORGED.encode(), 1)
    with pytest.raises(ValueError, match="elements inside of a variable"):
        leg(document, UTC)


@pytest.mark.parametrize("cut", [0.1, 0.3, 0.5, 0.7, 0.99])
def test_half_of_it_is_not_whole(cut: float) -> None:
    document = with_variables(("a b", "1"), at=3)
    with pytest.raises(ValueError, match="not a whole XML"):
        leg(document[: int(len(document) * cut)], UTC)


def test_entities_stay_refused_beside_such_names() -> None:
    document = with_variables(("a b", "1"))
    for before, value in (('<!DOCTYPE cdr [<!ENTITY x "8999">]>', b"&x;"), ("", b"&x;")):
        forged = document.replace(b"<cdr ", before.encode() + b"<cdr ", 1).replace(b">8201</dest", b">%b</dest" % value)
        with pytest.raises(ValueError, match=r"document type|not a whole XML"):
            leg(forged, UTC)
    with pytest.raises(ValueError, match="not a whole XML"):
        leg(document.replace(b">lua", b">&x;").replace(b"    <a b>", b"    <a b>&x;"), UTC)


@pytest.mark.parametrize(
    "piece", [b"<></>", b"<a>", b"<", b">", b"<a></a>", b"</", b"<b c></b c>", b"<>>></>>>", b"</></>"]
)
def test_endless_names_cost_no_time(piece: bytes) -> None:
    document = with_variables(("a b", "1"))
    began = time.process_time()
    with suppress(ValueError):
        leg(document.replace(b"    <a b>", piece * 200_000 + b"    <a b>", 1), UTC)
    assert time.process_time() - began < 5
