"""Clients for the tests of the web server: sockets that say what they like, and curl."""

import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path

from humbug_agent.http_server.server import Server

HEAD = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40


@dataclass(frozen=True)
class Certified:
    """``certificate`` has the key in it; ``context`` is for clients, as ``ca_file`` is."""

    certificate: Path
    ca_file: Path
    context: ssl.SSLContext


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes


_made: list[socket.socket] = []


def sockets(count: int) -> list[socket.socket]:
    """Not connected yet. Whatever becomes of a test, a fixture closes what it made."""
    made = [socket.socket() for _ in range(count)]
    _made.extend(made)
    return made


def close_all() -> None:
    while _made:
        _made.pop().close()


def connect(server: Server, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> socket.socket:
    """It is closed after the test, too."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=(source, 0))
    _made.append(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        _made.append(sock := tls.wrap_socket(sock, server_hostname="127.0.0.1"))
    return sock


def read(sock: socket.socket, method: str = "GET") -> Answer:
    response = HTTPResponse(sock, method=method)
    with closing(response):
        response.begin()
        return Answer(response.status, response.headers, response.read())


def ask(server: Server, path: str = "", headers: str = "", tls: ssl.SSLContext | None = None) -> Answer:
    with connect(server, tls) as sock:
        sock.sendall(HEAD % (path.encode(), headers.encode("latin-1")))
        return read(sock)


def say(server: Server, said: bytes, tls: ssl.SSLContext | None = None, method: str = "GET") -> Answer:
    """Whatever ``said`` is; the answer must come clean although not all of it may have been read."""
    with connect(server, tls) as sock:
        sock.sendall(said)
        return read(sock, method)


def is_closed(sock: socket.socket) -> bool:
    """Whether the server has closed it, for whatever reason; bytes that came before count for nothing."""
    sock.settimeout(0)
    try:
        while data := sock.recv(65536):
            del data
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def curl(*arguments: str, said: str = "") -> str:
    """What it writes; its exit code must be 0. ``said`` is its standard input."""
    done = subprocess.run(
        ["curl", "-sS", *arguments], input=said.encode(), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
