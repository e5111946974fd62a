"""The receiver as an ASGI application: 200 when a call is kept, 400 with the list of faults, 401 for a wrong key."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.receiver.protocol import Faults, ReceiverError, WrongKey, decode, faults, same
from humbug_agent.receiver.store import Store

MOST_BYTES, MOST_ARRIVING_BYTES = 1 << 20, 32 << 20
"""Of one call, which has one or two kB; and of all that have come in part."""

BODY_SECONDS = 20.0
CHUNK = bytes(1 << 16)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """How to be a bad receiver, for trying out what a sender does then.

    Every ``every``-th POST stores nothing and is answered with ``status`` (None: all are answered properly), with
    these ``Retry-After`` and ``Location`` headers and with ``body_bytes`` bytes of body. ``delay``, in seconds, goes
    before the answer to each POST.
    """

    status: int | None = None
    every: int = 1
    delay: float = 0.0
    retry_after: str | None = None
    location: str | None = None
    body_bytes: int = 0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ReceiverError("every is at least 1")


class Receiver:
    """The ASGI application. ``misbehaviour`` may be replaced while it runs, from any thread."""

    def __init__(
        self,
        store: Store,
        api_key: str | None = None,
        encryption_key: str | None = None,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self.store = store
        self.misbehaviour = misbehaviour or Misbehaviour()
        self._api_key = api_key
        self._encryption_key = encryption_key
        self._posts = 0
        self._throttle = Throttle()
        too_large = f"a request has at most {MOST_BYTES} bytes"
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, too_large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "POST":
                with suppress(Gone):
                    await self._post(scope, receive, send)
            elif scope["method"] == "GET":
                await _answer(send, 200, await asyncio.to_thread(self.store.counts))
            else:
                await _answer(send, 405, {"error": "GET and POST are understood"}, allow="GET, POST")
        except sqlite3.Error as error:
            log.error("%s: %s", self.store.path, error)
            await _answer(send, 503, {"error": "the store can't be used now"})

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Gone."""
        self._posts += 1
        bad = self.misbehaviour
        due = bad.status is not None and self._posts % bad.every == 0
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            body = await self._bodies.read(headers, receive)
        except Refused as refused:
            closing = {"connection": "close"} if refused.late else {}
            await _answer(send, refused.status, {"error": str(refused)}, **closing)
            return
        await asyncio.sleep(bad.delay)
        content_type = headers.get(b"content-type", b"application/x-www-form-urlencoded")
        if due and bad.status is not None:
            await _misbehave(send, bad.status, bad)
        elif content_type.partition(b";")[0].strip().lower() != b"application/x-www-form-urlencoded":
            await _answer(send, 415, {"error": "only application/x-www-form-urlencoded is understood"})
        else:
            key = headers.get(b"idempotency-key", b"").decode("latin-1").strip()
            async with self._throttle.turn(scope):
                status, said = self._judge(body, key or None)
                if status == 401:
                    await hold_back()
            await _answer(send, status, said)

    def _judge(self, body: bytes, key: str | None) -> tuple[int, dict[str, Any]]:
        try:
            parameters = decode(body, self._encryption_key)
            if self._api_key is not None and not same(parameters.get("gateway", self._api_key), self._api_key):
                raise WrongKey("the API key is not the one configured here")
        except Faults as error:
            return 400, {"faults": error.faults}
        except WrongKey as error:
            return 401, {"error": str(error)}
        if said := faults(parameters):
            return 400, {"faults": said}
        return 200, {"stored": self.store.add(parameters, key)}


async def _answer(send: Send, status: int, said: Mapping[str, Any], **headers: str) -> None:
    body = json.dumps(said).encode("ascii")
    headers |= {"content-type": "application/json", "content-length": str(len(body))}
    await _start(send, status, headers)
    await send({"type": "http.response.body", "body": body})


async def _misbehave(send: Send, status: int, bad: Misbehaviour) -> None:
    said = {"content-length": str(bad.body_bytes), "retry-after": bad.retry_after, "location": bad.location}
    await _start(send, status, {name: value for name, value in said.items() if value is not None})
    for start in range(0, bad.body_bytes, len(CHUNK)):
        await send({"type": "http.response.body", "body": CHUNK[: bad.body_bytes - start], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
