"""One client's connection: uvicorn's HTTP, which waits for ever, with time limits and an end that is clean."""

import asyncio
import fcntl
import logging
import socket
import sys
import termios
from contextlib import suppress
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from humbug_agent.http_server.strict import StrictHttp

HEAD_SECONDS = 10.0
"""For the head of a request: from opening the connection, TLS included, or from the first byte of a later request."""

REQUEST_SECONDS = 30.0
"""For the whole of request and answer, until the client's host has the last byte of it."""

IDLE_SECONDS = 60.0

MOST_UNTAKEN_BYTES = 2**20
"""Of an answer without an end, beyond what the kernel has: whoever is so far behind is cut off, and may ask anew."""

LINGER_SECONDS = 2.0
"""How long to read on after a refusal: closed earlier, what still comes would destroy the refusal on its way."""

# An app that fails is logged by the server, and what strangers send is no news.
UNHEARD = logging.Logger("uvicorn, unheard", logging.CRITICAL + 1)

BAD, LONG = (400, b"ERROR: NOT A VALID HTTP REQUEST"), (431, b"ERROR: REQUEST TOO LONG")


class _ClosedOnce:
    """A TLS transport of asyncio: it raises at whatever is asked of it when it has been closed twice.

    And it logs when more is written to it once it has been closed, as strangers can have it done.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """From the moment that it is accepted, when it has no transport yet, to its end. Times are the loop's."""

    conn: StrictHttp

    def __init__(
        self, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop, sock: socket.socket
    ) -> None:
        # The app finds both in its scope's state.
        gone = asyncio.Event()
        super().__init__(config, state, {"gone": gone, "push": self.push}, loop)
        self._gone = gone
        assert config.h11_max_incomplete_event_size
        self.conn = StrictHttp(config.h11_max_incomplete_event_size)
        self._sock = sock
        self.logger = UNHEARD
        self.began = loop.time()
        self.opening: asyncio.Task[None] | None = None
        """Waits for the first byte, or for TLS."""
        self.endless = False
        """What is under way is an answer without an end."""
        self._lingering = False

    @property
    def under_way(self) -> bool:
        """A whole head has come, and not all of its answer has gone."""
        if not self.transport or self._lingering:
            return False
        answering = self.conn.our_state is not h11.IDLE and not self.transport.is_closing()
        return answering or bool(self.transport.get_write_buffer_size()) or _untaken(self.transport)

    @property
    def asked(self) -> bool:
        """A whole request has come, body included, and the app is at work on its answer."""
        return bool(self.cycle) and not (self.cycle.more_body or self.cycle.response_complete or self._lingering)

    def overdue(self, now: float) -> bool:
        return now - self.began > self._allowed()

    def stale(self, since: float) -> bool:
        """Since before, nobody but the client can bring it on, and it has sent nothing that was not read yet."""
        return self.began < since and not self.asked and not _has(self._sock, termios.FIONREAD)

    def _allowed(self) -> float:
        if self._lingering:
            return LINGER_SECONDS
        if self.under_way:
            return REQUEST_SECONDS
        return HEAD_SECONDS if self.cycle is None or self._unfinished else IDLE_SECONDS

    @property
    def _unfinished(self) -> bool:
        return bool(self.conn.trailing_data[0])

    def end(self) -> None:
        """At once, whatever is under way."""
        if self.transport:
            self.transport.abort()
        else:
            # Who waits for its first byte, or for TLS, finds that it has ended. To cancel them could come too late.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def push(self, data: bytes) -> None:
        """Send more of an answer without an end, of which the app has sent the head.

        Nobody waits for the client: one that does not take it is overdue in time, and cut off where that is too much.
        """
        if self._lingering or self.transport.is_closing():
            return
        self.endless = True
        untaken = self.transport.get_write_buffer_size()
        if untaken > MOST_UNTAKEN_BYTES:
            self.end()
            return
        if not untaken and not _untaken(self.transport):
            self.began = self.loop.time()
        self.transport.write(self.conn.send(h11.Data(data=data)) or b"")

    def finish(self) -> None:
        """Once what is under way is answered; an answer without an end ends."""
        if not self.transport:
            self.end()
        elif self.endless and not self._lingering and not self.transport.is_closing():
            self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")
            self.transport.close()
        elif self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        encrypted = transport.get_extra_info("sslcontext")
        super().connection_made(cast(asyncio.Transport, _ClosedOnce(transport)) if encrypted else transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self.cycle is not None and self.conn.our_state is h11.IDLE and not self._unfinished:
            self.began = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        # A client that does not take its answers gets no more time for asking again.
        if not self.transport.get_write_buffer_size():
            self.began = self.loop.time()
        super().on_response_complete()
        # uvicorn's timer outlives a connection that breaks, and keeps all of its memory. Ours are in the server's tick.
        self._unset_keepalive_if_required()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls it where it has caught h11's error."""
        if self.cycle:
            # It may be a body that went wrong: whatever the app still has to say comes too late.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(*(LONG if getattr(sys.exception(), "error_status_hint", 400) == 431 else BAD))
        self._lingering, self.began = True, self.loop.time()
        if self.transport.can_write_eof():
            # It raises where the client has gone away meanwhile.
            with suppress(OSError):
                self.transport.write_eof()

    def _refuse(self, status: int, body: bytes) -> None:
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        is_head = self.conn.our_state is h11.SEND_RESPONSE and self.conn.method == b"HEAD"
        said = h11.Data(data=b"" if is_head else body)
        for event in (h11.Response(status_code=status, headers=headers), said, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")


def _untaken(transport: asyncio.Transport) -> bool:
    """Whether the kernel has bytes that the client's does not take. TLS transports don't count what they handed on."""
    sock = transport.get_extra_info("socket")
    return sock is not None and _has(sock, termios.TIOCOUTQ)


def _has(sock: socket.socket, what: int) -> bool:
    # It is gone a moment before the connection is told so.
    return sock.fileno() >= 0 and fcntl.ioctl(sock, what, bytes(4)) != bytes(4)
