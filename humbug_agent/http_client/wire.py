"""The connections under `http_client`: what leaves over them, and what of that which comes is an answer.

HTTP/1.1 tells by nothing but their order which request an answer is for. So a connection is used again only where that
order is beyond doubt, and nothing leaves on one whose time is over.
"""

import logging
import select
import socket
import threading
import time
from dataclasses import dataclass
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from ssl import SSLError, SSLSocket, SSLWantReadError
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError

from humbug_agent.http_client import names
from humbug_agent.words import said

log = logging.getLogger(__name__)

NOTHING_YET = (BlockingIOError, SSLWantReadError)
IDLE_TOO_LONG = b" 408"
"""Behind HTTP/1.1: with this some servers close a connection on which nothing was asked for long."""


class NotSent(OSError):
    """Nothing of the request has left."""


class Common:
    """What all threads of one client share.

    ``stood``: for how many seconds this process could not run. ``apart``: each request has a connection of its own.
    """

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.stood = 0.0
        self.apart = False

    def now(self) -> float:
        """Seconds of a clock that stands still while this process does: what came meanwhile came in time."""
        return time.monotonic() - self.stood


@dataclass
class Begun:
    """A request that somebody else has sent over the connection that is kept, and what he read of the answer.

    ``unsent`` is what of it has not left yet, ``failed`` how reading on ended, ``until`` as a Watch has it.
    """

    until: float
    unsent: bytes = b""
    read: bytes = b""
    failed: OSError | None = None


class Watch:
    """The connection that a request uses, and until when, by the clock of ``common``, it may."""

    def __init__(self, common: Common) -> None:
        self.common = common
        self.until: float | None = None
        self.stop: threading.Event | None = None
        self.sock: socket.socket | None = None
        self.cut = False
        self.begun: Begun | None = None
        self.connection: Connection | None = None
        self.doubted = 0
        """So many answers before this request's may have been to earlier requests."""

    def left(self) -> float:
        """Seconds; nought and less: it is late."""
        # Taken once: the request's own thread may end meanwhile and set it to None.
        until = self.until
        return float("inf") if until is None else until - self.common.now()

    def over(self) -> bool:
        return self.cut or self.common.closed.is_set() or self.left() <= 0

    def uses(self, sock: socket.socket | None) -> None:
        self.sock = sock

    def end(self) -> None:
        self.cut = True
        # Taken once, too.
        sock = self.sock
        if sock is not None:
            try:
                # Not the method of an SSLSocket, which would take the TLS state from under the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                self.sock = None


_thread = threading.local()


def begin(watch: Watch) -> None:
    """What this thread asks from now on is watched by ``watch``."""
    _thread.watch = watch


def _unasked(sock: socket.socket, poll: select.poll) -> bytes | None:
    """The beginning of what waits to be read there; blank: only its end does; None: nothing.

    Raises SSLError: the other side says why it ends.
    """
    if not poll.poll(0) and not (isinstance(sock, SSLSocket) and sock.pending()):
        return None
    patience = sock.gettimeout()
    sock.settimeout(0)
    try:
        return sock.recv(16)
    except NOTHING_YET:
        return None
    except SSLError:
        raise
    except OSError:
        return b""
    finally:
        sock.settimeout(patience)


class _Raw(RawIOBase):
    """What comes over a socket, until it ``ended``, behind what was read of it before."""

    def __init__(self, sock: socket.socket, begun: Begun | None) -> None:
        self._read = sock.makefile("rb", buffering=0)
        self._failed = begun.failed if begun else None
        self.before = begun.read if begun else b""
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        if self.before:
            size = min(len(self.before), len(buffer))
            buffer[:size], self.before = self.before[:size], self.before[size:]
            return size
        if self._failed:
            raise self._failed
        return self._read.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._read.close()


class _Reader(BufferedReader):
    """Reads one answer. ``behind``, once it is closed, was read along with the answer and is not of it.

    ``line`` is the last that was read.
    """

    behind = line = b""

    def __init__(self, sock: socket.socket, begun: Begun | None) -> None:
        self._raw = _Raw(sock, begun)
        super().__init__(self._raw)

    def readline(self, size: int | None = -1, /) -> bytes:
        self.line = super().readline(size)
        return self.line

    def close(self) -> None:
        if not self.closed:
            self._raw.ended = True
            self.behind = self.peek(1) or self._raw.before
        super().close()


class _Answer(HTTPResponse):
    """Passes over what only says that it is still to come; where its end is in doubt, the connection ends with it."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self._sock = sock
        # All that it wants of a socket is `makefile`.
        super().__init__(self, *args, **kwargs)  # type: ignore[arg-type]

    def makefile(self, _: str) -> BufferedReader:
        self.reader = _Reader(self._sock, _thread.watch.begun)
        return self.reader

    def begin(self) -> None:
        self._read_head()
        while 100 <= self.status < 200 and self.status != 101:
            self.headers = None  # type: ignore[assignment]
            self._read_head()
        self.will_close = self.will_close or self._doubtful()

    def _read_head(self) -> None:
        """For http.client the end of what comes is the end of the head, too, wherever that breaks off."""
        super().begin()
        if self.reader.line not in (b"\r\n", b"\n"):
            raise ConnectionAbortedError("the connection broke off within the head of the answer")

    def _doubtful(self) -> bool:
        """Its end can be read in more than one way, or what comes behind it is no HTTP."""
        said = [name.lower() for name in self.headers]
        lengths, codings = said.count("content-length"), said.count("transfer-encoding")
        if self.status == 101 or self.headers.defects or lengths + codings > 1:
            return True
        length = self.headers["Content-Length"] if lengths else "0"
        if self.status in (204, 304):
            return bool(codings) or length != "0"
        if codings:
            return self.version < 11 or self.headers["Transfer-Encoding"].lower() != "chunked"
        return not (length.isascii() and length.isdigit())


class Connection(HTTPConnection):
    """A plain connection that is made within a time, names included."""

    _answer: _Answer | None = None
    asked = 0
    """How many requests have left over it."""
    head = b""
    """That of the last one that http.client has sent."""

    def response_class(self, *args: Any, **kwargs: Any) -> _Answer:  # type: ignore[override]
        self._answer = _Answer(*args, **kwargs)
        return self._answer

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again."""
        if self._watch.begun:
            return True
        if self.sock is None or self._answer is None or self._watch.common.apart:
            return False
        try:
            behind = self._answer.reader.behind or _unasked(self.sock, self._poll)
        except SSLError:
            behind = b""
        if behind is None:
            return True
        self._watch.doubted = self.doubt(behind)
        return False

    def answered_twice(self) -> bool:
        """Something came behind the answer, now that it is read, and it may be that which is this request's."""
        doubted = self.doubt(self._answer.reader.behind) if self._answer else 0
        self._watch.doubted = max(doubted - 1, 0)
        return doubted > 0

    def _new_conn(self) -> socket.socket:
        watch = self._watch
        try:
            return names.connect(
                self._dns_host,
                self.port,
                watch.left,
                options=self.socket_options or (),
                begun=watch.uses,
                ended=watch.over,
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise LocationParseError(f"{self.host}, which can be no host's name") from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except OSError as error:
            raise NewConnectionError(self, said(error)) from error

    def connect(self) -> None:
        super().connect()
        self.asked = 0
        self._poll = select.poll()
        self._poll.register(self.sock, select.POLLIN)
        self._watch.uses(self.sock)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        """Before this nothing of a request leaves."""
        if self.sock is None:
            self.connect()
        watch = self._watch
        watch.connection = self
        # From here on, whoever ends the watch either is seen now, or shuts the connection before anything leaves.
        watch.uses(self.sock)
        if not watch.begun:
            if watch.over():
                raise NotSent("too late")
            behind = _unasked(self.sock, self._poll)
            if behind is not None:
                watch.doubted = self.doubt(behind)
                raise NotSent("answered before it was asked" if behind else "the connection was closed")
            self.asked += 1
            self.head = b""
        super().endheaders(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Of a request the head comes first, and by itself."""
        begun = self._watch.begun
        if begun is None:
            self.head = self.head or data
            super().send(data)
        elif begun.unsent:
            data, begun.unsent = begun.unsent, b""
            super().send(data)

    @property
    def _watch(self) -> Watch:
        watch: Watch = _thread.watch
        return watch

    def doubt(self, behind: bytes) -> int:
        """Of how many answers it is doubtful whose they were, since something came behind the last: all but the first.

        Whoever says more than it was asked is asked once a connection from then on.
        """
        if not behind or behind[8:12] == IDLE_TOO_LONG:
            return 0
        if not self._watch.common.apart:
            self._watch.common.apart = True
            log.warning(
                "%s: says more than it is asked; from now on each request has a connection of its own", self.host
            )
        return max(self.asked - 1, 0)


class _SecureConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    """The kept plain connections to one host."""

    ConnectionCls = Connection


class _SecurePool(HTTPSConnectionPool):
    """The kept TLS connections to one host."""

    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """Requests over such connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


class Lane:
    """A way for requests, one after the other: over one connection, as long as that can be kept."""

    def __init__(self, common: Common) -> None:
        self.watch = Watch(common)
        # A Session on top of it would only add redirects, cookies and the environment.
        self.adapter = Adapter(max_retries=0)

    def kept(self) -> Connection | None:
        """The connection, if another request may leave over it. For the thread whose `begin` had this watch."""
        connection = self.watch.connection
        return connection if connection and connection.is_connected else None
