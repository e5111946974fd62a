"""Master.csv's bytes -> records. No file is touched here.

How a record looks, layouts.py tells. Since every record has eight or nine texts and then a time, a whole one is
recognised wherever it begins: also on the line of one that a full disk has cut short.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from humbug_agent.sources.asterisk.csv.layouts import (
    COLUMNS,
    LONGEST,
    Row,
    may_go_on,
    next_beginning,
    next_record,
    record_at,
    unended_record,
)
from humbug_agent.sources.asterisk.csv.plain import FastLane
from humbug_agent.words import count

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Windows' programs begin a file with."""

_BLANK = re.compile(rb"(?:[\r\n]++|" + BYTE_ORDER_MARK + b")++")


_NAME = rb'[ \t]*"?[A-Za-z][A-Za-z_ ./-]{1,24}"?[ \t]*'
_HEADER = re.compile(b"#?" + _NAME + b"(?:," + _NAME + b"){9,30}")
_NAMES = {name.encode() for name in COLUMNS} | {
    b"source", b"destination", b"destinationcontext", b"context", b"callerid", b"destinationchannel",
    b"lastapplication", b"lastappargument", b"starttime", b"calldate", b"answertime", b"endtime", b"billableseconds",
    b"amaflag",
}  # fmt: skip
"""What a header may call the columns: as CDR() does, as AMI, as cdr_csv.c's comment, as the tables of a database."""


@dataclass(frozen=True, slots=True)
class Junk:
    """What is no record, and why."""

    at: int
    text: bytes
    reason: str


def split(data: bytes, *, final: bool, lane: FastLane | None = None) -> tuple[list[Row | Junk], int]:
    """The records that ``data`` begins with, and how many bytes they take. Lines that name columns are left out.

    What is left is a record of which the end may still come. When nothing will (``final``), nothing is left. Plain
    records are taken by the fast ``lane``, where there is one.
    """
    found: list[Row | Junk] = []
    at = 0
    last: Row | None = None
    quick, bytewise = lane.record_at if lane else None, data.decode("latin-1")
    while at < len(data):
        if quick and (plain := quick(bytewise, at)):
            found.append(last := plain)
            at += len(plain.line)
        elif row := record_at(data, at):
            found.append(last := row)
            at += len(row.text)
        elif blank := _BLANK.match(data, at):
            at = blank.end()
        elif row := next_record(data, at + 1):
            found += _salvage(data, at, row.at, len(row.values))
            at = row.at
        else:
            end = len(data) if final else _end_of_junk(data, at)
            if end > at:
                found += _salvage(data, at, end, len(last.values) if last else 0)
            return found, end
    return found, at


def _end_of_junk(data: bytes, at: int) -> int:
    """Where in the data from ``at`` on, which holds no whole record, one begins of which the end may still come."""
    if len(data) - at <= LONGEST and _may_go_on(data, at):
        return at
    at = max(at, len(data) - LONGEST)
    if (begun := next_beginning(data, at)) is not None:
        return begun
    while at < len(data) and not _may_go_on(data, at):
        newline = data.find(b"\n", at)
        if newline < 0:
            # A cut record with the first few bytes of the next one glued to it looks like this.
            return at
        at = newline + 1
    return at


def _may_go_on(data: bytes, at: int) -> bool:
    """The same where a byte order mark, or the beginning of one, may stand before the record."""
    if mark := data[at : at + len(BYTE_ORDER_MARK)]:
        if mark == BYTE_ORDER_MARK:
            return _may_go_on(data, at + len(mark))
        if at + len(mark) == len(data) and BYTE_ORDER_MARK.startswith(mark):
            return True
    return may_go_on(data, at)


def _salvage(data: bytes, at: int, end: int, width: int) -> Iterator[Row | Junk]:
    """``data[at:end]`` is no record, but one of ``width`` columns whose line break is missing may stand at its end."""
    whole_lines = data.endswith(b"\n", at, end)
    while data[end - 1] in b"\r\n":
        end -= 1
    row = unended_record(data, at, end)
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
            stripped = piece.strip(b"\r\n").removeprefix(BYTE_ORDER_MARK)
            if stripped and not _is_header(stripped):
                yield Junk(at, stripped, _reason(stripped, cut=cut and number == len(lines)))
            at += len(piece)
            piece = b""


def _reason(text: bytes, *, cut: bool) -> str:
    if cut:
        return "cut short, with nothing or another record right behind it: was the disk full?"
    columns = re.findall(rb'(?:"(?:[^"]|"")*"?|[^,])*(?:,|\Z)', text)[:-1]
    if len(columns) not in (16, 17, 18, 19, 20, 21):
        return f"has {count(len(columns), 'column')}, where Asterisk writes 16, 18 or 21"
    return "is not a record as Asterisk writes it: nine quoted texts, three times, two numbers, two quoted words"


def _is_header(line: bytes) -> bool:
    """Whether the line names columns, and nothing else."""
    if not _HEADER.fullmatch(line):
        return False
    names = [re.sub(rb"[^a-z]", b"", cell.lower()) for cell in line.split(b",")]
    return len(set(names)) == len(names) and _NAMES.issuperset(names)
