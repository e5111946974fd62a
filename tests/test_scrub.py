"""Whatever way a secret is written in a text from outside: it is masked, and the rest of the text stays."""

import base64
import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from humbug_agent.scrub import Scrubber

Way = Callable[[str], str]


def lower(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


WAYS: dict[str, Way] = {
    "plain": str,
    "json": lambda text: json.dumps(text)[1:-1],
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json as of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json, all escaped": lambda text: "".join(
        f"\\u{unit:04X}" for unit in memoryview(text.encode("utf-16-le")).cast("H")
    ),
    "html": html.escape,
    "html, decimal": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "html, hexadecimal": lambda text: "".join(f"&#x{ord(one):x};" for one in text),
    "html, by name": lambda text: text.translate({38: "&amp;", 60: "&lt;", 62: "&gt;", 34: "&quot;", 233: "&eacute;"}),
    "url": quote,
    "url, slashes too": lambda text: quote(text, safe=""),
    "url, lower case": lambda text: lower(quote(text, safe="")),
    "url, all escaped": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "csv": lambda text: text.replace('"', '""'),
    "form, lower case": lambda text: lower(quote_plus(text)),
}
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=4, max_size=20)


@given(secret=SECRETS, ways=st.lists(st.sampled_from([*WAYS]), max_size=2))
@example(secret="pässwörd€", ways=[])
def test_it_is_masked_where_its_utf8_was_taken_for_latin_1(secret: str, ways: list[str]) -> None:
    said = secret.encode().decode("latin-1")
    for way in ways:
        said = WAYS[way](said)
    assert Scrubber([secret])(f"you [{said}] are not known") == "you [***] are not known"


@settings(max_examples=300, deadline=None)
@given(secret=SECRETS, ways=st.lists(st.sampled_from([*WAYS]), min_size=1, max_size=3))
@example(secret='a"b\\c/d&e<f>', ways=["json as of PHP", "html"])
@example(secret="50%41+%2B", ways=["json", "url"])
@example(secret="&amp;&lt;", ways=["html", "json, all escaped", "url"])
@example(secret="\U0001f600pass", ways=["json", "json"])
@example(secret='se"same', ways=["csv", "json"])
@example(secret="\\\\u0041", ways=["json", "form", "html"])
@example(secret="sesame", ways=["url, all escaped", "url, all escaped", "url, all escaped"])
def test_it_is_masked_in_whatever_way_it_is_written(secret: str, ways: list[str]) -> None:
    said = secret
    for way in ways:
        said = WAYS[way](said)
    assert Scrubber([secret])(f"you [{said}] are not known") == "you [***] are not known"


@settings(max_examples=100, deadline=None)
@given(secret=SECRETS, user=st.text(st.characters(codec="ascii", exclude_characters=":"), max_size=9))
def test_user_and_password_in_base64_are_masked(secret: str, user: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        token = encode(f"{user}:{secret}".encode()).decode()
        for said in (token, token.replace("/", "\\/"), quote(token, safe=""), token.rstrip("=")):
            assert Scrubber([secret])(f"you (Basic {said}) are not known") == "you (Basic ***) are not known"


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from("ab %41\\u&#;x+/é0")), at=st.integers(0, 40))
def test_texts_without_secrets_stay_as_they_are(text: str, at: int) -> None:
    assert Scrubber(["sesame", "pümpkin"])(text) == text
    assert Scrubber(["sesame"])(f"{text[:at]} sesame {text[at:]}") == f"{text[:at]} *** {text[at:]}"


def test_mixed_and_broken_escapes() -> None:
    scrub = Scrubber(["k/y&x"])
    for said in ("k%2fy&amp;x", "\\u006B\\/y&#38;x", "k/y&AMP;x", "k\\x2fy%26x", "k%2Fy&#x26x"):
        assert scrub(f"{said}!") in ("***!", "***")
    assert scrub("% %4 %zz \\ \\u12 & &; &nosuch; &#; +") == "% %4 %zz \\ \\u12 & &; &nosuch; &#; +"


def test_overlapping_secrets_leave_no_piece() -> None:
    assert Scrubber(["horse", "horse-battery", "battery-staple"])("a horse-battery-staple.") == "a ***."


def test_a_text_that_is_cut_shows_no_half_a_secret() -> None:
    scrub = Scrubber(["the-long-and-secret-key"])
    said = "a page. " * 100 + quote("the-long-and-secret-key").replace("-", "%2D")
    for length in range(800, len(said) + 1):
        shown = scrub(said[:length], cut=True)
        assert "the" not in shown
        assert shown.startswith("a page. " * 40)
    digits = "a page. " * 20 + "0123456789abcdef" * 8
    for length in range(160, len(digits)):
        assert "01" not in scrub(digits[:length], cut=True)


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("http://me:se%2Fsame@host/", ["se/same", "se%2Fsame", base64.b64encode(b"me:se/same").decode()]),
        ("https://token-alone@host/", ["token-alone"]),
        ("https://host/?key=pumpkin&v=1", ["pumpkin", "key=pumpkin&v=1"]),
    ],
)
def test_what_is_secret_of_a_url(url: str, hidden: list[str]) -> None:
    for secret in hidden:
        assert secret not in Scrubber(urls=[url])(f"no {secret} here, v1")
        assert Scrubber(urls=[url])("no me here, v1") == "no me here, v1"


def test_what_is_long_and_full_of_escapes_takes_no_time() -> None:
    said = "%25%32%35&amp;\\u0026+" * 400
    began = time.process_time()
    assert Scrubber(["sesame", "pumpkin" * 5])(said) == said
    assert time.process_time() - began < 3
