"""Which span of time to ask for next, of an API that knows no cursor.

Each call is asked for more than once: with every round the last quarter of an hour again, and once an hour the whole
last day. Calls that come into the API's list late, or are sorted in by when they began and not when they ended, are
found then, and so are those that a wrong time zone hides at first. What is on disk already adds nothing.
"""

from dataclasses import dataclass, replace

OVERLAP = 900.0
SWEEP, SWEEP_EVERY = 86400.0, 3600.0
NARROWEST, WIDEST = 60.0, 6 * 3600.0
FIRST_WIDTH = 3600.0
"""Seconds."""

FEW, MANY = 500, 5000
"""Rows of an answer: with fewer the next window is wider, with more it is narrower."""

AHEAD = 86400.0
"""Up to so far beyond now is asked: it costs nothing, and the server's clock may be ahead of what we take it for."""


@dataclass(frozen=True)
class Reached:
    """How far it was asked for; ``latest`` is when the newest call ended, ``swept`` when the last day was asked for.

    All are seconds since the epoch, 0 for never.
    """

    upto: float = 0.0
    latest: float = 0.0
    swept: float = 0.0


@dataclass(frozen=True)
class Window:
    """``begin`` and ``end`` to ask for, and what is reached once its calls are on disk."""

    begin: float
    end: float
    then: Reached


class Width:
    """How much time is asked for at once, so that no answer is too long."""

    def __init__(self) -> None:
        self.seconds = FIRST_WIDTH

    def answered(self, rows: int) -> None:
        if rows < FEW:
            self.seconds = min(WIDEST, self.seconds * 2)
        elif rows > MANY:
            self.narrower()

    def narrower(self) -> bool:
        """False: it can't be."""
        before, self.seconds = self.seconds, max(NARROWEST, self.seconds / 2)
        return self.seconds < before


def first(reached: Reached, since: float, now: float) -> Reached:
    """Where a round begins. A clock that was ahead once has asked for a future in which there were no calls yet."""
    if not reached.upto:
        return replace(reached, upto=min(since, now), swept=now)
    if reached.upto > now:
        return replace(reached, upto=min(reached.latest or now - SWEEP, now))
    if now - reached.swept > SWEEP_EVERY or reached.swept > now:
        return replace(reached, upto=min(reached.upto, now - SWEEP), swept=now)
    return reached
