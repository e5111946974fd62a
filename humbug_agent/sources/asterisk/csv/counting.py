"""Which count of equal records a file goes on with: its own, or that of the file before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from humbug_agent.sources.asterisk.occurrences import Occurrences
from humbug_agent.sources.files.following import Count
from humbug_agent.sources.files.position import OpenFile, Position


class Holds(Enum):
    """Whose records a file begins with."""

    ITS_OWN = auto()
    THE_OTHERS = auto()
    COPIES = auto()
    """Those of one that was read; which one is not known."""


@dataclass(frozen=True, slots=True)
class Made:
    """When a file was made, 0 where that is not told, and last written to, in nanoseconds; and how long it was then."""

    live: bool
    born: int
    written: int
    size: int
    in_place: bool
    packed: bool

    @classmethod
    def of(cls, file: OpenFile, *, live: bool) -> "Made":
        status = file.status()
        size = file.offset or status.st_size
        return cls(live, file.born, status.st_mtime_ns, size, status.st_ctime_ns == status.st_mtime_ns, file.packed)

    @property
    def original(self) -> bool:
        """Whether it is the file that was written, as far as that is told, and not what copied or packed it."""
        return 0 < self.born <= self.written

    @property
    def copied(self) -> bool:
        """Whether it is a rotated file that was last written to under the name that it has."""
        return not self.live and self.in_place


def told_by_times(this: Made, other: Made, *, alike: bool, alone: bool) -> Holds:
    """Whether a file that begins with a record which was counted, in the ``other`` one or before, is a copy.

    They are equal to the byte, so that what they say doesn't tell. Asterisk writes to the log alone, and makes the next
    one when the one before was renamed; so it tells when both were made and written. ``alike``: the other one begins
    with that record, too. ``alone``: this one has no other record; of others the first two different ones tell more
    (see `Counting`).

    ============================================================= =================================================
    this one                                                      holds
    ============================================================= =================================================
    alike: was there before the other was made or last written    the other's: one is a copy of the other, and has
    to, and was written to after that                             grown since
    - but was made after the other, and not by copying            its own: the other was written to over its rotation
    - and is the log, and is not longer than the other            its own: it was emptied (copytruncate)
    alike, not alone: has a rotated name, and was written under   the other's: one is a copy of the log when it was
    it, or is not packed and made after it was written to; and    longer
    the other was written to since this one was made
    alike, alone: was last written to when the other was, and     the other's (cp -p, gzip)
    either was made after that
    alike, alone: the other has a rotated name and was written    the other's (cp, gzip -c)
    under it, later
    alone: has a rotated name, and was written under it           a copy's (cp, gzip -c)
    anything else                                                 its own: it was rotated between equal records
    ============================================================= =================================================

    What this gets wrong, for nothing tells it: a copy that was renamed, or got other rights, is taken for more calls;
    so is a log that was copied and then touched, and a packed file that had grown since it was copied. Equal records on
    both sides of a copytruncate are taken for the same where more than had been copied was written behind it before it
    was looked at, or where both are in copies by then; and those of two rotations within one tick of the file system's
    clock, some milliseconds, where one of the files is packed by then: they were last written to at the same time; and
    those of a rotation over which the other file was written to, where that is packed by then; and one that stands
    alone in a file which was itself written to over the next rotation.
    """
    # A copy that keeps the time of a log which had just been made has the moment in which that was made.
    there = this.born < other.written or (this.born == other.written and not other.original)
    # Who opened the file before a rotation may still write to it when the next one, this one, has been made.
    late = other.born <= this.born and not other.packed and not this.copied
    if alike and this.original and other.born and there and other.born < this.written and not late:
        emptied = this.live and this.written > other.born and this.size <= other.size
        return Holds.ITS_OWN if emptied else Holds.THE_OTHERS
    if not alone:
        by_hand = this.copied or (this.written < this.born and not this.packed)
        # Who is still writing while a file is rotated writes under its rotated name, too; that is no copying.
        return Holds.THE_OTHERS if alike and by_hand and other.written >= this.born else Holds.ITS_OWN
    if alike and this.written == other.written and not (this.original and other.original):
        return Holds.THE_OTHERS
    if alike and other.copied and this.written < other.written:
        return Holds.THE_OTHERS
    return Holds.COPIES if this.copied else Holds.ITS_OWN


class Counting:
    """The counts of equal records, from one file of a log to the next.

    ``now`` is the count of the file that is being read.

    Equal records stand on both sides of a rotation, and are counted on there. A file that begins with the same
    different records as one that was read is a copy of that one, and not more of the same; nor is one aside. Of one
    that has nothing but equal records `told_by_times` tells, unless it was empty when it was seen last.
    """

    def __init__(self, position: Position | None) -> None:
        self.now = self._main = Occurrences()
        self._behind = 0
        self._openings: set[tuple[bytes, ...]] = set()
        self._last = (position.last, position.repeats.get(position.last, 1)) if position else ("", 1)
        self._empty = position.empty if position else ""
        self._begun: Count | None = None
        self._here: Made | None = None
        # Of the file that the main count is of: when it was made, and what had been counted before it.
        self._made: Made | None = None
        self._before: dict[str, int] = {}
        self._opening: tuple[bytes, ...] = ()
        self._first = ""
        self._may_be_longer = True
        self._was_empty = False

    def next_file(self, count: Count, file: OpenFile, *, live: bool) -> None:
        """What the first records of the next file are is not known yet."""
        self._begun = count
        self._here = Made.of(file, live=live)
        if live and not self._here.size:
            self._empty = file.which
        self._was_empty = file.which == self._empty

    @property
    def waits(self) -> bool:
        """Whether the first records of the file are asked for (`begin`)."""
        return self._begun is not None

    def go_on(self, counted: Occurrences, first: Occurrences) -> None:
        """In the midst of a file: ``counted`` up to here."""
        self.now = self._main = counted
        self._opening, self._first = first.opening(), first.first()
        self._openings.add(self._opening)
        self._begun = None

    def begin(self, first: Occurrences) -> None:
        """A file of which these are the first records, counted by themselves."""
        holds, opening = self._holds(first), first.opening()
        self._openings.add(opening)
        self._may_be_longer = bool(opening) or holds is not Holds.COPIES
        if self._begun is Count.NEXT and holds is Holds.ITS_OWN:
            self._before = self._main.carried(self._behind)
            self._main.next_file(self._behind)
            self.now = self._main
        elif self._begun in (Count.NEXT, Count.ASIDE):
            self.now = Occurrences()
            if self._begun is Count.NEXT and holds is Holds.THE_OTHERS:
                self.now.set_repeats(self._before)
        else:
            self.now = self._main = Occurrences()
            same = first.first() == self._last[0]
            # The same call once more, unless this is the last line of a file that was trimmed while nobody looked.
            since = self._begun is Count.INSTEAD or (self._begun is Count.REWRITTEN and opening)
            self._before = dict([self._last]) if same and since else {}
            self.now.set_repeats(self._before)
        if self.now is self._main:
            self._opening, self._first = opening, first.first()
            # Seen before what is counted now, which may be a copy of what it has had in it since.
            self._empty = ""
        self._begun = None

    def _holds(self, first: Occurrences) -> Holds:
        opening = first.opening()
        if opening and opening == self._opening:
            return Holds.THE_OTHERS
        if opening and (opening in self._openings or self._main.has_seen(opening)):
            return Holds.COPIES
        alike = first.first() == self._first
        # Where it stands behind others only, what begins with it is no copy of that file.
        if self._here and self._made and not self._was_empty and (alike or self._main.has_from_before(first.first())):
            return told_by_times(self._here, self._made, alike=alike, alone=not opening)
        return Holds.ITS_OWN

    def position(self, file: OpenFile, clock: str) -> Position:
        """The position in the file that is being read. Behind a copy the count goes on as if there were none."""
        if self._is_gone_on_from(file):
            return file.position(self.now.begins(file.offset), self.now.repeats(), self.now.last, clock)
        return file.position(file.offset, self._main.carried(self._behind), self._main.last, clock)

    def reached(self, file: OpenFile, *, aside: bool) -> None:
        """How far the file has been read."""
        if file.offset and self._here and not aside and self._is_gone_on_from(file):
            self._main, self._behind = self.now, file.offset
            self._made = Made.of(file, live=self._here.live)
            if self._main.last:
                self._last = self._main.last, self._main.repeats()[self._main.last]

    def _is_gone_on_from(self, file: OpenFile) -> bool:
        """Of a file and its copy the longer one is."""
        if self.now is self._main or not self._made:
            return True
        return self._may_be_longer and file.offset > self._behind and file.status().st_mtime_ns >= self._made.written

    def gone(self, position: Position, since: float, known: Sequence[str]) -> Position:
        """The position when what was read is nowhere any more: what is written ``since`` (seconds) begins anew."""
        last, number = self._last
        return replace(
            position,
            offset=0,
            head="",
            tail="",
            window=0,
            last=last,
            repeats={last: number} if last else {},
            written=since,
            known=known,
        )
