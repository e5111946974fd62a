"""The web server: plain HTTP and TLS on one port, in a thread of its own, and nobody who can hold it up."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from humbug_agent.host import threads
from humbug_agent.http_server import connection as limits
from humbug_agent.http_server.connection import Connection
from humbug_agent.http_server.sockets import Listen, WebError, listeners, tls_context
from humbug_agent.http_server.uvicorn_settings import uvicorn_settings

__all__ = ["Server", "WebError"]

log = logging.getLogger(__name__)

MOST_CONNECTIONS, LEAVE_AT_ONCE = 500, 10
"""Beyond it those go that have been idle or unfinished for longest. Several at once: to look for them takes time."""

STALE_SECONDS, FULL_SECONDS = 1.0, 0.02
"""Of a patient server that is full: who has been idle or unfinished for so long goes, and how often to look."""

SOON_SECONDS, LONG_SECONDS = 0.1, 3.0
"""Of another one: so long who came has for saying something; after so long those may go who wait for the app."""

MOST_HEAD_BYTES = 16 * 1024

ACCEPT_AT_ONCE = 32
"""So many before those who are connected get their turn."""

PAUSE_SECONDS, COMPLAIN_SECONDS = 0.2, 60.0
"""How long to accept nothing where that fails, for lack of file descriptors; and how often to say so."""

TICK_SECONDS = 0.5

FINISH_SECONDS, BYE_SECONDS, STOP_SECONDS = 2.0, 0.3, 3.0
"""At the end: for answers under way, for closing connections politely, and for all of it."""

TLS_RECORD = b"\x16"
"""How a TLS connection begins, and HTTP never does."""


class Server:
    """Serves ``app``. ``port`` is the one it listens on, which matters where ``listen`` says 0.

    Beyond ``most`` clients some are cut off for new ones, which wait in the kernel meanwhile. Where it is ``patient``,
    nobody is whose request has come as a whole, and nobody within a second. With a certificate it speaks plain HTTP as
    well, unless it is ``only_tls``. ``start`` raises WebError, after which it may be called again; after ``stop`` the
    port is free.

    While it runs, ``serve`` sets another app and another certificate at the same address, for all requests to come, and
    ends the answers that would go on without an end; ``start`` then has it use that certificate.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: Listen,
        *,
        most: int = MOST_CONNECTIONS,
        patient: bool = False,
        only_tls: bool = False,
    ) -> None:
        self._app = app
        self._listen = listen
        self._most = most
        self._patient = patient
        self._only_tls = only_tls
        self._state = ServerState()
        self._connections = cast(set[Connection], self._state.connections)
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._complained = -COMPLAIN_SECONDS
        self.port = listen.port

    def serve(self, app: ASGIApp, listen: Listen) -> None:
        self._app, self._listen = app, listen
        if self._thread:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end_streams)

    def start(self) -> None:
        self._context = tls_context(self._listen)
        if self._thread:
            return
        self._listeners = listeners(self._listen)
        self.port = self._listeners[0].getsockname()[1]
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, name="web", daemon=True)
        try:
            threads.start(thread)
        except OSError as error:
            self._loop.close()
            for listener in self._listeners:
                listener.close()
            raise WebError(f"can't listen on {self._listen.where}: {error.strerror}") from error
        self._thread = thread

    def stop(self) -> None:
        """Within 3 seconds, of which answers under way get 2. May be called from any thread, and more than once."""
        if not self._thread:
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._config = uvicorn_settings(
            self._answer,
            date_header=False,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
            # Those whose clients have gone count, too: the app is at work for them. Beyond it the answer is 503.
            limit_concurrency=2 * self._most,
        )
        for listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)
        self._tick()
        await self._stopping.wait()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        await self._finish()

    def _tick(self) -> None:
        self._loop.call_later(TICK_SECONDS, self._tick)
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        now = self._loop.time()
        self._end(connection for connection in self._connections if connection.overdue(now))

    def _end(self, connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            # It only leaves by itself when the loop comes round.
            self._connections.discard(connection)
            connection.end()

    def _end_streams(self) -> None:
        for connection in list(self._connections):
            if connection.endless:
                connection.finish()

    async def _finish(self) -> None:
        until = self._loop.time() + FINISH_SECONDS
        for connection in list(self._connections):
            connection.finish()
        while self._loop.time() < until and any(connection.under_way for connection in self._connections):
            await asyncio.sleep(0.02)
        # A TLS connection only ends when the client agrees.
        until = self._loop.time() + BYE_SECONDS
        while self._loop.time() < until and self._connections:
            await asyncio.sleep(0.02)
        self._end(self._connections)
        # The sockets are closed when the loop comes round.
        await asyncio.sleep(0.02)

    def _accept(self, listener: socket.socket) -> None:
        # It is readable: somebody waits there, for whom the others may have to make room.
        if self._is_full():
            self._make_room()
            if self._is_full():
                self._pause(listener, FULL_SECONDS)
                return
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._complain(error)
                self._make_room()
                self._pause(listener, PAUSE_SECONDS)
                return
            self._welcome(sock)
            if self._is_full():
                return

    def _welcome(self, sock: socket.socket) -> None:
        connection = Connection(self._config, self._state, self._loop, sock)
        self._connections.add(connection)

        def opened(_: asyncio.Task[None]) -> None:
            if not connection.transport:
                self._connections.discard(connection)
                sock.close()

        connection.opening = self._loop.create_task(self._open(connection, sock))
        connection.opening.add_done_callback(opened)

    def _is_full(self) -> bool:
        return len(self._connections) >= self._most

    def _make_room(self) -> None:
        now = self._loop.time()
        if self._patient:
            self._end(connection for connection in self._connections if connection.stale(now - STALE_SECONDS))
            return
        stale = [one for one in self._connections if one.stale(now - SOON_SECONDS)]
        resting = [one for one in stale if not one.under_way]
        others = stale or [one for one in self._connections if one.asked and one.began < now - LONG_SECONDS]
        self._end(sorted(resting, key=_began)[:LEAVE_AT_ONCE] or sorted(others, key=_began)[:1])

    def _complain(self, error: OSError) -> None:
        """Most likely all file descriptors are in use."""
        if time.monotonic() - self._complained >= COMPLAIN_SECONDS:
            self._complained = time.monotonic()
            listen = self._listen
            log.warning("%s can't accept a connection on %s: %s", listen.label, listen.where, error.strerror)

    def _pause(self, listener: socket.socket, seconds: float) -> None:
        """The listener would be readable for ever."""
        self._loop.remove_reader(listener)
        self._loop.call_later(seconds, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if not self._stopping.is_set():
            self._loop.add_reader(listener, self._accept, listener)

    async def _open(self, connection: Connection, sock: socket.socket) -> None:
        sock.setblocking(False)
        context: ssl.SSLContext | None = None
        try:
            if self._context:
                first = await self._first_byte(sock)
                if not first:
                    return
                context = self._context if first == TLS_RECORD or self._only_tls else None
            await self._loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                # The tick ends it in time, counted from when it was accepted.
                ssl_handshake_timeout=2 * limits.HEAD_SECONDS if context else None,
                ssl_shutdown_timeout=limits.LINGER_SECONDS if context else None,
            )
        except OSError:
            pass  # The client went away, or wants a TLS that we do not have.

    async def _first_byte(self, sock: socket.socket) -> bytes:
        """It stays where it is. Empty: the client has closed the connection, or we have."""
        readable = self._loop.create_future()

        def ready() -> None:
            self._loop.remove_reader(sock)
            if not readable.done():
                readable.set_result(None)

        self._loop.add_reader(sock, ready)
        try:
            await readable
        finally:
            self._loop.remove_reader(sock)
        return sock.recv(1, socket.MSG_PEEK)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            where = self._listen.label
            log.exception("%s a fault of this program: %s %r failed", where, scope["method"], scope["path"])
            # uvicorn answers 500, or closes the connection where an answer had begun.
            raise


def _began(connection: Connection) -> float:
    return connection.began
