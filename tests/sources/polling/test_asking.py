"""How a PBX's API is asked: politely, over real sockets, and what is said of everything that is no answer."""

import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from humbug_agent import backoff
from humbug_agent.backoff import jittered
from humbug_agent.cdr import Batch
from humbug_agent.ini import Secret
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling import client
from humbug_agent.sources.polling.client import Asker, Stopped, TooMuch, Wrong
from humbug_agent.sources.polling.pace import poll
from tests.kit.host import wait_until
from tests.kit.pull_server import Asked, PullServer, Reply, api, as_json

pytestmark = pytest.mark.slow

SECRET = 'pass/wörd+ "&'
GOOD = as_json({"all": "well"})
Tls = Callable[..., ssl.SSLContext]


class Server(PullServer):
    """Answers from its list, in order, then well."""

    def __init__(self, *replies: Reply, **where: Any) -> None:
        super().__init__(**where)
        self.replies = [*replies]

    def answer(self, asked: Asked) -> Reply:
        return self.replies[asked.number] if asked.number < len(self.replies) else GOOD


def asker(server: Server, pause: float = 0.0, **apis: Any) -> Asker:
    return Asker(api(server.url + "/api", **apis), [Secret(SECRET)], pause)


def answered(one: Asker, server: Server, hint: str = "") -> Any:
    try:
        return one.document(one.ask("POST", server.url + "/api", threading.Event(), body=b"x=1"), hint)
    finally:
        one.close()


def failure(*replies: Reply, hint: str = "token", **apis: Any) -> SourceError:
    with Server(*replies) as server:
        with pytest.raises(SourceError) as caught:
            answered(asker(server, **apis), server, hint)
        assert str(caught.value).startswith(f"{server.url}/api: ")
        assert SECRET not in str(caught.value)
    return caught.value


# Answers.


def test_an_answer_is_json_with_all_numbers_as_text() -> None:
    body = (
        b'\xef\xbb\xbf{"a": 1, "b": 1.50, "c": [true, null], "d": 123456789012345678901234567890, "e": NaN, "f": 1e999}'
    )
    with Server(Reply(body)) as server:
        assert answered(asker(server), server) == {
            "a": "1", "b": "1.50", "c": [True, None], "d": "123456789012345678901234567890", "e": "NaN", "f": "1e999",
        }  # fmt: skip
        assert server.asked[0].headers["user-agent"].startswith("humbug-agent/")
        assert (server.asked[0].method, server.asked[0].body) == ("POST", b"x=1")


def test_what_no_file_of_text_can_hold_is_replaced() -> None:
    with Server(Reply(b'{"a\\u0000": "\\ud800x\\udfff \\ud83d\\ude00", "b": "\xe9"}')) as server:
        assert answered(asker(server), server) == {"a�": "�x� 😀", "b": "é"}


def test_one_bad_text_of_an_answer_leaves_the_others_alone() -> None:
    with Server(Reply(b"\xef\xbb\xbf" + b'{"a": "Jos\xe9", "b": ["' + "Зоя".encode() + b'", "\xd0"]}')) as server:
        assert answered(asker(server), server) == {"a": "José", "b": ["Зоя", "Ð"]}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>\n<b>It works</b>"), "answered 200 with what is no JSON (<html> <b>It works</b>); check url"),
        (Reply(b""), "answered 200 with what is no JSON; check url"),
        (Reply(b'{"a": 1'), "answered 200 with what is no JSON"),
        (Reply(b"[" * 100_000), "answered 200 with what is no JSON"),
        (Reply(b'{"a":' * 200 + b"1" + b"}" * 200), "answered 200 with what is no JSON"),
        (GOOD.but(cut_at=5), "the answer broke off after"),
        (GOOD.but(status=302, headers={"Location": "/login"}), "answered 302; redirects are not followed, check url"),
        (GOOD.but(status=404), "answered 404; check url"),
        (GOOD.but(status=401), 'answered 401 ({"all": "well"}); check token'),
        (Reply(b"", 403), "answered 403; check token"),
        (Reply(b"<h1>Internal   error</h1>", 500), "answered 500 (<h1>Internal error</h1>)"),
        (Reply(b"", 500), "answered 500"),
    ],
    ids=str,
)
def test_what_is_no_answer_is_said_in_words(reply: Reply, said: str) -> None:
    error = failure(reply)
    assert isinstance(error, Wrong)
    assert said in str(error)
    assert error.status == reply.status


def test_secrets_are_masked_in_every_form_that_a_server_may_echo() -> None:
    forms = [
        SECRET, "pass/w%C3%B6rd%2B%20%22%26", "pass%2Fw%C3%B6rd%2B+%22%26", "pass%2fw%c3%b6rd%2b%20%22%26",
        json.dumps(SECRET), 'pass\\/w\\u00f6rd+ \\"&',
    ]  # fmt: skip
    for form in [*forms, "ff9a6b157cb1f79db73e7507635f878a"]:
        for at in (0, 10, 190, 196):
            said = str(failure(Reply(("." * at + form).encode(), 500)))
            assert "***" in said
            assert not any(piece in said for piece in ("pass", "rd+", "ff9a", "878a"))
    cut = Reply((" " + SECRET).encode(), 500).but(cut_at=6)
    assert "pas" not in str(failure(cut))


def test_an_answer_that_is_too_long_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_ANSWER", 2**20)
    error = failure(Reply(b"[" + b"1," * 2**20 + b"1]"))
    assert isinstance(error, TooMuch)
    assert "answered more than 1 MB" in str(error)


@pytest.mark.parametrize("reply", [GOOD.but(hang=True), Reply(b"", 504)], ids=["hangs", "504"])
def test_an_answer_that_takes_too_long_is_too_much(reply: Reply) -> None:
    assert isinstance(failure(reply, timeout=1), TooMuch)


@pytest.mark.parametrize("unsized", [False, True])
def test_an_answer_that_drips_is_too_much_after_the_time_it_has(unsized: bool) -> None:
    began = time.monotonic()
    error = failure(GOOD.but(drip=0.3, unsized=unsized), timeout=1)
    assert time.monotonic() - began < 3
    assert isinstance(error, TooMuch)
    assert "no whole answer within 1 s" in str(error)


def test_a_server_that_is_not_there_is_named() -> None:
    with Server() as server:
        pass
    with pytest.raises(SourceError, match=rf"^{server.url}/api: Connection refused$"):
        answered(asker(server), server)


# Manners.


def test_between_two_requests_is_a_pause_and_a_slow_server_rests_as_long_as_it_worked() -> None:
    def slow(_: Asked, reply: Reply) -> Reply:
        time.sleep(0.5)
        return reply

    with Server() as server:
        one = asker(server, 0.2)
        for _ in range(4):
            answered(one, server)
        times = [asked.at for asked in server.asked]
        assert all(later - before >= 0.2 for before, later in pairwise(times))
        server.spoil = slow
        answered(one, server)
        server.spoil = None
        ended = time.monotonic()
        answered(one, server)
        assert server.asked[-1].at - ended >= 0.4


@pytest.mark.usefixtures("hasty")
def test_a_server_that_has_too_much_to_do_is_asked_again_when_it_says() -> None:
    busy = Reply(b"", 429)
    with Server(busy, busy, busy.but(headers={"Retry-After": "1"}), Reply(b"", 503, {"Retry-After": "1"})) as server:
        assert answered(asker(server), server) == {"all": "well"}
        times = [asked.at for asked in server.asked]
        waits = [later - before for before, later in pairwise(times)]
    assert 0.05 <= waits[0] < waits[1] < 0.9
    assert all(0.95 <= wait < 3 for wait in waits[2:])


def test_a_server_that_asks_for_long_is_left_alone_so_long() -> None:
    error = failure(Reply(b"", 429, {"Retry-After": "600"}))
    assert error.wait == 600
    assert "answered 429, too many requests; asks to wait 600 s" in str(error)
    assert "answered 503" in str(failure(Reply(b"", 503)))


def test_a_server_that_never_has_time_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "API", backoff.Growth(0.01, 0.05))
    with Server() as server:
        server.spoil = lambda asked, reply: Reply(b"", 429)
        with pytest.raises(SourceError, match="too many requests"):
            answered(asker(server), server)
        assert 2 <= len(server.asked) <= 5


@pytest.mark.alone
@pytest.mark.parametrize("where", ["request", "wait", "pause", "slow body"])
def test_a_stop_is_noticed_within_a_second(where: str) -> None:
    stop = threading.Event()
    replies = {
        "request": GOOD.but(hang=True),
        "slow body": GOOD.but(drip=1.0),
        "wait": Reply(b"", 429, {"Retry-After": "60"}),
    }
    reply = replies.get(where, GOOD)
    with Server(reply) as server:
        one = asker(server, 60.0 if where == "pause" else 0.0)
        ended: list[object] = []

        def run() -> None:
            try:
                for _ in range(2 if where == "pause" else 1):
                    one.ask("GET", server.url, stop)
            except Stopped as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: server.asked)
        began = time.monotonic()
        stop.set()
        thread.join(5)
        assert time.monotonic() - began < 1.2
        assert len(ended) == 1
        one.close()


def test_the_servers_clock_counts_once_it_has_told() -> None:
    with Server(
        GOOD.but(headers={"Date": "Tue, 14 Nov 2023 22:13:20 GMT"}), GOOD.but(headers={"Date": "now"})
    ) as server:
        one = asker(server)
        assert abs(one.now() - time.time()) < 1
        answered(one, server)
        assert abs(one.now() - 1_700_000_000) < 2
        answered(one, server)
        assert abs(one.now() - 1_700_000_000) < 3
        answered(one, server)
        assert abs(one.now() - time.time()) < 2


def test_it_keeps_its_connection_and_none_after_it_was_closed() -> None:
    with Server() as server:
        one = asker(server)
        for _ in range(3):
            one.ask("GET", server.url, threading.Event())
        assert server.connections == 1
        one.close()
        wait_until(lambda: not server.open_connections)
        one.ask("GET", server.url, threading.Event())
        assert server.connections == 2
        one.close()
        wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "deadlines"])


# TLS and proxies.


def test_the_certificate_is_verified(server_tls: Tls, ca_file: Path) -> None:
    with Server(tls=server_tls()) as server:
        assert answered(asker(server, ca_file=ca_file), server) == {"all": "well"}
        with pytest.raises(SourceError, match=r"TLS: .*; check the certificate, or ca_file"):
            answered(asker(server), server)
    with Server(tls=server_tls("other.example.org")) as server, pytest.raises(SourceError, match="TLS: "):
        answered(asker(server, ca_file=ca_file), server)
    assert not server.asked


def test_a_proxy_is_used_and_its_password_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    with Server() as proxy:
        settings = api("http://pbx.invalid/api", proxy=f"http://me:sesame@127.0.0.1:{proxy.port}")
        one = Asker(settings, [], 0.0)
        assert one.json(one.ask("GET", settings.url, threading.Event())) == {"all": "well"}
        one.close()
        assert proxy.asked[0].target == "http://pbx.invalid/api"
        assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")
    with pytest.raises(SourceError) as caught:
        one.ask("GET", settings.url, threading.Event())
    one.close()
    assert "proxy" in str(caught.value)
    assert "sesame" not in str(caught.value)


# Again and again.


@pytest.mark.parametrize("follow", [False, True])
def test_rounds_follow_each_other_until_it_is_to_stop(follow: bool) -> None:
    stop = threading.Event()
    rounds: list[float] = []
    random.seed(1)
    drawn = [jittered(0.1) for _ in range(4)]
    assert max(drawn) > 0.11
    random.seed(1)

    def one_round() -> Iterator[Batch]:
        rounds.append(time.monotonic())
        yield Batch([], [], None, size=len(rounds))
        if len(rounds) == 5:
            raise Stopped

    assert [batch.size for batch in poll(one_round, 0.1, stop, follow=follow)] == [1, 2, 3, 4, 5][: 5 if follow else 1]
    waits = [later - before for before, later in pairwise(rounds)]
    assert len(waits) == (4 if follow else 0)
    assert all(own - 0.001 <= wait < 2 for own, wait in zip(drawn, waits, strict=False))
