"""A request as the APIs take it, an answer as they give it, and who is wrong kept waiting."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from starlette.types import Scope, Send

from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.http_server.refusals import Header, WrongGuesses
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.ini import Secret

JSON, XML = b"application/json", b"text/xml; charset=utf-8"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One that has come as a whole.

    ``query`` is what the URL has behind its question mark; the names of ``headers`` are in lower case.
    """

    scope: Scope
    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: ``more`` follows the ``body`` in pieces; a CantAnswer of its breaks the answer off."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: tuple[Header, ...] = ()
    more: AsyncIterator[bytes] | None = None


class Part(Protocol):
    """One of the APIs: which ``paths`` it has, each with its methods, and what it answers."""

    paths: ClassVar[Mapping[str, tuple[str, ...]]]

    async def answer(self, request: Request) -> Answer:
        """Raises Gone."""

    def failed(self, status: int, why: str) -> Answer:
        """The API's own way to say that a request can't be answered."""


class Guard:
    """The judge's door: guesses are judged in turns, and who was wrong is told in the log and waits."""

    def __init__(self, label: str) -> None:
        self._throttle = Throttle()
        self._wrong = WrongGuesses(label)

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """Raises Gone."""
        async with self._throttle.turn(request.scope):
            yield

    async def wrong(self, request: Request) -> None:
        """For within the turn."""
        self._wrong.count(request.scope)
        await hold_back()


def bearer(request: Request) -> str:
    """The token that it bears, blank where there is none."""
    kind, _, token = request.headers.get(b"authorization", b"").decode("latin-1").strip().partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def revealed(secret: Secret | None) -> str:
    """Of an account that may ask by this API, which has one."""
    assert secret
    return secret.reveal()


def same(given: str, secret: str) -> bool:
    """Whether what was given is the secret; the time that it takes does not tell how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


async def send_answer(send: Send, answer: Answer, gone: asyncio.Event) -> None:
    """Of one that breaks off the connection is closed, so that nobody takes what came for all of it.

    Nothing more is looked for where the client has ``gone``.
    """
    headers = [(b"content-type", answer.kind), *answer.headers]
    if answer.more is None:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": answer.more is not None})
    if answer.more is None:
        return
    try:
        async for piece in answer.more:
            if gone.is_set():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except CantAnswer as error:
        log.error("[api] an answer broke off: %s", error)
        return
    await send({"type": "http.response.body", "body": b""})
