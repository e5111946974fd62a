"""What has come while the store was at work goes into it in one transaction: thousands of calls a second."""

import asyncio
import time
from contextlib import suppress

from humbug_agent.receiver.store.contract import Arrival, CallStore, StoreError, Total
from humbug_agent.words import count

MOST_AT_ONCE, MOST_WAITING = 2000, 20_000
"""Of one transaction; and of all that wait, among them those whose senders have gone away."""

FRESH_SECONDS = 1.0
"""How old totals may be, to which other receivers on the same database have added since."""


class Bursts:
    """The way into ``store``, for one loop at a time. No call waits for others to come."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._waiting: list[tuple[Arrival, asyncio.Future[bool]]] = []
        self._committing: asyncio.Task[None] | None = None
        self.well = True
        """Whether the last transaction did not fail."""
        self._totals: asyncio.Future[list[Total]] | None = None
        self._looked = 0.0
        self._changed = False

    async def add(self, arrival: Arrival) -> bool:
        """Whether it is new; it is on disk. Raises StoreError."""
        if len(self._waiting) >= MOST_WAITING:
            raise StoreError(f"{self._store.where}: is too slow, {count(MOST_WAITING, 'call')} wait for it")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return await future

    async def totals(self) -> list[Total]:
        """However many ask: the store is asked once for all of them. Raises StoreError."""
        old = self._changed or time.monotonic() - self._looked > FRESH_SECONDS
        if self._totals is None or (old and self._totals.done()):
            self._changed, self._looked = False, time.monotonic()
            self._totals = asyncio.ensure_future(asyncio.to_thread(self._store.totals))
        return await asyncio.shield(self._totals)

    async def _commit(self) -> None:
        try:
            while self._waiting:
                burst, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                self._changed = True
                try:
                    new = await asyncio.to_thread(self._store.add, [arrival for arrival, _ in burst])
                    self.well = True
                except Exception as error:  # noqa: BLE001 # raised where each of them is waited for
                    self.well = False
                    for _, future in burst:
                        with suppress(asyncio.InvalidStateError):
                            future.set_exception(error)
                else:
                    for (_, future), is_new in zip(burst, new, strict=True):
                        with suppress(asyncio.InvalidStateError):
                            future.set_result(is_new)
        finally:
            self._committing = None
