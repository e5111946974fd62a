"""The receiver as an ASGI application: 200 when a call is kept, 400 with the list of faults, 401 for a wrong key.

It also tells how it fares: /healthz, /metrics for Prometheus, and at any other path how many calls it has taken.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from humbug_agent.http_server.bodies import Bodies, Gone, Refused
from humbug_agent.http_server.refusals import client, header
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.receiver.bursts import Bursts
from humbug_agent.receiver.keys import METRICS, one_key
from humbug_agent.receiver.protocol import Faults, ReceiverError, WrongKey, decode, faults
from humbug_agent.receiver.store.contract import CallStore, StoreError, Total, arrived, counts
from humbug_agent.receiver.told import Told

MOST_BYTES, MOST_ARRIVING_BYTES = 1 << 20, 32 << 20
"""Of one call, which has one or two kB; and of all that have come in part."""

LONGEST_KEY = 200
"""Characters of an Idempotency-Key: a database's index does not take any length."""

BODY_SECONDS = 20.0
CHUNK = bytes(1 << 16)

LABEL = "receiver:"
"""As log lines name it."""

AWAY = {"error": "the store can't be used now"}
TEXT = "text/plain; charset=utf-8"


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
    """The ASGI application. ``misbehaviour`` and ``keys`` may be replaced while it runs, from any thread.

    Without ``keys`` any key is good.
    """

    def __init__(
        self,
        store: CallStore,
        api_key: str | None = None,
        encryption_key: str | None = None,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self.store = store
        self.misbehaviour = misbehaviour or Misbehaviour()
        self.keys = None if api_key is None else one_key(api_key)
        self.told = Told(LABEL)
        self._encryption_key = encryption_key
        self._posts = 0
        self._bursts = Bursts(store)
        self._throttle = Throttle()
        too_large = f"a request has at most {MOST_BYTES} bytes"
        self._bodies = Bodies(MOST_BYTES, MOST_ARRIVING_BYTES, BODY_SECONDS, too_large)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Gone):
            if scope["method"] == "POST":
                await self._post(scope, receive, send)
            elif scope["method"] == "GET":
                await self._get(scope, send)
            else:
                await _answer(send, 405, {"error": "GET and POST are understood"}, allow="GET, POST")

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Gone."""
        self._posts += 1
        bad = self.misbehaviour
        due = bad.status is not None and self._posts % bad.every == 0
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            body = await self._bodies.read(headers, receive)
        except Refused as refused:
            self.told.not_whole()
            closing = {"connection": "close"} if refused.late else {}
            await _answer(send, refused.status, {"error": str(refused)}, **closing)
            return
        await asyncio.sleep(bad.delay)
        content_type = headers.get(b"content-type", b"application/x-www-form-urlencoded")
        if due and bad.status is not None:
            await _misbehave(send, bad.status, bad)
        elif content_type.partition(b";")[0].strip().lower() != b"application/x-www-form-urlencoded":
            self.told.not_whole()
            await _answer(send, 415, {"error": "only application/x-www-form-urlencoded is understood"})
        else:
            key = headers.get(b"idempotency-key", b"").decode("latin-1").strip()
            await _answer(send, *await self._take(scope, body, key or None))

    async def _take(self, scope: Scope, body: bytes, key: str | None) -> tuple[int, dict[str, Any]]:
        """The answer: 200 where it is on disk. Raises Gone."""
        pbx = ""
        try:
            async with self._throttle.turn(scope):
                try:
                    parameters = decode(body, self._encryption_key)
                    pbx = self._sender(parameters)
                except WrongKey as error:
                    self.told.wrong_key(scope)
                    await hold_back()
                    return 401, {"error": str(error)}
            said = faults(parameters)
            if len(key or "") > LONGEST_KEY:
                said.append(f"the header Idempotency-Key has more than {LONGEST_KEY} characters")
            if said:
                raise Faults(said)
            new = await self._bursts.add(arrived(pbx, parameters, key))
        except Faults as error:
            self.told.faulty(pbx, client(scope), error.faults)
            return 400, {"faults": error.faults}
        except StoreError as error:
            self.told.not_kept(error)
            return 503, AWAY
        self.told.came(pbx)
        return 200, {"stored": new}

    def _sender(self, parameters: Mapping[str, str]) -> str:
        """The name of the PBX whose key is in there. Raises WrongKey; that there is none is a fault like others."""
        if self.keys is None or "gateway" not in parameters:
            return ""
        name = self.keys.sender(parameters["gateway"])
        if name is None:
            raise WrongKey("the API key is not the one configured here")
        return name

    async def _get(self, scope: Scope, send: Send) -> None:
        """Raises Gone."""
        try:
            totals, well = await self._bursts.totals(), self._bursts.well
        except StoreError as error:
            self.told.away(error)
            totals, well = None, False
        if scope["path"] == "/metrics":
            await self._metrics(scope, send, totals, well)
        elif scope["path"] == "/healthz":
            said = "ok" if well else AWAY["error"]
            await _answer_with(send, 200 if well else 503, f"{said}\n".encode(), TEXT)
        elif totals is None:
            await _answer(send, 503, AWAY)
        else:
            await _answer(send, 200, counts(totals))

    async def _metrics(self, scope: Scope, send: Send, totals: list[Total] | None, well: bool) -> None:
        """Raises Gone."""
        if await self._may_look(scope):
            await _answer_with(send, 200, *self.told.metrics(totals, well))
        else:
            error = f"whoever sends the key of the name {METRICS} as a Bearer token is answered"
            await _answer(send, 401, {"error": error}, **{"www-authenticate": "Bearer"})

    async def _may_look(self, scope: Scope) -> bool:
        """Raises Gone."""
        if self.keys is None:
            return True
        kind, _, token = (header(scope, b"authorization") or b"").decode("latin-1").partition(" ")
        async with self._throttle.turn(scope):
            if kind.lower() == "bearer" and self.keys.may_look(token.strip()):
                return True
            if kind:
                self.told.wrong_key(scope)
                await hold_back()
        return False


async def _answer(send: Send, status: int, said: Mapping[str, Any], **headers: str) -> None:
    body = json.dumps(said).encode("ascii")
    await _answer_with(send, status, body, "application/json", **headers)


async def _answer_with(send: Send, status: int, body: bytes, kind: str, **headers: str) -> None:
    await _start(send, status, headers | {"content-type": kind, "content-length": str(len(body))})
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
