"""Who may ask the board, and how: TLS, passwords, names, methods, and what every answer says to browsers."""

import base64
import logging
import re
import subprocess
import time
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from humbug_agent.http_server import refusals, throttle
from humbug_agent.http_server.server import Server
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.ini import Secret
from humbug_agent.web.guard import Guard
from tests.kit.asking import HEAD, Certified, ask, connect, curl, read, say, until

pytestmark = pytest.mark.slow

Guarded = Callable[..., Server]

FAILED = b"ERROR: AUTHENTICATION FAILED"


async def board(request: Request) -> Response:
    return PlainTextResponse("the board")


async def icon(request: Request) -> Response:
    return PlainTextResponse("the icon", headers={"Cache-Control": "max-age=60"})


async def fails(request: Request) -> Response:
    raise LookupError


APP = Starlette(routes=[Route("/", board), Route("/icon", icon), Route("/fails", fails)])


@pytest.fixture
def guarded(serving: Callable[..., Server], status: Callable[..., StatusSettings]) -> Guarded:
    def serve(user: str = "", password: str = "", **changes: object) -> Server:
        changes |= {"username": user, "password": Secret(password) if password else None}
        return serving(Guard(APP, status(**changes)), **changes)

    return serve


@pytest.fixture
def delay(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.1)
    return 0.1


def basic(credentials: bytes, scheme: str = "Basic") -> str:
    return f"Authorization: {scheme} {base64.b64encode(credentials).decode()}\r\n"


def test_the_right_user_and_password(guarded: Guarded) -> None:
    server = guarded("boss", "p:ss wörd")
    for headers in (
        basic("boss:p:ss wörd".encode()),
        basic("boss:p:ss wörd".encode("latin-1")),
        basic("boss:p:ss wörd".encode(), "bAsIc"),
    ):
        assert ask(server, headers=headers).body == b"the board"
    assert curl("-u", "boss:p:ss wörd", f"http://127.0.0.1:{server.port}/") == "the board"
    assert curl("-u", "boss:p:ss wörd", f"http://localhost:{server.port}/icon") == "the icon"


def test_only_what_is_set_is_compared(guarded: Guarded, delay: float) -> None:
    user, password = guarded(user="boss"), guarded(password="pass")
    assert ask(user, headers=basic(b"boss:anything")).status == 200
    assert ask(user, headers=basic(b"boss:")).status == 200
    assert ask(user, headers=basic(b"anyone:pass")).status == 401
    assert ask(password, headers=basic(b"anyone:pass")).status == 200
    assert ask(password, headers=basic(b":pass")).status == 200
    assert ask(password, headers=basic(b"boss:")).status == 401
    assert ask(user).status == ask(password).status == 401


WRONG = {
    "password": basic(b"boss:pasS"),
    "user": basic(b"bosS:pass"),
    "nothing": basic(b":"),
    "empty": basic(b""),
    "longer": basic(b"boss:passs"),
    "shorter": basic(b"boss:pas"),
    "no colon": basic(b"bosspass"),
    "nul": basic(b"boss:pass\0"),
    "no UTF-8": basic(b"boss:\xff\xfe"),
    "another scheme": basic(b"boss:pass", "Bearer"),
    "only the scheme": "Authorization: Basic\r\n",
    "no value": "Authorization:\r\n",
    "no base64": "Authorization: Basic ====\r\n",
    "not all base64": "Authorization: Basic Ym9zc*zpwYXNz\r\n",
    "not in full": "Authorization: Basic Ym9zczpwYXN\r\n",
    "Latin-1": "Authorization: Basic \xe4\xf6\xfc\r\n",
    "the first one counts": basic(b"boss:pasS") + basic(b"boss:pass"),
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_the_wrong_ones_are_refused_after_a_while(guarded: Guarded, delay: float, headers: str) -> None:
    server = guarded("boss", "pass")
    began = time.monotonic()
    answer = ask(server, headers=headers)
    assert time.monotonic() - began >= delay
    assert answer.status == 401
    assert answer.body == FAILED
    assert answer.headers["www-authenticate"] == 'Basic realm="humbug-agent", charset="UTF-8"'


def test_no_password_at_all_is_refused_at_once(guarded: Guarded) -> None:
    server = guarded("boss", "pass")
    began = time.monotonic()
    for path in ("", "icon", "no-such-page", "../../etc/passwd", "?a=%00"):
        answer = ask(server, path)
        assert answer.status == 401
        assert answer.body == FAILED
    assert time.monotonic() - began < throttle.DELAY_SECONDS


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> float:
    """Few wrong passwords at a time; how many a second."""
    monkeypatch.setattr(throttle, "MOST_HELD", 5)
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.2)
    return 25


def test_guesses_are_slow_over_however_many_connections(guarded: Guarded, narrow: float) -> None:
    """Who is right beside them has to wait for his turn, and gets it."""
    server = guarded("boss", "pass")
    socks = [connect(server) for _ in range(60)]
    began = time.monotonic()
    for sock in socks:
        sock.sendall(HEAD % (b"", basic(b"boss:wrong").encode()))
    assert ask(server, headers=basic(b"boss:pass")).body == b"the board"
    # The first five need no time.
    assert time.monotonic() - began > 50 / narrow
    for sock in socks:
        answer = read(sock)
        assert (answer.status, answer.body) == (401, FAILED)
    assert ask(server, headers=basic(b"boss:pass")).body == b"the board"


def test_guesses_of_those_who_do_not_wait_for_the_answer_are_as_slow(guarded: Guarded, narrow: float) -> None:
    """What comes at once is right, what does not is wrong: nobody needs the answer itself."""
    server = guarded("boss", "pass")
    for number in range(300):
        with connect(server) as sock:
            sock.sendall(HEAD % (b"", basic(b"boss:wrong" if number % 100 else b"boss:pass").encode()))
    began = time.monotonic()
    assert ask(server, headers=basic(b"boss:pass")).body == b"the board"
    # Those who have gone are not waited for.
    assert time.monotonic() - began < 2
    until(lambda: not server._state.tasks)


@pytest.mark.alone
def test_10_000_wrong_passwords(
    guarded: Guarded, delay: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refusals, "LOG_SECONDS", 0.5)
    server = guarded("boss", "pass")
    url = f"http://127.0.0.1:{server.port}/[1-10000]"
    arguments = ("-Z", "--parallel-max", "300", "-u", "boss:guess", "-o", "/dev/null", "-w", "%{http_code}\n", url)
    attack = subprocess.Popen(["curl", "-s", *arguments], stdout=subprocess.PIPE)
    slowest, right = 0.0, 0
    try:
        while attack.poll() is None:
            asked = time.monotonic()
            assert ask(server, headers=basic(b"boss:pass")).body == b"the board"
            slowest, right = max(slowest, time.monotonic() - asked), right + 1
    finally:
        attack.kill()
        answers = attack.communicate()[0]
    assert answers == b"401\n" * 10_000
    assert right > 10
    # Who is right waits with those who are wrong.
    assert slowest < 3
    told = re.compile(r"\[status\] wrong user, password or key from 127\.0\.0\.1(?:, ([\d,]+) times in 0\.5 s)?")

    def counted() -> int:
        found = [told.fullmatch(record.getMessage()) for record in caplog.records]
        return sum(int((each[1] or "1").replace(",", "")) for each in found if each)

    until(lambda: counted() == 10_000)
    assert len(caplog.records) < 100
    assert "guess" not in caplog.text


def test_one_warning_an_address_and_no_more_addresses_than_fit(
    guarded: Guarded, delay: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refusals, "MOST_ADDRESSES", 3)
    server = guarded("boss", "secret-one")
    for number in (2, 2, 3, 4, 5, 6, 6):
        with connect(server, source=f"127.0.0.{number}") as sock:
            sock.sendall(HEAD % (b"", basic(b"boss:secret-two").encode()))
            assert read(sock).status == 401
    said = [record.getMessage().partition(" from ")[2] for record in caplog.records]
    assert said == ["127.0.0.2", "127.0.0.3", "127.0.0.4", "other addresses"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "secret" not in caplog.text
    assert "boss" not in caplog.text


@pytest.mark.parametrize("path", ["", "icon", "fails", "no-such-page"])
def test_tls_is_required_before_anything_else(guarded: Guarded, certified: Certified, path: str) -> None:
    server = guarded("boss", "pass", require_tls=True, certificate=certified.certificate)
    for headers in ("", basic(b"boss:pass"), basic(b"boss:wrong")):
        answer = ask(server, path, headers)
        assert answer.status == 200
        assert answer.body == b"ERROR: SSL QUERY REQUIRED"
        assert answer.headers["content-type"].startswith("text/plain")
    assert ask(server, path, tls=certified.context).body == FAILED


def test_tls_that_is_required_is_enough(guarded: Guarded, certified: Certified) -> None:
    server = guarded("boss", "pass", require_tls=True, certificate=certified.certificate)
    assert ask(server, headers=basic(b"boss:pass"), tls=certified.context).body == b"the board"
    trust = ("--cacert", str(certified.ca_file))
    assert curl(*trust, "-u", "boss:pass", f"https://127.0.0.1:{server.port}/") == "the board"
    assert curl(f"http://boss:pass@127.0.0.1:{server.port}/ipps/x.php") == "ERROR: SSL QUERY REQUIRED"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get", "PRI"])
def test_other_methods_are_refused(guarded: Guarded, certified: Certified, method: str) -> None:
    for server in (guarded(), guarded("boss", "pass", require_tls=True, certificate=certified.certificate)):
        target = "a:1" if method == "CONNECT" else "/"
        answer = say(server, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"
        assert answer.body == b"ERROR: METHOD NOT ALLOWED"


def test_a_long_post_is_refused_cleanly(guarded: Guarded) -> None:
    server = guarded()
    body = "x" * 1_000_000
    assert curl("--data", "@-", "-w", "%{http_code}", f"http://127.0.0.1:{server.port}/", said=body).endswith("405")


@pytest.mark.parametrize("path", ["", "icon", "no-such-page"])
def test_head_is_get_without_a_body(guarded: Guarded, path: str) -> None:
    server = guarded("boss", "pass")
    for headers in ("", basic(b"boss:pass")):
        whole = ask(server, path, headers)
        with connect(server) as sock:
            for _ in range(2):
                sock.sendall((HEAD % (path.encode(), headers.encode())).replace(b"GET", b"HEAD"))
                head = read(sock, "HEAD")
                assert head.status == whole.status
                assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
                assert head.body == b""
            assert whole.body


def test_every_answer_tells_browsers_to_keep_to_this_site(guarded: Guarded, certified: Certified, delay: float) -> None:
    open_one, closed_one = guarded(), guarded("boss", "pass")
    secure = guarded(require_tls=True, certificate=certified.certificate)
    answers = [
        *(ask(open_one, path) for path in ("", "icon", "no-such-page", "fails")),
        say(open_one, HEAD.replace(b"GET", b"POST") % (b"", b"")),
        say(open_one, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        ask(closed_one),
        ask(closed_one, headers=basic(b"boss:wrong")),
        ask(secure),
        ask(secure, tls=certified.context),
    ]
    assert [answer.status for answer in answers] == [200, 200, 404, 500, 405, 403, 401, 401, 200, 200]
    for number, answer in enumerate(answers):
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers.get_all("cache-control") == ["max-age=60" if number == 1 else "no-store"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


GOOD_HOSTS = ["localhost", "LOCALHOST:8088", "127.0.0.1", "127.0.0.1:8088", "192.0.2.7", "[::1]", "[::1]:8088"]
BAD_HOSTS = ["", "evil.example", "evil.example:8088", "localhost.evil.example", "127.0.0.1.evil.example", "a[::1]"]
BAD_HOSTS += ["localhost:80@evil.example", "localhost:evil.example", "localhost:80:80", "[::1]evil.example", "::1"]
BAD_HOSTS += ["[::1", "[::1]:x", "[::1%@evil.example]", "[localhost]", "localhost/", "localhost\\@evil.example"]
BAD_HOSTS += ["localhost@evil.example", "127.0.0.1@evil.example:80", "1", "0x7f.1"]


def with_host(host: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def test_a_strangers_web_page_cant_lend_us_its_name(guarded: Guarded) -> None:
    server = guarded()
    for host in GOOD_HOSTS:
        assert say(server, with_host(host)).body == b"the board"
    for host in BAD_HOSTS:
        answer = say(server, with_host(host))
        assert answer.status == 403, host
        assert answer.body.startswith(b"ERROR: HOST NAME NOT ALLOWED\n")
        assert b"evil" not in answer.body
    assert say(server, b"GET / HTTP/1.0\r\n\r\n").body == b"the board"
    # Of two the one in the target counts.
    for target, header in (("http://localhost/", "evil.example"), ("http://127.0.0.1:1?x", "127.0.0.1")):
        assert say(server, with_host(header).replace(b" / ", f" {target} ".encode())).body == b"the board"
    for target in ("http://evil.example/", "http://localhost@evil.example/", "http:///"):
        assert say(server, with_host("localhost").replace(b" / ", f" {target} ".encode())).status == 403


def test_any_name_will_do_where_there_is_a_password(guarded: Guarded) -> None:
    server = guarded("boss", "pass")
    said = with_host("pbx.example").replace(b"\r\n\r\n", b"\r\n" + basic(b"boss:pass").encode() + b"\r\n")
    assert say(server, said).body == b"the board"
    assert say(guarded(host="0.0.0.0"), with_host("pbx.example")).body == b"the board"
