"""The table cdr that Asterisk fills in MariaDB or MySQL, asked for again and again.

A row has the time at which its call began, and comes when that ends: so what began lately is asked for every few
seconds, the last hour every minute, the last day every hour, the last week every day. What is older than a day at a
first start is brought in beside that, at a pace of its own.
"""

import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from threading import Event

from humbug_agent.backoff import jittered
from humbug_agent.cdr import CDR, LACKS, Batch, Disposition, Form, as_length, digest, occurrence
from humbug_agent.sources.contract import Anew, Known, SourceError
from humbug_agent.sources.mysql.found import place
from humbug_agent.sources.mysql.settings import MysqlSettings
from humbug_agent.sources.mysql.table import MOST_TIMELESS, Table
from humbug_agent.sources.polling.client import Stopped
from humbug_agent.sources.polling.pace import DAY, first, is_within, left_out, poll
from humbug_agent.sources.polling.progress import Progress, anew, remembered
from humbug_agent.sources.polling.rows import ApiRow, ApiRows, parsed
from humbug_agent.sources.polling.windowed import Windowed
from humbug_agent.sources.polling.windows import HOUR, SWEEPS, WEEK, WIDEST, Reached, Sweep, Tiers
from humbug_agent.sources.wall_clock import UNIQUEID, times
from humbug_agent.text import carried, mended
from humbug_agent.words import count

BEGAN = "began"
"""When a row's call began, in seconds since the epoch; 0 where that can't be told."""


def _began(row: dict[str, str]) -> float:
    return float(row[BEGAN])


INDEXED = Tiers(120, ((60, HOUR), *SWEEPS), began=_began)
SCANNED = Tiers(2 * HOUR, ((HOUR, DAY), (DAY, WEEK), (WEEK, WEEK)), WIDEST, _began)
"""Where each question takes a look at all rows, it is put rarely: so more is asked for at once."""

SCAN_SHARE = 100
"""After a look at all rows there is none for so many times as long as it took."""

LIVE, PAST = "calls", "history"
"""What the cursor calls the two ways in which it is read."""

NEAR = range(-5, 901)
"""So many seconds behind the making of its channel a call begins; read by the wrong clock it is hours."""

ENOUGH = 3
"""So many rows that tell another clock than before are believed; what the first one tells, of a new PBX, at once."""

NUMBER, KNOWN_AS = "number among equal rows", "identity of an earlier version"
"""Of a row, what is no column of the table: the latter in hexadecimal, of a call that the outbox knows by it."""

_RECOGNISED = (
    "time", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec",
    "disposition", "uniqueid",
)  # fmt: skip
"""What a row is known again by. Other columns are added, or filled in later, by the PBX's own programs."""

_SHARED = ("dcontext", "dstchannel", "lastapp", "lastdata", "accountcode")
"""Columns by which a line is recognised, and that a table may lack."""

_FIELDS = {
    *_RECOGNISED,
    "calldate",
    "start",
    "answer",
    "end",
    "clid",
    "accountcode",
    "userfield",
    "linkedid",
    NUMBER,
    KNOWN_AS,
    BEGAN,
}
_BY_NUMBER = {"0": "NO ANSWER", "1": "NO ANSWER", "2": "FAILED", "4": "BUSY", "8": "ANSWERED", "16": "CONGESTION"}
"""Asterisk's own numbers, where the column is one for numbers."""

_LATIN = {bytes([byte]).decode("cp1252", "ignore") or chr(byte): bytes([byte]) for byte in range(256)}
"""What MySQL calls latin1."""


class Mysql:
    """A source that asks a database for the calls of an Asterisk."""

    unread_in = "seconds"

    def __init__(self, settings: MysqlSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self.leaves_out = left_out(settings.since)
        self.zone = settings.timezone or zone
        self._settings = settings
        self.table = Table(partial(place, settings), settings.timeout)
        self._rows = ApiRows(settings.name, self.call, Form.ROW)
        self._utc, self._told = bool(settings.utc), False
        self._indexed, self._scanned = self._reading(INDEXED), self._reading(SCANNED)
        # When a table without an index may be looked at again (monotonic), and how it was at the last look.
        self._again, self._seen = 0.0, ""
        # When old calls may be asked for again (monotonic).
        self._rests_until = 0.0
        # When rows without a time are asked for again (monotonic).
        self._timeless_due = 0.0
        self._known: Known = lambda identities: set()

    def compare_with(self, known: Known) -> None:
        self._known = known

    def _reading(self, tiers: Tiers) -> Windowed:
        return Windowed((LIVE, PAST), None, self.zone, self.table, self._rows, self._ask, tiers)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        progress = self._remembered(cursor)
        if (begun := progress.dump()) != cursor:
            yield Batch([], [], begun)
        self.table.stop = stop
        try:
            rounds = partial(self._round, progress, stop, follow=follow)
            yield from poll(rounds, self._settings.poll_seconds, stop, follow=follow)
        finally:
            self.table.close()

    def _remembered(self, cursor: str | None) -> Progress:
        """At a first start as of now. Raises CursorError."""
        progress = remembered(cursor, self._of(), len(INDEXED.sweeps))
        return progress if {LIVE, PAST} <= progress.reached.keys() else replace(progress, reached=self._first())

    def _first(self) -> dict[str, Reached]:
        now = int(time.time())
        since = min(now, first(self._settings.since, self.zone, now))
        live = max(since, now - DAY)
        sweeps = (Sweep(now),) * len(INDEXED.sweeps)
        return {LIVE: Reached(live, live, 0, sweeps), PAST: Reached(min(since, live), since, 0, sweeps)}

    def _of(self) -> str:
        """By what agent.ini says: files of the PBX may say otherwise tomorrow, and it is the same table."""
        said = self._settings
        return digest(said.host, said.socket, said.database, said.table).hex()

    def _round(self, progress: Progress, stop: Event, *, follow: bool) -> Iterator[Batch]:
        stalled = self.table.stalled()
        for batch in self._all(progress, stop, follow=follow):
            # Where nothing new comes, that there is nothing is no news.
            if not stalled or batch.records or batch.rejects:
                yield batch
        if stalled:
            raise SourceError(stalled, jittered(self._settings.poll_seconds))

    def _all(self, progress: Progress, stop: Event, *, follow: bool) -> Iterator[Batch]:
        began = time.monotonic()
        self.table.renew()
        self._learn_clock()
        scanned = not self.table.shape.by
        if scanned and began < self._again:
            yield Batch([], [], None)
            return
        changed = self.table.changed() if scanned else ""
        is_new = not changed or changed != self._seen
        if not is_new and not self._may_go_back(progress, follow=follow):
            yield Batch([], [], None)
            return
        reading = self._scanned if scanned else self._indexed
        if is_new:
            self._divide(progress)
            yield from reading.round(progress, self._settings.poll_seconds, stop, follow=follow, of=(LIVE,))
            # A look that failed is to be done once more, also when nothing is written any more.
            self._seen = changed
            yield from self._timeless(follow=follow)
        looked = time.monotonic() - began
        while not stop.is_set() and self._may_go_back(progress, follow=follow):
            asked = time.monotonic()
            rows = 0
            for batch in reading.piece(PAST, progress, progress.reached[LIVE].since, stop, follow=follow):
                rows += len(batch.records)
                yield batch
            took = time.monotonic() - asked
            rest = max(rows / self._settings.backfill_rows, took * (SCAN_SHARE if scanned else 1))
            if follow and (scanned or rest > self._settings.poll_seconds):
                # New calls don't wait for that.
                self._rests_until = time.monotonic() + rest
                looked += took
                break
            stop.wait(rest)
            if follow and time.monotonic() - began > self._settings.poll_seconds:
                break
        if scanned:
            self._again = time.monotonic() + SCAN_SHARE * looked

    def _timeless(self, *, follow: bool) -> Iterator[Batch]:
        """Rows that can't be calls, since no window has them: nobody would hear of them else."""
        if follow and time.monotonic() < self._timeless_due:
            return
        batch = self._rows.batch(self._told_of(self.table.timeless()), self.table.where)
        if batch.rejects:
            yield batch
            self._rows.on_disk(batch)
        self._timeless_due = time.monotonic() + HOUR

    def _divide(self, progress: Progress) -> None:
        """At a first start what is older than a day is history; in a table that is behind, a day before its end."""
        live, past = progress.reached[LIVE], progress.reached[PAST]
        if live.latest or past.upto > past.since or past.since == live.since:
            return
        utc = self._utc or self.table.shape.instants
        ends = max((self._instant(row["time"], utc=utc) for row in self.table.newest()), default=0)
        begin = max(past.since, ends - DAY)
        if begin < live.since:
            progress.reached[LIVE] = Reached(begin, begin, 0, live.sweeps)

    def _may_go_back(self, progress: Progress, *, follow: bool) -> bool:
        is_done = progress.reached[PAST].upto >= progress.reached[LIVE].since
        if is_done or time.monotonic() < self._rests_until:
            return False
        return not follow or is_within(self._settings.backfill_hours, self.zone)

    def _learn_clock(self) -> None:
        """Whose clock the times are, by the last rows' uniqueids."""
        if self._settings.utc is None and self.table.shape.by:
            self._vote([(row["time"], row["uniqueid"]) for row in self.table.newest()])

    def _vote(self, said: list[tuple[str, str]]) -> set[bool]:
        """Which clocks enough of these times and uniqueids tell: True is UTC. The most believed one goes from now."""
        votes = Counter(utc for utc in (self._tells(*one) for one in said) if utc is not None)
        found = {utc for utc, number in votes.items() if number >= (ENOUGH if self._told else 1)}
        if found:
            self._utc, self._told = max(found, key=lambda utc: votes[utc]), True
        return found | {self._utc}

    def _tells(self, stamp: str, uniqueid: str) -> bool | None:
        """Whether a row's times are UTC by its uniqueid; None where that does not say it."""
        made = UNIQUEID.fullmatch(uniqueid)
        if not made:
            return None
        near = [self._instant(stamp, utc=utc) - int(made[1]) in NEAR for utc in (False, True)]
        return None if near[0] == near[1] else near[1]

    def _instant(self, stamp: str, *, utc: bool) -> int:
        """Seconds since the epoch; 0 of what is no time."""
        try:
            return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC if utc else self.zone).timestamp())
        except (ValueError, OverflowError):
            return 0

    def _ask(self, tenant: str, begin: float, end: float, stop: Event) -> list[dict[str, str]]:
        if stop.is_set():
            raise Stopped
        return self._told_of(self.table.window(int(begin), -int(-end // 1), UTC if self._utc else self.zone))

    def _told_of(self, found: list[dict[str, str]]) -> list[dict[str, str]]:
        """These rows, all of their times, in order, and with what is known of them beside their columns."""
        shape = self.table.shape
        clocks = {self._utc}
        for row in found:
            row["time"] = row[shape.time]
        if self._settings.utc is None and not shape.instants:
            clocks = self._vote([(row["time"], row.get("uniqueid", "")) for row in found])
        numbers: Counter[bytes] = Counter()
        spelled: dict[bytes, dict[str, str]] = {}
        lacks = " ".join(name for name in _SHARED if found and name not in found[0])
        for row in sorted(found, key=lambda row: row["time"]):
            tells = self._tells(row["time"], row.get("uniqueid", "")) if len(clocks) > 1 else None
            row["utc"] = "1" if shape.instants or (self._utc if tells is None else tells) else ""
            row[BEGAN] = str(self._instant(row["time"], utc=bool(row["utc"])))
            plain = _plain(row)
            of = _digest(plain)
            before = of if plain.items() <= row.items() else _digest(row)
            numbers[of] += 1
            row[NUMBER] = str(numbers[of])
            row.pop(KNOWN_AS, None)
            if before != of:
                numbers[before] += 1
                spelled[occurrence(before, numbers[before])] = row
            if lacks:
                row[LACKS] = lacks
        for identity in self._known(list(spelled)) if spelled else ():
            spelled[identity][KNOWN_AS] = identity.hex()
        return sorted(found, key=lambda row: row["time"])

    def call(self, row: ApiRow) -> CDR:
        plain = _plain({name: row.text(name) for name in _RECOGNISED})
        said = {name: _mended(plain[name]) for name in ("time", "uniqueid")}
        texts = {name: _mended(row.text(name)) for name in _TEXTS}
        clock = UTC if row.text("utc") else self.zone
        duration, billsec = _seconds(row, "duration"), _seconds(row, "billsec")
        disposition = Disposition(_BY_NUMBER.get(row.text("disposition"), row.text("disposition")))
        if not said["time"]:
            raise ValueError("has no time: it is NULL in the database")
        columns = {"start": said["time"], "answer": "", "end": "", "uniqueid": said["uniqueid"]}
        start, _, end = times(columns, clock, duration, billsec)
        answered = billsec > 0 or disposition is Disposition.ANSWERED
        answer = start + timedelta(seconds=duration - billsec) if answered else None
        if clock is UTC:
            start, end = start.astimezone(self.zone), end.astimezone(self.zone)
            answer = answer.astimezone(self.zone) if answer else None
        return CDR(
            identity=bytes.fromhex(row.text(KNOWN_AS)) or occurrence(_digest(plain), int(row.text(NUMBER) or 1)),
            start=start,
            answer=answer,
            end=end,
            duration=duration,
            billsec=billsec,
            disposition=disposition,
            uniqueid=said["uniqueid"],
            src=texts["src"],
            dst=texts["dst"],
            dcontext=texts["dcontext"],
            clid=texts["clid"],
            channel=texts["channel"],
            dstchannel=texts["dstchannel"],
            lastapp=texts["lastapp"],
            lastdata=texts["lastdata"],
            accountcode=texts["accountcode"],
            userfield=texts["userfield"],
            linkedid=texts["linkedid"],
            extra={name: _mended(value) for name, value in row.rest(_FIELDS | {"utc"}).items()},
        )

    def parse(self, text: bytes) -> Batch:
        return parsed(text, ApiRows(self.name, self.call, Form.ROW))

    def again(self, cursor: str) -> str | None:
        return anew(cursor, self._of(), len(INDEXED.sweeps))

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        # A row has the time at which its call began.
        begin = max(int(moment) - DAY, self._remembered(cursor).reached[PAST].since)
        reached = Reached(begin, begin, 0, (Sweep(int(time.time())),) * len(INDEXED.sweeps))
        return Anew(Progress(self._of(), reached={LIVE: reached, PAST: reached}).dump())

    def unread(self, cursor: str | None) -> int:
        reached = self._remembered(cursor).reached
        behind = int(time.time()) - reached[LIVE].upto
        return (behind if behind > 2 * HOUR else 0) + max(0, reached[LIVE].since - reached[PAST].upto)

    def trouble(self) -> str:
        return ""

    def doubt(self) -> str:
        return self._rows.doubt()

    def check(self) -> str:
        try:
            shape = self.table.shape
            said = f", found by {self.table.place.said}" if self.table.place.said else ""
            self._learn_clock()
            how = {"": "; no index begins with its time, so it is looked at rarely: add one on " + shape.time}
            found = (self._indexed if shape.by else self._scanned).check((LIVE,))
            clock = (
                "UTC" if self._utc else "local" if self._told or self._settings.utc is not None else "taken for local"
            )
            if timeless := len(self.table.timeless()):
                many = "at least " if timeless == MOST_TIMELESS else ""
                found += f"; {many}{count(timeless, 'row')} without a time in {shape.time}, which can be no calls"
            if stalled := self.table.stalled():
                raise SourceError(f"{stalled}. So far: {found}")
            return f"{self.table.where}{said}: {found}; its times are {clock}{how.get(shape.by, '')}"
        finally:
            self.table.close()


_TEXTS = (
    "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "accountcode", "userfield",
    "linkedid",
)  # fmt: skip


def _digest(row: dict[str, str]) -> bytes:
    """Of what a row is known again by; a column that is added later is as if it had been blank."""
    return digest("cdr row", *(row.get(name, "").rstrip() for name in _RECOGNISED))


def _plain(row: dict[str, str]) -> dict[str, str]:
    """What a row is known again by, spelled as by the columns of Asterisk's own table, whichever type its columns have.

    Asterisk's other records have whole seconds, too. An earlier version took what the server wrote.
    """
    found = {name: row.get(name, "") for name in _RECOGNISED}
    found["time"] = found["time"].partition(".")[0]
    for name in ("duration", "billsec"):
        with suppress(ValueError, OverflowError):
            found[name] = str(int(float(found[name])))
    return found


def _seconds(row: ApiRow, name: str) -> int:
    said = row.required(name)
    try:
        return as_length(name, int(float(said)))
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {said[:40]!r} is no length of a call") from None


def _mended(said: str) -> str:
    """A table of latin1, or a connection of it, shows Asterisk's UTF-8 byte by byte."""
    if said.isascii() or not all(one in _LATIN for one in said):
        return said
    raw = b"".join(_LATIN[one] for one in said)
    try:
        return mended(carried(raw.decode().encode()))
    except UnicodeDecodeError:
        return said
