"""Whether a port speaks TLS or plain HTTP: to tell an admin that a URL begins with the wrong one of http and https."""

import re
import ssl
import time
from contextlib import suppress
from urllib.parse import urlsplit

from humbug_agent.http_client import names

SECONDS = 1.0
"""For each of two short questions."""

TLS_RECORDS = (b"\x15", b"\x16")
"""The first byte of what TLS answers to a greeting: an alert, or its own greeting."""

_WANTS_TLS = re.compile(
    rb"plain HTTP request was sent to HTTPS|plain HTTP to an SSL-enabled|HTTP request to an HTTPS server|requires TLS",
    re.IGNORECASE,
)
"""What nginx, Apache, Go and Tomcat say to plain HTTP on a TLS port, with status 400."""


WRONG_HTTPS = "this port speaks plain HTTP and no TLS; write http:// in url, or the port that speaks HTTPS"
WRONG_HTTP = "this port speaks HTTPS; write https:// in url, or the port that speaks plain HTTP"


def wants_tls(status: int, body: bytes) -> bool:
    """Whether an answer to plain HTTP says that only HTTPS is spoken here."""
    return status == 400 and bool(_WANTS_TLS.search(body))


def said_of(url: str, *, silent: bool) -> str:
    """What is wrong with the scheme of ``url``; blank: nothing, or it can't be told. Takes up to two SECONDS.

    ``silent``: whoever listens there got a greeting, or a request, in that scheme, and says nothing. That takes one.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    where = (parts.hostname or "", parts.port or (443 if secure else 80))
    first = b"" if silent else _answer(where, _greeting(where[0]))
    tls = first in TLS_RECORDS
    if not secure:
        return WRONG_HTTP if tls else ""
    # Some wait for the end of a line that never comes, or close the connection: these are asked in their own language.
    plain = not tls and b"H" in (first, _answer(where, b"HEAD / HTTP/1.0\r\n\r\n"))
    return WRONG_HTTPS if plain else ""


def _greeting(host: str) -> bytes:
    """With which a TLS client begins."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(coming, going, server_hostname=host).do_handshake()
    return going.read()


def _answer(where: tuple[str, int], said: bytes) -> bytes:
    """The first byte of it; blank: none came."""
    until = time.monotonic() + SECONDS
    try:
        with names.connect(*where, lambda: until - time.monotonic()) as connection:
            connection.settimeout(max(0.01, until - time.monotonic()))
            connection.sendall(said)
            return connection.recv(1)
    except OSError:
        return b""
