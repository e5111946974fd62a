"""Clients that open a connection and break it, in every way that there is."""

import itertools
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tests.kit.asking import CLIENT_HELLO

RESET = struct.pack("ii", 1, 0)

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
WRONG = ASK.replace(b"\r\n\r\n", b"\r\nAuthorization: Basic YTpi\r\n\r\n")
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"
CHUNKED = ASK.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")

SAID = [
    b"",
    b"G",
    ASK[:-2],
    ASK,
    ASK * 5,
    WRONG,
    POST,
    POST + b"four",
    POST + b"something",
    CHUNKED + b"1\r\nx",
    b"\n\n",
]
"""Nothing, a part of a head, whole requests, one or several, and parts of a body."""


SECONDS = 5
"""For the answer that some wait for; it only takes so long where the server does not get on."""

Break = Callable[[socket.socket], None]


def fin(sock: socket.socket) -> None:
    """Over TLS: without close_notify."""


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def half_closed(sock: socket.socket) -> None:
    socket.socket.shutdown(sock, socket.SHUT_WR)


def polite(sock: socket.socket) -> None:
    """Over TLS: with close_notify, which no answer is waited for."""
    if isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        with suppress(ssl.SSLError):
            sock.unwrap()


BREAKS: list[Break] = [fin, reset, half_closed, polite]

WAYS = 2 * len(SAID) * 2 * len(BREAKS)

MOST_OPEN = 30
"""Of those that the client leaves open until others have come."""


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def break_connections(port: int, count: int, *, tls: bool) -> None:
    """One after the other, ``count`` in all; where there is ``tls`` every other one, and some in the midst of it."""
    context = client_context()
    ways = itertools.cycle(itertools.product((False, True), SAID, (False, True), BREAKS))
    left: deque[socket.socket] = deque()
    for number, (secure, said, answered, end) in enumerate(itertools.islice(ways, count)):
        left.append(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))
        # The server may have refused what was said before all of it was.
        with suppress(OSError):
            begun = tls and secure and number % 7 == 0
            if begun:
                left[-1].sendall(CLIENT_HELLO[: number % len(CLIENT_HELLO)])
            elif tls and secure:
                left.append(context.wrap_socket(left.pop()))
            left[-1].sendall(said)
            if answered and said == ASK and not begun:
                left[-1].recv(1)
            end(left[-1])
        while left and (end is not half_closed or len(left) > MOST_OPEN):
            left.popleft().close()
    while left:
        left.popleft().close()
