"""Master.csv's bytes -> records. No file is touched here.

The format is that of Asterisk's cdr_csv: text in double quotes with `"` doubled and line breaks as they came, numbers
bare, an absent time nothing at all; 16 columns, then uniqueid and userfield if cdr.conf says so, then peeraccount,
linkedid and sequence if it says so. A record never has more than 1,024 bytes.
Since every record has nine texts and then a time, a whole one is recognised wherever it begins: also on the line
of one that a full disk has cut short.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from humbug_agent.sources.asterisk.record import SHARED

LONGEST = 2048
"""Bytes. Nothing longer is waited for: it is no record."""

_TEXT = rb'"((?:[^"]++|"")*+)"'
_STAMP = rb'"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"'
_NUMBER = rb"(-?\d{1,10})"
_WORDS = rb'"([A-Za-z ]*)"'

_BODY = (
    b",".join([_TEXT] * 9)
    + b"," + _STAMP + b",(?:" + _STAMP + b")?,(?:" + _STAMP + b")?,"
    + b",".join([_NUMBER, _NUMBER, _WORDS, _WORDS])
    + b"(?:," + _TEXT + b")?(?:," + _TEXT + b")?(?:," + _TEXT + b"," + _TEXT + b"," + _NUMBER + b")?"
)  # fmt: skip
_RECORD = re.compile(_BODY + rb"\r?\n")
_UNENDED = re.compile(_BODY + rb"\Z")

COLUMNS = (
    *SHARED,
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
)
_UNIQUEID = re.compile(rb"(?:.*-)?\d{9,10}\.\d+")
_STAMPED = re.compile(b"," + _STAMP)


def _beginnings(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A pattern for whatever a record may be at the end of the data: some whole fields and a part of the next."""
    (whole, part), *rest = fields
    if not rest:
        return rb"(?:" + part + rb"\Z)"
    return rb"(?:" + part + rb"\Z|" + whole + b"," + _beginnings(rest) + b")"


_PART_OF_TEXT = rb'(?:"(?:[^"]++|"")*+"?)?\r?'
_PART_OF_STAMP = rb'(?:"[\d: -]{0,19}"?)?'
_PART_OF_NUMBER = rb"-?\d{0,10}\r?"
_PART_OF_WORDS = rb'(?:"[A-Za-z ]*"?)?\r?'
_BEGINNING = re.compile(
    _beginnings(
        [(_TEXT, _PART_OF_TEXT)] * 9
        + [(_STAMP, _PART_OF_STAMP)]
        + [(rb"(?:" + _STAMP + rb")?", _PART_OF_STAMP)] * 2
        + [(_NUMBER, _PART_OF_NUMBER)] * 2
        + [(_WORDS, _PART_OF_WORDS)] * 2
        + [(rb"(?:" + _TEXT + b"|" + _NUMBER + b")", rb"(?:" + _PART_OF_TEXT + b"|" + _PART_OF_NUMBER + b")")] * 5
    )
)


@dataclass(frozen=True, slots=True)
class Row:
    """A whole record: its column's values by name, still bytes, quotes undone; ``at`` its offset in the data."""

    at: int
    text: bytes
    values: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Junk:
    """What is no record, and why."""

    at: int
    text: bytes
    reason: str


def split(data: bytes, *, final: bool) -> tuple[list[Row | Junk], int]:
    """The records that ``data`` begins with, and how many bytes they take.

    What is left is a record of which the end may still come. When nothing will (``final``), nothing is left.
    """
    found: list[Row | Junk] = []
    at = width = 0
    while at < len(data):
        if match := _RECORD.match(data, at, at + LONGEST):
            found.append(row := _row(match))
            width = len(row.values)
            at = match.end()
        elif data[at] in b"\r\n":
            at += 1
        elif match := _find(_RECORD, data, at + 1, len(data)):
            found += _salvage(data, at, match.start(), len(_row(match).values))
            at = match.start()
        else:
            end = len(data) if final else _end_of_junk(data, at)
            if end > at:
                found += _salvage(data, at, end, width)
            return found, end
    return found, at


def _find(pattern: re.Pattern[bytes], data: bytes, at: int, end: int) -> re.Match[bytes] | None:
    """The first record in ``data[at:end]``, wherever it begins.

    Behind a cut record the leftmost beginning is not the right one: a text that had just ended, and the account code
    behind it, read as one text with a quote in it. So the last that fits counts.
    """
    for stamp in _STAMPED.finditer(data, at, end):
        start = stamp.start()
        while (start := data.rfind(b'"', max(at, stamp.start() - LONGEST), start)) >= 0:
            match = pattern.match(data, start, min(end, stamp.start() + LONGEST))
            if match and match.start(10) == stamp.start(1):
                return match
    return None


def _end_of_junk(data: bytes, at: int) -> int:
    """Where in the data from ``at`` on, which holds no whole record, one begins of which the end may still come."""
    if len(data) - at <= LONGEST and _BEGINNING.match(data, at):
        return at
    at = max(at, len(data) - LONGEST)
    if begun := _find(_BEGINNING, data, at, len(data)):
        return begun.start()
    while at < len(data) and not _BEGINNING.match(data, at):
        newline = data.find(b"\n", at)
        if newline < 0:
            # A cut record with the first few bytes of the next one glued to it looks like this.
            return at
        at = newline + 1
    return at


def _salvage(data: bytes, at: int, end: int, width: int) -> Iterator[Row | Junk]:
    """``data[at:end]`` is no record, but one of ``width`` columns whose line break is missing may stand at its end."""
    whole_lines = data.endswith(b"\n", at, end)
    while data[end - 1] in b"\r\n":
        end -= 1
    unended = _find(_UNENDED, data, at, end)
    row = _row(unended) if unended else None
    # With fewer columns, or with a number at its end, it is cut somewhere else than at its line break.
    if row and (row.text.endswith(b'"') and len(row.values) == (width or len(row.values))):
        end = row.at
    else:
        row = None
    yield from _junk(data[at:end], at, cut=row is not None or not whole_lines)
    if row:
        yield row


def _junk(data: bytes, at: int, *, cut: bool) -> Iterator[Junk]:
    """One piece for every line, or for the lines that an open quote holds together."""
    piece = b""
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        piece += line
        if number == len(lines) or piece.count(b'"') % 2 == 0 or len(piece) > LONGEST:
            if stripped := piece.strip(b"\r\n"):
                yield Junk(at, stripped, _reason(stripped, cut=cut and number == len(lines)))
            at += len(piece)
            piece = b""


def _reason(text: bytes, *, cut: bool) -> str:
    if cut:
        return "cut short, with nothing or another record right behind it: was the disk full?"
    columns = re.findall(rb'(?:"(?:[^"]|"")*"?|[^,])*(?:,|\Z)', text)[:-1]
    if len(columns) not in (16, 17, 18, 19, 20, 21):
        return f"has {len(columns)} columns, where Asterisk writes 16, 18 or 21"
    return "is not a record as Asterisk writes it: nine quoted texts, three times, two numbers, two quoted words"


def _row(match: re.Match[bytes]) -> Row:
    raw = list(match.groups())
    # loguserfield without loguniqueid writes the userfield as the 17th column.
    if raw[16] is not None and raw[17] is None and not _UNIQUEID.fullmatch(raw[16]):
        raw[16], raw[17] = None, raw[16]
    values = {
        name: value.replace(b'""', b'"') if value else b""
        for name, value in zip(COLUMNS, raw, strict=True)
        if value is not None or name in ("answer", "end")
    }
    return Row(match.start(), match.group(), values)
