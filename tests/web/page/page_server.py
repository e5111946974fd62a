"""A small real HTTP server with the page's files, sent as the agent sends them, and a /stream of the test's."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
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


BEAT_SECONDS = 0.5


class PageServer:
    """What it tells may be changed at any time; the seconds in it go on by themselves, as a PBX's do.

    While ``code`` is not 200, or ``raw`` is not empty, that is what it answers in the place of a stream.
    """

    def __init__(self) -> None:
        self.code = 200
        self.raw = b""
        self.answers: dict[str, tuple[int, Any]] = {}
        """What is asked for once -> status, and what it is answered."""
        self.asked = 0
        """How often it was asked for a stream."""
        self.open = 0
        """How many streams are open."""
        self.serial = 0
        """Of what it tells: each event has it."""
        self._speaks = threading.Event()
        self._speaks.set()
        self._changed = threading.Condition()
        self._cut = 0
        self._mute = False
        self._answer: Any = None
        self._at = self._since = 0.0
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
        """Tell what /status.json would answer now."""
        with self._changed:
            self._at, self._since = datetime.fromisoformat(answer["now"]).timestamp(), time.monotonic()
            self._answer = _since({name: one for name, one in answer.items() if name != "now"}, self._at)
            self._zone = datetime.fromisoformat(answer["now"]).tzinfo
            self.code, self.raw = 200, b""
            self.serial += 1
            self._changed.notify_all()

    def cut(self) -> None:
        """End all streams."""
        with self._changed:
            self._cut += 1
            self._changed.notify_all()

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
        self.cut()
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
        """It ends all streams, takes every request and answers none."""
        self._speaks.clear()
        self.cut()
        try:
            yield
        finally:
            self._speaks.set()

    @contextmanager
    def mute(self) -> Iterator[None]:
        """It begins to answer, and tells nothing any more."""
        self._mute = True
        self.cut()
        try:
            yield
        finally:
            self._mute = False

    def _is_news(self, told: int, cut: int) -> bool:
        return self._cut != cut or (self.serial != told and not self._mute)

    def events(self) -> Iterator[bytes]:
        """Of one stream, until it is cut."""
        told, cut = 0, self._cut
        while True:
            with self._changed:
                self._changed.wait_for(partial(self._is_news, told, cut), BEAT_SECONDS)
                if self._cut != cut:
                    return
                if self._mute:
                    continue
                changes = [{"op": "replace", "path": "", "value": self._answer}] if self.serial != told else []
                told = self.serial
                at = self._at + time.monotonic() - self._since
                now = datetime.fromtimestamp(at, self._zone).isoformat(timespec="seconds")
            yield b"data: %b\n\n" % json.dumps({"now": now, "at": at, "changes": changes, "serial": told}).encode()


def _since(value: Any, at: float, key: str = "") -> Any:
    """With the times that run told by when they began."""
    if isinstance(value, dict):
        return {name: _since(one, at, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_since(one, at) for one in value]
    return {"since": at - value} if key in RUNNING and value is not None else value


def _handler(server: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Chromium opens connections on which it may never ask for anything; their threads end by this.
        timeout = 2

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = next((page for page, there in PAGES.items() if there == path), path.lstrip("/"))
            if name == "stream":
                server.asked += 1
                server._speaks.wait()
                if server.code == 200 and not server.raw:
                    self._stream()
                else:
                    self._answer(server.code, "text/html", server.raw)
            elif name in server.answers:
                code, told = server.answers[name]
                self._answer(code, "application/json", json.dumps(told).encode())
            elif name in STATIC:
                self._answer(200, TYPES[name.rpartition(".")[2]], STATIC[name].read_bytes())
            else:
                self._answer(404, "text/plain", b"")

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            server.open += 1
            with suppress(ConnectionError):
                for event in server.events():
                    self.wfile.write(event)
            server.open -= 1

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
