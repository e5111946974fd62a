"""Who may ask, and how: TLS, user and password, host name, method. ASGI middleware around the app."""

import asyncio
import base64
import hmac
import ipaddress
import logging
import re
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from humbug_agent.http_server.bodies import Gone
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.ini import is_loopback
from humbug_agent.words import count

log = logging.getLogger(__name__)

LOG_SECONDS = 60.0
"""A warning per address at most so often."""

MOST_ADDRESSES, OTHERS = 100, "other addresses"
"""How many addresses are told apart in the log at a time."""

_HOST = re.compile(r"(?:(?P<bare>[0-9A-Za-z.]+)|\[(?P<bracketed>[0-9A-Fa-f:.]+)\])(?::[0-9]{0,5})?")
"""Nothing but a name or an address, and a port: in what else stands there browsers may find another host."""

Header = tuple[bytes, bytes]

CHALLENGE: Header = (b"www-authenticate", b'Basic realm="humbug-agent", charset="UTF-8"')
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


NO_SUCH_METHOD = Refusal(405, "ERROR: METHOD NOT ALLOWED", (b"allow", b"GET, HEAD"))
# IPPS has status 200 for all of its errors but one.
TLS_NEEDED = Refusal(200, "ERROR: SSL QUERY REQUIRED")
STRANGE_HOST = Refusal(
    403, "ERROR: HOST NAME NOT ALLOWED\nWithout a password in [status] this answers only as localhost or an IP address."
)
UNKNOWN = Refusal(401, "ERROR: AUTHENTICATION FAILED", CHALLENGE)


class Guard:
    """Lets GET and HEAD through to ``app`` from whoever may ask, and puts security headers on every answer."""

    def __init__(self, app: ASGIApp, settings: StatusSettings) -> None:
        self._app = app
        self._require_tls = settings.require_tls
        self._guarded = settings.guarded
        self._user = _encodings(settings.username)
        self._password = _encodings(settings.password.reveal() if settings.password else "")
        # A stranger's web page may give its own name this address, and then read in the visitor's browser what is here.
        self._only_local_names = is_loopback(settings.host) and not settings.guarded
        self._throttle = Throttle()
        self._wrong: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await NO_SUCH_METHOD(send)
        elif self._require_tls and scope["scheme"] == "http":
            await TLS_NEEDED(send)
        elif self._only_local_names and not _is_local_name(_header(scope, b"host")):
            await STRANGE_HOST(send)
        elif not self._guarded:
            await self._app(scope, receive, _with_headers(send))
        elif (given := _header(scope, b"authorization")) is None:
            await UNKNOWN(send)
        else:
            with suppress(Gone):
                await self._judge(given, scope, receive, send)

    async def _judge(self, given: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._throttle.turn(scope):
            if not (right := self._may(given)):
                self._count(scope["client"][0].removeprefix("::ffff:") if scope["client"] else OTHERS)
                await hold_back()
        if right:
            await self._app(scope, receive, _with_headers(send))
        else:
            await UNKNOWN(send)

    def _may(self, given: bytes) -> bool:
        kind, _, encoded = given.partition(b" ")
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except ValueError:
            return False
        # No shortcut: how long it takes must not tell which of the two is right.
        right = _same(user, self._user) & _same(password, self._password)
        return right and bool(colon) and kind.lower() == b"basic"

    def _count(self, address: str) -> None:
        """The first one is told at once, those that follow when the time has passed."""
        if address not in self._wrong and len(self._wrong) >= MOST_ADDRESSES:
            address = OTHERS
        if address in self._wrong:
            self._wrong[address] += 1
            return
        self._wrong[address] = 0
        log.warning("[status] wrong user or password from %s", address)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self._tell, address)

    def _tell(self, address: str) -> None:
        if not (wrong := self._wrong.pop(address)):
            return
        self._wrong[address] = 0
        log.warning("[status] wrong user or password from %s, %s in %g s", address, count(wrong, "time"), LOG_SECONDS)
        asyncio.get_running_loop().call_later(LOG_SECONDS, self._tell, address)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            cached = any(name == b"cache-control" for name, _ in headers)
            message = {**message, "headers": [*headers, *SECURITY, *(() if cached else (UNCACHED,))]}
        await send(message)

    return send_with_headers


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


def _encodings(text: str) -> set[bytes]:
    """As clients may send it: most in UTF-8, some in Latin-1. None of an empty text: then anything is right."""
    encoded = {text.encode()}
    with suppress(UnicodeEncodeError):
        encoded.add(text.encode("latin-1"))
    return encoded if text else set()


def _same(given: bytes, allowed: set[bytes]) -> bool:
    return not allowed or sum(hmac.compare_digest(given, each) for each in allowed) > 0


def _is_local_name(host: bytes | None) -> bool:
    """With or without a port. Clients of HTTP/1.0 need not say it, and are no browsers."""
    if host is None:
        return True
    found = _HOST.fullmatch(host.decode("latin-1"))
    name = (found["bare"] or found["bracketed"]).lower() if found else ""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
