"""How long to wait before something that failed is tried again: all such waits of the agent, side by side.

And Pace, how fast a destination may be asked after what it answered. Open: all connections. After a failure: one call
at a time, the next one a different call, so that a call that always fails costs the others nothing. When that one fails
too it is the destination: wait, longer each time, and try with one again. The first success opens it.
"""

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Growth:
    """How waits grow, in seconds: ``first``, doubled with each failure in a row, at most ``longest``."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, from 1."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest)


DESTINATION = Growth(1.0, 60.0)
"""Between two calls that find out whether a destination is back."""

PAUSED = Growth(15.0, 120.0)
"""The same where what it answered says that no call would get through, as with a wrong key: an admin has to act."""

DELIVERY = Growth(2.0, 300.0)
"""Between two attempts of one call that failed while others got through."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A server that asks with Retry-After for more is asked again then."""

LONGEST_PUT_OFF = 3660
"""Seconds. No delivery is put off for as long as this: one that is was put off by a clock that was since set back."""

SOURCE = Growth(1.0, 60.0)
"""Before a source that failed is read again, if it does not ask for another wait."""

API = Growth(5.0, 90.0)
"""Before a hosted PBX that answers "too many requests" without a time is asked again. One that would have to wait for
longer than the longest ends the reading, and is left alone as long as it asks for."""

CONNECTION = Growth(0.1, 3.0)
"""Between two tries to connect to AMI or an event socket, less what the try took: what ends meanwhile is not told
again."""

EVENT_SOCKET_REFUSED = Growth(2.0, 30.0)
"""After a refused login there: each one is a line in a log, and may get this host banned."""

AMI_REFUSED_SECONDS = 300.0
AMI_REFUSED_WAIT = 30.0
"""AMI may refuse a login because it has too many sessions: only once it has done so for the former, the latter lies
between two logins."""


def jittered(wait: float) -> float:
    """What waits alike does not come back all at once."""
    return wait * random.uniform(0.75, 1.25)  # nosec B311 # a pause


def retry_in(attempts: int, asked: float | None = None) -> float:
    """Seconds until a call that failed for the ``attempts``-th time is tried again, jitter included.

    ``asked`` is the receiver's Retry-After; it is obeyed when it is longer.
    """
    return max(jittered(DELIVERY.after(attempts)), asked or 0.0)


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
    """What was said with it, where it asked for longer than DESTINATION's longest wait."""
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
            growth = PAUSED if pause else DESTINATION
            self.not_before = max(self.not_before, now + jittered(growth.after(self.failures)))
            self.paused, self.reason = pause, reason
        if asked:
            self.reason = reason
            if now + asked > self.asked_until:
                self.asked_until = now + asked
                long = asked > DESTINATION.longest
                self.asked = f"{reason}; asks for {asked / 60:,.0f} minutes without a call" if long else ""
        self.probing = True
