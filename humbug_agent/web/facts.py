"""What the outbox says, for all who ask: looked up once in a while, however many ask."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.status.document import Status
from humbug_agent.words import said

Ask = Callable[[Callable[[Outbox], object]], object]

FRESH_SECONDS = 2.0
SHARE = 20
"""What takes a second to look up is looked up every 20 seconds: a large outbox is not kept busy by a page."""

PATIENCE_SECONDS = 0.2
STALE_SECONDS = 30.0
LONGEST_SECONDS = 5.0
"""How long an answer waits for the lookup; how old what it tells instead may be; how long it waits if that is older."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found when the outbox was last looked up.

    ``status``, or None and the ``error`` in words. ``at``: seconds since the epoch.
    """

    status: Status | None
    error: str
    at: float


class Facts:
    """For one event loop. ``look`` is called in a thread, never twice at a time; it may raise OutboxError, OSError.

    None, where it must not look now, leaves what was found before. ``ask`` has a question answered by the outbox
    itself, in any thread; it may raise the same.
    """

    def __init__(self, look: Callable[[], Status | None], ask: Ask) -> None:
        self.ask = ask
        self._look = look
        self._found: Found | None = None
        # By the clock that nobody sets.
        self._found_at = self._due = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def now(self) -> Found:
        if self._looking is None or (self._looking.done() and time.monotonic() >= self._due):
            self._looking = asyncio.create_task(self._look_up())
        await asyncio.wait((self._looking,), timeout=LONGEST_SECONDS if self._old() else PATIENCE_SECONDS)
        if self._looking.done():
            self._looking.result()
        if self._found is None or (self._old() and not self._looking.done()):
            return Found(None, "the outbox does not answer in time; another process may keep it busy", time.time())
        return self._found

    def _old(self) -> bool:
        return self._found is None or time.monotonic() - self._found_at > STALE_SECONDS

    async def _look_up(self) -> None:
        began, at = time.monotonic(), time.time()
        try:
            found = await asyncio.to_thread(self._look)
            if found is not None:
                self._found, self._found_at = Found(found, "", at), began
        except (OutboxError, OSError) as error:
            self._found, self._found_at = Found(None, said(error), at), began
        took = time.monotonic() - began
        self._due = time.monotonic() + max(FRESH_SECONDS, SHARE * took)
