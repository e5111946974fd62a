"""An answer without pages: all calls of a question, looked for some at a time while those before are on their way."""

import logging
from collections.abc import AsyncIterator, Callable
from datetime import tzinfo
from functools import partial

from humbug_agent.api.calls import StoredCall, stored
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.contract import Dropped, Store, Wanted
from humbug_agent.flat import Flat
from humbug_agent.words import moment as in_words

AT_ONCE = 500
"""Calls for which others wait: some ten milliseconds."""

log = logging.getLogger(__name__)

Row = Callable[[StoredCall, int], bytes]
"""Makes of a call, and its number from 1 in this answer, what stands for it there."""


class Walk:
    """Finds the calls that are wanted. ``retention`` is the setting by which the store drops calls."""

    def __init__(self, workers: Workers, zone: tzinfo, retention: str) -> None:
        self._workers = workers
        self._zone = zone
        self._retention = retention

    async def dropped(self, wanted: Wanted) -> str:
        """What to say where calls are asked for that retention has dropped; blank otherwise. Raises CantAnswer."""
        gone = await self._workers.look(lambda store: store.dropped())
        if not gone or not may_be_of(wanted, gone):
            return ""
        what, at = ("began", gone.start) if wanted.ended_since is None else ("ended", gone.end)
        return f"calls that {what} up to {in_words(at, self._zone)} were dropped ({self._retention})"

    async def rows(self, wanted: Wanted, row: Row, between: bytes) -> AsyncIterator[bytes]:
        """All of them, in pieces; what the first piece begins with is no call's. Raises CantAnswer.

        A call that is damaged is left out, and told in the log.
        """
        last, number, joint = None, 0, b""
        while True:
            found, rows = await self._workers.look(partial(self._some, wanted, last, number, row))
            if rows:
                yield joint + between.join(rows)
                joint = between
            number += len(rows)
            if len(found) < AT_ONCE:
                return
            last = found[-1]

    def _some(
        self, wanted: Wanted, last: tuple[int, Flat] | None, number: int, row: Row, store: Store
    ) -> tuple[list[tuple[int, Flat]], list[bytes]]:
        found = [*store.after(wanted, last, AT_ONCE)]
        rows: list[bytes] = []
        for id_, flat in found:
            if call := stored(id_, flat, self._zone):
                rows.append(row(call, number + len(rows) + 1))
            else:
                log.warning("[api] left out of an answer: call %d, which is damaged in the store", id_)
        return found, rows


def may_be_of(wanted: Wanted, gone: Dropped) -> bool:
    """Whether calls are asked for among which some were dropped."""
    begun = wanted.since is None or wanted.since <= gone.start
    return begun and (wanted.ended_since is None or wanted.ended_since <= gone.end)


async def begun(pieces: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first piece, blank where there is none, and the others: what fails at once can still be answered so."""
    return await anext(pieces, b""), pieces


async def closed(pieces: AsyncIterator[bytes], last: bytes) -> AsyncIterator[bytes]:
    """The same, and what an answer ends with."""
    async for piece in pieces:
        yield piece
    yield last
