"""A real HTTP server for tests that is as rude as its script says, and remembers all it was asked."""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Self
from urllib.parse import parse_qsl

from tests.kit.ports import free_port

DRIP_SECONDS = 0.05
CHUNK = b"x" * 65536
WARM = b"\xff" * 16
"""The identity of a call that only opens a connection: it is answered, and no script and no list has it."""


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for ``condition``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)


def never(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Fail as soon as ``condition`` holds; give up hoping for it after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert not condition(), what
        time.sleep(0.005)


@dataclass(frozen=True, kw_only=True)
class Act:
    """What to do with one request.

    ``framing``: length, chunked, eof, or a number that Content-Length pretends. ``raw`` goes out instead of HTTP.
    ``cut_at``: only that many bytes of the answer, then close. ``big``: so many bytes of body, streamed. ``drip``:
    headers or body, a byte at a time without an end. ``hold``: no answer before it is set. ``wire``: goes out as it
    stands, piece by piece, an event being waited for, and the connection goes on.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"
    framing: str | int = "length"
    raw: bytes | None = None
    wire: tuple[bytes | threading.Event, ...] = ()
    cut_at: int | None = None
    big: int = 0
    drip: str = ""
    unread: bool = False
    silent: bool = False
    hang: bool = False
    hold: threading.Event | None = None
    then_close: bool = False


@dataclass
class Request:
    number: int
    connection: int
    index: int
    at: float
    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    alone: bool = True
    """No other request was under way when this one came."""
    answered: float | None = None

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("ascii"), keep_blank_values=True))


class Rude:
    """Listens on a loopback port within ``with``. ``script``: acts in order, then plain 200s; or one that decides."""

    def __init__(
        self, script: Sequence[Act] | Callable[[Request], Act] = (), *, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.under_way = 0
        self.peak = 0
        self.closed = 0
        self._taken = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port or free_port()), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/receiver.php"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a thread of the test's server hangs"
        self._listener.close()

    def unread(self) -> bool:
        """Something has come that it did not read yet."""
        with self._lock:
            return bool(select.select(self._open, (), (), 0)[0])

    def arrived(self) -> list[str]:
        return [request.key for request in self.requests]

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.append(sock)
            self._start(self._serve, sock, self.connections)

    def _serve(self, plain: socket.socket, number: int) -> None:
        sock = plain
        try:
            if self._tls:
                sock = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.append(sock)
            with sock.makefile("rb") as stream:
                index = 0
                while not self._stopping.is_set() and stream.peek(1) and self._one(sock, stream, number, index):
                    index += 1
        except ValueError:
            with suppress(OSError):
                sock.sendall(b"HTTP/1.1 400 This is no HTTP\r\n\r\n")
        except OSError:
            pass
        finally:
            sock.close()
            plain.close()
            with self._lock:
                self.closed += 1

    def _one(self, sock: socket.socket, stream: BufferedReader, connection: int, index: int) -> bool:
        """Take one request; whether the connection goes on."""
        if WARM.hex().encode() in stream.peek(1):
            self._read(stream, Request(-1, connection, index, time.monotonic()))
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        with self._lock:
            request = Request(self._taken, connection, index, time.monotonic(), alone=not self.under_way)
            self._taken += 1
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)
        try:
            early = self._act(request) if not callable(self.script) else None
            if early is None or not early.unread:
                self._read(stream, request)
            with self._lock:
                self.requests.append(request)
            act = early or self._act(request)
            if act.unread:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            return self._answer(sock, request, act)
        finally:
            with self._lock:
                self.under_way -= 1

    def _act(self, request: Request) -> Act:
        if callable(self.script):
            return self.script(request)
        return self.script[request.number] if request.number < len(self.script) else Act()

    def _read(self, stream: BufferedReader, request: Request) -> None:
        request.method, request.target, version = stream.readline().decode("latin-1").split(" ", 2)
        if not version.startswith("HTTP/"):
            raise ValueError(version)
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            request.headers[name.lower()] = value.strip()
        length = int(request.headers.get("content-length", "0"))
        request.body = stream.read(length)
        if len(request.body) < length:
            raise ConnectionResetError("who asked was killed before its whole body was sent: nothing was asked")

    def _answer(self, sock: socket.socket, request: Request, act: Act) -> bool:
        if act.hold:
            self._await(act.hold, "the answer's release")
        if act.hang:
            self._stopping.wait()
        if act.hang or act.silent:
            return False
        for piece in act.wire:
            if isinstance(piece, threading.Event):
                self._await(piece, "the next piece's release")
            else:
                sock.sendall(piece)
        if act.wire:
            return True
        head, body = self._text(act)
        if act.drip:
            sock.sendall(head[:-2] + b"X-Drip: " if act.drip == "headers" else head + body)
            while not self._stopping.wait(DRIP_SECONDS):
                sock.sendall(b"x" if act.framing != "chunked" else b"1\r\nx\r\n")
        whole = (head + body)[: act.cut_at]
        # Before it goes out: whoever has the answer finds it written down here.
        request.answered = time.monotonic()
        sock.sendall(whole)
        for _ in range(act.big // len(CHUNK)):
            sock.sendall(CHUNK)
        return act.cut_at is None and act.raw is None and act.framing in ("length", "chunked") and not act.then_close

    def _await(self, released: threading.Event, what: str) -> None:
        until(lambda: released.is_set() or self._stopping.is_set(), 30, what)

    def _text(self, act: Act) -> tuple[bytes, bytes]:
        if act.raw is not None:
            return act.raw, b""
        length = act.big or len(act.body)
        framing = {"length": f"Content-Length: {length}\r\n", "chunked": "Transfer-Encoding: chunked\r\n", "eof": ""}
        said = framing.get(str(act.framing), f"Content-Length: {act.framing}\r\n")
        lines = "".join(f"{name}: {value}\r\n" for name, value in act.headers)
        body = b"" if act.big else act.body
        if act.framing == "chunked":
            body = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
            body += b"" if act.drip else b"0\r\n\r\n"
        return f"HTTP/1.1 {act.status} Said\r\n{lines}{said}\r\n".encode("latin-1"), body
