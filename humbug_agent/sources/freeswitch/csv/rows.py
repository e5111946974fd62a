"""Master.csv's bytes -> rows. No file is touched here.

mod_cdr_csv escapes nothing: quotes, commas and line breaks of a caller's name stand in the file as they are. So a row
is found by its middle, which no text looks like by chance, and two rows are parted at the line break (or `;`) between
their middles before which a row can end and behind which one can begin. What can be read in more than one way is NoRow.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from humbug_agent.sources.freeswitch.csv.columns import Doubt, head, tail
from humbug_agent.sources.freeswitch.csv.templates import TEMPLATES, Template, of

LONGEST = 64 * 1024
"""Bytes that the texts on one side of a row's middle may have."""

LINES = 20
"""At the end of what there is now, that may still be the beginning of a row."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Windows' programs begin a file with."""

_BLANK = b"\r\n\0"
"""NUL is what a file system puts where a crash has lost something."""

_HEADER = re.compile(rb'[ \t]*+"?[a-z]\w{2,40}"?[ \t]*+(?:,[ \t]*+"?[a-z]\w{2,40}"?[ \t]*+){4,40}\r?\n')

"""What a program that looks at tables may have put above the rows: the columns' names."""

_MOST_PIECES = 3
"""Of one row, written before all of it could be."""

_LONGEST_TORN = 8 * 1024
"""Bytes of a row and the pieces before it: looking for them takes time."""

_MOST = 128
"""Possible ends of one row that are looked at, and rows that hang together."""

AMBIGUOUS = "can be read in more than one way: a text in it looks like the end or the beginning of a row"
CUT = "cut short, and nothing follows: was the disk full?"
TORN = "cut short, and written again right behind it: was the disk full?"
NO_ROW = "is no row of mod_cdr_csv, or of a template that is not known: then set template to the template's own text"

_ODDLY_CUT = re.compile(rb'(?s)(?=.*\w)(?:.*?","){2}(?:.*(?<!",)\Z|(?:.*?","){2})')
"""A beginning of a row that does not stand twice in one by chance: two columns and a part of another, or four."""


@dataclass(frozen=True, slots=True)
class LegRow:
    """One row of Master.csv, taken apart by the template that it was written with.

    ``values`` has its columns' values by name, as bytes; ``at`` is its offset in the data.
    """

    at: int
    text: bytes
    template: Template
    values: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class NoRow:
    """What is no row, or could be more than one thing, and why."""

    at: int
    text: bytes
    reason: str


class LegRows:
    """Reads rows of one template, or of any stock one; remembers of which the last one was.

    ``template`` is agent.ini's: auto, a stock one's name, or the text of one. With ``own`` it reads rows of that alone.
    """

    def __init__(self, template: str, own: Template | None = None) -> None:
        named = tuple(TEMPLATES.values()) if template == "auto" else (of(template),)
        self._templates = (own,) if own else named
        self._last: Template | None = None
        self._begin = re.compile(b"|".join({re.escape(one.begin) for one in self._templates}))
        self._next_begin = re.compile(b"|".join({_torn_or_whole(one.begin) for one in self._templates}))
        self._end = re.compile(b"|".join({one.ends for one in self._templates}))
        self._names = {name.encode() for one in (*self._templates, *TEMPLATES.values()) for name in one.columns}
        patterns = list(dict.fromkeys(one.anchor for one in self._templates))
        self._anchor = re.compile(b"|".join(b"(" + pattern + b")" for pattern in patterns))
        groups = [0, *(re.compile(pattern).groups + 1 for pattern in patterns)]
        self._by_group = {
            1 + sum(groups[: number + 1]): [one for one in self._templates if one.anchor == pattern]
            for number, pattern in enumerate(patterns)
        }

    def split(self, data: bytes, *, more: bool, final: bool) -> tuple[list[LegRow | NoRow], int]:
        """The rows that ``data`` begins with, and how many bytes they take.

        What is left may be a row of which the end is yet to come. ``more``: the file goes on behind the data.
        ``final``: nothing will be written any more, and nothing is left.
        """
        found: list[LegRow | NoRow] = []
        at = 0
        unsure: tuple[Template, re.Match[bytes]] | None = None
        while at < len(data):
            if skip := self._no_record(data, at):
                found += [_plain_row(*unsure)] if unsure else []
                unsure, at = None, skip
                continue
            plain = self._plain(data, at)
            # Whether a plain row ends where it seems to shows what follows.
            if plain and unsure:
                found.append(_plain_row(*unsure))
            if plain:
                unsure, at = plain, plain[1].end()
                continue
            begin = unsure[1].start() if unsure else at
            unsure = None
            pieces, at = self._odd(data, begin, more=more, final=final)
            if at == begin:
                return found, begin
            found += pieces
        if unsure and more:
            return found, unsure[1].start()
        if unsure:
            found.append(_plain_row(*unsure))
        return found, at

    def _no_record(self, data: bytes, at: int) -> int:
        """Where a byte order mark or a line that names columns ends; 0 where there is none."""
        if data.startswith(BYTE_ORDER_MARK, at):
            return at + len(BYTE_ORDER_MARK)
        named = _HEADER.match(data, at)
        names = re.findall(rb"\w+", named[0]) if named else []
        return named.end() if named and len(set(names)) == len(names) and self._names.issuperset(names) else 0

    def is_plain(self, text: bytes) -> bool:
        """Whether it is a row, and no text in it has a quote."""
        return any(one.plain.fullmatch(text) for one in self._templates)

    def _plain(self, data: bytes, at: int) -> tuple[Template, re.Match[bytes]] | None:
        if self._last:
            match = self._last.plain.match(data, at)
            return (self._last, match) if match else None
        for template in self._templates:
            if match := template.plain.match(data, at):
                self._last = template
                return template, match
        return None

    def _odd(self, data: bytes, at: int, *, more: bool, final: bool) -> tuple[list[LegRow | NoRow], int]:
        """The first row in ``data[at:]``, or several that hang together, and where they end; ``at`` is to wait."""
        first = self._next(data, at)
        if first is None or first.start() - at > LONGEST:
            end = _end_of_junk(data, at, first.start() if first else None, more=more, final=final)
            return list(_lines(data, at, end)), end
        end, sure = self._end_of_row(data, at, first, more=more, final=final)
        return self._read(data[at:end], at, sure=sure) if end > at else [], end

    def _end_of_row(self, data: bytes, at: int, this: re.Match[bytes], *, more: bool, final: bool) -> tuple[int, bool]:
        """Where the row ends that begins at ``at``, with what can't be parted from it; whether there is no other end.

        ``at`` is to wait.
        """
        middles = [this]
        # Without columns before it, it is no row's middle, but stands in a text.
        real = self._can_begin(data, at, this)
        for _ in range(_MOST):
            after = self._next(data, this.end())
            limit = min(after.start() if after else len(data), this.end() + 2 * LONGEST)
            near = after if after and after.start() == limit else None
            ends = self._ends(data, at, middles, limit)
            if near:
                ends = [end for end in ends if self._begins(data, end)]
            next_real = near is not None and self._can_begin(data, ends[0] if ends else this.end() - 1, near)
            sure = real and len(ends) == 1 and (near is None or next_real)
            waits = more or not (final or sure)
            if waits and near is None and limit == len(data) and len(data) - at < 4 * LONGEST:
                return at, False
            if sure or near is None:
                return (ends[-1] if ends else limit), sure
            this, real = near, next_real
            middles.append(this)
        return this.start(), False

    def _ends(self, data: bytes, at: int, middles: list[re.Match[bytes]], limit: int) -> list[int]:
        """Where a row that begins at ``at`` or later and has one of the middles can end, behind the last of these."""
        marks = list(islice(self._end.finditer(data, middles[-1].end(), limit), _MOST))
        if len(marks) == _MOST:
            return []
        possible = [
            (middle.end(), one)
            for middle in middles
            for one in self._of(middle)
            if data.find(one.begin, at, middle.start() + len(one.begin)) >= 0
        ]
        return [mark.end() for mark in marks if any(_can_end(one, data, begin, mark) for begin, one in possible)]

    def _begins(self, data: bytes, at: int) -> bool:
        """Whether the next row begins here."""
        return bool(self._next_begin.match(data, at))

    def _can_begin(self, data: bytes, at: int, anchor: re.Match[bytes]) -> bool:
        """Whether what stands between is enough for a row's first columns, whatever stands before them."""
        return any(one.can_begin(data, at, anchor.start()) for one in self._of(anchor))

    def _next(self, data: bytes, at: int) -> re.Match[bytes] | None:
        """The next middle of a row. That of opencdrrate is one only behind what such a row begins with."""
        begin = max(0, at - 1)
        while match := self._anchor.search(data, at):
            if any(one.beginning.search(data, begin, match.start() + 1) for one in self._of(match)):
                return match
            at = match.start() + 1
        return None

    def _all(self, text: bytes) -> list[re.Match[bytes]]:
        found: list[re.Match[bytes]] = []
        while match := self._next(text, found[-1].end() if found else 0):
            found.append(match)
        return found

    def _of(self, anchor: re.Match[bytes]) -> list[Template]:
        return self._by_group[anchor.lastindex or 0]

    def _read(self, text: bytes, at: int, *, sure: bool, pieces: int = 0) -> list[LegRow | NoRow]:
        """``text`` is a row, or what can't be told apart. So many ``pieces`` of it stand before it."""
        anchors = self._all(text)
        if skip := self._before(text, anchors[0]):
            junk = [NoRow(at, text[:skip].strip(_BLANK), CUT)] if text[:skip].strip(_BLANK) else []
            return [*junk, *self._read(text[skip:], at + skip, sure=sure, pieces=pieces)]
        reason = AMBIGUOUS
        row: LegRow | None = None
        if sure and len(anchors) == 1:
            try:
                row = self._row(text, at, anchors[0])
            except Doubt as doubt:
                reason = str(doubt)
        if row and row.template.plain.fullmatch(text):
            return [row]
        if sure and pieces < _MOST_PIECES and len(text) <= _LONGEST_TORN and (glued := self._glued(text, at, pieces)):
            return glued
        return [row or NoRow(at, text.strip(_BLANK), reason)]

    def _before(self, text: bytes, anchor: re.Match[bytes]) -> int:
        """How much stands before what may be the beginning of a row."""
        if not self._of(anchor)[0].head:
            return anchor.start()
        blank = len(text) - len(text.lstrip(_BLANK))
        if self._begin.match(text, blank):
            return blank
        on_a_line = re.compile(b"\n(?:" + self._begin.pattern + b")").search(text, blank, anchor.start())
        somewhere = self._begin.search(text, blank, anchor.start() + 1)
        return on_a_line.start() + 1 if on_a_line else somewhere.start() if somewhere else 0

    def _row(self, text: bytes, at: int, anchor: re.Match[bytes]) -> LegRow:
        ended = {one.ends: one.without_end(text) for one in self._of(anchor) if text.startswith(one.begin)}
        possible = [one for one in self._of(anchor) if ended.get(one.ends) is not None]
        if not possible:
            raise Doubt(NO_ROW)
        this = possible[0]
        before = head(this, text[len(this.begin) : anchor.start()]) if this.head else ()
        this, behind = tail(possible, (ended[this.ends] or b"")[anchor.end() :], self._last)
        self._last = this
        group = anchor.lastindex or 0
        middle = anchor.groups()[group : group + len(this.middle)]
        return LegRow(at, text, this, dict(zip(this.columns, (*before, *middle, *behind), strict=True)))

    def _glued(self, text: bytes, at: int, pieces: int) -> list[LegRow | NoRow]:
        """A piece of a row, and then all of it: what a full disk leaves. Nothing if ``text`` is no such thing."""
        cuts = (begin.start() for begin in self._begin.finditer(text, 1, len(text) // 2 + 32))
        for length in islice((cut for cut in cuts if text.startswith(text[:cut], cut)), _MOST_PIECES):
            if not self._next(text, length):
                break
            *others, row = self._read(text[length:], at + length, sure=True, pieces=pieces + 1)
            if not isinstance(row, LegRow):
                continue
            plain = row.template.plain.fullmatch(row.text)
            if plain and (row.template.head[0] == "uuid" or _ODDLY_CUT.match(text[:length])):
                return [NoRow(at, text[:length], TORN), *others, row]
            # Texts may well have a quote in them, and what stands before the quote behind it again.
            if plain or length > len(row.template.begin):
                return [NoRow(at, text.strip(_BLANK), AMBIGUOUS)]
        return []


def _torn_or_whole(begin: bytes) -> bytes:
    """A pattern for a row's beginning behind what a crash, or a write that was cut short, may have left before it."""
    cut = b"".join(re.escape(begin[at : at + 1]) + b"?" for at in range(len(begin) - 1))
    return rb"[\r\n\0]*" + cut + re.escape(begin)


def _plain_row(template: Template, match: re.Match[bytes]) -> LegRow:
    return LegRow(match.start(), match.group(), template, dict(zip(template.columns, match.groups(), strict=True)))


def _can_end(template: Template, data: bytes, begin: int, end: re.Match[bytes]) -> bool:
    same = template.end in (end.group(), end.group().replace(b"\r\n", b"\n"))
    return same and template.ending.fullmatch(data, begin, end.start()) is not None


def _end_of_junk(data: bytes, at: int, anchor: int | None, *, more: bool, final: bool) -> int:
    """``data[at:]`` has a middle at ``anchor`` or none: too far away to belong to a row that begins here."""
    if anchor is None and final:
        return len(data)
    end = (len(data) if anchor is None else anchor) - LONGEST
    if anchor is None and not more:
        lines = [match.end() for match in re.finditer(rb"\n", data[at:])]
        if len(lines) > LINES:
            end = max(end, at + lines[-LINES - 1])
    return max(at, data.rfind(b"\n", at, max(at, end)) + 1 or end)


def _lines(data: bytes, at: int, end: int) -> Iterator[NoRow]:
    *lines, rest = data[at:end].split(b"\n")
    for line in lines:
        if text := line.strip(_BLANK):
            yield NoRow(at, text, NO_ROW)
        at += len(line) + 1
    if text := rest.strip(_BLANK):
        yield NoRow(at, text, CUT)
