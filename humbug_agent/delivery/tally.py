"""What one destination answered since the agent began: counted by the delivery's thread, read by any."""

from collections.abc import Mapping

from humbug_agent.outbox.minutes import SENT_MINUTES as MINUTES


class Tally:
    """The counts of one destination since the agent began.

    ``now`` is always seconds since the epoch, a minute one since the epoch.
    """

    def __init__(self, now: float) -> None:
        self.delivered = 0
        self.failed = 0
        self._began = int(now // 60)
        self._minutes: dict[int, int] = {}

    def remember(self, minutes: Mapping[int, int], since: float) -> None:
        """What was delivered in each minute before it began, as far back as is known, ``since`` a time like ``now``."""
        self._minutes = dict(minutes)
        self._began = int(since // 60)

    def count(self, *, delivered: bool, now: float) -> None:
        """One attempt is over."""
        if not delivered:
            self.failed += 1
            return
        self.delivered += 1
        minute = int(now // 60)
        self._minutes[minute] = self._minutes.get(minute, 0) + 1
        if len(self._minutes) > 2 * MINUTES:
            self._minutes = {each: sent for each, sent in self._minutes.items() if each > minute - MINUTES}

    def per_minute(self, now: float) -> list[int | None]:
        """Delivered in each of the last 60 minutes, the oldest first, the last one still running.

        None for those of which nothing is known.
        """
        counted, last = dict(self._minutes), int(now // 60)
        return [counted.get(m, 0 if m >= self._began else None) for m in range(last - MINUTES + 1, last + 1)]
