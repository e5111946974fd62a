"""Ports of its own for every Asterisk, and waiting for what takes its time."""

import socket
import time
from collections.abc import Callable


def until(true: Callable[[], object], what: str, seconds: float = 30, pause: float = 0.02) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(pause)


class Ports:
    """Ports on loopback that no other instance has, in any process: whoever holds the first has the whole thousand.

    They are below those the kernel gives away by itself.
    """

    def __init__(self) -> None:
        for self.first in range(10_000, 32_000, 1_000):
            self._lock = socket.socket()
            try:
                self._lock.bind(("127.0.0.1", self.first))
                self._lock.listen()
                self._probe(socket.SOCK_STREAM, self.ami)
                self._probe(socket.SOCK_DGRAM, self.sip)
                self._probe(socket.SOCK_DGRAM, self.phones)
                return
            except OSError:
                self._lock.close()
        raise RuntimeError("no thousand ports are free")

    @staticmethod
    def _probe(kind: socket.SocketKind, port: int) -> None:
        with socket.socket(type=kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
            probe.bind(("127.0.0.1", port))

    @property
    def ami(self) -> int:
        return self.first + 1

    @property
    def ami_tls(self) -> int:
        return self.first + 2

    @property
    def sip(self) -> int:
        return self.first + 3

    @property
    def iax(self) -> int:
        return self.first + 4

    @property
    def chan_sip(self) -> int:
        return self.first + 5

    @property
    def phones(self) -> int:
        """The answering phones' one port; the hundred and more behind it are the callers'."""
        return self.first + 10

    @property
    def media(self) -> int:
        return self.first + 200

    @property
    def rtp(self) -> tuple[int, int]:
        return self.first + 500, self.first + 999

    def close(self) -> None:
        self._lock.close()
