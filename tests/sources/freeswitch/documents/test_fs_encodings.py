"""What the modules' encodings make of a document, and what strangers could make of one."""

import re
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.leg import Leg
from humbug_agent.text import text
from tests.kit.fs_modules import (
    ANSWERED,
    RECORDED,
    UUID,
    changed,
    json_document,
    left,
    posted,
    raw_tree,
    recorded,
    xml_document,
)

FILES = sorted(RECORDED.rglob("*.cdr.json"))


def identified(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("encode", ["none", "true", "base64", "textxml"])
@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize("path", FILES, ids=identified)
def test_each_way_to_encode_is_undone(path: Path, encode: str, values: bool) -> None:
    plain = leg(path.read_bytes(), UTC)
    name = f"{path.parent.name}/{path.name.removesuffix('.cdr.json')}"
    document = json_document(raw_tree(name), values=values)
    if encode == "true" and values:
        with pytest.raises(ValueError, match=r"json_cdr\.conf\.xml set encode to false"):
            leg(posted(document, encode), UTC)
    elif encode != "textxml":
        for wrapped in (posted(document, encode), left(document, encode), left(document, encode) + b"\n"):
            assert leg(wrapped, UTC) == plain
    xml = xml_document(raw_tree(name))
    for wrapped in (posted(xml, encode), left(xml, encode), left(xml, encode) + b"\n"):
        assert leg(wrapped, UTC) == plain


def test_recorded_xml_is_undone_as_well() -> None:
    document = recorded(ANSWERED, "xml")
    for encode in ("none", "true", "base64", "textxml"):
        assert leg(posted(document, encode), UTC) == leg(recorded(ANSWERED), UTC)


# What sofia lets through: no control characters but line breaks, and bytes that need not be UTF-8.
words = st.lists(
    st.sampled_from(
        ['"', ",", "\n", "\r", "\\", "%", "%22", "%41", "<", ">", "&", "é", "日", "\udce9", "\udc81", " ", "Bob", "{"]
    ),
    max_size=8,
).map("".join)


def as_text(value: str) -> str:
    """What comes out of a value of which some bytes are no UTF-8."""
    return text(value.encode("utf-8", "surrogateescape"))


def is_utf8(value: str) -> bool:
    """Of its bytes: some that stand for nothing alone make a character together."""
    try:
        value.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        return False
    return True


def named(name: str, number: str, destination: str, context: str) -> dict[str, Any]:
    profile = {"caller_id_name": name, "caller_id_number": number}
    profile |= {"destination_number": destination, "context": context}
    shown = f'"{name}" <{number}>'
    return changed(raw_tree(), profile, caller_id=shown, sip_full_from=f"{shown};tag=1", sip_from_display=name)


def told(found: Leg) -> tuple[str, str, str, str]:
    return found.name, found.number, found.destination, found.context


@given(words, words, words, words, st.booleans(), st.sampled_from(["none", "base64"]))
def test_any_name_and_number_comes_back_from_json(
    name: str, number: str, destination: str, context: str, values: bool, encode: str
) -> None:
    document = json_document(named(name, number, destination, context), values=values)
    found = leg(posted(document, encode), UTC)
    assert told(found) == tuple(map(as_text, (name, number, destination, context)))
    assert found == leg(left(document, encode), UTC)


@given(words, words, words, words, st.booleans())
def test_urlencoded_json_comes_back_or_is_refused(
    name: str, number: str, destination: str, context: str, values: bool
) -> None:
    plain = named(name, number, destination, context)
    try:
        found = leg(posted(json_document(plain, values=values), "true"), UTC)
    except ValueError:
        return
    # What looks encoded before FreeSWITCH encodes it is decoded in the end, and can't be told apart.
    said = tuple(as_text(one.replace("%22", '"').replace("%41", "A")) for one in (name, number, destination, context))
    assert not values
    assert told(found) == said or any("%" in one for one in said)
    assert (found.uuid, found.start, found.billsec) == (UUID, leg(recorded(ANSWERED), UTC).start, 2)


@given(words, st.sampled_from(["none", "true", "base64", "textxml"]))
@example("\r\udce9\udc81\udc81", "none")
def test_any_name_comes_back_from_xml(name: str, encode: str) -> None:
    document = xml_document(named(name, "1001", "8201", "public"))
    # Of a name that is no UTF-8 only the encoded variable is left, in which %22 may be either.
    assume(is_utf8(name) or "%" not in name)
    # A parser of XML takes every line break for \n.
    said = re.sub("\r\n?", "\n", as_text(name)) if is_utf8(name) else as_text(name)
    assert told(leg(posted(document, encode), UTC)) == (said, "1001", "8201", "public")


def test_a_latin_1_name_is_whole_in_both() -> None:
    tree = named("Jos\udce9", "2005", "8202", "public")
    for document in (*(json_document(tree, values=values) for values in (True, False)), xml_document(tree)):
        assert leg(document, UTC).name == "José"


@pytest.mark.parametrize(
    ("accountcode", "kept"), [("日本", "日"), ("é", ""), ("a日本", "a日本"), ("日本\udce9x", "日本\ufffdx")]
)
def test_a_value_that_encode_values_cuts_loses_no_more_than_its_last_character(accountcode: str, kept: str) -> None:
    document = json_document(changed(raw_tree(), accountcode=accountcode), values=True)
    assert leg(document, UTC).accountcode == kept


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\0\n", b"cdr=", b"hello", b"{}", b"[]", b"%7B%7D", b"PD94", b"e30=", b"<cdr/>", b"<html/>", b"{" * 100,
        b'{"variables":' + b"[" * 100_000, b"<cdr>" + b"<a>" * 100_000, b'{"callflow":[1],"variables":7}', b"\xff\xfe",
        b'{"callflow":[{"caller_profile":{"uuid":"\\ud800"}}],"variables":{"hangup_cause":"X"}}',
        b'{"duration":' + b"9" * 5000 + b"}", b"x" * (16 * 1024 * 1024 + 1),
    ],
    ids=range(19),
)  # fmt: skip
def test_garbage_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        leg(body, UTC)


@pytest.mark.parametrize("at", [1, 100, 3000, -3])
@pytest.mark.parametrize("encode", ["none", "true", "base64"])
def test_half_a_document_is_no_document(encode: str, at: int) -> None:
    for document in (json_document(raw_tree(), values=False), recorded(ANSWERED, "xml")):
        with pytest.raises(ValueError, match=r"\w"):
            leg(left(document[:at], encode), UTC)


@pytest.mark.parametrize("before", [True, False])
def test_documents_with_entities_of_their_own_are_refused(before: bool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("8999")
    bomb = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    for entities, used in (
        (f'<!DOCTYPE cdr [<!ENTITY l0 "lol">{bomb}]>', "&l11;"),
        (f'<!DOCTYPE cdr [<!ENTITY x SYSTEM "file://{secret}">]>', "&x;"),
        ('<!DOCTYPE cdr SYSTEM "http://127.0.0.1:1/cdr.dtd">', "8999"),
        ("", "&x;"),
    ):
        document = recorded(ANSWERED, "xml").decode().replace("<destination_number>8201", f"<destination_number>{used}")
        if entities or before:
            document = document.replace("<cdr ", f"{entities}<cdr ", 1)
        with pytest.raises(ValueError, match=r"document type|not a whole XML"):
            leg(document.encode(), UTC)


def test_xml_with_what_xml_can_not_hold_is_read() -> None:
    document = recorded(ANSWERED, "xml").replace(b"<caller_id_name>Bob<", b"<caller_id_name>B\x07ob&#x1B;&#xD800;\xe9<")
    assert leg(document, UTC).name == "B ob\ufffd\ufffdé"


def test_a_forged_boundary_in_a_name_forges_nothing() -> None:
    """In the mode that can't be decoded, a name may look like the document around it."""
    name = 'x","cc_side":"agent","y":"'
    for values in (True, False):
        document = json_document(named(name, "1001", "8201", "public"), values=values)
        assert not leg(document, UTC).agent_side
        with suppress(ValueError):
            assert not leg(posted(document, "true"), UTC).agent_side


@pytest.mark.parametrize("hidden", ["cc_side%22:%22agent", "originating_leg_uuid%22:%22x"])
def test_a_header_can_not_hide_a_call(hidden: str) -> None:
    """With encode=true, what looks encoded in a value becomes structure."""
    tree = changed(raw_tree(), **{"sip_h_X-Note": f"x%22,%22{hidden}%22,%22y%22:%22"})
    assert not leg(posted(json_document(tree, values=False), "none"), UTC).b_leg
    with pytest.raises(ValueError, match="set encode to false"):
        leg(posted(json_document(tree, values=False), "true"), UTC)
