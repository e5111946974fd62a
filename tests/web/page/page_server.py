"""A small real HTTP server with the page's files, sent as the agent sends them, and a /status.json of the test's."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from queue import SimpleQueue
from typing import Any

from humbug_agent.web.app import PAGES

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
STATIC = {path.name: path for path in files("humbug_agent").joinpath("web/static").iterdir()}
RUNNING = {"seconds", "longest_wait_seconds", "state_seconds", "waiting_seconds"}


class PageServer:
    """What it answers may be changed at any time; the seconds in it go on by themselves, as a PBX's do."""

    def __init__(self) -> None:
        self.code = 200
        self.raw = b""
        self.frozen = False
        self.told = 0
        """How often it was asked for /status.json, and has answered."""
        self._speaks = threading.Event()
        self._speaks.set()
        self._answer: Any = None
        self._since = 0.0
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        # One thread for all of them: it is the session's, and no test leaves one behind.
        self._to_serve: SimpleQueue[ThreadingHTTPServer | None] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def show(self, answer: dict[str, Any]) -> None:
        self._answer, self._since = answer, time.monotonic()
        self.code, self.raw, self.frozen = 200, b"", False

    def start(self) -> None:
        """On the port that it had before, if it had one."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_port
        self._to_serve.put(self._server)

    def _serve(self) -> None:
        while server := self._to_serve.get():
            server.serve_forever(0.02)

    def end(self) -> None:
        self.stop()
        self._to_serve.put(None)

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def gone(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes every request and answers none."""
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()

    def status(self) -> bytes:
        self._speaks.wait()
        later = 0.0 if self.frozen else time.monotonic() - self._since
        return self.raw or json.dumps(_go_on(self._answer, later)).encode()


def _go_on(value: Any, later: float, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _go_on(one, later, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_go_on(one, later) for one in value]
    if key in RUNNING and value is not None:
        return round(value + later, 1)
    if key == "now":
        return (datetime.fromisoformat(value) + timedelta(seconds=later)).isoformat(timespec="seconds")
    return value


def _handler(server: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Chromium opens connections on which it may never ask for anything; their threads end by this.
        timeout = 2

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = next((page for page, there in PAGES.items() if there == path), path.lstrip("/"))
            if name == "status.json":
                self._answer(server.code, "application/json", server.status())
                server.told += 1
            elif name in STATIC:
                self._answer(200, TYPES[name.rpartition(".")[2]], STATIC[name].read_bytes())
            else:
                self._answer(404, "text/plain", b"")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            # The page does not wait for ever, and goes away when its test ends.
            with suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler
