"""Who may ask, and how: TLS, user and password, host name, method. ASGI middleware around the app."""

import base64
import ipaddress
import re
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from humbug_agent.http_server.bodies import Gone
from humbug_agent.http_server.refusals import Header, Refusal, WrongGuesses, encodings, header, same, with_headers
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.http_server.throttle import Throttle, hold_back
from humbug_agent.ini import is_loopback

_HOST = re.compile(r"(?:(?P<bare>[0-9A-Za-z.]+)|\[(?P<bracketed>[0-9A-Fa-f:.]+)\])(?::[0-9]{0,5})?")
"""Nothing but a name or an address, and a port: in what else stands there browsers may find another host."""

IPPS = "/ipps/"

CHALLENGE: Header = (b"www-authenticate", b'Basic realm="humbug-agent", charset="UTF-8"')

NO_SUCH_METHOD = Refusal(405, "ERROR: METHOD NOT ALLOWED", (b"allow", b"GET, HEAD"))
# IPPS has status 200 for all of its errors but one.
TLS_NEEDED = Refusal(200, "ERROR: SSL QUERY REQUIRED")
STRANGE_HOST = Refusal(
    403, "ERROR: HOST NAME NOT ALLOWED\nWithout a password in [status] this answers only as localhost or an IP address."
)
UNKNOWN = Refusal(401, "ERROR: AUTHENTICATION FAILED", CHALLENGE)


class Guard:
    """Lets GET, HEAD and IPPS' POST through to ``app`` from whoever may ask, and puts security headers on answers."""

    def __init__(self, app: ASGIApp, settings: StatusSettings) -> None:
        self._app = app
        self._require_tls = settings.require_tls
        self._guarded = settings.guarded
        self._user = encodings(settings.username)
        self._password = encodings(settings.password.reveal() if settings.password else "")
        # A stranger's web page may give its own name this address, and then read in the visitor's browser what is here.
        self._only_local_names = is_loopback(settings.host) and not settings.guarded
        self._throttle = Throttle()
        self._wrong = WrongGuesses("[status]")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Some clients of IPPS post what they ask for; it changes nothing, as a GET.
        if scope["method"] not in ("GET", "HEAD") and not (
            scope["method"] == "POST" and scope["path"].startswith(IPPS)
        ):
            await NO_SUCH_METHOD(send)
        elif self._require_tls and scope["scheme"] == "http":
            await TLS_NEEDED(send)
        elif self._only_local_names and not _is_local_name(header(scope, b"host")):
            await STRANGE_HOST(send)
        elif not self._guarded:
            await self._app(scope, receive, with_headers(send))
        elif (given := header(scope, b"authorization")) is None:
            await UNKNOWN(send)
        else:
            with suppress(Gone):
                await self._judge(given, scope, receive, send)

    async def _judge(self, given: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._throttle.turn(scope):
            if not (right := self._may(given)):
                self._wrong.count(scope)
                await hold_back()
        if right:
            await self._app(scope, receive, with_headers(send))
        else:
            await UNKNOWN(send)

    def _may(self, given: bytes) -> bool:
        kind, _, encoded = given.partition(b" ")
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except ValueError:
            return False
        # No shortcut: how long it takes must not tell which of the two is right.
        right = same(user, self._user) & same(password, self._password)
        return right and bool(colon) and kind.lower() == b"basic"


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
