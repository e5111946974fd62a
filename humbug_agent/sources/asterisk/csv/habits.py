"""What only a file's records together tell: what their 17th column is, and whether some of them stand there twice.

A 17th column is the uniqueid or the userfield, as cdr.conf says. Asterisk's own uniqueids are a time and a number, but
ARI, AMI and others set what they like. Every channel has one, and nearly every one another; a userfield may be empty,
is often the same, or is a text. Where cdr.conf was changed, it is the one in a part of the file, and the other behind.

With accountlogs, which is the default, cdr_csv writes a record twice: into Master.csv and, under the same lock, into
the file of its account. For an account called Master that is Master.csv again, where each of its records stands twice
in a row then. But two calls that are equal to the byte do that, too: so the account's other records decide.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence

from humbug_agent.sources.asterisk.csv.layouts import ASTERISKS_UNIQUEID, NO_ROOM, Row, Writer
from humbug_agent.sources.asterisk.csv.plain import Plain
from humbug_agent.sources.asterisk.csv.records import Junk

MASTER = b"Master"
"""The account whose file is Master.csv."""

REMEMBERED = 1000
"""How many values of a 17th column, and how many runs of equal records, are judged by; about as many as a batch has."""

ENOUGH = 20
"""From so many values on a file is judged by its own, before that by those of the file before it, too."""

OWN, EMPTY, OTHER, SWITCH = 1.5, 3.0, 1.0, 2.5
"""What speaks against a userfield where the 17th column has a uniqueid of Asterisk's own; against a uniqueid where it
is empty; against either where it is like the other ones. And what it takes to believe that cdr.conf was changed: two of
the first in a row, or three of the last; a userfield may look like a uniqueid now and then."""

_UNSURE = (17, 20)
"""Columns. With a sequence left out there may be 18 and 19, too, but these records are long."""

NEARLY_ALL = 0.75
"""So many of a file's uniqueids are different ones: forked and transferred calls share theirs."""

_IDENTIFIER = re.compile(rb"[!#-+\--~]+")
"""No blank, quote, comma or line break."""

_USUAL_USERFIELD = re.compile(rb"[^0-9]*|[0-9.+*#]*|.*[/\\].*|.*\.[A-Za-z][A-Za-z0-9]{2,3}", re.DOTALL)
"""Words, numbers, prices, names of files: though each call has another one, it is no identifier."""


class Habits:
    """Of the file that is being read, and of the one before it."""

    def __init__(self) -> None:
        # Values of the 17th column, and whether each is a uniqueid beyond doubt.
        self._seventeenth: deque[tuple[bytes, bool]] = deque(maxlen=REMEMBERED)
        self._before: list[tuple[bytes, bool]] = []
        # Whether records have linkedid, but neither uniqueid nor userfield; None where none had told yet.
        self._only_new_columns: bool | None = None
        # Of the account Master: whether each run of equal records was of an even length; the run at the end, and its
        # last record if that may be the first of a pair.
        self._even: deque[bool] = deque(maxlen=REMEMBERED)
        self._run, self._length = b"", 0
        self._unpaired = b""

    def next_file(self, *, continues: bool) -> None:
        """``continues``: its first record comes right behind the last one of the file before it."""
        if self._seventeenth:
            self._before = list(self._seventeenth)
            self._seventeenth.clear()
        if not continues:
            self._run, self._length, self._unpaired = b"", 0, b""

    def settle(self, found: list[Row | Junk]) -> list[Row | Junk]:
        """What was found next in the file, without the second one of each pair, and with its columns named rightly."""
        if not self._run and found and all(type(item) is Plain for item in found):
            self._only_new_columns = False
            return found
        rows = [item for item in found if isinstance(item, Row)]
        if self._run or any(row.values["accountcode"] == MASTER for row in rows):
            self._count_runs(found)
            found = self._without_copies(found)
            rows = [item for item in found if isinstance(item, Row)]
        if any(len(row.values) in _UNSURE or len(row.text) > NO_ROOM.start for row in rows):
            rows = [row for row in rows if row.writer is Writer.CSV]
            self._name_where_sequence_is_left_out(rows)
            self._name_17th([row for row in rows if ("uniqueid" in row.values) != ("userfield" in row.values)])
        elif rows and rows[-1].writer is Writer.CSV:
            self._only_new_columns = _has_only_new_columns(rows[-1])
        return found

    def _count_runs(self, found: Sequence[Row | Junk]) -> None:
        for item in found:
            text = item.text if _is_masters(item) else b""
            if text != self._run:
                # What follows junk may be cut off.
                if self._run and isinstance(item, Row):
                    self._even.append(self._length % 2 == 0)
                self._run, self._length = text, 0
            self._length += 1

    def _without_copies(self, found: Sequence[Row | Junk]) -> list[Row | Junk]:
        even = sum(self._even)
        odd = len(self._even) - even
        # The copy of the last record may not be written yet.
        in_pairs = even + (bool(self._run) and self._length % 2 == 0) > odd or not odd
        kept = []
        for item in found:
            text = item.text if _is_masters(item) else b""
            is_copy = bool(text) and text == self._unpaired
            self._unpaired = b"" if is_copy else text
            if not (is_copy and in_pairs):
                kept.append(item)
        return kept

    def _name_17th(self, rows: Sequence[Row]) -> None:
        new = []
        for row in rows:
            value = row.values.get("uniqueid", b"") or row.values.get("userfield", b"")
            own = ASTERISKS_UNIQUEID.fullmatch(value) is not None or value == row.values.get("linkedid")
            new.append((value, own))
        values = [*self._seventeenth, *new]
        self._seventeenth.extend(new)
        # Of a single one, its look is all there is.
        if not rows or len(values) + len(self._before) == 1:
            return
        others = self._others_are_uniqueids(values)
        names = _likely_names([_against(value, own=own, others=others) for value, own in values])
        for row, right in zip(rows, names[-len(rows) :], strict=True):
            value = row.values.pop("uniqueid", b"") or row.values.pop("userfield", b"")
            row.values[right] = value

    def _others_are_uniqueids(self, values: Sequence[tuple[bytes, bool]]) -> bool:
        """Whether those are that are not Asterisk's own beyond doubt."""
        if not all(value for value, _ in values):
            return False
        if len(values) < ENOUGH:
            values = [*values, *self._before]
        others = [value for value, own in values if not own]
        usual = sum(_USUAL_USERFIELD.fullmatch(value) is not None for value in others)
        return (
            all(_IDENTIFIER.fullmatch(value) for value in others)
            and len(set(others)) >= len(others) * NEARLY_ALL
            and (len(others) < len(values) or usual * 2 <= len(others))
        )

    def _name_where_sequence_is_left_out(self, rows: Sequence[Row]) -> None:
        """peeraccount and linkedid alone look like uniqueid and userfield; what other records have tells."""
        others = [row for row in rows if not _may_lack_sequence(row)]
        if others:
            self._only_new_columns = any(map(_has_only_new_columns, others))
        for row in rows:
            if _may_lack_sequence(row) and (
                _looks_new(row) if self._only_new_columns is None else self._only_new_columns
            ):
                row.values["peeraccount"] = row.values.pop("uniqueid")
                row.values["linkedid"] = row.values.pop("userfield")


def layouts(found: Iterable[Row | Junk]) -> str:
    """What to call the layouts that were found, to an admin; of records that were settled."""
    rows = [item for item in found if isinstance(item, Row)]
    names = [f"{writer}'s layout" for writer in Writer if any(row.writer is writer for row in rows)]
    for name in ("uniqueid", "userfield"):
        if any(row.writer is Writer.CSV and list(row.values)[16:] == [name] for row in rows):
            names.append(f"the 17th column is the {name}")
    return ", ".join(names)


def _against(value: bytes, *, own: bool, others: bool) -> tuple[float, float]:
    """What speaks against a uniqueid, and against a userfield."""
    if own:
        return 0.0, OWN
    if not value:
        return EMPTY, 0.0
    return (0.0, OTHER) if others else (OTHER, 0.0)


def _likely_names(against: Sequence[tuple[float, float]]) -> list[str]:
    """What each 17th column of a file is, so that the least and the fewest changes speak against it (Viterbi)."""
    names = ("uniqueid", "userfield")
    costs, came = [0.0, 0.0], []
    for each in against:
        came.append([int(costs[1] + SWITCH < costs[0]), int(costs[1] <= costs[0] + SWITCH)])
        costs = [min(costs[one], costs[1 - one] + SWITCH) + each[one] for one in (0, 1)]
    one, found = int(costs[1] < costs[0]), []
    for step in reversed(came):
        found.append(names[one])
        one = step[one]
    return found[::-1]


def _is_masters(item: Row | Junk) -> bool:
    return isinstance(item, Row) and item.values["accountcode"] == MASTER and item.writer is Writer.CSV


def _may_lack_sequence(row: Row) -> bool:
    return len(row.values) == 18 and len(row.text) > NO_ROOM.start and len(row.text.rstrip(b"\r\n")) in NO_ROOM


def _has_only_new_columns(row: Row) -> bool:
    return len(row.values) == 19 and "uniqueid" not in row.values and "userfield" not in row.values


def _looks_new(row: Row) -> bool:
    first, second = (ASTERISKS_UNIQUEID.fullmatch(row.values[name]) for name in ("uniqueid", "userfield"))
    return bool(second and not first)
