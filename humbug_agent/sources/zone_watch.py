"""Notices that the times of a source are hours away from what is known of them otherwise: a zone is wrong.

What is known otherwise is a uniqueid or an epoch in the record itself, or when the record was told. Wrong zones are off
by the same quarters of an hour again and again; a call that was merely long, or told late, is off by anything.
"""

from collections import deque
from contextlib import suppress
from datetime import tzinfo

STEP = 900
"""Seconds. All zones of today are whole quarters of an hour from UTC."""

LEAST = 1800
"""Seconds. No two zones that somebody may mistake for each other are nearer."""

MOST = 26 * 3600
"""Seconds. No two zones are further apart: records that are have been made up, or copied by hand."""

SLACK = 5
"""Seconds, for a clock that was corrected in between."""

LAST = 5
"""So many records are looked at."""

ENOUGH = 3
"""So many that say the same are believed."""


class ZoneWatch:
    """All times are seconds since the epoch, as the zone that is configured makes them."""

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=LAST)

    def began(self, said: float, made: float) -> None:
        """A record says that it began then; its channel was made at ``made``, at most minutes before."""
        self._seen.append(int((said - made + SLACK) // STEP) * STEP)

    def ended(self, said: float, told: float) -> None:
        """A record says that it ended then; it was told at ``told``, at most minutes later."""
        self._seen.append(-int((told - said + SLACK) // STEP) * STEP)

    def is_at(self, said: float, known: float) -> None:
        """A record says the same moment as a time in the zone, and as what needs none."""
        self._seen.append(round((said - known) / STEP) * STEP)

    def shift(self) -> int:
        """By how many seconds the times are ahead of what they should be; 0: they are right, or nobody can tell."""
        last = self._seen[-1] if self._seen else 0
        sure = len(self._seen) >= ENOUGH and LEAST <= abs(last) <= MOST and all(seen == last for seen in self._seen)
        return last if sure else 0

    def doubt(self, what: str, hint: str) -> str:
        """A sentence for the admin; blank when nothing is wrong. ``what`` the times are away from, and what to do."""
        if not (shift := self.shift()):
            return ""
        return f"its times are {in_hours(shift)} {'ahead of' if shift > 0 else 'behind'} {what}: {hint}"


class LastingWatch(ZoneWatch):
    """One that goes on after a restart: for a source that sees each record once.

    What was ``seen`` is a text for `go_on`; what was read in another ``zone`` tells nothing of this one.
    """

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self._zone = str(zone)

    @property
    def seen(self) -> str:
        return f"{','.join(map(str, self._seen))} in {self._zone}" if self._seen else ""

    def go_on(self, seen: str) -> None:
        shifts, _, zone = seen.partition(" in ")
        if zone == self._zone:
            # In a damaged outbox it may be any text.
            with suppress(ValueError):
                self._seen = deque(map(int, shifts.split(",")), maxlen=LAST)


def in_hours(seconds: float) -> str:
    """``1 h``, ``5 h 30 min``; without its sign."""
    hours, minutes = divmod(round(abs(seconds) / 60), 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes else [])])
