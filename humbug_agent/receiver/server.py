"""The receiver on a socket: as a server of its own, or in a thread beside whoever needs one."""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar, Self

from humbug_agent.http_server.server import Server
from humbug_agent.http_server.sockets import WebError
from humbug_agent.ini import shown
from humbug_agent.receiver.app import LABEL, Receiver
from humbug_agent.receiver.protocol import ReceiverError
from humbug_agent.receiver.retention import Retention

log = logging.getLogger(__name__)

PATH = "/receiver.php"


@dataclass(frozen=True)
class _Listen:
    """Where the receiver listens, in the form in which the web server takes it."""

    label: ClassVar[str] = LABEL
    host: str
    port: int
    certificate: Path | None
    private_key: Path | None

    @property
    def where(self) -> str:
        return shown(self.host, self.port)


def _started(receiver: Receiver, listen: _Listen) -> tuple[Server, str]:
    """The server, and the URL that it answers at. Raises ReceiverError."""
    if listen.private_key and not listen.certificate:
        raise ReceiverError("a private key needs a certificate beside it")
    server = Server(receiver, listen, patient=True, only_tls=bool(listen.certificate))
    try:
        server.start()
    except WebError as error:
        raise ReceiverError(str(error)) from error
    return server, f"{'https' if listen.certificate else 'http'}://{shown(listen.host, server.port)}{PATH}"


def serve(
    receiver: Receiver,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str], None],
    on_hangup: Callable[[], None],
    keep_days: int | None = None,
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, in the main thread; ``port`` 0 is a free one. ``on_ready`` gets the URL.

    SIGHUP has the certificate read again, after ``on_hangup``. What came more than ``keep_days`` ago is dropped.
    Raises ReceiverError where the address or the certificate can't be used.
    """
    asked: SimpleQueue[int] = SimpleQueue()
    before = {number: signal.signal(number, lambda number, _: asked.put(number)) for number in _SIGNALS}
    try:
        server, url = _started(receiver, _Listen(host, port, certificate, private_key))
        on_ready(url)
        retention = Retention(receiver.store, keep_days)
        while (number := _next(asked, retention.drop())) in (None, signal.SIGHUP):
            if number:
                on_hangup()
                _read_certificate_again(server)
        server.stop()
        receiver.told.end()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _next(asked: SimpleQueue[int], seconds: float | None) -> int | None:
    """The next signal; None: none came in that time."""
    try:
        return asked.get(timeout=seconds)
    except Empty:
        return None


def _read_certificate_again(server: Server) -> None:
    try:
        server.start()
    except WebError as error:
        log.error("the certificate of before stays: %s", error)


class Background:
    """The same server in a thread of its own, on a free port of ``host``, for as long as a ``with`` block.

    ``url`` is where to send to. Leaving the block waits for requests under way, up to 3 seconds.
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
        self._listen = _Listen(host, 0, certificate, private_key)

    def __enter__(self) -> Self:
        self._server, self.url = _started(self.receiver, self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self.receiver.told.end()
