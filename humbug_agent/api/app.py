"""The ASGI application of [api]: it finds out who asks and whether they may, and sends back what is found."""

import asyncio
import logging
from contextlib import suppress
from datetime import tzinfo

from starlette.types import Receive, Scope, Send

from humbug_agent.api import cdr
from humbug_agent.api.settings import ServedApiSettings
from humbug_agent.api.workers import Workers
from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.refusals import Refusal, WrongGuesses, with_headers
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.stored.contract import StoreError

MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS = 1 << 16, 4 << 20, 10.0
"""Of one request, which has a few hundred bytes; and of all that have come in part."""

TLS_NEEDED = Refusal(403, "ERROR: SSL QUERY REQUIRED")
NO_SUCH_PATH = Refusal(404, "ERROR: NOT FOUND")
NO_SUCH_METHOD = Refusal(405, "ERROR: METHOD NOT ALLOWED", (b"allow", b"GET, POST"))

log = logging.getLogger(__name__)


class Api:
    """The ASGI application."""

    def __init__(self, settings: ServedApiSettings, zone: tzinfo, retention: str, workers: Workers) -> None:
        self._settings = settings
        self._cdr = cdr.Cdr(zone, retention, workers.ask)
        self._throttle = Throttle()
        self._wrong = WrongGuesses("[api]")
        too_large = f"a request has at most {MOST_BYTES} bytes"
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, too_large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._settings.require_tls and scope["scheme"] == "http":
            await TLS_NEEDED(send)
        elif scope["path"] != cdr.PATH or not self._settings.cdr:
            await NO_SUCH_PATH(send)
        elif scope["method"] not in ("GET", "POST"):
            await NO_SUCH_METHOD(send)
        else:
            with suppress(Gone):
                await self._answer(scope, receive, with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._bodies.read(dict(scope["headers"]), receive)
        except Refused as refused:
            headers = [(b"connection", b"close")] if refused.late else []
            await _send(send, refused.status, cdr.failed(str(refused)), headers)
            return
        status, said = await self._said(scope, body)
        await _send(send, status, said, [])

    async def _said(self, scope: Scope, body: bytes) -> tuple[int, bytes]:
        """HTTP's status and the body. Raises Gone."""
        target = f"?{scope['query_string'].decode('latin-1')}"
        async with self._throttle.turn(scope):
            try:
                asked = cdr.read(target, dict(scope["headers"]), body)
                account = cdr.who(asked, self._settings.accounts)
            except (ValueError, RecursionError, TypeError):
                return 400, cdr.failed("Invalid request: neither a form nor a JSON object")
            if account is None:
                self._wrong.count(scope)
                await hold_back()
                return 401, cdr.failed("Authentication failed: check the token and api_hash")
        try:
            return 200, await asyncio.wrap_future(self._cdr.answer(account, asked.parameters))
        except ValueError as error:
            return 200, cdr.failed(str(error))
        except StoreError as error:
            log.error("[api] %s", error)
            return 503, cdr.failed("The calls can't be looked up now, or not within the time; ask for a shorter time")


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", b"%d" % len(body))
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": body})
