"""Which span of time to ask for next, of an API that knows no cursor.

Each call is asked for more than once: with every round the last quarter of an hour again, once an hour the day before
the last time that this was done, once a day the week before. Calls that come into the API's list late, or are sorted in
by when they began and not when they ended, are found then, and so are those that a wrong clock or time zone hid at
first. What is on disk already adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from humbug_agent.sources.polling.pace import DAY, first

HOUR, WEEK = 3600, 7 * DAY
OVERLAP = 900
NARROWEST, FIRST_WIDTH, WIDEST = 60, HOUR, 92 * DAY
"""Seconds. The widest is for years in which there are hardly any calls."""

AHEAD = DAY
"""So far beyond now is asked: it costs nothing, and the clock that stamps the calls may be ahead of those we know."""

APART = 28 * DAY
"""So far may the two clocks be from each other: all that time is asked for in every round, as one of them is right."""

TOLERATED = 60
"""So many seconds may a clock be turned back before anything comes of it: a server tells its time in whole ones."""

OLDEST = 1_767_225_600
"""2026-01-01. A server that says it was earlier has no clock."""

FEW, MANY = 500, 5000
"""Rows of an answer: with fewer the next window is wider, with more it is narrower."""

QUICK = 5.0
"""Seconds. What takes longer is not made wider, however few rows it has."""


SWEEPS = ((HOUR, DAY), (DAY, WEEK))
"""How often it is asked again, and how far back."""


@dataclass(frozen=True)
class Tiers:
    """What is asked for again: the last ``overlap`` seconds with every round, and as SWEEPS says the ``sweeps``.

    ``width`` is how much time is asked for at first.

    ``began``, where whoever is asked may be behind, as a replica is, says when a row's call began, in seconds since the
    epoch: what is asked for again then begins at the newest row that was there, however long ago that was.
    """

    overlap: int = OVERLAP
    sweeps: tuple[tuple[int, int], ...] = SWEEPS
    width: float = FIRST_WIDTH
    began: Callable[[Any], float] | None = None


HOSTED = Tiers()
"""Those of a hosted PBX's API, whose calls are found by their ends."""


@dataclass(frozen=True)
class Now:
    """Two clocks, seconds since the epoch: ours, and the server's as far as it has told."""

    ours: float
    theirs: float

    @property
    def surely(self) -> float:
        """What is before was certainly there to be asked for."""
        return self.ours if self.theirs < OLDEST else min(self.ours, self.theirs)

    @property
    def latest(self) -> float:
        return max(self.ours, self.theirs)

    @property
    def apart(self) -> bool:
        """So far that every round would ask for too much."""
        return self.theirs >= OLDEST and abs(self.ours - self.theirs) > APART


@dataclass(frozen=True)
class Sweep:
    """Asking again: when that ``began``, and where it goes on, 0 once it is done. Seconds since the epoch.

    ``newest`` is when the newest row that was there then began, 0 where that makes no difference.
    """

    began: int
    at: int = 0
    newest: int = 0


@dataclass(frozen=True)
class Reached:
    """How far one tenant or domain was asked for, in whole seconds since the epoch, 0 for never.

    Nothing from before ``since`` is wanted. What ended before ``upto`` was asked for, ``latest`` is when the newest
    call ended, or began where `Tiers.began` says that. ``sweeps`` are those of SWEEPS.
    """

    since: int
    upto: int
    latest: int
    sweeps: tuple[Sweep, ...]


def known(reached: Reached | None, since: datetime | None, zone: tzinfo, now: Now, tiers: Tiers = HOSTED) -> Reached:
    """``reached``, or at a first start from ``since``, in ``zone`` if it does not say, or from a day before ``now``.

    It is a first start, too, if the earlier one was by a clock that was ahead.
    """
    if reached and not _is_future(reached.since, now):
        return reached
    clock = int(now.surely)
    begin = min(clock, first(since, zone, clock))
    return Reached(begin, begin, 0, (Sweep(clock),) * len(tiers.sweeps))


def resumed(reached: Reached, now: Now, tiers: Tiers = HOSTED) -> int:
    """Where a round begins. A clock that was ahead once has asked for a future in which there were no calls yet."""
    begin = reached.upto
    if _is_future(begin, now):
        begin = min(reached.latest or reached.since, int(now.surely))
    elif tiers.began:
        begin = min(begin, reached.latest or begin)
    return max(begin - tiers.overlap, reached.since)


def moved(reached: Reached, end: float, now: Now, latest: float) -> Reached:
    """Once the calls that ended before ``end`` are on disk; the newest of them did at ``latest``, 0 if there are none.

    ``now`` is of when they were asked for.
    """
    upto = max(int(min(end, now.surely)), reached.since)
    if not _is_future(reached.upto, now):
        upto = max(upto, reached.upto)
    return replace(reached, upto=upto, latest=max(reached.latest, int(latest)))


def to_sweep(reached: Reached, number: int, begin: int, now: Now, tiers: Tiers = HOSTED) -> Reached:
    """With the sweep of that number as it is to go on, if there is anything to do in a round that began there."""
    sweep, (every, back) = reached.sweeps[number], tiers.sweeps[number]
    clock = int(now.surely)
    if sweep.at or sweep.began - TOLERATED <= clock < sweep.began + every:
        return reached
    # Not from so far before now: what came into the list since the last time was not there then.
    # If it was by a clock that was ahead, it is not known when: for as long as that, maybe.
    done = min(clock - abs(clock - sweep.began), sweep.newest or clock)
    newest = reached.latest if tiers.began else 0
    return swept(reached, number, Sweep(clock, max(reached.since, min(done, begin) - back), newest))


def swept(reached: Reached, number: int, sweep: Sweep) -> Reached:
    return replace(reached, sweeps=(*reached.sweeps[:number], sweep, *reached.sweeps[number + 1 :]))


class Width:
    """How much time is asked for at once, so that no answer is too long: ``seconds``.

    What was too much once is come back to by and by: it may have cost a time-out.
    """

    def __init__(self, first: float = FIRST_WIDTH) -> None:
        self.seconds: float = first
        self._most: float = WIDEST

    def answered(self, rows: int, asked: float, took: float) -> None:
        """That many rows for ``asked`` seconds of calls, after ``took`` seconds."""
        if rows > MANY:
            self.narrower(asked)
        elif rows < FEW and took < QUICK:
            self._most = min(WIDEST, self._most * 1.1)
            self.seconds = min(self._most, self.seconds * 2)

    def narrower(self, asked: float) -> bool:
        """Half of what was asked for was too much. False: it can't be less."""
        self.seconds = self._most = max(NARROWEST, min(self.seconds, asked) / 2)
        return asked > NARROWEST


def _is_future(moment: float, now: Now) -> bool:
    return moment > now.latest + TOLERATED
