"""One reading of v_xml_cdr: row after row in the order in which they came, and those again that may have come late.

Only the keys are asked for again and again, which an index alone can answer; a whole row is fetched once. A row is
there for others when the transaction ends that wrote it, on a replica later still: so each look begins a quarter of an
hour before the newest row that was seen, and once an hour and once a day it goes back as far as for the APIs of hosted
PBXs.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from threading import Event
from typing import Any

from humbug_agent.cdr import Batch
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.client import Stopped
from humbug_agent.sources.polling.pace import is_within
from humbug_agent.sources.polling.rows import ApiRows
from humbug_agent.sources.polling.windowed import clocks_apart
from humbug_agent.sources.polling.windows import (
    AHEAD,
    OVERLAP,
    SWEEPS,
    Now,
    known,
    moved,
    swept,
    to_sweep,
)
from humbug_agent.sources.postgresql.link import Link, Row
from humbug_agent.sources.postgresql.reached import Key, Past, ReachedRow, first_start, place
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from humbug_agent.sources.postgresql.table import (
    AT_THE_END,
    NEXT,
    NIL,
    NOW,
    PAGES,
    UNDATED,
    LegTable,
    look,
    whole_rows,
)

KEYS, ROWS = 5000, 500
"""Keys that are asked for at once, and whole rows, which are committed at once."""

REMEMBERED = 20_000
"""Keys of which a reading knows that their rows are on disk."""

SHARE = 5
"""The database works for us at most a fifth of the time."""

SCAN_SHARE = 20
"""Where each question reads the whole table, a twentieth: in between it is asked for the end of the table's file."""

TELL_EVERY = 600
"""Seconds after which it is written down how far it was asked, when nothing else is to be."""

LOOK_AGAIN = 3600
"""Seconds after which it is asked again what the table has."""

Then = Callable[[ReachedRow, Row], ReachedRow]
"""Where a reading is, after where it was, and the row that is on disk now."""


class RowReading:
    """One reading of the table, from a cursor on. `start` comes before `round`."""

    def __init__(self, link: Link, settings: PostgresqlSettings, zone: tzinfo, rows: ApiRows, stop: Event) -> None:
        self._link = link
        self._settings = settings
        self._zone = zone
        self._rows = rows
        self._stop = stop
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._ahead = 0.0
        self._table: LegTable | None = None
        self._looked = 0.0
        self._told = 0.0
        # Seconds that the round's questions took behind which it had no rest.
        self._scanned = 0.0
        # When old calls may be asked for again (monotonic).
        self._rests_until = 0.0
        # Where there is no index: when the whole table may be read again, and where new rows stand until then.
        self._whole_due = 0.0
        self._end = "(0,0)"

    def start(self, cursor: str | None) -> Iterator[Batch]:
        """Go on from ``cursor``; without one, that it begins now is written down before anything is asked."""
        found = place(cursor)
        self._place = found or first_start(known(None, self._settings.since, self._zone, self._now()))
        if not found:
            yield Batch([], [], self._place.dump())

    def round(self, *, follow: bool) -> Iterator[Batch]:
        """All that is there now. Raises SourceError, Stopped."""
        table, now = self._look(), self._now()
        if now.apart:
            raise SourceError(self._link.where + clocks_apart(now))
        reached = known(self._place.reached, self._settings.since, self._zone, now)
        self._place = replace(self._place, reached=reached)
        self._scanned = 0.0
        # The newest row may be of a clock that was ahead.
        begin = max(reached.since, min(reached.latest or reached.since, int(now.surely)) - OVERLAP)
        if not table.indexed and follow:
            if time.monotonic() < self._whole_due:
                yield from self._at_the_end(table, begin, now)
                return
            self._end = self._last_page()
        yield from self._newer(table, begin, now)
        for number in range(len(SWEEPS)):
            yield from self._sweep(table, number, begin)
        yield from self._history(table, follow=follow)
        if table.by == "insert_date" and not self._place.left:
            yield from self._undated(table, follow=follow)
        self._whole_due = time.monotonic() + SCAN_SHARE * self._scanned

    def _newer(self, table: LegTable, begin: int, now: Now) -> Iterator[Batch]:
        after = self._place.under_way
        if not after or after.by != table.by:
            after = _before(table, begin)

        def then(before: ReachedRow, row: Row) -> ReachedRow:
            # A row of the future, by a clock that was wrong, hides none of those before it.
            latest = row["second"] if row["second"] <= now.latest else 0
            reached = moved(before.reached, row["second"], now, latest)
            return replace(before, reached=reached, under_way=Key(table.by, row["at"], row["uuid"]))

        yield from self._walk(table, after, now.latest + AHEAD, then)
        done = moved(self._place.reached, now.surely, now, 0)
        was_under_way = self._place.under_way is not None
        yield from self._reaches(replace(self._place, reached=done, under_way=None), tell=was_under_way)

    def _at_the_end(self, table: LegTable, begin: int, now: Now) -> Iterator[Batch]:
        """Those rows that the table's file has grown by: most new ones, but not those in the place of deleted ones."""
        if table.tail:
            values = {"place": self._end, "begin": begin, "end": now.latest + AHEAD, "most": KEYS}
            keys = self._link.ask(AT_THE_END[table.by], values, self._stop)
            # Of the others nobody knows: it has come no further.
            yield from self._fetch(table, keys, lambda before, _: before)

    def _last_page(self) -> str:
        (row,) = self._link.ask(PAGES, {}, self._stop)
        return f"({max(0, row['pages'] - 1)},0)"

    def _sweep(self, table: LegTable, number: int, end: int) -> Iterator[Batch]:
        before = self._place.reached
        # The past has hours of its own.
        floor = self._place.past.end if self._place.past and self._place.left else before.since
        reached = to_sweep(replace(before, since=floor), number, end, self._now())
        sweep = reached.sweeps[number]
        self._place = replace(self._place, reached=replace(reached, since=before.since))
        if not sweep.at:
            return

        def then(before: ReachedRow, row: Row) -> ReachedRow:
            at = replace(sweep, at=max(sweep.at, row["second"]))
            return replace(before, reached=swept(before.reached, number, at))

        if sweep.at < end:
            yield from self._walk(table, _before(table, sweep.at), end, then)
        if number == 0 and table.by == "insert_date":
            yield from self._lately_undated(table)
        done = swept(self._place.reached, number, replace(sweep, at=0))
        # With each day those are looked for, too, that came without a date.
        undated = NIL if number == len(SWEEPS) - 1 else self._place.undated
        yield from self._reaches(replace(self._place, reached=done, undated=undated), tell=True)

    def _history(self, table: LegTable, *, follow: bool) -> Iterator[Batch]:
        """What is older than the calls of now, for as long as these can wait."""
        began = time.monotonic()

        def then(before: ReachedRow, row: Row) -> ReachedRow:
            at, end = (before.past.at, before.past.end) if before.past else (0, 0)
            key = Key(table.by, row["at"], row["uuid"])
            return replace(before, past=Past(max(at, min(row["second"], end)), end, key))

        while (past := self._place.past) and self._may_go_back(follow=follow):
            row = past.row or _before(table, self._place.reached.since)
            if row.by != table.by:
                row = _before(table, past.at)
            # Where each question takes a scan, as few are put as can be.
            most = ROWS if table.indexed else KEYS
            values = {"at": row.at, "uuid": row.uuid, "end": past.end, "most": most}
            keys = self._asked(table, NEXT[table.by], values)
            yield from self._fetch(table, keys, then, self._rest_of_history if follow else self._rest)
            if len(keys) < most:
                yield from self._reaches(self._past_read(past.end), tell=bool(self._place.left))
                return
            if follow and time.monotonic() - began > self._settings.poll_seconds:
                return

    def _past_read(self, end: int) -> ReachedRow:
        """All of the past that is there. A replica may be behind it: only a later call says that there is no more."""
        past = self._place.past if self._place.reached.latest <= end else None
        return replace(self._place, past=past and replace(past, at=end))

    def _may_go_back(self, *, follow: bool) -> bool:
        if time.monotonic() < self._rests_until:
            return False
        return not follow or is_within(self._settings.backfill_hours, self._zone)

    def _rest_of_history(self, seconds: float) -> None:
        """New calls don't wait for it."""
        if seconds > self._settings.poll_seconds:
            self._rests_until = time.monotonic() + seconds
        else:
            self._rest(seconds)

    def _undated(self, table: LegTable, *, follow: bool) -> Iterator[Batch]:
        while self._place.undated is not None and self._may_go_back(follow=follow):
            values = {"uuid": self._place.undated, "since": self._place.reached.since, "most": KEYS}
            keys = self._asked(table, UNDATED, values)
            yield from self._fetch(table, keys, lambda before, row: replace(before, undated=row["uuid"]))
            if len(keys) < KEYS:
                yield from self._reaches(replace(self._place, undated=None), tell=True)

    def _lately_undated(self, table: LegTable) -> Iterator[Batch]:
        """With each hour those that came without a date and ended within the last day."""
        since = max(self._place.reached.since, int(self._now().surely) - SWEEPS[0][1])
        values = {"uuid": NIL, "since": since, "most": KEYS}
        while keys := self._asked(table, UNDATED, values):
            # They have no place among the others: it has come no further.
            yield from self._fetch(table, keys, lambda before, _: before)
            values["uuid"] = keys[-1]["uuid"]
            if len(keys) < KEYS:
                return

    def _walk(self, table: LegTable, after: Key, end: float, then: Then) -> Iterator[Batch]:
        """All rows behind ``after`` and before ``end``, in seconds since the epoch, of which it is not known yet."""
        while True:
            values = {"at": after.at, "uuid": after.uuid, "end": end, "most": KEYS}
            keys = self._asked(table, NEXT[table.by], values)
            yield from self._fetch(table, keys, then)
            if len(keys) < KEYS:
                return
            after = Key(table.by, keys[-1]["at"], keys[-1]["uuid"])

    def _asked(self, table: LegTable, sql: str, values: dict[str, Any]) -> list[Row]:
        """The keys, as text. Where that took a scan, the database has a rest before the next question."""
        try:
            keys = self._link.ask(sql, values, self._stop)
        except SourceError as error:
            # It may be for that index that the server takes so long.
            raise SourceError("; ".join([str(error), *table.lacks]), error.wait) from error
        if len(keys) < values["most"]:
            self._scanned += self._link.took
        elif not table.indexed:
            self._rest((SCAN_SHARE - 1) * self._link.took)
        return keys

    def _fetch(
        self, table: LegTable, keys: Sequence[Row], then: Then, rest: Callable[[float], None] | None = None
    ) -> Iterator[Batch]:
        """``rest`` has the seconds for which nothing more of these is to be asked."""
        for first in range(0, len(keys), ROWS):
            some = keys[first : first + ROWS]
            new = [row["uuid"] for row in some if _short(row["uuid"]) not in self._known]
            before = self._place
            after = then(before, some[-1])
            if not new:
                # Nothing but what is on disk.
                self._place = after
                continue
            began = time.monotonic()
            rows = list(whole_rows(self._link, table, new, self._stop))
            worked = time.monotonic() - began
            batch = self._rows.batch(rows, self._link.where, after.dump(), after.beyond(before))
            yield batch
            self._place, self._told = after, time.monotonic()
            self._rows.on_disk(batch)
            self._remember(new)
            least = max(SHARE * worked, len(rows) / self._settings.rows_per_second)
            (rest or self._rest)(least - (time.monotonic() - began))

    def _remember(self, uuids: Sequence[str]) -> None:
        self._known.update(dict.fromkeys(map(_short, uuids)))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _reaches(self, then: ReachedRow, *, tell: bool) -> Iterator[Batch]:
        if tell or time.monotonic() - self._told >= TELL_EVERY:
            yield Batch([], [], then.dump(), then.beyond(self._place))
            self._told = time.monotonic()
        self._place = then

    def _look(self) -> LegTable:
        """What the table has, and the server's clock."""
        if not self._table or not self._link.is_open or time.monotonic() - self._looked > LOOK_AGAIN:
            self._table, self._looked = look(self._link, self._stop), time.monotonic()
        (row,) = self._link.ask(NOW, {}, self._stop)
        self._ahead = row["now"] - time.time()
        return self._table

    def _now(self) -> Now:
        ours = time.time()
        return Now(ours, ours + self._ahead)

    def _rest(self, seconds: float) -> None:
        if self._stop.wait(max(0.0, seconds)):
            raise Stopped


def _before(table: LegTable, second: int) -> Key:
    """Before every row of that second."""
    if table.by == "end_epoch":
        return Key(table.by, str(second), NIL)
    return Key(table.by, datetime.fromtimestamp(second, UTC).isoformat(), NIL)


def _short(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


def reached_by(settings: PostgresqlSettings, zone: tzinfo, cursor: str | None) -> ReachedRow:
    """How far a cursor has come; without one, what a first start now would begin with."""
    found, now = place(cursor), time.time()
    reached = known(found.reached if found else None, settings.since, zone, Now(now, now))
    return replace(found, reached=reached) if found else first_start(reached)
