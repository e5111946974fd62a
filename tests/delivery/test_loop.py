"""The loop that sends over kept connections, by itself, with a server that answers when a test wants it to."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from humbug_agent.http_client.client import HttpClient
from humbug_agent.http_client.loop import Loop, Question

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        yield listening


@pytest.fixture
def loop(server: socket.socket) -> Iterator[Loop]:
    client = HttpClient(timeout=10, user_agent="test")
    prepared = client.prepare("POST", f"http://127.0.0.1:{server.getsockname()[1]}/")
    with closing(Loop(client, prepared, 1000, "test")) as made, closing(client):
        yield made


def collected(loop: Loop, count: int) -> list[int]:
    """The numbers of so many questions, in the order in which they were answered."""
    found: list[int] = []
    while len(found) < count:
        came = loop.collect(5)
        assert came
        found += [number for one in came if one.question for number in one.question.numbers]
    return found


def answer(connection: socket.socket, number: int) -> None:
    """Once the request is there."""
    connection.settimeout(5)
    data = b""
    while not data.endswith(b"call=%d" % number):
        data += connection.recv(4096)
    connection.sendall(OK)


def question(number: int) -> Question:
    return Question((number,), b"call=%d" % number, {})


def test_a_connection_is_used_again_once_what_came_over_it_was_collected(server: socket.socket, loop: Loop) -> None:
    """What came of a call is written down then: a kill costs no more than the repeat of one call a connection."""
    loop.ask([question(1)])
    with server.accept()[0] as first:
        answer(first, 1)
        assert collected(loop, 1) == [1]
        loop.ask([question(2)])
        answer(first, 2)
        # The answer is there, and nobody has asked for it yet.
        loop.ask([question(3)])
        with server.accept()[0] as second:
            answer(second, 3)
            assert collected(loop, 2) == [2, 3]
            loop.ask([question(4), question(5)])
            answer(second, 4)
            answer(first, 5)
            assert sorted(collected(loop, 2)) == [4, 5]
