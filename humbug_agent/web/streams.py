"""Open pages: each is told all of it once, and then what differs, over an answer that goes on (server-sent events).

The data of an event is JSON: ``changes``, a JSON Patch that makes the document of now out of the one before, of which
the first replaces all; ``now``, as in /status.json; and ``at``, the same in seconds since the epoch. The document is
that of /status.json without ``now``, and in the place of a time that runs, in seconds, it has an object: ``since`` when
it runs, in seconds since the epoch.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from humbug_agent.web.differences import differences
from humbug_agent.web.shown import Since
from humbug_agent.words import iso

EVERY_SECONDS = 1.0
"""What differs is told at most so often: a hundred walls cost what is written to a hundred sockets, once a second."""

LOOK_SECONDS = 0.25
"""How long after a quiet time anybody sees what happens."""

BEAT_SECONDS = 4.0
"""A page hears something at least so often, and knows by that that nothing happens."""

MOST_STREAMS = 200

HEADERS = {
    # A proxy that keeps what is to be told at once is told not to: the first by nginx's own word, the others by HTTP's.
    "x-accel-buffering": "no",
    "cache-control": "no-store, no-transform",
}
KIND = "text/event-stream"

Document = dict[str, Any]


class Streams:
    """The streams of one event loop. ``look`` finds the document as it is now, or the same where nothing differs."""

    def __init__(self, look: Callable[[], Awaitable[Document]], zone: tzinfo) -> None:
        self._look = look
        self._zone = zone
        self._open: set[Callable[[bytes], None]] = set()
        self._told: Document = {}
        self._whole = b""
        self._telling: asyncio.Task[None] | None = None

    async def answer(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(headers=HEADERS, media_type=KIND)
        if len(self._open) >= MOST_STREAMS:
            return PlainTextResponse(f"ERROR: {MOST_STREAMS} PAGES ARE OPEN, WHICH IS ALL THAT THERE MAY BE\n", 503)
        return _Stream(self)

    async def follow(self, push: Callable[[bytes], None], gone: asyncio.Event) -> None:
        """Have ``push`` take all events, until the client is ``gone``."""
        document = await self._look()
        if not self._open:
            self._tell_from(document)
        if not self._whole:
            self._whole = _json([{"op": "replace", "path": "", "value": self._told}])
        push(self._event(self._whole))
        self._open.add(push)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())
        try:
            await gone.wait()
        finally:
            self._open.discard(push)

    async def _tell(self) -> None:
        """While anybody listens."""
        told_at = time.monotonic()
        while self._open:
            await asyncio.sleep(LOOK_SECONDS)
            passed = time.monotonic() - told_at
            if passed < EVERY_SECONDS:
                continue
            document = await self._look()
            changes = differences(self._told, document)
            if not changes and passed < BEAT_SECONDS:
                continue
            self._tell_from(document)
            told_at = time.monotonic()
            event = self._event(_json(changes))
            for push in tuple(self._open):
                push(event)

    def _tell_from(self, document: Document) -> None:
        self._told, self._whole = document, b""

    def _event(self, changes: bytes) -> bytes:
        at = time.time()
        return b'data: {"now":"%s","at":%.3f,"changes":%s}\n\n' % ((iso(at, self._zone) or "").encode(), at, changes)


class _Stream(Response):
    """The answer that goes on until the client goes away, or the server ends it."""

    def __init__(self, streams: Streams) -> None:
        super().__init__(headers=HEADERS, media_type=KIND)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del self.headers["content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._streams.follow(scope["state"]["push"], scope["state"]["gone"])


def _json(changes: object) -> bytes:
    return json.dumps(changes, ensure_ascii=False, separators=(",", ":"), default=_running).encode()


def _running(since: Since) -> dict[str, float]:
    return {"since": since.at}
