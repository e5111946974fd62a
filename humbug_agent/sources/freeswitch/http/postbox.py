"""What FreeSWITCH's modules post: taken in by the web server's thread, answered once it is on disk.

A call's own thread waits for the answer. So one comes within seconds whatever the outbox does: 503 makes the module try
again, and then leave the document in its err-log-dir.
"""

import asyncio
import base64
import hmac
import logging
import re
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.throttle import Throttle, hold_back

log = logging.getLogger(__name__)

WAIT_SECONDS = 4.0
"""For the commit. The module's own `timeout` that docs/sources/freeswitch.md tells is a second more."""

MOST_WAITING, MOST_WAITING_BYTES = 2000, 64 * 1024 * 1024
"""Documents that may wait for the commit."""

MOST_BYTES, MOST_ARRIVING_BYTES = 4 * 1024 * 1024, 32 * 1024 * 1024
"""Of one document, which has 5 to 20 kB; and of all that have come in part."""

BODY_SECONDS = 5.0
"""For all of a document. The modules send it at once."""

LOG_SECONDS = 60.0

CLOSE = (b"connection", b"close")

SIGN = (b"x-humbug-agent", b"freeswitch_http")
"""By which `check` knows that it is us who listens."""

_UUID = re.compile(rb"[?&]uuid=([^?&]*)")


@dataclass(frozen=True, slots=True)
class Posted:
    """One document that waits to be stored, and its sender for the answer.

    ``uuid`` is what the URL says, cut to 100 characters; ``at`` is monotonic.
    """

    body: bytes
    uuid: str
    at: float
    stored: "asyncio.Future[bool]"

    def answer(self, stored: bool) -> None:
        """From any thread. Who went away meanwhile misses it."""
        with suppress(RuntimeError):
            self.stored.get_loop().call_soon_threadsafe(self._settle, stored)

    def _settle(self, stored: bool) -> None:
        if not self.stored.done():
            self.stored.set_result(stored)


class Postbox:
    """Between the web server, which puts documents here, and the source's thread, which takes and then answers them."""

    def __init__(self) -> None:
        self._open = False
        self._waiting: deque[Posted] = deque()
        self._unanswered: deque[Posted] = deque()
        self._bytes = 0
        self._news = threading.Condition()

    def open(self) -> None:
        with self._news:
            self._open = True

    def close(self) -> None:
        """Nothing more is taken in; what waits still does."""
        with self._news:
            self._open = False

    def put(self, body: bytes, uuid: str) -> Posted | None:
        """None where there is no room, or no hope that it would be stored in time. For the server's event loop."""
        with self._news:
            first = self._unanswered or self._waiting
            stuck = bool(first) and time.monotonic() - first[0].at > WAIT_SECONDS
            full = len(self._waiting) >= MOST_WAITING or self._bytes + len(body) > MOST_WAITING_BYTES
            if not self._open or stuck or full:
                return None
            posted = Posted(body, uuid, time.monotonic(), asyncio.get_running_loop().create_future())
            self._waiting.append(posted)
            self._bytes += len(body)
            self._news.notify()
            return posted

    def take(self, most: int, seconds: float) -> list[Posted]:
        """What was taken before and is not answered yet, else what waits, for which it waits itself."""
        with self._news:
            if not self._unanswered:
                self._news.wait_for(lambda: self._waiting, seconds)
                while self._waiting and len(self._unanswered) < most:
                    self._unanswered.append(self._waiting.popleft())
            return list(self._unanswered)

    def answer(self) -> None:
        """What was taken last is stored."""
        with self._news:
            done, self._unanswered = self._unanswered, deque()
            self._bytes -= sum(len(posted.body) for posted in done)
        for posted in done:
            posted.answer(True)

    def refuse(self) -> None:
        """All that is left."""
        with self._news:
            left = [*self._unanswered, *self._waiting]
            self._unanswered.clear()
            self._waiting.clear()
            self._bytes = 0
        for posted in left:
            posted.answer(False)


class Door:
    """The ASGI application. ``username`` and ``password`` empty: whoever reaches it may post."""

    def __init__(self, source: str, postbox: Postbox, username: str, password: str) -> None:
        self._source = source
        self._postbox = postbox
        allowed = base64.b64encode(f"{username}:{password}".encode())
        self._allowed = allowed if username or password else None
        self._complained = -LOG_SECONDS
        self._throttle = Throttle()
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, "too large for a call record")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        with suppress(Gone):
            if await self._may(headers.get(b"authorization", b""), scope):
                await self._take_in(headers, scope, receive, send)
            else:
                self._complain(scope)
                challenge = (b"www-authenticate", b'Basic realm="humbug-agent"')
                await _say(send, 401, "wrong user or password: see cred in the module's configuration", challenge)

    async def _take_in(self, headers: dict[bytes, bytes], scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Gone."""
        if b"origin" in headers:
            # A web page, seen in a browser on this host, can post here as well. FreeSWITCH has no such header.
            await _say(send, 403, "not for browsers")
        elif scope["method"] != "POST":
            await _say(send, 405, "humbug-agent takes FreeSWITCH's call records here, by POST", (b"allow", b"POST"))
        else:
            try:
                body = await self._bodies.read(headers, receive)
            except Refused as refused:
                await _say(send, refused.status, str(refused), *((CLOSE,) if refused.late else ()))
            else:
                await self._store(body, _uuid(scope["query_string"]), send)

    async def _store(self, body: bytes, uuid: str, send: Send) -> None:
        posted = self._postbox.put(body, uuid)
        if posted:
            await asyncio.wait((posted.stored,), timeout=WAIT_SECONDS)
        if posted and posted.stored.done() and posted.stored.result():
            await _say(send, 200, "stored")
        else:
            await _say(send, 503, "can't be stored now", (b"retry-after", b"5"))

    async def _may(self, given: bytes, scope: Scope) -> bool:
        """Raises Gone."""
        if not (self._allowed and given):
            return self._allowed is None
        async with self._throttle.turn(scope):
            kind, _, token = given.partition(b" ")
            right = hmac.compare_digest(token.strip(), self._allowed) and kind.lower() == b"basic"
            if not right:
                await hold_back()
        return right

    def _complain(self, scope: Scope) -> None:
        if time.monotonic() - self._complained < LOG_SECONDS:
            return
        self._complained = time.monotonic()
        who = scope["client"][0] if scope["client"] else "somebody"
        log.warning("source %s: wrong user or password from %s; is it the cred of its module?", self._source, who)


def _uuid(query: bytes) -> str:
    """The last one: mod_json_cdr appends its own to any URL, always with a question mark."""
    found = _UUID.findall(b"?" + query)
    return unquote(found[-1].decode("latin-1"))[:100] if found else ""


async def _say(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = f"{text}\n".encode()
    always = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), SIGN)
    await send({"type": "http.response.start", "status": status, "headers": [*always, *headers]})
    await send({"type": "http.response.body", "body": body})
