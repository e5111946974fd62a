"""Asterisk's Master.csv, as cdr_csv writes it."""

import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Event

from humbug_agent.cdr import CDR, Batch, Form, OneRecord, Reject, digest
from humbug_agent.flat import Calls, Flat
from humbug_agent.sources.asterisk.csv.clock import CsvClock
from humbug_agent.sources.asterisk.csv.counting import Counting
from humbug_agent.sources.asterisk.csv.habits import Habits, layouts
from humbug_agent.sources.asterisk.csv.layouts import Row
from humbug_agent.sources.asterisk.csv.plain import FastLane, Plain
from humbug_agent.sources.asterisk.csv.records import Junk, split
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.zone import Clock
from humbug_agent.sources.asterisk.occurrences import Occurrences
from humbug_agent.sources.asterisk.record import make_cdr
from humbug_agent.sources.contract import Known, NothingYet, SourceError, loaded
from humbug_agent.sources.files import position as positions
from humbug_agent.sources.files.endless import Endless
from humbug_agent.sources.files.following import Count, Follower, Visit
from humbug_agent.sources.files.log_source import LogSource, where
from humbug_agent.sources.files.position import OpenFile, Position
from humbug_agent.sources.files.rotation import Shelf
from humbug_agent.sources.readable import in_words
from humbug_agent.text import carried
from humbug_agent.words import count

CHUNK = 256 * 1024
"""Bytes read, and so committed, at once; about 1,100 calls."""

ASKED_BYTES = 2**20
"""So much of the log's end is looked at for a record that is asked about by itself."""

OPENING = 20
"""Records at a file's beginning that mostly show whether it is a copy of one that was read."""

OPENING_BYTES = 64 * 1024
"""So far it is looked at where it is gone on with."""

GONE = Count.INSTEAD, Count.REWRITTEN, Count.ANEW
"""With these a log that is empty has had in it what was read last, or another one had that is nowhere now."""

CUSTOM_FOLDERS = ("cdr-custom", "cdr_custom")
OTHER_MAPPING = (
    ". Of cdr_custom's files those of the stock mapping can be read; for another one, add [csv] to cdr.conf "
    "with at least one line in it, and set path to cdr-csv/Master.csv"
)


class AsteriskCsv(LogSource):
    """A source that reads Asterisk's Master.csv and its rotated files."""

    def __init__(self, settings: AsteriskCsvSettings, zone: tzinfo) -> None:
        super().__init__(settings.name, settings.path, settings.start, _different, chunk=CHUNK)
        self._log = settings.path
        self._zone = zone
        self._charset = settings.charset
        self._clock = CsvClock(settings, zone, self._identities)
        self._endless = Endless(Junk)
        self._lane = FastLane(zone, settings.charset)
        # Thousands of rejects may be asked about one after the other.
        self._asked_beside: _End | None = None

    @property
    def _path(self) -> Path:
        return self._log

    def compare_with(self, known: Known) -> None:
        self._clock.known = known

    def doubt(self) -> str:
        return self._clock.doubt()

    def _read(
        self, cursor: str | None, stop: Event, *, follow: bool
    ) -> Generator[Batch, None, tuple[Position | None, bool]]:
        position = positions.load(cursor, self._path)
        loaded(cursor, lambda _: self._clock.go_on(position.clock if position else ""))
        if begin := self._from_now_on(position):
            position = begin
            yield Batch([], [], position.dump(self._path))
        counting, habits, here = Counting(position), Habits(), position
        follower = Follower(Shelf(self._path, _different), "Asterisk")
        anew = False
        for visit in follower.visits(position, stop, follow=follow):
            if visit is None:
                here, before = self._nothing(here, counting, lost=follower.lost), here
                yield Batch([], [], here.dump(self._path) if here and here != before else None)
                continue
            if visit.count is not Count.ON:
                if not visit.file.offset:
                    self._clock.new_file()
                anew = not visit.file.offset and (anew or visit.count is not Count.NEXT)
                habits.next_file(continues=visit.count is Count.NEXT)
                counting.next_file(visit.count, visit.file, live=visit.file.path == self._path)
                if position and visit.file.offset:
                    self._go_on(counting, visit.file, position, habits)
            self._clock.told_before = anew and visit.count is not Count.ON
            if visit.aside is None and here and visit.file.offset and not visit.file.has(here):
                # In a copy by now: what stands where it was is something else.
                here = self._position(counting, visit.file)
                yield Batch([], [], here.dump(self._path))
            take = partial(self._take, counting, habits, stop)
            here = yield from self._drain(visit, here, stop, take, partial(self._position, counting))
            if visit.count is not Count.ON and visit.file.path == self._path and not stop.is_set():
                here, before = self._seen_empty(here, visit, counting), here
                yield Batch([], [], here.dump(self._path) if here and here != before else None)
            counting.reached(visit.file, aside=visit.aside is not None)
        return here, follower.anew

    def parse(self, record: bytes) -> Batch:
        whole = record if record.endswith(b"\n") else record + b"\n"
        end = self._asked_beside = self._asked_beside or self._end_of_log()
        at = end.data.find(b"\n" + whole) + 1
        taken = [number for number, item in enumerate(end.rows) if at and at <= item.at < at + len(whole)]
        if taken:
            # What its neighbours tell of its clock and of its columns is what was taken when it was read.
            rows, clocks = [end.rows[one] for one in taken], [end.clocks[one] for one in taken]
            return self._batch(rows, clocks, "", Occurrences(), 0)
        found, _ = split(whole, final=True)
        return self._settled(found, self._clock.alone(found), deepcopy(end.habits), Occurrences(), "", 0)

    def check(self) -> str:
        rotated = self._look_at_files("is cdr_csv loaded (asterisk -rx 'cdr show status')?")
        if not self._path.exists():
            # Which most runs never need.
            from humbug_agent.pbx_host.asterisk import written_instead

            if other := written_instead(self._path):
                raise NothingYet(f"{self._path}: does not exist; this host's Asterisk writes {other}")
            raise NothingYet(
                f"{self._path}: does not exist; Asterisk makes it with the first call, if cdr.conf has a [csv] "
                "section with at least one line in it (asterisk -rx 'cdr show status' lists csv)"
            )
        try:
            with OpenFile(self._path) as file:
                size = file.unread()
                found, _ = split(file.peek(CHUNK), final=False)
        except OSError as error:
            raise SourceError(in_words(error)) from error
        clocks = self._clock.alone(found)
        calls = self._settled(found, clocks, Habits(), Occurrences(), "", 0)
        if calls.rejects and not calls.records:
            hint = OTHER_MAPPING if self._path.parent.name in CUSTOM_FOLDERS else ""
            raise SourceError(f"{self._path}: not a Master.csv: {calls.rejects[0].reason}{hint}")
        beside = f"{count(len(rotated), 'rotated file')} beside it"
        said = [count(size, "byte"), beside, layouts(found), self._clock.in_words(found, clocks)]
        return f"{self._path}: {', '.join(filter(None, said))}"

    def _end_of_log(self) -> "_End":
        data = b""
        with suppress(OSError, SourceError):
            data, begin = positions.tail(self._path, ASKED_BYTES)
            data = data[data.find(b"\n") :] if begin else b"\n" + data
        rows, _ = split(data, final=False)
        clocks, habits = self._clock.alone(rows), Habits()
        habits.settle(rows)
        habits.next_file(continues=False)
        return _End(data, rows, clocks, habits)

    def _last_end(self) -> tuple[Path, int] | None:
        data, begin = positions.tail(self._path, CHUNK)
        end = begin + data.rfind(b"\n") + 1
        return (self._path, end) if end else None

    def _go_on(self, counting: Counting, file: OpenFile, position: Position, habits: Habits) -> None:
        """The count as it stood at the position, from the last records before it, which tell their habits, too."""
        counted = Occurrences()
        found, _ = split(file.read_again(position.window), final=True, lane=self._lane)
        clocks = self._clock.again(found)
        # On a small PBX it may take hours until others show that its times are wrong.
        self._clock.look(found, clocks, None)
        self._settled(found, clocks, habits, counted, "", position.window)
        counted.set_repeats(position.repeats)
        first, _ = split(file.beginning(OPENING_BYTES)[: file.offset], final=False)
        counting.go_on(counted, self._first(first, self._clock.again(first)))

    def _first(self, found: Sequence[Row | Junk], clocks: Sequence[Clock]) -> Occurrences:
        """The first records of a file."""
        first = Occurrences()
        self._batch(found[:OPENING], clocks[:OPENING], "", first, 0)
        if not first.opening():
            first = Occurrences()
            self._batch(found, clocks, "", first, 0)
        return first

    def _take(
        self, counting: Counting, habits: Habits, stop: Event, file: OpenFile, data: bytes, more: bool, last: bool
    ) -> tuple[Batch, int]:
        found, taken = split(data, final=last, lane=self._lane)
        if not taken:
            return Batch([], [], None), 0
        at = file.offset
        found = self._endless.shortened(found, taken, file)
        clocks = self._clock.find(found, file, stop, more=more)
        if len(clocks) < len(found):
            # The others are better judged with what comes behind them.
            found, taken = found[: len(clocks)], found[len(clocks)].at
        if counting.waits:
            counting.begin(self._first(found, clocks))
        return self._settled(found, clocks, habits, counting.now, str(file.path), at), taken

    def _nothing(self, here: Position | None, counting: Counting, *, lost: bool) -> Position | None:
        """The position, when there is no log."""
        if here and here.offset and lost:
            return counting.gone(here, time.time() - positions.CLOCK_SLACK, here.known)
        return here

    def _seen_empty(self, here: Position | None, visit: Visit, counting: Counting) -> Position | None:
        """The position, with the log that has nothing in it behind that: what comes was written since."""
        if not here or visit.file.offset:
            return here
        if here.offset and visit.count in GONE:
            here = counting.gone(here, visit.file.written(), visit.file.known)
        return replace(here, empty=visit.file.which)

    def _position(self, counting: Counting, file: OpenFile) -> Position:
        return counting.position(file, self._clock.found)

    def _settled(
        self,
        found: list[Row | Junk],
        clocks: Sequence[Clock],
        habits: Habits,
        counted: Occurrences,
        path: str,
        offset: int,
    ) -> Batch:
        """What was found next in a file as calls and rejects."""
        kept = habits.settle(found)
        if kept is found:
            return self._batch(found, clocks, path, counted, offset)
        clock_at = {item.at: clock for item, clock in zip(found, clocks, strict=True)}
        return self._batch(kept, [clock_at[item.at] for item in kept], path, counted, offset)

    def _identities(self, found: Sequence[Row | Junk], clocks: Sequence[Clock]) -> list[bytes | None]:
        """Those of the records as if each were alone; None of what is no call."""
        each: list[bytes | None] = []
        for item, clock in zip(found, clocks, strict=True):
            if type(item) is Plain:
                each.append(_digest(item, clock))
            else:
                records = self._batch([item], [clock], "", Occurrences(), 0).records
                each.append(records[0].identity if records else None)
        return each

    def _batch(
        self, found: Sequence[Row | Junk], clocks: Sequence[Clock], path: str, counted: Occurrences, offset: int
    ) -> Batch:
        records: list[Flat | CDR] = []
        rejects: list[Reject] = []
        for item, clock in zip(found, clocks, strict=True):
            at = offset + item.at
            utc = clock is Clock.UTC
            if type(item) is Plain:
                identity = counted.identity(_digest(item, clock), at)
                records.append(item.flat(identity, utc=utc))
                continue
            reason = item.reason if isinstance(item, Junk) else ""
            if isinstance(item, Row):
                try:
                    with OneRecord():
                        columns = {name: carried(value, self._charset) for name, value in item.values.items()}
                        number = partial(counted.identity, offset=at)
                        records.append(make_cdr(columns, self._zone, number, utc=utc, charset=self._charset))
                        continue
                except ValueError as error:
                    reason = str(error)
            key = counted.identity(digest("reject", self.name, item.text.decode("latin-1")), at)
            rejects.append(Reject(key, item.text, reason, where(path, at)))
        return Batch(Calls(records), rejects, None, told=Form.WHOLE)


@dataclass(frozen=True, slots=True)
class _End:
    """The last whole lines of the log, behind a line break, and what they tell; of one that can't be read, nothing."""

    data: bytes
    rows: Sequence[Row | Junk]
    clocks: Sequence[Clock]
    habits: Habits


def _digest(item: Plain, clock: Clock) -> bytes:
    """The identity of a call that stands there once."""
    return blake2b(item.recognised(utc=clock is Clock.UTC).encode(), digest_size=16).digest()


def _different(beginning: bytes) -> int:
    found, _ = split(beginning, final=False)
    return len({item.text for item in found if isinstance(item, Row)})
