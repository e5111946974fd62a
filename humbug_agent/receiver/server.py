"""The receiver on a socket: as a server of its own, or in a thread beside whoever needs one."""

import asyncio
import signal
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Self

import uvicorn

from humbug_agent.receiver.app import Receiver
from humbug_agent.receiver.protocol import ReceiverError
from humbug_agent.uvicorn_settings import uvicorn_settings
from humbug_agent.words import said

PATH = "/receiver.php"


class _Server(uvicorn.Server):
    """Listens from the start, so that nobody else gets the port; ``on_ready`` gets the URL once it answers."""

    def __init__(
        self,
        receiver: Receiver,
        host: str,
        port: int,
        on_ready: Callable[[str], object],
        certificate: Path | None,
        private_key: Path | None,
    ) -> None:
        if private_key and not certificate:
            raise ReceiverError("a private key needs a certificate beside it")
        try:
            config = uvicorn_settings(
                receiver,
                log_level="warning",
                timeout_keep_alive=60,
                timeout_graceful_shutdown=5,
                h11_max_incomplete_event_size=1 << 16,
                ssl_certfile=certificate,
                ssl_keyfile=private_key,
            )
        except OSError as error:
            raise ReceiverError(f"certificate {certificate}, key {private_key or 'in it'}: {said(error)}") from error
        super().__init__(config)
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.listener = socket.create_server((str(address[0]), port), family=family)
            # asyncio sets it only on sockets that name their protocol, which these do not: 40 ms an answer without.
            self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise ReceiverError(f"can't listen on {host}, port {port}: {error.strerror}") from error
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{name}:{self.listener.getsockname()[1]}{PATH}"
        self._on_ready = on_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        with self.listener:
            super().run(sockets or [self.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A TLS connection only ends when the client agrees, and one that keeps it for its next call does not.
        soon = asyncio.get_running_loop().call_later(0.2, self._abort, True)
        await super().shutdown(sockets)
        soon.cancel()
        self._abort(False)
        await asyncio.sleep(0)

    def _abort(self, only_answered: bool) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport.is_closing() or not only_answered:
                connection.transport.abort()

    def stop(self, *_: object) -> None:
        self.should_exit = True


def serve(
    receiver: Receiver,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str], None],
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, in the main thread; ``port`` 0 is a free one. ``on_ready`` gets the URL.

    Raises ReceiverError where the address or the certificate can't be used.
    """
    server = _Server(receiver, host, port, on_ready, certificate, private_key)
    # uvicorn raises the signal anew when it is done, for the handlers it found: without these the process dies of it
    # before the caller can close the store.
    before = {number: signal.signal(number, server.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Background:
    """The same server in a thread of its own, on a free port of ``host``, for as long as a ``with`` block.

    ``url`` is where to send to. Leaving the block waits for requests under way, up to 5 seconds.
    """

    def __init__(
        self,
        receiver: Receiver,
        host: str = "127.0.0.1",
        *,
        certificate: Path | None = None,
        private_key: Path | None = None,
    ) -> None:
        self.receiver = receiver
        self.url = ""
        self._where = host, certificate, private_key

    def __enter__(self) -> Self:
        host, certificate, private_key = self._where
        ready: Future[str] = Future()
        self._server = _Server(self.receiver, host, 0, ready.set_result, certificate, private_key)
        self._pool = ThreadPoolExecutor(1, "receiver")
        self._running = self._pool.submit(self._server.run)
        try:
            for first in as_completed((ready, self._running)):
                self.url = first.result() or ""
                break
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._running.result()

    def _stop(self) -> None:
        self._server.stop()
        self._pool.shutdown()
