"""The receiver, and strangers who crowd it: whoever sends calls is answered."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from humbug_agent.http_server import connection, server, throttle
from humbug_agent.receiver import MOST_BYTES, Background, Receiver, Store
from tests.kit.forms import API_KEY, KEY, plain, post

HALF = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MOST_BYTES


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


@pytest.fixture
def strangers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def crowd(strangers: ExitStack, url: str, count: int) -> list[socket.socket]:
    """A third says nothing, a third half a head, a third a part of a large call."""
    said = b"", HALF[:-2], HALF + b"x" * 90_000
    socks = [strangers.enter_context(connect(url)) for _ in range(count)]
    for number, sock in enumerate(socks):
        sock.setblocking(False)
        sock.send(said[number % 3])
    return socks


def test_more_than_may_connect_keep_no_call_out(running: Background, store: Store, strangers: ExitStack) -> None:
    crowd(strangers, running.url, server.MOST_CONNECTIONS + 100)
    began = time.monotonic()
    assert post(running.url, plain()).status_code == 200
    assert time.monotonic() - began < 5
    assert store.count() == 1


def test_who_says_nothing_whole_is_not_kept_for_ever(
    running: Background, strangers: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.2)
    for sock in crowd(strangers, running.url, 30):
        sock.settimeout(20)
        try:
            while sock.recv(1000):
                pass
        except ConnectionResetError:
            pass


def test_without_file_descriptors_it_says_so_once(
    running: Background, strangers: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(running.url, plain()).status_code == 200
    socks = [strangers.enter_context(socket.socket()) for _ in range(60)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(sock.fileno() for sock in socks) + 6, limits[1]))
    try:
        for sock in socks:
            sock.connect(("127.0.0.1", urlsplit(running.url).port))
        until = time.monotonic() + 20
        while not caplog.records:
            assert time.monotonic() < until
        time.sleep(3 * server.PAUSE_SECONDS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    [record] = caplog.records
    assert record.getMessage().startswith("receiver: can't accept a connection on 127.0.0.1:")
    assert record.exc_info is None


def test_keys_are_guessed_slowly_over_however_many_connections(
    store: Store, strangers: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MOST_HELD", 5)
    with Background(Receiver(store, API_KEY, KEY)) as running:
        body = plain(gateway="guess")
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for _ in range(14):
            strangers.enter_context(connect(running.url)).sendall(request)
        began = time.monotonic()
        assert post(running.url, plain()).status_code == 200
        assert time.monotonic() - began > 1.5 * throttle.DELAY_SECONDS


@pytest.mark.parametrize(
    "said",
    [
        HALF[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HALF.replace(b"\r\n", b"\n"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(running: Background, said: bytes) -> None:
    with connect(running.url) as sock:
        sock.sendall(said)
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
