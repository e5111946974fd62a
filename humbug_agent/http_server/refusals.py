"""What every web server of ours says to who may not ask, and on every answer; and wrong guesses, told in the log."""

import asyncio
import hmac
import logging
from contextlib import suppress

from starlette.types import Message, Scope, Send

from humbug_agent.words import count

log = logging.getLogger(__name__)

LOG_SECONDS = 60.0
"""A warning per address at most so often."""

MOST_ADDRESSES, OTHERS = 100, "other addresses"
"""How many addresses are told apart in the log at a time."""

Header = tuple[bytes, bytes]

UNCACHED: Header = (b"cache-control", b"no-store")

SECURITY: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Refusal:
    """An answer that does not come from the app: ``text`` in plain words, with these headers besides the usual ones."""

    def __init__(self, status: int, text: str, *headers: Header) -> None:
        body = text.encode("ascii")
        length = (b"content-length", b"%d" % len(body))
        kind = (b"content-type", b"text/plain; charset=utf-8")
        self._start = {
            "type": "http.response.start",
            "status": status,
            "headers": [kind, length, *headers, *SECURITY, UNCACHED],
        }
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, send: Send) -> None:
        await send(self._start)
        await send(self._body)


class WrongGuesses:
    """Wrong passwords and keys, by the addresses that they came from, in the log of what ``label`` names."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._wrong: dict[str, int] = {}

    def count(self, scope: Scope) -> None:
        """The first one is told at once, those that follow when the time has passed."""
        address = client(scope)
        if address not in self._wrong and len(self._wrong) >= MOST_ADDRESSES:
            address = OTHERS
        if address in self._wrong:
            self._wrong[address] += 1
            return
        self._wrong[address] = 0
        log.warning("%s wrong user, password or key from %s", self._label, address)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self._tell, address)

    def _tell(self, address: str) -> None:
        if not (wrong := self._wrong.pop(address)):
            return
        self._wrong[address] = 0
        times = count(wrong, "time")
        log.warning("%s wrong user, password or key from %s, %s in %g s", self._label, address, times, LOG_SECONDS)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self._tell, address)


def with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            cached = any(name == b"cache-control" for name, _ in headers)
            message = {**message, "headers": [*headers, *SECURITY, *(() if cached else (UNCACHED,))]}
        await send(message)

    return send_with_headers


def client(scope: Scope) -> str:
    """The address from which it is asked."""
    return str(scope["client"][0]).removeprefix("::ffff:") if scope["client"] else OTHERS


def header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


def encodings(text: str) -> set[bytes]:
    """As clients may send it: most in UTF-8, some in Latin-1. None of an empty text: then anything is right."""
    encoded = {text.encode()}
    with suppress(UnicodeEncodeError):
        encoded.add(text.encode("latin-1"))
    return encoded if text else set()


def same(given: bytes, allowed: set[bytes]) -> bool:
    return not allowed or sum(hmac.compare_digest(given, each) for each in allowed) > 0
