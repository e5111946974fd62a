"""A web server that gets another app and another certificate while it runs, as a reload brings them."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from humbug_agent.http_server.server import Server, WebError
from humbug_agent.http_server.settings import StatusSettings
from tests.kit.asking import Certified, ask, connect, read

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def saying(word: bytes) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(word))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": word})

    return answer


def test_who_is_connected_stays_so_and_gets_the_new_answers(
    serving: Callable[..., Server], status: Callable[..., StatusSettings], certified: Certified
) -> None:
    server = serving(saying(b"old"))
    kept = connect(server)
    kept.sendall(REQUEST)
    assert read(kept).body == b"old"
    port = server.port
    server.serve(saying(b"new"), status(certificate=certified.certificate))
    server.start()
    kept.sendall(REQUEST)
    assert read(kept).body == b"new"
    assert server.port == port
    assert ask(server, tls=certified.context).body == b"new"
    # Without one it speaks no TLS any more.
    server.serve(saying(b"newer"), status())
    server.start()
    assert ask(server).body == b"newer"
    with pytest.raises(ssl.SSLError):
        ask(server, tls=certified.context)


def test_a_certificate_that_can_not_be_used_leaves_the_old_one(
    serving: Callable[..., Server], status: Callable[..., StatusSettings], certified: Certified, tmp_path: Path
) -> None:
    server = serving(saying(b"old"), certificate=certified.certificate)
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    server.serve(saying(b"new"), status(certificate=broken))
    with pytest.raises(WebError, match="has no certificate"):
        server.start()
    assert ask(server, tls=certified.context).body == b"new"
