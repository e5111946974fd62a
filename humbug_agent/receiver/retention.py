"""What came too long ago is dropped from the store, a little at a time, beside all else that it does."""

import logging
from datetime import UTC, datetime, timedelta

from humbug_agent.receiver.store.contract import CallStore, StoreError
from humbug_agent.words import count

EACH_SECONDS, PAUSE_SECONDS = 3600.0, 0.2
"""How often it is looked what is too old, and how long calls have the store to themselves between two pieces."""

log = logging.getLogger(__name__)


class Retention:
    """Drops what came more than ``keep_days`` ago; None keeps everything."""

    def __init__(self, store: CallStore, keep_days: int | None) -> None:
        self._store = store
        self._keep_days = keep_days
        self._dropped = 0

    def drop(self) -> float | None:
        """Drop a piece. Returns after how many seconds to call it again; None: never."""
        if self._keep_days is None:
            return None
        before = datetime.now(UTC) - timedelta(days=self._keep_days)
        try:
            gone = self._store.forget(before.isoformat(timespec="milliseconds"))
        except StoreError as error:
            log.warning("calls that are older than %s can't be dropped now: %s", count(self._keep_days, "day"), error)
            return EACH_SECONDS
        self._dropped += gone
        if gone:
            return PAUSE_SECONDS
        if self._dropped:
            log.info(
                "dropped %s that came more than %s ago", count(self._dropped, "call"), count(self._keep_days, "day")
            )
        self._dropped = 0
        return EACH_SECONDS
