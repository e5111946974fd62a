"""A patient web server: who finds no room waits for it, and nobody whose request is under way is cut off."""

import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event, Timer

import pytest
from starlette.types import Receive, Scope, Send

from humbug_agent.http_server import server as server_module
from humbug_agent.http_server.server import Server
from tests.kit.asking import HEAD, ask, connect, is_closed, read, until

pytestmark = pytest.mark.slow

Serving = Callable[..., Server]
MOST = 20


class Held:
    """Answers when it is released, and at once from then on."""

    def __init__(self) -> None:
        self.asked = 0
        self._released = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self._released.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def release(self, server: Server) -> None:
        server._loop.call_soon_threadsafe(self._released.set)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def server(serving: Serving, held: Held) -> Server:
    return serving(held, {"most": MOST, "patient": True})


@pytest.fixture
def socks(server: Server) -> Iterator[Callable[[int, bytes], list[socket.socket]]]:
    """Opens so many connections that say this."""
    with ExitStack() as stack:

        def open_some(count: int, said: bytes) -> list[socket.socket]:
            found = [stack.enter_context(connect(server)) for _ in range(count)]
            for sock in found:
                sock.sendall(said)
            return found

        yield open_some


Socks = Callable[[int, bytes], list[socket.socket]]
ASK = HEAD % (b"", b"Connection: close\r\n")


def test_who_finds_no_room_waits_and_is_answered(server: Server, held: Held, socks: Socks) -> None:
    everybody = socks(MOST, ASK)
    until(lambda: held.asked == MOST)
    everybody += socks(10 * MOST, ASK)
    busy = time.process_time()
    began = server._loop.time()
    until(lambda: server._loop.time() - began > 2 * server_module.STALE_SECONDS)
    assert time.process_time() - busy < 0.5
    assert held.asked == MOST
    assert not any(map(is_closed, everybody))
    held.release(server)
    for sock in everybody:
        sock.settimeout(10)
        assert read(sock).body == b"ok"
    assert held.asked == 11 * MOST


def test_who_says_nothing_whole_makes_room_within_seconds(server: Server, held: Held, socks: Socks) -> None:
    held.release(server)
    half = [*socks(2 * MOST, b""), *socks(2 * MOST, b"POST / HTTP/1.1\r\nHost: x\r\nX-")]
    began = time.monotonic()
    assert ask(server).body == b"ok"
    # Four times as many as there is room for.
    assert 4 * server_module.STALE_SECONDS <= time.monotonic() - began < 8
    assert sum(map(is_closed, half)) >= 3 * MOST


def test_who_was_answered_and_stays_makes_room(server: Server, held: Held, socks: Socks) -> None:
    held.release(server)
    kept = socks(MOST, HEAD % (b"", b""))
    assert [read(sock).body for sock in kept] == [b"ok"] * MOST
    assert ask(server).body == b"ok"
    # Those that have rested long enough by then.
    assert any(map(is_closed, kept))


def test_those_who_ask_and_go_are_not_worked_for_without_end(server: Server, held: Held) -> None:
    for _ in range(10 * MOST):
        with connect(server) as sock:
            sock.sendall(ASK)
    until(lambda: held.asked == 2 * MOST and not server._connections)
    until(lambda: len(server._state.tasks) == 2 * MOST)
    assert ask(server).status == 503
    assert held.asked == 2 * MOST
    held.release(server)
    until(lambda: not server._state.tasks)
    assert ask(server).body == b"ok"


def test_what_was_sent_and_not_read_yet_is_under_way(server: Server, held: Held, socks: Socks) -> None:
    """The server has had no time for anybody, as on a host that was suspended."""
    half = socks(MOST - 1, b"POST / HTTP/1.1\r\nHost: x\r\nX-")
    until(lambda: len(server._connections) == MOST - 1)
    resumed = Event()
    server._loop.call_soon_threadsafe(resumed.wait)
    Timer(1.5 * server_module.STALE_SECONDS, resumed.set).start()
    genuine = [half[0], *socks(2 * MOST, ASK)]
    half[0].sendall(b": y\r\n\r\n")
    held.release(server)
    for sock in genuine:
        assert read(sock).body == b"ok"


def test_without_file_descriptors_nobody_under_way_is_cut_off(
    server: Server, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(MOST)]
        highest = max(sock.fileno() for sock in socks)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 6, limits[1]))
        try:
            for sock in socks:
                sock.settimeout(10)
                sock.connect(("127.0.0.1", server.port))
                sock.sendall(ASK)
            until(lambda: caplog.records and held.asked)
            began = server._loop.time()
            until(lambda: server._loop.time() - began > 1.5 * server_module.STALE_SECONDS)
            assert held.asked < MOST
            held.release(server)
            for sock in socks:
                assert read(sock).body == b"ok"
                sock.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [record.getMessage() for record in caplog.records] == [
        "[status] can't accept a connection on 127.0.0.1:0: Too many open files"
    ]
