"""Finds out whose clock the times in a Master.csv are of, with ``utc = auto``, and notices where they can't be right.

What tells, in this order: the uniqueids of the records and of those around them; a file that is just being written
to; a call that AMI has told, too (in local time, always); cdr.conf, where it can be read; when the file was last
written to. What nothing tells is taken for local time, and said.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from threading import Event

from humbug_agent.sources.asterisk.csv.layouts import Row, Writer
from humbug_agent.sources.asterisk.csv.plain import Plain, Stamps
from humbug_agent.sources.asterisk.csv.records import Junk, split
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.zone import Clock, Judge, Written, matters, moments
from humbug_agent.sources.contract import Known
from humbug_agent.sources.files import position as positions
from humbug_agent.sources.files.position import OpenFile
from humbug_agent.sources.wall_clock import UNIQUEID, is_left_out
from humbug_agent.sources.zone_watch import ZoneWatch

TAIL_BYTES = 256 * 1024
"""So much of a file's end is looked at."""

JUST_SECONDS = 60.0
"""A file that was written to so lately is one that Asterisk writes, and no copy of it."""

TWIN_SECONDS = 3.0
"""How long a record waits for AMI to tell the same call, where nothing else says whose clock its times are of."""

TWIN_LOOK_SECONDS = 0.05

LOOKED_AT = 10
"""Of a batch's last records it is looked at whether their times can be right."""

PROBED = 16
"""Of a batch that may have been told before so many records are looked up; all of them where one is known."""

SUMMER_SECONDS = 3600
"""By so much a zone may differ from what it is today."""

Found = Sequence[Row | Junk]

Identities = Callable[[Found, Sequence[Clock]], list[bytes | None]]
"""That which each of some records has, read by its clock; None of what is no call."""


class CsvClock:
    """The judge of the clock of one Master.csv's times."""

    def __init__(self, settings: AsteriskCsvSettings, zone: tzinfo, identities: Identities) -> None:
        self.known: Known = lambda _: frozenset()
        self.told_before = False
        """Whether what is read next may have been told before, by a reading that saw more than this one does."""
        self._name, self._path = settings.name, settings.path
        self._zone = zone
        self._told = None if settings.utc is None else Clock.UTC if settings.utc else Clock.LOCAL
        self._identities = identities
        self._judge = Judge(zone)
        self._watch = ZoneWatch()
        self._untold = False
        self._left_out = ""
        self._waited = False

    @property
    def found(self) -> str:
        """What a reading that goes on from here begins with (`go_on`)."""
        return self._judge.clock or ""

    def go_on(self, found: str) -> None:
        self._judge = Judge(self._zone, Clock(found) if found else None)

    def new_file(self) -> None:
        self._judge.new_file()

    def find(self, found: Found, file: OpenFile, stop: Event, *, more: bool) -> list[Clock]:
        """The clock of each record of ``file`` that follows, or of the first of them; ``more`` follows behind them."""
        clocks, untold = self._judged(found, self._judge, None if more else file, more=more), False
        if clocks is None:
            clock = self._by_twins(found, file, stop) or self._by_the_file(file)
            untold = clock is None
            if clock:
                self._judge.settle(clock)
            clocks = _all(found, clock)
        if self.told_before and not self._told:
            clocks = self._as_known(found[: len(clocks)], clocks)
        self._untold = untold
        self.look(found, clocks, None if more else file)
        return clocks

    def _as_known(self, found: Found, clocks: list[Clock]) -> list[Clock]:
        """The same, but of each call that the outbox knows by the other clock alone that one.

        Who read the file while it grew has seen when each record was written. Judged by less, the same call would be
        another one, and would be sent a second time.
        """
        rows = [number for number, item in enumerate(found) if _is_csvs(item) and self._matters(item)]
        probed = [found[number] for number in rows[:: max(1, len(rows) // PROBED)]]
        if not any(self._known(probed, [clock] * len(probed)) for clock in Clock):
            return clocks
        own = self._known([found[number] for number in rows], [clocks[number] for number in rows])
        asked = [number for at, number in enumerate(rows) if at not in own]
        other = self._known([found[number] for number in asked], [clocks[number].other for number in asked])
        taken = list(clocks)
        for at in other:
            taken[asked[at]] = clocks[asked[at]].other
        if other and taken[rows[-1]] is not self._judge.clock:
            self._judge.settle(taken[rows[-1]])
        return taken

    def _known(self, found: Found, clocks: Sequence[Clock]) -> set[int]:
        """Which of these, by their number, are calls that the outbox knows."""
        identities = self._identities(found, clocks)
        known = self.known([one for one in identities if one])
        return {number for number, one in enumerate(identities) if one in known}

    def _matters(self, item: Row | Junk) -> bool:
        return bool(item.offset) if type(item) is Plain else matters(_stamps(item).start, self._zone)

    def again(self, found: Found) -> list[Clock]:
        """The same of records that were read before the position from which a reading goes on."""
        judge = Judge(self._zone, self._judge.clock)
        self._judge.remember([_stamps(item) for item in found if _is_csvs(item)])
        return self._judged(found, judge, None, more=False) or [Clock.LOCAL] * len(found)

    def alone(self, found: Found) -> list[Clock]:
        """The same of records that are looked at in passing."""
        clocks = self._judged(found, Judge(self._zone), None, more=False)
        if clocks is None:
            clock = None
            with suppress(OSError), OpenFile(self._path) as file:
                clock = self._by_the_file(file)
            clocks = _all(found, clock)
            self._untold = clock is None
        self.look(found, clocks, None)
        return clocks

    def in_words(self, found: Found, clocks: Sequence[Clock]) -> str:
        """What `alone` found, for `check`; blank where the PBX's zone was UTC itself."""
        if not any(matters(_stamps(item).start, self._zone) for item in found):
            return ""
        said = {Clock.UTC: "times in UTC (usegmtime=yes in cdr.conf)", Clock.LOCAL: "times in the PBX's zone"}
        return " and ".join(said[clock] for clock in Clock if clock in clocks)

    def doubt(self) -> str:
        """A sentence for the admin where times may be wrong; blank where all is well."""
        if self._left_out:
            return (
                f"a call is said to have begun at {self._left_out}, when clocks of the PBX's zone were put forward and "
                f"showed no such time: is [agent] timezone that of the PBX, and utc in [source {self._name}] right?"
            )
        hint = "is [agent] timezone that of the PBX?"
        if self._told and self._is_the_other():
            right = "yes" if self._told is Clock.LOCAL else "no"
            hint = f"is usegmtime={right} in cdr.conf? Then write utc = {right} (or auto) in [source {self._name}]"
        if doubt := self._watch.doubt("what the uniqueids and the clock say", hint):
            return doubt
        if self._untold:
            return (
                f"nothing tells whether the times in {self._path} are UTC (usegmtime=yes in cdr.conf) or local time, "
                "and they are taken for local time: neither its uniqueids do, nor has an AMI source told the same "
                f"calls, nor can cdr.conf be read. Write utc = yes or utc = no in [source {self._name}]"
            )
        return ""

    def _judged(self, found: Found, judge: Judge, file: OpenFile | None, *, more: bool) -> list[Clock] | None:
        """``file`` is given where the records reach to its end. None: nothing in them tells."""
        if self._told:
            return [self._told if _is_csvs(item) else Clock.LOCAL for item in found]
        plain = [item for item in found if type(item) is Plain]
        if len(plain) == len(found) and judge.is_usual(plain, _written(file) if file else None):
            return [judge.clock or Clock.LOCAL] * len(found)
        rows = [number for number, item in enumerate(found) if _is_csvs(item)]
        stamps = [_stamps(found[number]) for number in rows]
        clocks, sure = judge.judge(stamps, _written(file) if file else None, more=more)
        if clocks is None:
            # It is all the same where clocks in the zone show UTC.
            return None if any(matters(one.start, self._zone) for one in stamps) else [Clock.LOCAL] * len(found)
        each = iter(clocks)
        taken = found[: rows[sure]] if sure < len(rows) else found
        return [next(each) if _is_csvs(item) else Clock.LOCAL for item in taken]

    def _by_twins(self, found: Found, file: OpenFile, stop: Event) -> Clock | None:
        """By which clock the outbox knows one of these calls. Those that are new are given a moment to become known."""
        each = (self._identities(found, [clock] * len(found)) for clock in Clock)
        of_one, of_other = ({one for one in identities if one} for identities in each)
        apart = dict(zip(Clock, (list(of_one - of_other), list(of_other - of_one)), strict=True))
        until = time.monotonic() + (0.0 if self._waited or not _written(file).just else TWIN_SECONDS)
        while True:
            for clock, asked in apart.items():
                if self.known(asked):
                    return clock
            if time.monotonic() >= until or stop.wait(TWIN_LOOK_SECONDS):
                # Not each time: there seems to be nobody who tells.
                self._waited = True
                return None

    def _by_the_file(self, file: OpenFile) -> Clock | None:
        """What the records at its end tell, else cdr.conf, else when it was written."""
        from humbug_agent.pbx_host import asterisk

        stamps = [_stamps(item) for item in _tail(file) if _is_csvs(item)]
        judge = Judge(self._zone)
        judge.judge(stamps, None, more=False)
        said = asterisk.usegmtime(self._path)
        if judge.clock or said is not None:
            return judge.clock or (Clock.UTC if said else Clock.LOCAL)
        return judge.judge_rest(stamps[-1], _written(file)) if stamps else None

    def look(self, found: Found, clocks: Sequence[Clock], file: OpenFile | None) -> None:
        """Notice a zone that is wrong. ``file`` as in `_judged`."""
        rows = [(item, clock) for item, clock in zip(found, clocks, strict=False) if isinstance(item, Row)]
        # A plain one's never are.
        odd = (_stamps(item).start for item, clock in rows if clock is Clock.LOCAL and type(item) is not Plain)
        self._left_out = next((start for start in odd if is_left_out(start, self._zone)), "")
        before, told = "", False
        last = [(_stamps(item), clock) for item, clock in rows[-LOOKED_AT:]]
        for stamps, clock in last:
            made = UNIQUEID.fullmatch(stamps.uniqueid)
            if made and stamps.uniqueid != before:
                for moment in self._nearest(stamps.start, clock, int(made[1])):
                    self._watch.began(moment, int(made[1]))
            before, told = stamps.uniqueid, told or bool(made)
        if rows and not told and file and (written := _written(file)).just:
            stamps, clock = last[-1]
            for moment in self._nearest(stamps.end, clock, written.at):
                self._watch.ended(moment, written.at)

    def _nearest(self, stamp: str, clock: Clock, to: float) -> list[float]:
        """The moment that it means; of two, in the hour that comes twice, the nearer one. None where it means none."""
        utc, local = moments(stamp, self._zone)
        return sorted(utc if clock is Clock.UTC else local, key=lambda moment: abs(moment - to))[:1]

    def _is_the_other(self) -> bool:
        """Whether the times are off by just what lies between the two clocks."""
        zone = datetime.fromtimestamp(time.time(), self._zone).utcoffset() or timedelta(0)
        off = -zone if self._told is Clock.LOCAL else zone
        return abs(self._watch.shift() - off.total_seconds()) <= SUMMER_SECONDS


def _is_csvs(item: Row | Junk) -> bool:
    """Whether cdr_csv wrote it: cdr_custom knows no usegmtime, and its times are local ones."""
    return isinstance(item, Row) and item.writer is Writer.CSV


def _all(found: Found, clock: Clock | None) -> list[Clock]:
    """The clock of each, where it is the same for all."""
    return [clock if clock and _is_csvs(item) else Clock.LOCAL for item in found]


def _stamps(item: Row | Junk) -> Stamps:
    if type(item) is Plain:
        return item.stamps()
    values = item.values if isinstance(item, Row) else {}
    return Stamps(*(values.get(name, b"").decode("latin-1") for name in ("start", "end", "uniqueid", "duration")))


def _written(file: OpenFile) -> Written:
    at = file.written()
    return Written(at, abs(time.time() - at) < JUST_SECONDS)


def _tail(file: OpenFile) -> list[Row | Junk]:
    """The records at the end of the file, which is opened anew."""
    return split(positions.tail(file.path, TAIL_BYTES)[0], final=False)[0]
