"""One reading of /api/cdr: first what there is since a time, by days, then what came after an id.

Before the first day is asked for, the newest id is looked up: what is written while the days are read, whenever those
calls began, has ids from there on.
"""

import json
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from itertools import pairwise
from threading import Event
from typing import Any

from humbug_agent.cdr import MOMENTS, Batch
from humbug_agent.http_server.php import Value
from humbug_agent.sources.contract import loaded, whole
from humbug_agent.sources.polling.client import Asker, TooMuch
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.polling.rows import ApiRow, ApiRows
from humbug_agent.sources.while1.pages import Page, Pages
from humbug_agent.sources.while1.row import row_id, when

WIDEST, NARROWEST = 366 * DAY, DAY // 16
"""Seconds of a window. One of more than a day is for when there are hardly any calls."""

FEW = 50
"""Calls in a window. As long as there are no more the next one is wider: years are not asked for day by day."""

OVERLAP = 50
"""So many of the newest calls are asked for again: calls that end together may be written in another order.

They are counted, and not reckoned back from the highest id: a single row with an id that is far too high, well formed
as it may be, must not have all calls passed over whose ids are below it.
"""

LONGEST_CALL = 4 * 3600
"""Seconds. A row without an end is waited for so long; an older one is none that will be a call."""

TELL_EVERY = 600
"""Seconds after which it is written down how far it was asked, when nothing else is to be."""


@dataclass(frozen=True)
class ReachedId:
    """All but ``id`` are seconds since the epoch.

    Calls that ended before ``since`` are not wanted. ``upto``: the calls until then are on disk. ``until``: up to
    there it is asked by days; and from ``id`` on by ids, 0 as long as none is known.
    """

    since: int
    upto: int
    until: int
    id: int

    def dump(self, of: str) -> str:
        """The cursor; ``of`` is the server that it belongs to."""
        return json.dumps({"of": of} | asdict(self))


def reached(cursor: str | None, of: str) -> ReachedId | None:
    """None when it is none, or that of another server or type of source. Raises CursorError."""
    return loaded(cursor, lambda found: _reached(found) if found.pop("of", None) == of else None)


def _reached(found: dict[str, Any]) -> ReachedId:
    for name, value in found.items():
        whole(name, value, range(10**18) if name == "id" else MOMENTS)
    return ReachedId(**found)


def wall_clock(begin: int, end: int, zone: tzinfo) -> list[str]:
    """The span of time as clocks on the wall show it in ``zone``; at a change of the clock wider by what it changes."""
    offsets = [datetime.fromtimestamp(moment, zone).utcoffset() for moment in (begin - DAY, end + DAY)]
    change = abs(int((offsets[0] - offsets[1]).total_seconds()))  # type: ignore[operator]
    return [f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}" for at in (begin - change, end + change)]


class Reading:
    """One reading of /api/cdr, from a cursor on.

    ``of`` is what its cursors belong to. `start` comes before `round`.
    """

    def __init__(self, pages: Pages, asker: Asker, rows: ApiRows, zone: tzinfo, of: str, stop: Event) -> None:
        self._pages = pages
        self._asker = asker
        self._rows = rows
        self._zone = zone
        self._of = of
        self._stop = stop
        self._width = DAY
        self._newest = _Newest()
        self._held: int | None = None
        """The lowest id of a call that is not over."""

    def start(self, cursor: str | None, since: int) -> Iterator[Batch]:
        """Go on from ``cursor``; without one, that it begins at ``since`` is written down before anything is asked."""
        found = reached(cursor, self._of)
        self._reached = self._told = found or ReachedId(since, since, since, 0)
        if not found:
            yield Batch([], [], self._reached.dump(self._of))

    def round(self) -> Iterator[Batch]:
        """All that is there now. Raises SourceError, Stopped."""
        while True:
            try:
                yield from self._round()
                return
            except TooMuch:
                if self._width <= NARROWEST:
                    raise
                self._width = max(NARROWEST, min(self._width, DAY) // 4)

    def _round(self) -> Iterator[Batch]:
        for _ in range(2):
            self._held = None
            if not self._reached.id:
                self._look_for_newest()
            while self._reached.upto < self._reached.until:
                yield from self._window()
            if not self._reached.id:
                now, before = self._now(), self._reached
                yield from self._reaches(ReachedId(before.since, now, now, 0), now - before.upto)
                return
            if (yield from self._newer()):
                return

    def _look_for_newest(self) -> None:
        begin = self._now() - 2 * self._width
        ends = self._pages.ends(self._between(begin, self._now() + DAY), self._stop)
        # That page's lowest: its highest may be of a row that is alone up there.
        ids = max((page.ids for page in ends), key=lambda ids: max(ids, default=0))
        # By the server's clock, which it has told now.
        now, before = self._now(), self._reached
        upto = max(before.since, min(before.upto, now) - DAY)
        until = now if ends[0].rows else max(upto, begin)
        self._reached = ReachedId(before.since, upto, until, min(ids, default=0))

    def _window(self) -> Iterator[Batch]:
        begin, until = self._reached.upto, self._reached.until
        end = min(begin + self._width, until)
        # A long call that began before the first one, a wrong time zone, or a clock that is ahead must hide no call.
        before = LONGEST_CALL if begin == self._reached.since else 0
        ahead = DAY if end == until else 0
        rows = 0
        for page in self._pages.all(self._between(begin - before, end + ahead), self._stop):
            if self._width > DAY and not page.is_last:
                self._width = DAY
                return
            rows += len(page.rows)
            self._newest.add(page.ids)
            yield from self._hand_over(page)
        self._width = min(self._width * 2, WIDEST) if rows <= FEW else min(self._width, DAY)
        known = self._reached.id
        if not known and end == until:
            known = self._newest.lowest
        yield from self._reaches(replace(self._reached, upto=end, id=min(known, self._held or known)), end - begin)

    def _newer(self) -> Generator[Batch, None, bool]:
        """By ids. False when not even those known are there any more: a PBX set up anew begins its ids anew."""
        now, self._held = self._now(), None
        left = now - self._reached.upto
        order, newest = _Order(), _Newest()
        for page in self._pages.all({"from_id": self._reached.id}, self._stop):
            cursor, size = None, 0
            if order.are_on_disk(page) and newest.are_enough:
                self._reached = self._told = replace(self._reached, id=self._from(newest))
                cursor, size = self._reached.dump(self._of), left // max(1, page.max_page - page.number + 1)
                left -= size
            newest.add(page.ids)
            yield from self._hand_over(page, cursor, size)
        if not newest.lowest:
            self._reached = replace(self._reached, id=0)
            return False
        yield from self._reaches(ReachedId(self._reached.since, now, now, self._from(newest)), left)
        return True

    def _from(self, newest: "_Newest") -> int:
        """Which id to ask from next, with all on disk up to the ``newest``."""
        begin = newest.lowest if newest.are_enough else self._reached.id
        return min(begin, self._held or begin)

    def _reaches(self, then: ReachedId, size: int) -> Iterator[Batch]:
        """``size`` is how many seconds of calls were read, to get there."""
        self._reached = then
        # Written down as under way, days would be asked for once more at the next start.
        under_way = self._told.upto < self._told.until
        if under_way or then.id != self._told.id or abs(then.upto - self._told.upto) >= TELL_EVERY:
            self._told = then
            yield Batch([], [], then.dump(self._of), size)

    def _hand_over(self, page: Page, cursor: str | None = None, size: int = 0) -> Iterator[Batch]:
        wanted = [values for values in page.rows if self._is_wanted(values)]
        batch = self._rows.batch(wanted, self._asker.where, cursor, size)
        yield batch
        self._rows.on_disk(batch)

    def _is_wanted(self, values: Any) -> bool:
        """What is no row is, too: as a reject."""
        try:
            row = ApiRow(values)
            if ended := when(row, "time_end", self._zone):
                return ended >= self._reached.since
            if (began := when(row, "time", self._zone)) and self._now() - began < LONGEST_CALL:
                self._held = min(row_id(row), self._held or row_id(row))
                return False
        except ValueError:
            pass
        return True

    def _between(self, begin: int, end: int) -> dict[str, Value]:
        return {"date_between": wall_clock(begin, end, self._zone)}

    def _now(self) -> int:
        """The later of the two clocks: one that is not set yet is in the past, and to ask too far costs nothing."""
        return int(max(time.time(), self._asker.now()))


class _Newest:
    """The highest of the ids that were seen, one more than are asked for again."""

    def __init__(self) -> None:
        self._ids: list[int] = []

    def add(self, ids: list[int]) -> None:
        # What comes twice is one call.
        self._ids = sorted({*self._ids, *ids})[-OVERLAP - 1 :]

    @property
    def are_enough(self) -> bool:
        """Whether there are so many that a lone one far above the others is not taken for where the calls are."""
        return len(self._ids) > OVERLAP

    @property
    def lowest(self) -> int:
        """0 where none was seen."""
        return self._ids[0] if self._ids else 0


class _Order:
    """Finds out whether ids only grow from call to call: then those of the pages before are all there are."""

    def __init__(self) -> None:
        self._last = 0
        self._row_count = 0
        self._grows = True

    def are_on_disk(self, page: Page) -> bool:
        """Whether there surely is nothing on any page from this ``page`` on with an id of those before it."""
        grows = all(one < next_one for one, next_one in pairwise([self._last, *page.ids]))
        # Where calls are deleted, others move to a page that was read already.
        complete = len(page.ids) == len(page.rows) and page.row_count >= self._row_count
        self._grows = self._grows and grows and complete
        self._last = page.ids[-1] if page.ids else self._last
        self._row_count = page.row_count
        return self._grows
