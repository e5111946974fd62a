"""What the servers of the hosted PBXs share: real HTTP, requests kept, answers that can be spoilt on the way."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from humbug_agent.ini import Secret
from humbug_agent.sources.polling.settings import ApiSettings
from tests.kit.ports import free_port


def api(url: str, **changes: Any) -> ApiSettings:
    """Settings as agent.ini gives them, with what is to be different."""
    if isinstance(changes.get("proxy"), str):
        changes["proxy"] = Secret(changes["proxy"])
    usual: dict[str, Any] = {
        "poll_seconds": 1,
        "since": None,
        "timezone": None,
        "timeout": 20,
        "ca_file": None,
        "proxy": None,
    }
    return ApiSettings(url=url, **(usual | changes))


@dataclass(frozen=True)
class Asked:
    """One request. ``path`` is without the query, ``headers`` have lower-case names."""

    number: int
    at: float
    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Reply:
    """``cut_at``: so many bytes of the body, though all are promised. ``hang``: nothing until the server ends.

    ``drip``: so many seconds between two bytes of the body. ``unsized``: only the connection's end says that it is all.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    hang: bool = False
    drip: float = 0.0
    unsized: bool = False

    def but(self, **changes: Any) -> "Reply":
        return replace(self, **changes)


def as_json(found: Any, status: int = 200, **headers: str) -> Reply:
    """As PHP's json_encode has it: slashes escaped, everything else in ASCII."""
    text = json.dumps(found).replace("/", "\\/")
    return Reply(text.encode(), status, {"Content-Type": "application/json", **headers})


Spoil = Callable[[Asked, Reply], Reply]


class PullServer:
    """On a port of loopback within ``with``. `answer` is a child's; ``spoil`` may change what it answers.

    It answers as a proxy, too: a request for any host is one for this server.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.spoil: Spoil | None = None
        self.peak = 0
        """The most requests that were under way at the same time."""
        self._under_way = 0
        self.connections = 0
        self.open_connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.ending = threading.Event()
        self._server = ThreadingHTTPServer((host, port or free_port()), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for sock in [*self.open_connections]:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def answer(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def serve(self) -> None:
        """Until interrupted, for a server that is started by hand."""
        with self, suppress(KeyboardInterrupt):
            threading.Event().wait()

    def reply(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        parts = urlsplit(target)
        with self._lock:
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            asked = Asked(len(self.asked), time.monotonic(), method, target, parts.path, query, headers, body)
            self.asked.append(asked)
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
        try:
            with self._lock:
                reply = self.answer(asked)
            if self.spoil:
                reply = self.spoil(asked, reply)
            if reply.hang:
                self.ending.wait()
            return reply
        finally:
            with self._lock:
                self._under_way -= 1


def _handler(server: PullServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                # The agent was killed between the head and the body, which http.client sends apart: nothing was asked.
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.reply(self.command, self.path, headers, body)
            if reply.hang:
                self.close_connection = True
                return
            try:
                (self.send_response_only if "Date" in reply.headers else self.send_response)(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if not reply.unsized:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                pieces = [bytes([byte]) for byte in reply.body] if reply.drip else [reply.body[: reply.cut_at]]
                for piece in pieces:
                    self.wfile.write(piece)
                    server.ending.wait(reply.drip)
            except OSError:
                # The agent was killed, or had enough.
                self.close_connection = True
            if reply.cut_at is not None or reply.unsized:
                self.close_connection = True

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            server.connections += 1
            server.open_connections.add(self.connection)
            try:
                super().handle()
            except OSError:
                # A client that does not like the certificate, or that is gone.
                self.close_connection = True
            finally:
                server.open_connections.discard(self.connection)

    return Handler
