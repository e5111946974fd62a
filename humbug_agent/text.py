"""What the bytes of a PBX say as text, whichever way they came.

A PBX passes on what phones, providers and its own dialplan wrote: mostly UTF-8, sometimes in one value with something
else, and cut at a number of bytes (Asterisk: 79, for most) in the midst of a character. So UTF-8 is read wherever it
stands, and the rest byte by byte:

- What is left of a character that was cut is one U+FFFD.
- Any other byte is what Windows-1252 says, which is Latin-1 with quotation marks and the like at 0x80 to 0x9f; U+FFFD
  where it says nothing.

The first byte of a character alone may be either, cut or a letter of Latin-1. It is a letter before a letter of ASCII
(`Jos\\xe9phine`), unless it stands right behind a UTF-8 character; elsewhere it is a letter where nothing in the value
is UTF-8 (`caf\\xe9`), and cut where something is. Where nothing is, and some byte can't be, all of it is Windows-1252.
"""

import codecs
import re
from functools import cache
from itertools import pairwise
from typing import TextIO
from unicodedata import category

AUTO = "auto"
"""What agent.ini calls the rule above."""

_KINDS = re.compile(
    rb"""
    (?P<gone> \xef\xbf\xbd)
  | (?P<whole>
        [\xc2-\xdf] [\x80-\xbf]
      | \xe0 [\xa0-\xbf] [\x80-\xbf] | \xed [\x80-\x9f] [\x80-\xbf] | [\xe1-\xec\xee\xef] [\x80-\xbf]{2}
      | \xf0 [\x90-\xbf] [\x80-\xbf]{2} | [\xf1-\xf3] [\x80-\xbf]{3} | \xf4 [\x80-\x8f] [\x80-\xbf]{2}
    )
  | (?P<cut>
        \xe0 [\xa0-\xbf] | \xed [\x80-\x9f] | [\xe1-\xec\xee\xef] [\x80-\xbf]
      | \xf0 [\x90-\xbf] [\x80-\xbf]? | [\xf1-\xf3] [\x80-\xbf]{1,2} | \xf4 [\x80-\x8f] [\x80-\xbf]?
    )
  | (?P<letter> (?<! [\x80-\xbf] ) [\xc2-\xf4] (?= [A-Za-z] ) )
  | (?P<first> [\xc2-\xf4] )
  | (?P<stray> [\x80-\xff] )
    """,
    re.VERBOSE,
)
"""Whatever is not ASCII. U+FFFD is what another program made of something else, and no sign of UTF-8."""

_NO_UTF8 = frozenset(("letter", "stray"))
_CUT = "\ufffd".encode()
_WINDOWS_1252 = [bytes([byte]).decode("cp1252", "replace").encode() for byte in range(256)]

_RUNS = re.compile(rb"([\x80-\xff]+)")

SURE = 2
"""Characters of UTF-8 in a run, or signs. One alone may be a capital with a closing quotation mark: C2 BB is `В»` in
cp1251."""

JOINS = "\u2019\u2010\u2011\u2013\u2014\u2026\u00a0\u00ad\u00b7"
"""Signs that do stand between two letters: an apostrophe, dashes, dots, blanks."""

_CARRIED = re.compile("[\0-\x7f\udc80-\udcff]+")
_HALF = re.compile("[\ud800-\udfff]")
"""Half a pair of surrogates, which JSON can say."""


def text(raw: bytes, charset: str = AUTO) -> str:
    """``charset`` is AUTO, or one that keeps ASCII (see `keeps_ascii`). Never raises.

    With one, what is UTF-8 still is, but for a cut character or two: that is seen by the text being shorter so. Of two
    readings that are equally long the charset's counts: two bytes of GBK may well look like a letter of UTF-8. Where
    only some of it is, and each byte is a character of the charset, so is every run of bytes that makes no word in it.
    """
    if charset == AUTO:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return _mixed(raw, _kinds(raw))
    if raw.isascii():
        return raw.decode("ascii")
    said = raw.decode(charset, "replace")
    kinds = _kinds(raw)
    runs = _RUNS.split(raw) if "whole" in kinds and _is_of_single_bytes(charset) else []
    is_utf8 = 2 * (kinds.count("whole") + kinds.count("gone")) > len(kinds) and not _NO_UTF8 & set(kinds)
    if is_utf8 and all(map(_is_cut_at_most, runs)):
        utf8 = _mixed(raw, kinds)
        return utf8 if len(utf8) < len(said) and _is_written(utf8) else said
    return "".join(_run(run, charset) for run in runs) or said


def _is_cut_at_most(run: bytes) -> bool:
    """Letters of a charset in a row look like as many characters that were cut; a value is cut at its end."""
    return {"whole", "gone"}.issuperset(_kinds(run)[:-1])


def _run(raw: bytes, charset: str) -> str:
    """What bytes say that stand together in a value: UTF-8 only where there is no doubt about that."""
    said, kinds = raw.decode(charset, "replace"), _kinds(raw)
    sure = kinds.count("whole") >= SURE and _is_cut_at_most(raw) and kinds[-1] not in _NO_UTF8 and _is_garbled(said)
    return utf8 if sure and _is_written(utf8 := _mixed(raw, kinds)) else said


def _is_garbled(said: str) -> bool:
    """Whether no word is written so: a capital behind a small letter, a sign between letters, several signs."""
    return (
        any(one.islower() and two.isupper() for one, two in pairwise(said))
        or any(
            one.isalpha() and three.isalpha() and not (two.isalpha() or two in JOINS)
            for one, two, three in zip(said, said[1:], said[2:], strict=False)
        )
        or sum(category(character)[0] == "S" for character in said) >= SURE
    )


@cache
def _is_of_single_bytes(charset: str) -> bool:
    return len(bytes(range(256)).decode(charset, "replace")) == 256


def _is_written(said: str) -> bool:
    """Whether all its characters exist: four bytes of GBK may stand for one in UTF-8 that nobody has ever given out."""
    return not any(category(character) in ("Cn", "Co") for character in said)


def carried(raw: bytes, charset: str = AUTO) -> str:
    """Text that can be parsed, for its ASCII is there, and of whose parts `mended` makes what they say.

    Where that is not plain, all other bytes are halves of surrogates. It must go nowhere else: it can't be encoded.
    """
    if charset == AUTO:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    return raw.decode("ascii", "surrogateescape")


def mended(said: str, charset: str = AUTO) -> str:
    """A part of what was `carried`. What a parser made of escapes and references in it stays, halves become U+FFFD."""
    try:
        said.encode()
    except UnicodeEncodeError:
        pass
    else:
        return said

    def meant(piece: re.Match[str]) -> str:
        return piece[0] if piece[0].isascii() else text(piece[0].encode("ascii", "surrogateescape"), charset)

    return _HALF.sub("\ufffd", _CARRIED.sub(meant, said))


def keeps_ascii(charset: str) -> bool:
    """Whether it is one of text in which ASCII is ASCII, as `text` needs it. Raises LookupError of an unknown one."""
    try:
        name = codecs.lookup(charset).name
    except ValueError as error:
        raise LookupError(f"{charset!r} can't be a charset's name") from error
    try:
        # Those that read more than ASCII in ASCII do so behind a backslash, an escape, a tilde or a plus.
        return all(probe.decode(name, "replace") == probe.decode("ascii") for probe in _PROBES)
    except (LookupError, ValueError):
        # A codec for something else than text.
        return False


_PROBES = (rb"\u0041", b"\x1b$B0!", bytes(range(128)))


def is_utf8(stream: TextIO) -> bool:
    """Whether all that is text can be written to it."""
    return codecs.lookup(stream.encoding or "ascii").name == "utf-8"


def printable(said: str) -> str:
    """For a terminal or a log: line breaks, and what controls or turns around, which others may have chosen, shown."""
    if said.isprintable():
        return said
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)


def _kinds(raw: bytes) -> list[str]:
    return [found.lastgroup or "" for found in _KINDS.finditer(raw)]


def _mixed(raw: bytes, kinds: list[str]) -> str:
    """``kinds`` are the raw's, in order."""
    is_utf8 = "whole" in kinds
    if not is_utf8 and not _NO_UTF8.isdisjoint(kinds):
        return raw.decode("cp1252", "replace")

    def utf8(found: re.Match[bytes]) -> bytes:
        kind = found.lastgroup
        if kind in ("whole", "gone"):
            return found[0]
        if kind == "cut" or (kind == "first" and is_utf8):
            return _CUT
        return _WINDOWS_1252[found[0][0]]

    return _KINDS.sub(utf8, raw).decode()
