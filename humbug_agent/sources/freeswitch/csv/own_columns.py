"""Rows of a file as a whole: what all of them show is a template of one's own, and no caller's name.

Who adds columns to a copy of a stock template has rows that look, each for itself, like stock ones with `","` in a
name. So a name is taken for such a one only in a file that has rows without it, and columns in front or behind are read
where several rows in a row have as many. What can't be told is NoRow, which says what to do.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import unquote_to_bytes

from humbug_agent.sources.freeswitch.csv.rows import LegRow, LegRows, NoRow
from humbug_agent.sources.freeswitch.csv.templates import BETWEEN, FORMS, TEMPLATES, Template

ENOUGH = 3
"""Rows, one behind the other, that show a template."""

MEMORY = 16 * 1024
"""Bytes before a row that show of which template it is."""

MOST_OWN = 12
"""Columns of one's own that are looked for."""

OWN = (
    "has columns of one's own, or a caller's name with quotes and commas in it; if it is columns, set template to the "
    "template's text as it stands in cdr_csv.conf.xml"
)

OTHER = (
    "has more columns than the template in agent.ini, or a caller's name with quotes and commas in it; is the template "
    "in cdr_csv.conf.xml the same?"
)

_GAP = re.compile(rb'", ?"')
_NUMBER = re.compile(rb"\+?[\d*#().-]+|(?i:anonymous|unknown|restricted|private|unavailable|withheld)")
_LOOKS = {
    "caller_id_number": _NUMBER,
    "ani": _NUMBER,
    "destination_number": re.compile(rb"\S*\d\S*"),
    "context": re.compile(rb"(?s).*[^\d\W].*"),
    "caller_id": re.compile(rb'(?s)".*" <.*>|' + _NUMBER.pattern),
    **{name: re.compile(form) for name, form in FORMS.items() if name not in ("read_codec", "write_codec")},
}
"""What a column mostly holds, by which it is told from one's own beside it."""

_CODEC = re.compile(rb"(?i)PCM[AU]|L16|G7\d\d\S*|GSM|OPUS|iLBC\S*|SPEEX\S*|AMR\S*|SILK|BV\d\d|CELT|PROXY\S*|LPC|CODEC2")
_LOOKS_BEHIND = {
    "read_codec": _CODEC,
    "write_codec": _CODEC,
    "network_addr": re.compile(rb"[\dA-Fa-f]*[.:][\dA-Fa-f.:]+"),
}
"""The same of those behind the middle, where they are not blank."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A row that stands on one line, ``at`` from the data's beginning.

    It has the columns ``before`` and ``behind`` the middle, and the middle's own. ``base`` is None for a row that is
    plainly one of a template that is known.
    """

    at: int
    base: Template | None
    before: tuple[bytes, ...] = ()
    middle: tuple[bytes, ...] = ()
    behind: tuple[bytes, ...] = ()

    def fits(self, own: Template) -> bool:
        middle = self.base.middle if self.base else ()
        return (len(self.before), middle, len(self.behind)) == (len(own.head), own.middle, len(own.tail))

    @property
    def shape(self) -> tuple[str, int, int]:
        return (self.base.name if self.base else "", len(self.before), len(self.behind))


class FileRows:
    """Reads the rows of one file after the other. ``own`` is the last template with columns of one's own it saw."""

    def __init__(self, template: str) -> None:
        self._rows = LegRows(template)
        known = template in TEMPLATES
        bases = (TEMPLATES[template],) if known else TEMPLATES.values() if template == "auto" else ()
        self._bases = [base for base in bases if base.end.endswith(b"\n")]
        self._doubt = OWN if self._bases else OTHER
        self._own_rows: LegRows | None = None
        self._before = b""
        self.own: Template | None = None

    def begin(self, before: bytes) -> None:
        """What comes next stands in a file behind ``before``, which begins with a line; the last of it is enough."""
        self._before = b""
        self.split(before, more=False, final=True)

    def split(self, data: bytes, *, more: bool, final: bool) -> tuple[list[LegRow | NoRow], int]:
        """As LegRows does."""
        found, taken = self._split(data, more=more, final=final)
        before = self._before + data[max(0, taken - MEMORY) : taken]
        cut = len(before) - MEMORY
        self._before = before[before.find(b"\n", cut) + 1 :] if cut > 0 else before
        return found, taken

    def _split(self, data: bytes, *, more: bool, final: bool) -> tuple[list[LegRow | NoRow], int]:
        for rows in filter(None, (self._own_rows, self._rows)):
            found, taken = rows.split(data, more=more, final=final)
            # What is whole and still waits may be rows that begin otherwise.
            if not any(map(_is_odd, found)) and data.find(b"\n", taken) < 0:
                return found, taken
        lines = list(self._lines(self._before + data, len(self._before)))
        found, at = [], 0
        for rows, end in self._stretches(lines, len(data)):
            last = end == len(data)
            items, taken = rows.split(data[at:end], more=more and last, final=final or not last)
            found += [replace(item, at=item.at + at) for item in items]
            taken, at = at + taken, end
        if any(line.base is None for line in lines):
            return found, taken
        wide = {line.at for line in lines}
        return [self._without_doubt(item, wide) for item in found], taken

    def _stretches(self, lines: Sequence[_Line], size: int) -> Iterator[tuple[LegRows, int]]:
        """Who reads the data to where. What stands between two rows that are known goes to who reads the first one."""
        sure = any(line.base is None for line in lines)
        reader: LegRows | None = None
        for _, group in groupby(lines, lambda line: line.shape):
            run = list(group)
            following = self._reader(run, sure=sure)
            if reader and following is not reader and run[0].at > 0:
                yield reader, run[0].at
            reader = following
        if reader is self._rows and sure:
            self.own = self._own_rows = None
        yield reader or self._rows, size

    def _reader(self, run: Sequence[_Line], *, sure: bool) -> LegRows:
        """``sure``: there are plain rows beside them."""
        base = run[0].base
        if base is None:
            return self._rows
        if self._own_rows and self.own and not sure and run[0].fits(self.own):
            return self._own_rows
        own = _with_columns(base, run, beside=sure) if len(run) >= ENOUGH else None
        if own is None:
            return self._rows
        if own != self.own or self._own_rows is None:
            self.own, self._own_rows = own, LegRows("auto", own)
        return self._own_rows

    def _lines(self, data: bytes, skip: int) -> Iterator[_Line]:
        at = 0
        while (end := data.find(b"\n", at) + 1) > 0:
            line = data[at:end]
            if self._rows.is_plain(line):
                yield _Line(at - skip, None)
            elif found := next(filter(None, (_line(line, at - skip, base) for base in self._bases)), None):
                yield found
            at = end

    def _without_doubt(self, item: LegRow | NoRow, wide: Set[int]) -> LegRow | NoRow:
        """``wide`` are the places of the lines that have more columns than a template that is known."""
        if isinstance(item, LegRow):
            # Of the one without line breaks nobody has a copy: it is what FreeSWITCH has where another one is missing.
            sure = item.template == self.own or not item.template.end.endswith(b"\n") or not _has_gaps(item)
        else:
            sure = item.at not in wide
        return item if sure else NoRow(item.at, item.text.rstrip(b"\r\n"), self._doubt)


def _is_odd(item: LegRow | NoRow) -> bool:
    return isinstance(item, NoRow) or _has_gaps(item)


def _has_gaps(item: LegRow) -> bool:
    """Whether a text in it has what stands between two columns, and its own columns are not plain all the same."""
    gaps = set(item.template.gaps[:-1])
    odd = any(_GAP.search(value) or any(gap in value for gap in gaps) for value in item.values.values())
    return odd and not item.template.plain.fullmatch(item.text)


def _line(line: bytes, at: int, base: Template) -> _Line | None:
    """None where it has no middle of the base, or fewer columns, or just as many."""
    body = base.without_end(line)
    if body is None or not line.startswith(base.begin):
        return None
    body = body[len(base.begin) :]
    middles = list(base.middle_alone.finditer(body))
    if len(middles) != 1:
        return None
    begin, end = middles[0].span("middle")
    before = body[: begin - len(BETWEEN)].split(BETWEEN) if begin else []
    behind = body[end + len(base.gap) :].split(BETWEEN) if end < len(body) else []
    own = len(before) - len(base.head), len(behind) - len(base.tail)
    middle = body[begin:end].split(BETWEEN)
    return (
        _Line(at, base, tuple(before), tuple(middle), tuple(behind))
        if min(own) >= 0 and 0 < sum(own) <= MOST_OWN
        else None
    )


def _with_columns(base: Template, run: Sequence[_Line], *, beside: bool) -> Template | None:
    """The base with columns of one's own where all rows of the run have them; None if that can't be told.

    ``beside`` others without them it takes several callers: one alone may have such a name.
    """
    front, behind = len(run[0].before) - len(base.head), len(run[0].behind) - len(base.tail)
    possible = range(front + 1) if base.head else (front,)
    places = [place for place in possible if _looks_right(base, place, run, beside=beside)]
    if any(_GAP.search(value) for line in run for value in line.before + line.behind):
        return None
    told = [(name, at) for at, name in enumerate(base.tail) if name in _LOOKS_BEHIND]
    kept = all(_mostly(_LOOKS_BEHIND[name], list(filter(None, (line.behind[at] for line in run)))) for name, at in told)
    if places != [front] or (behind and not kept):
        return None
    count = front + len(base.columns)
    return replace(
        base,
        name=f"{base.name} with {_said(front, behind)}",
        head=(*(f"column_{at}" for at in range(1, front + 1)), *base.head),
        tail=(*base.tail, *(f"column_{at}" for at in range(count + 1, count + behind + 1))),
    )


def _said(front: int, behind: int) -> str:
    """``1 column of one's own in front, 2 behind``."""
    first, *others = [(count, where) for count, where in ((front, "in front"), (behind, "behind")) if count]
    more = "".join(f", {count} {where}" for count, where in others)
    return f"{first[0]} column{'s' if first[0] > 1 else ''} of one's own {first[1]}{more}"


def _looks_right(base: Template, place: int, run: Sequence[_Line], *, beside: bool) -> bool:
    """Whether the base's columns before its middle can be those from ``place`` on."""
    rows = [line.before[place : place + len(base.head)] + line.middle + line.behind[: len(base.tail)] for line in run]
    columns = dict(zip(base.columns, zip(*rows, strict=True), strict=True))
    columns |= {name: tuple(map(unquote_to_bytes, columns[name])) for name in base.encoded}
    numbers = columns.get("caller_id_number", columns.get("ani", ()))
    if beside and len(set(numbers)) < 2:
        return False
    # It may be the caller's or the called one's, and one's own in between.
    others = [line.before[:place] + (() if base.head else line.behind) for line in run]
    if any(_mostly(_NUMBER, values) for values in zip(*others, strict=True)):
        return False
    names = columns.get("caller_id_name", ())
    # FreeSWITCH has the number for a name that is missing, and no other one.
    named = [name if name != number else b"" for name, number in zip(names, numbers, strict=True)] if names else []
    if _mostly(_NUMBER, named):
        return False
    if len(set(names)) == 1 and len(set(numbers)) > 1 and any(_is_named_by(numbers, run, at) for at in range(place)):
        return False
    return all(_mostly(_LOOKS[name], values) for name, values in columns.items() if name in _LOOKS)


def _is_named_by(numbers: Sequence[bytes], run: Sequence[_Line], at: int) -> bool:
    """Whether each number has one value of the column, and not all have the same."""
    values = [line.before[at] for line in run]
    return 1 < len(set(values)) <= len(set(zip(numbers, values, strict=True))) == len(set(numbers))


def _mostly(pattern: re.Pattern[bytes], values: Sequence[bytes]) -> bool:
    """Not if there are none."""
    return 2 * sum(1 for value in values if pattern.fullmatch(value)) > len(values)
