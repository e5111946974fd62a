"""What the servers that play a PBX have in common: they listen on loopback, vanish, freeze and cut connections."""

import itertools
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.kit.ports import free_port

PATIENCE = 10.0
"""Seconds after which a thread that should have ended fails the test."""


class PbxSession(threading.Thread):
    """One connection to such a server. ``frozen``: nothing is said over it, and it is not closed."""

    def __init__(self, name: str, peer: socket.socket, *, frozen: bool) -> None:
        super().__init__(name=f"{name}-session")
        self._socket = peer
        self.frozen = frozen

    def drop(self, reset: bool) -> None:
        with suppress(OSError):
            if reset:
                # Its own thread wakes and closes it, which then is no orderly end.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._socket.shutdown(socket.SHUT_RD)
            else:
                self._socket.shutdown(socket.SHUT_RDWR)


S = TypeVar("S", bound=PbxSession)


class PbxServer(ABC, Generic[S]):
    """A server whose attributes say how it behaves from now on; any thread may set them at any time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.behave()
        self.frozen = False
        self.connections = self.refusals = 0
        self.login_times: list[float] = []
        self.ended = threading.Event()
        self.sessions: list[S] = []
        self._listener: socket.socket | None = None
        self.port = free_port()
        self.listen()

    @abstractmethod
    def behave(self) -> None:
        """As the PBX does; whoever is connected already, and frozen, stays so."""

    @abstractmethod
    def session(self, peer: socket.socket) -> S:
        """Whoever serves this connection."""

    def listen(self) -> None:
        """Always on the same port."""
        listener = self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accepting = threading.Thread(target=self._accept, args=(listener,), name=f"{self._name}-server")
        self._accepting.start()

    def vanish(self) -> None:
        """Nobody listens any more, and whoever was connected is cut off."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join(PATIENCE)
            self._listener.close()
            self._listener = None
        self.drop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            session = self.session(peer)
            self.sessions.append(session)
            session.start()

    def freeze(self) -> None:
        """Nothing is answered, nothing is closed: who is connected waits for ever, who connects is not greeted."""
        self.frozen = True
        for session in self.sessions:
            session.frozen = True

    def thaw(self) -> None:
        """Whoever connects from now on is served; the others still wait for ever."""
        self.frozen = False

    @property
    def open(self) -> int:
        """How many connections are not closed yet, by either side."""
        return sum(session.is_alive() for session in self.sessions)

    def drop(self, *, reset: bool = False) -> None:
        """Close every connection; with ``reset`` as a crash does it, else in good order."""
        for session in self.sessions:
            session.drop(reset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ended.set()
        self.vanish()
        for session in self.sessions:
            session.join(PATIENCE)
            assert not session.is_alive()


def pieces(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """In pieces of these sizes over and over."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size
