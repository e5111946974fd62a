"""The web server's sockets: whatever one client does, the others get their answers, and the log stays clean."""

import asyncio
import logging
import random
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from humbug_agent.http_server import server as server_module
from humbug_agent.http_server.server import Server, WebError
from humbug_agent.http_server.settings import StatusSettings
from tests.kit.asking import CLIENT_HELLO, HEAD, Certified, ask, connect, curl, is_closed, read, say, sockets, until
from tests.kit.ports import free_port
from tests.kit.threads import no_thread

pytestmark = pytest.mark.slow

Serving = Callable[..., Server]
Limits = Callable[..., None]

BIG = 32 * 1024 * 1024


class Site:
    """An app whose ``/held`` answers when ``release`` is called."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held = 0
        self._released = asyncio.Event()
        paths = {"": self._home, "held": self._hold, "never": self._never, "fails": self._fail}
        paths |= {"page": self._page, "big": self._big}
        self.app = Starlette(routes=[Route(f"/{path}", answer) for path, answer in paths.items()])

    def release(self, server: Server) -> None:
        server._loop.call_soon_threadsafe(self._released.set)

    async def _home(self, request: Request) -> Response:
        self.asked.append(request.query_params.get("said", ""))
        return PlainTextResponse(f"{request.url.scheme} {len(self.asked)}")

    async def _hold(self, request: Request) -> Response:
        self.held += 1
        await self._released.wait()
        return PlainTextResponse("at last")

    async def _page(self, request: Request) -> Response:
        self.asked.append("page")
        return PlainTextResponse(b"x" * 100_000)

    async def _never(self, request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def _big(self, request: Request) -> Response:
        return PlainTextResponse(b"x" * BIG)

    async def _fail(self, request: Request) -> Response:
        raise LookupError("a secret of the program")


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a stranger sends, no log says a word, ours, uvicorn's or asyncio's. A test that hears one takes it."""
    caplog.set_level(logging.INFO)
    yield
    assert caplog.get_records("call") == []


# What is asked in the usual way


@pytest.mark.parametrize("secure", [False, True])
def test_many_requests_on_one_connection(serving: Serving, site: Site, certified: Certified, secure: bool) -> None:
    server = serving(site.app, certificate=certified.certificate)
    began = time.monotonic()
    with connect(server, certified.context if secure else None) as sock:
        for number in range(1, 101):
            sock.sendall(HEAD % (b"", b""))
            answer = read(sock)
            assert answer.status == 200
            assert answer.body.decode() == f"{'https' if secure else 'http'} {number}"
    # 40 ms each without TCP_NODELAY.
    assert time.monotonic() - began < 2
    assert answer.headers["date"].endswith("GMT")
    assert "server" not in answer.headers


def test_curl_gets_plain_http_and_tls_from_one_port(serving: Serving, site: Site, certified: Certified) -> None:
    server = serving(site.app, certificate=certified.certificate)
    trust = ("--cacert", str(certified.ca_file))
    assert curl(f"http://127.0.0.1:{server.port}/") == "http 1"
    assert curl(*trust, f"https://127.0.0.1:{server.port}/", f"https://127.0.0.1:{server.port}/") == "https 2https 3"
    assert "content-length: 7" in curl(*trust, "-I", "--http2", f"https://127.0.0.1:{server.port}/")
    assert curl("--http2", f"http://127.0.0.1:{server.port}/") == "http 5"


def test_a_name_is_listened_to_at_all_of_its_addresses(serving: Serving, site: Site) -> None:
    server = serving(site.app, host="localhost", port=free_port())
    assert curl(f"http://127.0.0.1:{server.port}/") == "http 1"
    assert curl(f"http://localhost:{server.port}/") == "http 2"


def test_without_a_certificate_tls_is_no_http(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    assert say(server, CLIENT_HELLO).status == 400
    with pytest.raises(ssl.SSLError):
        connect(server, ssl.create_default_context())


def test_pipelined_requests_are_answered_in_turn(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    with connect(server) as sock:
        sock.sendall(b"".join(HEAD % (b"?said=%d" % number, b"") for number in range(200)))
        with sock.makefile("rb") as stream:
            stream.readline()
        sock.sendall(HEAD % (b"", b"Connection: close\r\n"))
        until(lambda: is_closed(sock))
    assert site.asked == [*map(str, range(200)), ""]


# What is asked in an unusual way


def too_long() -> dict[str, bytes]:
    mega = b"x" * (1 << 20)
    return {
        "line": HEAD % (mega, b""),
        "query": HEAD % (b"?said=" + mega, b""),
        "method": mega + HEAD % (b"", b""),
        "header": HEAD % (b"", b"X-Long: " + mega + b"\r\n"),
        "headers": HEAD % (b"", b"X-Many: x\r\n" * 50_000),
        "name": HEAD % (b"", mega + b": x\r\n"),
        "host": b"GET / HTTP/1.1\r\nHost: " + mega + b"\r\n\r\n",
    }


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("what", too_long())
def test_what_is_too_long_is_refused(
    serving: Serving, site: Site, certified: Certified, what: str, secure: bool
) -> None:
    server = serving(site.app, certificate=certified.certificate)
    answer = say(server, too_long()[what], certified.context if secure else None)
    assert answer.status == 431
    assert answer.body == b"ERROR: REQUEST TOO LONG"
    assert answer.headers["connection"] == "close"
    assert ask(server).status == 200


def test_all_byte_values_as_parameters(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    for value in range(256):
        assert ask(server, f"?said=%{value:02x}").status == 200
        assert site.asked[-1] == bytes((value,)).decode("utf-8", "replace")
    for value in range(256):
        # A blank parts the line's words, a line feed ends it.
        good = 0x21 <= value < 0x7F
        answer = say(server, HEAD % (b"?said=a%cb" % value, b""))
        assert answer.status == (200 if good else 400), value
        assert good or answer.body == b"ERROR: NOT A VALID HTTP REQUEST"


ODD = [
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \n",
    b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\n" % (b"9" * 5000),
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n: no name\r\n\r\n",
    b"GET http://[/ HTTP/1.1\x00\r\nHost: a\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"EHLO mail\r\n\r\n",
    b"\x00" * 100,
    b"\xff\xfe\xfd" * 1000 + b"\n\n",
    b"\x80\x9e\x01\x03\x01\n\n",
]


@pytest.mark.parametrize("said", ODD, ids=range(len(ODD)))
def test_what_is_no_http_is_refused(serving: Serving, site: Site, said: bytes) -> None:
    server = serving(site.app)
    assert say(server, said, method=said[:4].decode("latin-1").strip()).status == 400
    assert site.asked == []
    assert ask(server).status == 200


def test_odd_requests_that_are_http(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    assert say(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 404
    assert say(server, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").status == 404
    for target in (b"http://a/", b"HTTP://b:1", b"https://?x=y"):
        assert say(server, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target).body.startswith(b"http ")
    assert say(server, b"GET / HTTP/1.0\r\n\r\n").body == b"http 4"
    assert say(server, HEAD % (b"", b"Upgrade: websocket\r\nConnection: upgrade\r\n")).body == b"http 5"
    assert say(server, HEAD % (b"", b"Content-Length: 1000000\r\n") + b"x" * 1_000_000).status == 200
    assert say(server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsomething").status == 405


def test_a_body_that_goes_wrong_after_its_answer(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    with connect(server) as sock:
        sock.sendall(HEAD % (b"", b"Transfer-Encoding: chunked\r\n"))
        assert read(sock).status == 200
        sock.sendall(b"no chunk\r\n")
        until(lambda: is_closed(sock))


def test_a_body_that_goes_wrong_before_its_answer(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    odd = HEAD % (b"held", b"Transfer-Encoding: chunked\r\n") + b"no chunk\r\n"
    assert say(server, odd).status == 400
    assert say(server, odd.replace(b"GET", b"HEAD"), method="HEAD").status == 400
    assert say(server, odd.replace(b"no chunk", b"0\r\nTrailer: ends\n")).status == 400
    with connect(server) as sock:
        sock.sendall(HEAD % (b"held", b"Transfer-Encoding: chunked\r\n"))
        until(lambda: site.held)
        sock.sendall(b"no chunk\r\n")
        assert read(sock).status == 400
    site.release(server)
    assert ask(server).status == 200


def test_a_thousand_garbled_requests(serving: Serving, site: Site, hasty: Limits) -> None:
    hasty(head=0.2, linger=0.2)
    server = serving(site.app)
    chance = random.Random(4)
    whole = HEAD % (b"?said=x", b"Accept: */*\r\nContent-Length: 3\r\n") + b"abc"
    for _ in range(20):
        with ExitStack() as open_ones:
            socks = [open_ones.enter_context(connect(server)) for _ in range(50)]
            for sock in socks:
                garbled = bytearray(whole)
                for _ in range(chance.choice((1, 2, 5, 30))):
                    garbled[chance.randrange(len(garbled))] = chance.choice((0, 10, 13, 32, 58, chance.randrange(256)))
                sock.sendall(garbled[: chance.randrange(1, len(garbled))])
                sock.shutdown(socket.SHUT_WR)
            for sock in socks:
                until(partial(is_closed, sock))
    assert ask(server).status == 200


def test_clients_that_go_away_at_any_moment(serving: Serving, site: Site, certified: Certified) -> None:
    server = serving(site.app, certificate=certified.certificate)
    request = HEAD % (b"", b"")
    for said in (b"", request[:9], request, request * 9, CLIENT_HELLO, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\n\n"):
        for number in range(60):
            with connect(server, certified.context if number % 5 == 0 else None) as sock:
                sock.sendall(said)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
                time.sleep(number % 3 * 0.0002)
    until(lambda: not server._connections)
    assert ask(server).status == 200


def test_everybody_at_once_and_then_the_end(serving: Serving, site: Site, certified: Certified, hasty: Limits) -> None:
    hasty(head=0.1, request=0.2, idle=0.1, linger=0.05)
    server = serving(site.app, {"most": 12}, certificate=certified.certificate)
    request, chunked = HEAD % (b"", b""), HEAD % (b"", b"Transfer-Encoding: chunked\r\n")
    said = [b"", b"GET", request, request * 5, chunked, chunked + b"no chunk\r\n", b"\n\n", CLIENT_HELLO]
    said += [HEAD % (path, b"Connection: close\r\n") for path in (b"", b"page", b"big", b"never")]
    ended = threading.Event()

    def client(number: int) -> None:
        chance = random.Random(number)
        while not ended.is_set():
            time.sleep(0.002)
            with suppress(OSError), connect(server, certified.context if chance.random() < 0.4 else None) as sock:
                sock.settimeout(0.2)
                for _ in range(chance.choice((1, 1, 3))):
                    sock.sendall(chance.choice(said))
                    time.sleep(chance.choice((0, 0, 0.01, 0.1)))
                    sock.recv(chance.choice((1, 100_000)))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", chance.randrange(2), 0))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(20)]
    for thread in clients:
        thread.start()
    until(lambda: len(site.asked) > 100, 20)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 3
    ended.set()
    for thread in clients:
        thread.join()
    assert not [thread for thread in threading.enumerate() if thread.name == "web"]


# Who takes their time


def half_open(server: Server, count: int) -> list[socket.socket]:
    """Half heads, half TLS hellos, and nothing at all."""
    said = (b"GET / HTTP/1.1\r\nHost: loc", CLIENT_HELLO, b"")
    socks = []
    for number in range(count):
        socks.append(connect(server))
        socks[-1].sendall(said[number % 3])
    return socks


def close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


@pytest.mark.alone
def test_300_half_open_connections(serving: Serving, site: Site, certified: Certified, hasty: Limits) -> None:
    hasty(head=2)
    server = serving(site.app, certificate=certified.certificate)
    began = time.monotonic()
    socks = half_open(server, 300)
    while not any(map(is_closed, socks)):
        for tls in (None, certified.context):
            asked = time.monotonic()
            assert ask(server, tls=tls).status == 200
            assert time.monotonic() - asked < 0.5
    assert time.monotonic() - began > 1.9
    until(lambda: all(map(is_closed, socks)), 3)
    until(lambda: not server._connections)
    assert len(site.asked) > 50
    close(socks)


@pytest.mark.alone
@pytest.mark.parametrize("dripping", [HEAD % (b"", b"X: y\r\n" * 20), CLIENT_HELLO + b"x" * 500])
def test_a_byte_now_and_then_is_no_excuse(
    serving: Serving, site: Site, certified: Certified, hasty: Limits, dripping: bytes
) -> None:
    hasty(head=0.3)
    server = serving(site.app, certificate=certified.certificate)
    began = time.monotonic()
    with connect(server) as sock:
        for number in range(100):
            if is_closed(sock):
                break
            sock.sendall(dripping[number : number + 1])
            time.sleep(0.01)
    assert 0.2 < time.monotonic() - began < 0.9
    assert not site.asked


@pytest.mark.alone
def test_a_kept_connection_may_be_idle_but_not_half_asked(serving: Serving, site: Site, hasty: Limits) -> None:
    hasty(head=0.3, idle=1)
    server = serving(site.app)
    with connect(server) as idle, connect(server) as half:
        for sock in (idle, half):
            sock.sendall(HEAD % (b"", b""))
            assert read(sock).status == 200
        answered = time.monotonic()
        half.sendall(b"G")
        until(lambda: is_closed(half))
        assert time.monotonic() - answered < 0.8
        assert not is_closed(idle)
        until(lambda: is_closed(idle))
        assert 0.9 < time.monotonic() - answered < 2


@pytest.mark.alone
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("path", [b"never", b"big"])
def test_an_answer_that_comes_to_no_end(
    serving: Serving, site: Site, certified: Certified, hasty: Limits, path: bytes, secure: bool
) -> None:
    hasty(head=5, request=0.3, idle=5)
    server = serving(site.app, certificate=certified.certificate)
    with connect(server, certified.context if secure else None) as slow:
        began = time.monotonic()
        slow.sendall(HEAD % (path, b""))
        until(lambda: server._connections)
        until(lambda: not server._connections)
        assert time.monotonic() - began < 1
        until(lambda: is_closed(slow))
    assert ask(server).status == 200


def test_a_slow_reader_gets_all_of_it(serving: Serving, site: Site) -> None:
    server = serving(site.app)
    with connect(server) as slow:
        slow.sendall(HEAD % (b"big", b"Connection: close\r\n"))
        until(lambda: server._connections)
        for _ in range(20):
            assert ask(server).status == 200
        assert len(read(slow).body) == BIG


def test_who_asks_and_never_reads_is_asked_to_wait(serving: Serving, site: Site, hasty: Limits) -> None:
    hasty(request=0.5)
    server = serving(site.app)
    with connect(server) as sock:
        sock.settimeout(0.2)
        with pytest.raises(OSError, match=r"timed out|reset|pipe"):
            sock.sendall(HEAD % (b"page", b"") * 1_000_000)
        until(lambda: not server._connections)
    # The kernels of both ends have buffers, of some MB.
    assert 10 < len(site.asked) < 500


# Too many


def test_beyond_the_cap_the_longest_unfinished_goes(serving: Serving, site: Site, certified: Certified) -> None:
    server = serving(site.app, {"most": 30}, certificate=certified.certificate)
    with connect(server) as held, connect(server) as idle:
        held.sendall(HEAD % (b"held", b""))
        until(lambda: site.held)
        idle.sendall(HEAD % (b"", b""))
        assert read(idle).status == 200
        socks = half_open(server, 100)
        until(lambda: is_closed(idle))
        until(lambda: all(map(is_closed, socks[:60])))
        assert ask(server, tls=certified.context).body == b"https 2"
        assert not any(map(is_closed, socks[85:]))
        assert len(server._connections) <= 30
        site.release(server)
        assert read(held).body == b"at last"
    close(socks)


def test_a_burst_where_all_are_being_answered(serving: Serving, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited for the app for long goes, no more than those who come; nobody at once."""
    monkeypatch.setattr(server_module, "LONG_SECONDS", 0.3)
    server = serving(site.app, {"most": 10})
    socks = [connect(server) for _ in range(10)]
    for sock in socks:
        sock.sendall(HEAD % (b"held", b""))
    until(lambda: site.held == 10)
    burst = sockets(3)
    for sock in burst:
        sock.connect(("127.0.0.1", server.port))
    began = time.monotonic()
    assert ask(server).status == 200
    assert time.monotonic() - began > 0.2
    close(burst)
    site.release(server)
    for sock in socks[-5:]:
        assert read(sock).body == b"at last"
    close(socks)


def test_without_file_descriptors_it_goes_on(serving: Serving, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = serving(site.app)
    socks = sockets(40)
    highest = max(sock.fileno() for sock in socks)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 6, limits[1]))
    try:
        for sock in socks:
            sock.connect(("127.0.0.1", server.port))
        until(lambda: caplog.records)
        busy = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - busy < 0.15
        socks[-1].sendall(HEAD % (b"", b""))
        socks[-1].settimeout(10)
        close(socks[:20])
        assert read(socks[-1]).status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        close(socks)
    assert ask(server).status == 200
    assert [record.getMessage() for record in caplog.records] == [
        "[status] can't accept a connection on 127.0.0.1:0: Too many open files"
    ]
    caplog.clear()


# Beginning and end


def test_stop_ends_all_kinds_of_connections_and_frees_the_port(
    serving: Serving, site: Site, certified: Certified
) -> None:
    server = serving(site.app, port=free_port(), certificate=certified.certificate)
    socks = half_open(server, 30)
    for tls in (None, certified.context):
        for path in (b"", b"", b"big", b"never"):
            socks.append(connect(server, tls))
            socks[-1].sendall(HEAD % (path, b""))
            if not path:
                assert read(socks[-1]).status == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 3
    assert not [thread for thread in threading.enumerate() if thread.name == "web"]
    after = serving(site.app, port=server.port)
    assert ask(after).status == 200
    until(lambda: all(map(is_closed, socks)))
    server.stop()
    assert ask(after).status == 200
    close(socks)


@pytest.mark.alone
def test_idle_connections_do_not_delay_the_end(serving: Serving, site: Site, certified: Certified) -> None:
    server = serving(site.app, certificate=certified.certificate)
    socks = half_open(server, 9)
    for tls in (None, certified.context):
        socks.append(connect(server, tls))
        socks[-1].sendall(HEAD % (b"", b""))
        assert read(socks[-1]).status == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 1
    close(socks)


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_under_way_is_finished_at_the_end(
    serving: Serving, site: Site, certified: Certified, secure: bool
) -> None:
    server = serving(site.app, certificate=certified.certificate)
    with connect(server, certified.context if secure else None) as held:
        held.sendall(HEAD % (b"held", b""))
        until(lambda: site.held)
        ending = threading.Thread(target=server.stop)
        ending.start()
        until(lambda: is_refused(server))
        site.release(server)
        assert read(held).body == b"at last"
        ending.join()


def is_refused(server: Server) -> bool:
    try:
        connect(server).close()
    except OSError as error:
        # Reset: it came just before the end.
        return isinstance(error, ConnectionRefusedError)
    return False


def test_a_server_that_has_no_thread_listens_once_it_has(status: Callable[..., StatusSettings], site: Site) -> None:
    server = Server(site.app, status(), most=10)
    with no_thread("web"), pytest.raises(WebError, match=r"can't listen on .*: this host lets no thread begin"):
        server.start()
    server.start()
    assert ask(server).status == 200
    server.stop()


def test_an_address_that_cant_be_listened_on(status: Callable[..., StatusSettings], site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(site.app, status(port=port))
        with pytest.raises(
            WebError, match=rf"^can't listen on 127\.0\.0\.1:{port}: Address already in use; another pr"
        ):
            server.start()
    server.start()
    assert ask(server).status == 200
    server.stop()
    for host, reason in (("192.0.2.1", "Cannot assign requested address; this"), ("no.invalid", "Name or service")):
        with pytest.raises(WebError, match=rf"^can't listen on {host}:1: {reason}"):
            Server(site.app, status(host=host, port=1)).start()


def test_certificates_and_keys_that_cant_be_used(
    status: Callable[..., StatusSettings], site: Site, certified: Certified, tmp_path: Path
) -> None:
    other = trustme.CA().issue_cert("127.0.0.1")
    other.private_key_pem.write_to_path(str(tmp_path / "other.key"))
    other.cert_chain_pems[0].write_to_path(str(tmp_path / "alone.pem"))
    (tmp_path / "text").write_text("no PEM at all")
    (tmp_path / "locked").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nxx\n-----END ENCRYPTED PRIVATE KEY-----\n")
    (tmp_path / "broken").write_text("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    good = certified.certificate
    for certificate, key, said in (
        (tmp_path / "gone", None, f"can't read certificate {tmp_path}/gone: No such file or directory"),
        (good, tmp_path / "gone", f"can't read key {tmp_path}/gone: No such file or directory"),
        (tmp_path / "text", None, f"certificate {tmp_path}/text has no certificate in PEM format"),
        (tmp_path / "alone.pem", None, f"{tmp_path}/alone.pem has no private key in PEM format; set private_key to"),
        (good, tmp_path / "text", f"{tmp_path}/text has no private key in PEM format"),
        (good, tmp_path / "locked", f"the private key in {tmp_path}/locked needs a passphrase"),
        (good, tmp_path / "other.key", f"certificate {good} with the key in {tmp_path}/other.key: the key is another"),
        (good, tmp_path / "broken", f"can't use certificate {good} with the key in {tmp_path}/broken: "),
    ):
        with pytest.raises(WebError) as raised:
            Server(site.app, status(certificate=certificate, private_key=key)).start()
        assert said in str(raised.value)


# The app


def test_a_fault_of_the_app_is_logged_once_and_not_shown(
    serving: Serving, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    server = serving(site.app)
    answer = ask(server, "fails?said=x")
    assert answer.status == 500
    assert answer.body == b"Internal Server Error"
    until(lambda: caplog.records)
    [record] = caplog.records
    assert record.getMessage() == "[status] a fault of this program: GET '/fails' failed"
    assert record.name == "humbug_agent.http_server.server"
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)
    assert ask(server).status == 200
    caplog.clear()
