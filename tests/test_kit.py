"""The tests' own servers: a question counts as asked only when it came whole."""

import socket

import pytest

from tests.kit.rude import Rude
from tests.kit.while1_server import While1Server

HEAD = b"POST /api/cdr HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 6\r\n"


def ask(port: int, sent: bytes) -> bytes:
    """What is answered to those bytes, after which the client is gone."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock, sock.makefile("rb") as stream:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return stream.read()


@pytest.mark.parametrize("body", [b"", b"[12"])
def test_what_was_killed_before_its_body_was_sent_has_asked_nothing(body: bytes) -> None:
    with While1Server() as pull, Rude() as rude:
        for server in (pull, rude):
            assert ask(server.port, HEAD + b"\r\n" + body) == b""
            assert ask(server.port, HEAD + b"Connection: close\r\n\r\n[1234]").startswith(b"HTTP/1.1 ")
        assert [asked.body for asked in pull.asked] == [b"[1234]"]
        assert [request.body for request in rude.requests] == [b"[1234]"]
