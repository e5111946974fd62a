"""Whatever way a secret is written in a text from outside: it is masked, and the rest of the text stays."""

import base64
import html
import json
import re
import time
import unicodedata
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
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "C, all escaped": lambda text: "".join(f"\\U{ord(one):08x}" for one in text),
    "JavaScript, all escaped": lambda text: "".join(f"\\u{{{ord(one):x}}}" for one in text),
    "mail": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
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


CODES: dict[str, Way] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of hexadecimal": lambda text: base64.b64encode(text.encode().hex().encode()).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32, lower case": lambda text: base64.b32encode(text.encode()).decode().lower(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal, apart": lambda text: text.encode().hex(" "),
    "hexadecimal, colons": lambda text: text.encode().hex(":"),
    "hexadecimal, a list": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "decimal": lambda text: ", ".join(map(str, text.encode())),
    "decimal, dense": lambda text: ",".join(map(str, text.encode())),
    "decimal, apart": lambda text: " ".join(map(str, text.encode())),
}
LONGER = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=6, max_size=80)


@settings(max_examples=300, deadline=None)
@given(secret=SECRETS, code=st.sampled_from([*CODES]))
def test_it_is_masked_in_whatever_code_it_is(secret: str, code: str) -> None:
    secret = quote(secret) if "UTF-16" in code else secret
    assert Scrubber([secret])(f"you [{CODES[code](secret)}] are not known") == "you [***] are not known"


@settings(max_examples=300, deadline=None)
@given(
    secret=LONGER,
    before=st.integers(0, 80),
    fold=st.sampled_from(["\n", "\r\n", "\r\n ", "\n\t"]),
    code=st.sampled_from(["plain", "base64", "base64 of base64", "hexadecimal"]),
)
def test_it_is_masked_on_several_lines(secret: str, before: int, fold: str, code: str) -> None:
    written = (str if code == "plain" else CODES[code])(secret)
    said = "." * before + written
    lines = fold.join(said[at : at + 76] for at in range(0, len(said), 76))
    shown = Scrubber([secret])(f"you [{lines}] are not known")
    assert shown.startswith("you [")
    assert shown.endswith("] are not known")
    # Of base64 within base64 the last digits say no more than where it ends.
    left = "".join(shown[5:-15].split()).replace("*", "").replace(".", "").replace("=", "")
    assert len(left) <= 4
    assert written.rstrip("=").endswith(left)


@settings(max_examples=100, deadline=None)
@given(secret=LONGER)
def test_it_is_masked_in_utf_16(secret: str) -> None:
    secret = quote(secret, safe="")
    for said in (secret.encode("utf-16-le").decode(), "".join(f"{one}\\000" for one in secret)):
        shown = Scrubber([secret])(f"you [{said}] are not known")
        assert shown.replace("\0", "").replace("\\000", "") == "you [***] are not known"


@pytest.mark.parametrize("secret", ["pässwörd", "s3cr3t-Key", "ÄÖÜ-key"])
def test_it_is_masked_in_capitals_and_however_an_umlaut_is_composed(secret: str) -> None:
    for known in (secret, unicodedata.normalize("NFD", secret)):
        for form in ("NFC", "NFD"):
            said = unicodedata.normalize(form, secret)
            for case in (said, said.upper(), said.lower()):
                assert Scrubber([known])(f"you [{case}] are not known") == "you [***] are not known"


@pytest.mark.parametrize(
    "said",
    [
        "calls 12, 34, 56, 78 and 255 of 1700000000.12, at 10:11:12:13, from 0a:1b:2c:3d:4e:5f",
        "IN CAPITALS, ABCDEFGHIJKLMNOP, abcdefghijklmnop and deadbeef01",
        "several\r\n lines\r\n\tof prose = that mean=20 nothing=\n at all, s3cr3t, key",
        "\\101\\102 \\U00000041 \\Uffffffff \\u{41} \\u{ffffff} \\u{d800} \\0 \\08 \\777 =41 =\n",
    ],
)
def test_what_only_looks_like_a_code_stays(said: str) -> None:
    assert Scrubber(["s3cr3t-key", "pümpkin", "sesame"])(said) == said


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


@pytest.mark.parametrize(
    "said",
    [
        "%25%32%35&amp;\\u0026+" * 400,
        "=41\\101%41 \r\n" * 600,
        "12, 34 " * 1200,
        "ab " * 2700,
        "0 " + " " * 8000 + "x",
        "ab" + " " * 8000,
        "QUJD" * 2000,
        "some words of prose, and more " * 270,
    ],
    ids=range(8),
)
def test_what_is_long_and_full_of_escapes_takes_no_time(said: str) -> None:
    began = time.process_time()
    assert Scrubber(["sesame", "pumpkin" * 5])(said) == said
    assert time.process_time() - began < 3
