"""Asterisk's Master.csv, as cdr_csv writes it.

Follower says which file may hold something new; here its bytes become calls. A batch goes out with the place behind
its last record as the cursor.
"""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from hashlib import blake2b
from threading import Event

from humbug_agent.cdr import CDR, Batch, Calls, Flat, OneRecord, Reject, digest
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
from humbug_agent.sources.files import position as places
from humbug_agent.sources.files.endless import Endless
from humbug_agent.sources.files.following import Count, Follower, Visit, left_out
from humbug_agent.sources.files.position import OpenFile, Place
from humbug_agent.sources.files.rotation import Shelf
from humbug_agent.sources.readable import in_words, look_whether_open, look_whether_readable
from humbug_agent.text import carried
from humbug_agent.words import count

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes read, and so committed, at once; about 1,100 calls."""

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


class AsteriskCsv:
    """A source that reads Asterisk's Master.csv and its rotated files."""

    unread_in = "bytes"

    def __init__(self, settings: AsteriskCsvSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self._path = settings.path
        self._start = settings.start
        self._zone = zone
        self._charset = settings.charset
        self.leaves_out = left_out(settings.path, settings.start)
        self._clock = CsvClock(settings, zone, self._identities)
        self._endless = Endless(Junk)
        self._lane = FastLane(zone, settings.charset)
        # What is asked while somebody else reads.
        self._shelf = Shelf(settings.path, _different)

    def compare_with(self, known: Known) -> None:
        self._clock.known = known

    def doubt(self) -> str:
        return self._clock.doubt()

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        place = places.load(cursor, self._path)
        loaded(cursor, lambda _: self._clock.go_on(place.clock if place else ""))
        if place is None and self._start == "end":
            place = self._end()
            log.info("%s: begins at byte %d; what stands before it is not sent (start = end)", self._path, place.offset)
            yield Batch([], [], place.dump(self._path))
        counting, habits, here = Counting(place), Habits(), place
        follower = Follower(Shelf(self._path, _different))
        for visit in follower.visits(place, stop, follow=follow):
            if visit is None:
                here, before = self._nothing(here, counting, lost=follower.lost), here
                yield Batch([], [], here.dump(self._path) if here and here != before else None)
                continue
            if visit.count is not Count.ON:
                if not visit.file.offset:
                    self._clock.new_file()
                habits.next_file(continues=visit.count is Count.NEXT)
                counting.next_file(visit.count, visit.file, live=visit.file.path == self._path)
                if place and visit.file.offset:
                    self._go_on(counting, visit.file, place, habits)
            if visit.aside is None and here and visit.file.offset and not visit.file.has(here):
                # In a copy by now: what stands where it was is something else.
                here = self._place(counting, visit.file)
                yield Batch([], [], here.dump(self._path))
            here = yield from self._drain(visit, counting, habits, here, stop)
            if visit.count is not Count.ON and visit.file.path == self._path and not stop.is_set():
                here, before = self._seen_empty(here, visit, counting), here
                yield Batch([], [], here.dump(self._path) if here and here != before else None)
            counting.reached(visit.file, aside=visit.aside is not None)

    def again(self, cursor: str) -> str | None:
        return cursor if self._start == "end" else None

    def parse(self, record: bytes) -> Batch:
        whole = record if record.endswith(b"\n") else record + b"\n"
        found, _ = split(whole, final=True)
        return self._settled(found, self._clock.alone(found), Habits(), Occurrences(), "", 0)

    def unread(self, cursor: str | None) -> int:
        place = places.load(cursor, self._path)
        if place is None and self._start == "end":
            return 0
        return self._shelf.unread_bytes(place)

    def trouble(self) -> str:
        try:
            self.check()
        except SourceError as error:
            return str(error)
        return ""

    def check(self) -> str:
        directory = self._path.parent
        look_whether_open(directory)
        if not directory.is_dir():
            raise SourceError(f"{directory}: no such directory; is cdr_csv loaded (asterisk -rx 'cdr show status')?")
        if not self._path.exists():
            raise NothingYet(
                f"{self._path}: does not exist; Asterisk makes it with the first call, if cdr.conf has a [csv] "
                "section with at least one line in it (asterisk -rx 'cdr show status' lists csv)"
            )
        rotated = self._shelf.rotated()
        look_whether_readable([entry.path for entry in rotated])
        if trouble := self._shelf.trouble():
            raise SourceError(trouble)
        try:
            with OpenFile(self._path) as file:
                size = file.unread()
                found, _ = split(file.peek(CHUNK), final=False)
        except OSError as error:
            raise SourceError(in_words(error)) from error
        clocks = self._clock.alone(found)
        calls = self._settled(found, clocks, Habits(), Occurrences(), "", 0)
        if calls.rejects and not calls.records:
            hint = OTHER_MAPPING if directory.name in CUSTOM_FOLDERS else ""
            raise SourceError(f"{self._path}: not a Master.csv: {calls.rejects[0].reason}{hint}")
        beside = f"{count(len(rotated), 'rotated file')} beside it"
        said = [count(size, "byte"), beside, layouts(found), self._clock.in_words(clocks)]
        return f"{self._path}: {', '.join(filter(None, said))}"

    def _end(self) -> Place:
        """Behind the last line break that is there now; where there is none, whatever is written from now on."""
        now = time.time()
        with suppress(FileNotFoundError):
            with OpenFile(self._path) as file:
                size = file.unread()
            tail_at = max(0, size - CHUNK)
            with OpenFile(self._path, tail_at) as file:
                end = tail_at + file.peek(size - tail_at).rfind(b"\n") + 1
            if end:
                with OpenFile(self._path, end) as file:
                    file.known = self._shelf.all_known()
                    return file.place(end, {})
        return places.nowhere(now, self._shelf.all_known())

    def _go_on(self, counting: Counting, file: OpenFile, place: Place, habits: Habits) -> None:
        """The count as it stood at the place, from the last records before it, which tell their habits, too."""
        counted = Occurrences()
        found, _ = split(file.read_again(place.window), final=True, lane=self._lane)
        clocks = self._clock.again(found)
        # On a small PBX it may take hours until others show that its times are wrong.
        self._clock.look(found, clocks, None)
        self._settled(found, clocks, habits, counted, "", place.window)
        counted.set_repeats(place.repeats)
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

    def _drain(
        self, visit: Visit, counting: Counting, habits: Habits, here: Place | None, stop: Event
    ) -> Generator[Batch, None, Place | None]:
        """To the end as it is found: what comes meanwhile is the next visit's, and may be a flood that is to gather.

        ``here`` is the place that was reached before; returns the one that is reached.
        """
        file, more = visit.file, True
        while more and not stop.is_set():
            data = file.peek(CHUNK)
            more = len(data) == CHUNK
            found, taken = split(data, final=visit.last and not more, lane=self._lane)
            if not taken:
                break
            at = file.offset
            found = self._endless.shortened(found, taken, file)
            clocks = self._clock.find(found, file, stop, more=more)
            if len(clocks) < len(found):
                # The others are better judged with what comes behind them.
                found, taken = found[: len(clocks)], found[len(clocks)].at
            if counting.waits:
                counting.begin(self._first(found, clocks))
            counted = counting.now
            batch = self._settled(found, clocks, habits, counted, str(file.path), at)
            file.advance(data[:taken])
            if visit.aside is None:
                here = self._place(counting, file)
            yield Batch(batch.records, batch.rejects, here.dump(self._path) if here else None, taken)
        if visit.last and file.broken:
            yield Batch([], [self._broken(file)], None)
        if visit.last and here and visit.aside and not stop.is_set():
            here = replace(here, known=visit.aside)
            yield Batch([], [], here.dump(self._path))
        return here

    def _nothing(self, here: Place | None, counting: Counting, *, lost: bool) -> Place | None:
        """The place, when there is no log."""
        if here and here.offset and lost:
            return counting.gone(here, time.time() - places.CLOCK_SLACK, here.known)
        return here

    def _seen_empty(self, here: Place | None, visit: Visit, counting: Counting) -> Place | None:
        """The place, with the log that has nothing in it behind that: what comes was written since."""
        if not here or visit.file.offset:
            return here
        if here.offset and visit.count in GONE:
            here = counting.gone(here, visit.file.written(), visit.file.known)
        return replace(here, empty=visit.file.which)

    def _place(self, counting: Counting, file: OpenFile) -> Place:
        return replace(counting.place(file), clock=self._clock.found)

    def _broken(self, file: OpenFile) -> Reject:
        reason = f"breaks off here ({file.broken}); whatever follows can't be unpacked"
        return Reject(
            digest("broken", self.name, str(file.path), str(file.offset)),
            b"",
            reason,
            _where(str(file.path), file.offset),
        )

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

    def _identities(self, found: Sequence[Row | Junk], clock: Clock) -> set[bytes]:
        records = self._batch(found, [clock] * len(found), "", Occurrences(), 0).records
        return {record.identity for record in records}

    def _batch(
        self, found: Sequence[Row | Junk], clocks: Sequence[Clock], path: str, counted: Occurrences, offset: int
    ) -> Batch:
        records: list[Flat | CDR] = []
        rejects: list[Reject] = []
        for item, clock in zip(found, clocks, strict=True):
            at = offset + item.at
            if type(item) is Plain and clock is Clock.LOCAL:
                identity = counted.identity(blake2b(item.recognised().encode(), digest_size=16).digest(), at)
                records.append(item.flat(identity))
                continue
            reason = item.reason if isinstance(item, Junk) else ""
            if isinstance(item, Row):
                try:
                    with OneRecord():
                        columns = {name: carried(value, self._charset) for name, value in item.values.items()}
                        number = partial(counted.identity, offset=at)
                        utc = clock is Clock.UTC
                        records.append(make_cdr(columns, self._zone, number, utc=utc, charset=self._charset))
                        continue
                except ValueError as error:
                    reason = str(error)
            key = counted.identity(digest("reject", self.name, item.text.decode("latin-1")), at)
            rejects.append(Reject(key, item.text, reason, _where(path, at)))
        return Batch(Calls(records, self._zone), rejects, None)


def _different(beginning: bytes) -> int:
    found, _ = split(beginning, final=False)
    return len({item.text for item in found if isinstance(item, Row)})


def _where(path: str, at: int) -> str:
    return f"{path}, byte {at}" if path else ""
