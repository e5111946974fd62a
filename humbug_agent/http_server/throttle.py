"""Guessing passwords, made slow: however many connections somebody opens for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Scope

from humbug_agent.http_server.bodies import Gone

DELAY_SECONDS = 1.0
"""How long a wrong password's answer is held back."""

MOST_HELD = 256
"""So many at a time, and no other guess is judged meanwhile: that many can be made in DELAY_SECONDS."""


class Throttle:
    """Turns in which a guess is judged. Who has one and was wrong keeps it for DELAY_SECONDS, also who goes away.

    The others wait, first come, first served: who is right is kept waiting by those who are wrong, and let in.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_HELD)

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncIterator[None]:
        """Raises Gone where the client went away before it had its turn."""
        if self._turns.locked():
            await self._wait(scope["state"]["gone"])
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def _wait(self, ended: asyncio.Event) -> None:
        turn, gone = asyncio.create_task(self._turns.acquire()), asyncio.create_task(ended.wait())
        try:
            await asyncio.wait((turn, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not turn.done():
                turn.cancel()
        if not turn.done():
            raise Gone


async def hold_back() -> None:
    """For who was wrong, within the turn."""
    await asyncio.sleep(DELAY_SECONDS)
