"""How a record of Master.csv may be written: the patterns, and a record's columns by name.

cdr_csv writes text in double quotes with `"` doubled and line breaks as they came, numbers bare, an absent time
nothing at all; 16 columns, then uniqueid and userfield if cdr.conf says so, then peeraccount, linkedid and sequence if
it says so. Its buffer has 1,024 bytes: a number that would end behind byte 1,021 is left out, and a record of more than
1,018 is not written. So the one column that a written record can lack is the sequence.

cdr_custom's stock mapping, whose file has the same name, begins with the caller ID, has the account code behind the
amaflags, and puts numbers and absent times into quotes, too: 19 columns, in older samples without sequence or
userfield. Durations mapped with `f` have six decimals. Its times are local ones, whatever usegmtime says.

Both exist with other quotes: cdr_csv's columns mapped in CSV_QUOTE, the mapping of Asterisk 1.4, which doubles no
quotes, and what another program has saved once more. Such a record is read where it is a whole line.

Source of the format: cdr_csv.c, cdr_custom.c, func_cdr.c and cdr_custom.conf.sample of Asterisk 1.4 to 22.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from humbug_agent.sources.asterisk.record import SHARED

LONGEST = 2048
"""Bytes. Nothing longer is waited for: it is no record."""

NO_ROOM = range(1010, 1018)
"""Bytes of a record, without its line break, behind which cdr_csv had no room for a sequence of 4 to 11 characters."""

COLUMNS = (*SHARED, "uniqueid", "userfield", "peeraccount", "linkedid", "sequence")
_CUSTOM_COLUMNS = ("clid", *SHARED[1:4], *SHARED[5:], "accountcode", "uniqueid", "userfield", "sequence")

ASTERISKS_UNIQUEID = re.compile(rb"(?:.*-)?\d{9,10}\.\d+")
"""Who originates a call may set another one, such as a UUID."""

_UNIQUEID = re.compile(ASTERISKS_UNIQUEID.pattern + rb"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_AMAFLAGS = {b"1": b"OMIT", b"2": b"BILLING", b"3": b"DOCUMENTATION"}

_TEXT = rb'"((?:[^"]++|"")*+)"'
_TIME = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_STAMP = b'"(' + _TIME + b')"'
_START = b'"(?P<start>' + _TIME + b')"'
_NUMBER = rb"(-?\d{1,10})"
_WORDS = rb'"([A-Za-z ]*)"'
_SHARED_BODY = (
    b",".join([_TEXT] * 9)
    + b"," + _START + b",(?:" + _STAMP + b")?,(?:" + _STAMP + b")?,"
    + b",".join([_NUMBER, _NUMBER, _WORDS, _WORDS])
    + b"(?:," + _TEXT + b")?(?:," + _TEXT + b")?"
)  # fmt: skip
_BODY = _SHARED_BODY + b"(?:," + _TEXT + b"," + _TEXT + b"," + _NUMBER + b")?"
_RECORD = re.compile(_BODY + rb"\r?\n")
_UNENDED = re.compile(_BODY + rb"\Z")
_NO_SEQUENCE = re.compile(_SHARED_BODY + b"," + _TEXT + b"," + _TEXT + rb"\r?\n")

_FRACTION = rb"(?:\.\d*+)?"
_QUOTED_START = _START[:-1] + _FRACTION + b'"'
_MAYBE_QUOTED_STAMP = b"(?:" + _STAMP[:-1] + _FRACTION + b'"|"")'
_QUOTED_NUMBER = b'"' + _NUMBER + _FRACTION + b'"'
_CUSTOM_BODY = (
    b",".join([_TEXT] * 8 + [_QUOTED_START, _MAYBE_QUOTED_STAMP, _MAYBE_QUOTED_STAMP, _QUOTED_NUMBER, _QUOTED_NUMBER])
    + b"," + _WORDS + rb',"([A-Za-z ]*|\d)",' + _TEXT
    + b"(?:," + _TEXT + b")?(?:," + _TEXT + b")?(?:," + _NUMBER + b")?"
)  # fmt: skip
_CUSTOM = re.compile(_CUSTOM_BODY + rb"\r?\n")
_CUSTOM_UNENDED = re.compile(_CUSTOM_BODY + rb"\Z")

# The same columns with any quotes, or none, and blanks behind the commas. A caller ID may have quotes that nobody has
# doubled: `""Anna" <101>"`, and `""A very long name"` where it was cut.
_OWN_QUOTES = re.compile(rb'"("(?!,)(?:[^"\\\r\n]|\\.)*+(?:" <[^"<>\r\n]*+>?)?)"')
_LOOSE_TEXT = rb'[ \t]*+("(?:[^"]++|"")*+"|[^",\r\n]*+)'
_LOOSE_CLID = _LOOSE_TEXT.replace(b"(", b"(" + _OWN_QUOTES.pattern.replace(b"(", b"(?:", 1) + b"|", 1)
_NO_CLID = rb'[ \t]*+("[^"<]*+"|[^",<\r\n]*+)'
"""A text in front of cdr_custom's columns makes as many as cdr_csv has, with the caller ID for the source."""
_LOOSE_START = rb'[ \t]*+"?(?P<start>' + _TIME + b")" + _FRACTION + b'"?'
_LOOSE_STAMP = rb'[ \t]*+(?:"?(' + _TIME + b")" + _FRACTION + b'"?|"")?'
_LOOSE_NUMBER = rb'[ \t]*+"?' + _NUMBER + _FRACTION + b'"?'
_LOOSE_WORDS = rb'[ \t]*+"?([A-Za-z ]*+|\d)"?'
_LOOSE_CELL = b"," + _LOOSE_TEXT.replace(b"(", b"(?:", 1)
_PADDING = rb"(?:,[ \t]*+)*+[ \t]*+\r?\n"
"""Spreadsheets make all rows as long as the longest one."""
_LOOSE_MIDDLE = [_LOOSE_START] + [_LOOSE_STAMP] * 2 + [_LOOSE_NUMBER] * 2 + [_LOOSE_WORDS] * 2
_LOOSE = re.compile(
    b",".join([_LOOSE_TEXT, _NO_CLID, *[_LOOSE_TEXT] * 2, _LOOSE_CLID, *[_LOOSE_TEXT] * 4, *_LOOSE_MIDDLE])
    + b"((?:" + _LOOSE_CELL + rb"){0,5})" + _PADDING
)  # fmt: skip
_LOOSE_CUSTOM = re.compile(
    b",".join([_LOOSE_CLID] + [_LOOSE_TEXT] * 7 + _LOOSE_MIDDLE)
    + b"((?:" + _LOOSE_CELL + rb"){1,4})" + _PADDING
)  # fmt: skip
_FROM_START = re.compile(b"," + b",".join(_LOOSE_MIDDLE))
"""What every record has behind its texts, from the comma before its start on."""
_CELL = re.compile(b"," + _LOOSE_TEXT)
_SEQUENCE = re.compile(rb"\d{0,10}")
_STAMPED = re.compile(b"," + _START)


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
_ANY = (rb"(?:" + _TEXT + b"|" + _NUMBER + b")", rb"(?:" + _PART_OF_TEXT + b"|" + _PART_OF_NUMBER + b")")
_BEGINNING = _beginnings(
    [(_TEXT, _PART_OF_TEXT)] * 9
    + [(_START, _PART_OF_STAMP)]
    + [(rb"(?:" + _STAMP + rb")?", _PART_OF_STAMP)] * 2
    + [(_NUMBER, _PART_OF_NUMBER)] * 2
    + [(_WORDS, _PART_OF_WORDS)] * 2
    + [_ANY] * 5
)
_CUSTOM_BEGINNING = _beginnings([(_TEXT, _PART_OF_TEXT)] * 8 + [(_QUOTED_START, _PART_OF_TEXT)] + [_ANY] * 10)
_CUSTOMS = (_CUSTOM.pattern, _CUSTOM_UNENDED.pattern, _CUSTOM_BEGINNING)
_NAME = rb'(?:[^"\\]|\\(?:""|.))'
_CLID = re.compile(rb'""(?:' + _NAME + rb'*+"" <[^"]*|(?! <)' + _NAME + rb"++)", re.DOTALL)
"""A caller ID between its quotes: a name in quotes of its own, which may be cut, and a number."""
_TWO_CLIDS = re.compile(b'""' + _NAME + rb'*(?:"" <[^"]*)?\\?""' + _CLID.pattern, re.DOTALL)
"""The one of a record that was cut right there, and the next one's."""

# At a line's beginning: whatever may go on behind a line break that stands in one of its texts.
_MAY_GO_ON = (
    b"(?:" + _OWN_QUOTES.pattern + b",)?(?:" + _LOOSE_TEXT + rb',){0,20}+[ \t]*+(?:"(?:[^"]++|"")*+"?|[^",\r\n]*+)\r?\Z'
)


class Writer(StrEnum):
    """Which of Asterisk's modules wrote a record."""

    CSV, CUSTOM = "cdr_csv", "cdr_custom"


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Compiled when a file first has what it is for: that takes longer than all else that a start does."""
    return re.compile(pattern)


@dataclass(slots=True)
class Row:
    """A whole record: its columns' values by name, still bytes, quotes undone; ``at`` its offset in the data."""

    at: int
    text: bytes
    values: dict[str, bytes]
    writer: Writer = Writer.CSV


def record_at(data: bytes, at: int) -> Row | None:
    """The record that begins at ``at``, where a line or a record does."""
    if match := _RECORD.match(data, at, at + LONGEST):
        return _row(match)
    if not (match := _strict(data, at)):
        return _loose_row(data, at)
    if match.re is _CUSTOM and _TWO_CLIDS.fullmatch(match[1]):
        return None
    return _any_row(match)


def next_record(data: bytes, at: int) -> Row | None:
    """The first record in the data from ``at`` on, wherever it begins."""
    for found in _FROM_START.finditer(data, at):
        line = data.rfind(b"\n", max(0, found.start() - LONGEST), found.start()) + 1
        if line >= at and not _strict(data, line, doubled=True) and (row := record_at(data, line)):
            return row
        if match := _behind_a_cut(_strict, data, at, found.start("start")):
            return _any_row(match)
    return None


def unended_record(data: bytes, at: int, end: int) -> Row | None:
    """The first record that ``data[at:end]`` ends with, without its line break."""

    def unended(data: bytes, start: int) -> re.Match[bytes] | None:
        return _UNENDED.match(data, start, end) or _CUSTOM_UNENDED.match(data, start, end)

    for found in _FROM_START.finditer(data, at, end):
        if match := _behind_a_cut(unended, data, at, found.start("start")):
            return _any_row(match)
    return None


def next_beginning(data: bytes, at: int) -> int | None:
    """Where in the data from ``at`` on a record begins, with its start, of which the end may still come."""
    for stamp in _STAMPED.finditer(data, at):
        # The one with more texts before its start is waited for where it may be either.
        for pattern in (_BEGINNING, _CUSTOM_BEGINNING):
            if begun := _behind_a_cut(_compiled(pattern).match, data, at, stamp.start("start")):
                return begun.start()
    return None


def may_go_on(data: bytes, at: int) -> bool:
    """Whether one record may begin at ``at``, where a line does, of which the end may still come."""
    return bool(_compiled(_MAY_GO_ON).match(data, at))


def _strict(data: bytes, at: int, *, doubled: bool = False) -> re.Match[bytes] | None:
    """A record as one of the two modules writes it; with ``doubled``, none whose caller ID shows undoubled quotes."""
    if match := _RECORD.match(data, at, at + LONGEST):
        return match
    if match := _CUSTOM.match(data, at, at + LONGEST):
        return None if doubled and match[1].startswith(b'"" <') else match
    match = _NO_SEQUENCE.match(data, at, at + LONGEST)
    return match if match and len(match.group().rstrip(b"\r\n")) in NO_ROOM else None


def _behind_a_cut(
    pattern: Callable[[bytes, int], re.Match[bytes] | None], data: bytes, at: int, start: int
) -> re.Match[bytes] | None:
    """The record with its start at ``start``, wherever it begins, but not before ``at``.

    Behind a cut record the leftmost beginning is not the right one: a text that had just ended, and the account code
    behind it, read as one text with a quote in it. So the last that fits counts; for cdr_custom, whose first text
    has quotes of its own, the last one with a whole caller ID.
    """
    last, quote = None, start - 1
    while (quote := data.rfind(b'"', max(at, start - LONGEST), quote)) >= 0:
        match = pattern(data, quote)
        if match and match.start("start") == start:
            if match.re.pattern not in _CUSTOMS or _has_clid(match):
                return match
            # With the caller ID for a context they are another record's columns from the second on.
            last = last or (None if b"<" in match[4] else match)
    return last


def _has_clid(match: re.Match[bytes]) -> bool:
    return _CLID.fullmatch(match[1]) is not None and b"<" not in match[4]


def _any_row(match: re.Match[bytes]) -> Row:
    if match.re.pattern not in _CUSTOMS:
        return _row(match)
    raw = list(match.groups())
    raw[9], raw[10] = raw[9] or b"", raw[10] or b""
    found = zip(_CUSTOM_COLUMNS, raw, strict=True)
    values = {name: value.replace(b'""', b'"') for name, value in found if value is not None}
    return Row(match.start(), match.group(), _mapped(values), Writer.CUSTOM)


def _row(match: re.Match[bytes]) -> Row:
    raw = list(match.groups())
    # loguserfield without loguniqueid writes the userfield as the 17th column.
    if raw[16] is not None and raw[17] is None and not _UNIQUEID.fullmatch(raw[16]):
        raw[16], raw[17] = None, raw[16]
    values = {
        name: value.replace(b'""', b'"') if value else b""
        # The sequence may be missing.
        for name, value in zip(COLUMNS, raw, strict=False)
        if value is not None or name in ("answer", "end")
    }
    return Row(match.start(), match.group(), values)


def _loose_row(data: bytes, at: int) -> Row | None:
    if match := _LOOSE.match(data, at, at + LONGEST):
        cells = _CELL.findall(match.groups()[-1])
        writer, names = Writer.CSV, SHARED + _optional(cells)
    elif match := _LOOSE_CUSTOM.match(data, at, at + LONGEST):
        cells = _CELL.findall(match.groups()[-1])
        writer, names = Writer.CUSTOM, _CUSTOM_COLUMNS
        if len(cells) == 3 and cells[2].isdigit() and not cells[1].isdigit():
            names = (*names[:-2], names[-1])
    else:
        return None
    values = dict(zip(names, map(_unquoted, [*match.groups()[:-1], *cells]), strict=False))
    if not _SEQUENCE.fullmatch(values.get("sequence", b"")):
        return None
    if not values.get("sequence"):
        values.pop("sequence", None)
    return Row(match.start(), match.group(), _mapped(values), writer)


def _optional(cells: Sequence[bytes]) -> tuple[str, ...]:
    """The names of the columns behind the 16."""
    while len(cells) > 2 and not _unquoted(cells[-1]).strip():
        # Asterisk never writes an empty sequence: it is a padding.
        cells = cells[:-1]
    if len(cells) > 2:
        return (*_optional(cells[:-3]), *COLUMNS[18:])
    if len(cells) == 1:
        return ("uniqueid",) if _UNIQUEID.fullmatch(_unquoted(cells[0])) else ("userfield",)
    return COLUMNS[16 : 16 + len(cells)]


def _unquoted(cell: bytes | None) -> bytes:
    cell = (cell or b"").rstrip(b" \t")
    if not cell.startswith(b'"') or cell == b'"':
        return cell
    return cell[1:-1] if _OWN_QUOTES.fullmatch(cell) else cell[1:-1].replace(b'""', b'"')


def _mapped(values: dict[str, bytes]) -> dict[str, bytes]:
    """As cdr_csv and AMI have what mappings write otherwise: by these values a call is recognised."""
    values["duration"], values["billsec"] = b"%d" % int(values["duration"]), b"%d" % int(values["billsec"])
    if values["clid"].startswith(b'" <'):
        # It was `"" <101>`, whose quotes nobody had doubled.
        values["clid"] = b'"' + values["clid"]
    values["amaflags"] = _AMAFLAGS.get(values["amaflags"], values["amaflags"])
    return values
