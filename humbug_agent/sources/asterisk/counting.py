"""Which count of equal records a file goes on with: its own, or that of the file before it."""

from humbug_agent.sources.asterisk.occurrences import Occurrences
from humbug_agent.sources.following import Count
from humbug_agent.sources.place import Place


class Counting:
    """``now`` is the count of the file that is being read.

    Equal records stand on both sides of a rotation, and are counted on there. A file that begins with the same
    different records as one that was read is a copy of that one, and not more of the same; nor is one aside.
    """

    def __init__(self, place: Place | None) -> None:
        self.now = self._main = Occurrences()
        self._behind = 0
        self._openings: set[tuple[bytes, ...]] = set()
        self._last = (place.last, place.repeats.get(place.last, 1)) if place else ("", 1)
        self._begun: Count | None = None

    def next_file(self, count: Count) -> None:
        """What the first records of the next file are is not known yet."""
        self._begun = count

    @property
    def waits(self) -> bool:
        """Whether the first records of the file are asked for (`begin`)."""
        return self._begun is not None

    def go_on(self, counted: Occurrences, first: Occurrences) -> None:
        """In the midst of a file: ``counted`` up to here."""
        self.now = self._main = counted
        self._openings.add(first.opening())
        self._begun = None

    def begin(self, first: Occurrences) -> None:
        """A file of which these are the first records, counted by themselves."""
        opening = first.opening()
        copy = bool(opening) and (opening in self._openings or self._main.has_seen(opening))
        self._openings.add(opening)
        if self._begun is Count.NEXT and not copy:
            self._main.next_file(self._behind)
            self.now = self._main
        elif self._begun in (Count.NEXT, Count.ASIDE):
            self.now = Occurrences()
        else:
            watched = self._main.last
            self.now = self._main = Occurrences()
            # The same call once more, unless this is the last line of a file that was trimmed while nobody looked.
            if self._begun is Count.INSTEAD and first.first() == self._last[0] and (opening or watched):
                self._main.set_repeats(dict([self._last]))
        self._begun = None

    def reached(self, offset: int, *, aside: bool) -> None:
        """How far the file has been read."""
        # Of a file and its copy the longer one is gone on from.
        if not aside and (self.now is self._main or offset > self._behind):
            self._main, self._behind = self.now, offset
            if self._main.last:
                self._last = self._main.last, self._main.repeats()[self._main.last]
