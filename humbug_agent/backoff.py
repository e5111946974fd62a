"""How fast a destination may be asked, after what it answered.

Open: all connections. After a failure: one call at a time, the next one a different call, so that a call that
always fails costs the others nothing. When that one fails too it is the destination: wait, longer each time, and
try with one again. The first success opens it.
"""

import random
from dataclasses import dataclass, field

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
FIRST_PAUSE = 15.0
LONGEST_PAUSE = 120.0
FIRST_RETRY = 2.0
LONGEST_RETRY = 300.0

FLOOD_CALLS = 25
"""So many new calls at once, which is within a twentieth of a second: the PBX is at its busiest."""

FLOOD_REST = 3.0
"""Seconds that a source lets a flood gather. What it does meanwhile the PBX would have to wait for."""

CALM_SECONDS = 3.5
LONGEST_HOLD = 4.0
"""How long after the last flood of calls deliveries begin again, and after the first one at the latest."""


def growing(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row, from 1: ``first``, doubled with each, at most ``longest``."""
    return min(first * 2.0 ** min(failures - 1, 30), longest)


def jittered(wait: float) -> float:
    """What waits alike does not come back all at once."""
    return wait * random.uniform(0.75, 1.25)  # nosec B311 # a pause


def retry_in(attempts: int, asked: float | None = None) -> float:
    """Seconds until a call that failed for the ``attempts``-th time is tried again, jitter included.

    ``asked`` is the receiver's Retry-After; it is obeyed when it is longer.
    """
    return max(jittered(growing(attempts, FIRST_RETRY, LONGEST_RETRY)), asked or 0.0)


@dataclass(slots=True)
class Pace:
    """Times are seconds of any one clock. No threads, no I/O: whoever sends asks and tells."""

    connections: int
    failures: int = 0
    """In a row, while one call at a time was tried."""
    not_before: float = 0.0
    probing: bool = False
    reason: str = ""
    asked_until: float = 0.0
    """The latest Retry-After: a success of what was under way does not undo it."""
    asked: str = ""
    """What was said with it, where it asked for longer than LONGEST_WAIT."""
    paused: bool = field(default=False)
    """The last failure says that nothing would get through."""

    def room(self, now: float, under_way: int) -> int:
        """How many more calls may be sent now, with ``under_way`` being sent."""
        if now < self.asked_until:
            return 0
        if not self.probing:
            return self.connections - under_way
        return 1 if now >= self.not_before and not under_way else 0

    def spares(self, now: float) -> str:
        """Why nothing is sent for long, because the receiver asked for it; blank: it did not."""
        return self.asked if now < self.asked_until or self.probing else ""

    def succeeded(self) -> None:
        self.failures, self.probing, self.paused, self.reason, self.not_before = 0, False, False, "", 0.0

    def waits_until(self) -> float:
        """Before that nothing may be sent."""
        return max(self.asked_until, self.not_before)

    def failed(self, now: float, reason: str, *, probe: bool, asked: float | None = None, pause: bool = False) -> None:
        """``probe``: the call was sent as the only one, after an earlier failure.

        What was already under way when the first one failed says nothing new. ``asked`` is a Retry-After in seconds.
        """
        if now >= self.asked_until:
            self.asked = ""
        if probe:
            self.failures += 1
            first, longest = (FIRST_PAUSE, LONGEST_PAUSE) if pause else (FIRST_WAIT, LONGEST_WAIT)
            self.not_before = max(self.not_before, now + jittered(growing(self.failures, first, longest)))
            self.paused, self.reason = pause, reason
        if asked:
            self.reason = reason
            if now + asked > self.asked_until:
                self.asked_until = now + asked
                long = asked > LONGEST_WAIT
                self.asked = f"{reason}; asks for {asked / 60:,.0f} minutes without a call" if long else ""
        self.probing = True


@dataclass(slots=True)
class Flood:
    """Holds deliveries back while calls come in by hundreds a second: the PBX needs its processors. Any one clock."""

    began: float = float("-inf")
    last: float = float("-inf")

    def hold(self, new: int, now: float) -> float:
        """Until when to hold deliveries back, now that ``new`` calls have come in at once."""
        if new >= FLOOD_CALLS:
            if now - self.last > CALM_SECONDS:
                self.began = now
            self.last = now
        return min(self.last + CALM_SECONDS, self.began + LONGEST_HOLD)
