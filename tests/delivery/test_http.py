"""One request over real sockets: connections, deadlines, what each answer and each failure is taken for."""

import ctypes
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.destinations.contract import Answer, Later, Misconfigured, Refused
from humbug_agent.flat import flatten
from tests.kit.rude import Act, Rude, until
from tests.kit.sending import Call, Failure, Make

pytestmark = pytest.mark.slow

ServerTls = Callable[..., ssl.SSLContext]
BIG = 200 * 1024 * 1024


# Connections.


@pytest.mark.parametrize("tls", [False, True])
def test_many_calls_share_one_connection_whatever_is_answered(
    call: Call, humbug: Make, server_tls: ServerTls, ca_file: Path, tls: bool
) -> None:
    acts = [
        Act(),
        Act(body=b"", status=204),
        Act(framing="chunked", body=b"y" * 5000),
        Act(status=400),
        Act(status=503),
    ]
    with Rude([*acts * 3], tls=server_tls() if tls else None) as server:
        destination = humbug(server.url, ca_file=ca_file)
        for number in range(20):
            try:
                destination.send(call(number))
            except (Refused, Later):
                assert server.requests[-1].number % 5 in (3, 4)
    assert len(server.requests) == 20
    assert server.connections == 1


@pytest.mark.parametrize("act", [Act(big=BIG), Act(big=BIG, status=302, headers=(("Location", "/x"),))])
def test_of_a_huge_answer_little_is_read_and_the_status_decides(
    call: Call, humbug: Make, failure: Failure, act: Act
) -> None:
    with Rude([act]) as server:
        destination = humbug(server.url)
        began = time.monotonic()
        tracemalloc.start()
        try:
            if act.status == 200:
                assert len(destination.send(call()).text) == 500
            else:
                assert isinstance(failure(destination, call()), Misconfigured)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert time.monotonic() - began < 3
        assert peak < 8 * 1024 * 1024
        destination.send(call(2))
        assert server.connections == 2


def test_a_connection_that_the_server_closed_while_idle_costs_no_call(call: Call, humbug: Make) -> None:
    with Rude(lambda _: Act(then_close=True)) as server:
        destination = humbug(server.url)
        for number in range(10):
            destination.send(call(number))
            until(lambda: server.under_way == 0 and server.closed == server.connections, 5, "the server's close")
    assert len(server.arrived()) == len(set(server.arrived())) == 10


def test_a_connection_closed_at_each_answer_costs_no_call(call: Call, humbug: Make) -> None:
    with Rude(lambda _: Act(then_close=True, headers=(("Connection", "close"),))) as server:
        destination = humbug(server.url)
        for number in range(10):
            destination.send(call(number))
    assert len(server.requests) == 10


@pytest.mark.opening
def test_bytes_after_the_announced_length_do_not_become_the_next_answer(call: Call, humbug: Make) -> None:
    with Rude(
        [Act(framing=2, body=b"okHTTP/1.1 400 Injected\r\nContent-Length: 0\r\n\r\n"), Act(body=b"second")]
    ) as server:
        destination = humbug(server.url)
        assert destination.send(call(1)) == Answer(200, "ok")
        until(lambda: server.under_way == 0, 5, "the server is done")
        assert destination.send(call(2)) == Answer(200, "second")


# Deadlines.


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "act",
    [Act(hang=True), Act(drip="headers"), Act(drip="body", status=503, framing="eof")],
    ids=["hang", "head", "body"],
)
def test_the_timeout_is_for_the_request_as_a_whole(
    call: Call, humbug: Make, failure: Failure, server_tls: ServerTls, ca_file: Path, act: Act, tls: bool
) -> None:
    with Rude([act], tls=server_tls() if tls else None) as server:
        began = time.monotonic()
        error = failure(humbug(server.url, timeout=1, ca_file=ca_file), call())
        assert time.monotonic() - began < 3
    assert isinstance(error, Later)
    assert act.status == 503 or error.reason == f"{server.url}: no answer within 1 s"


@pytest.mark.parametrize("framing", ["eof", "chunked", 100000])
def test_a_200_whose_body_never_ends_is_an_acceptance_in_bounded_time(
    call: Call, humbug: Make, framing: str | int
) -> None:
    with Rude([Act(drip="body", framing=framing, body=b"stored" * 50)]) as server:
        began = time.monotonic()
        answer = humbug(server.url, timeout=1).send(call())
        assert time.monotonic() - began < 3
    assert answer.status == 200
    # Its end is not kept: half a secret would not be known for one.
    assert answer.text.startswith("storedstored")


def test_the_timeout_holds_behind_a_proxy_too(call: Call, humbug: Make, failure: Failure) -> None:
    with Rude([Act(drip="headers")]) as proxy:
        ended = threading.Timer(6, proxy.__exit__)
        ended.start()
        began = time.monotonic()
        error = failure(humbug("http://name.invalid/", timeout=1, proxy=f"http://127.0.0.1:{proxy.port}"), call())
        took = time.monotonic() - began
        ended.cancel()
        ended.join()
    assert isinstance(error, Later)
    assert took < 3


@pytest.mark.opening
def test_a_server_that_never_takes_the_connection_is_given_up_in_time(
    call: Call, humbug: Make, failure: Failure, deaf: int
) -> None:
    began = time.monotonic()
    error = failure(humbug(f"http://127.0.0.1:{deaf}/", timeout=1), call())
    assert time.monotonic() - began < 3
    assert isinstance(error, Later)
    assert error.reason == f"http://127.0.0.1:{deaf}/: no answer within 1 s"


@pytest.mark.opening
def test_a_server_that_never_begins_tls_is_given_up_in_time(call: Call, humbug: Make, failure: Failure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        error = failure(humbug(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=1), call())
        assert time.monotonic() - began < 3
    assert isinstance(error, Later)
    assert "no answer within 1 s" in error.reason


@pytest.mark.parametrize("act", [Act(hang=True), Act(drip="headers")], ids=["hang", "drip"])
def test_close_from_another_thread_ends_a_hanging_request(call: Call, humbug: Make, failure: Failure, act: Act) -> None:
    with Rude([act]) as server, ThreadPoolExecutor(1) as pool:
        destination = humbug(server.url, timeout=30)
        sending = pool.submit(failure, destination, call())
        until(lambda: server.requests, 5, "the request")
        began = time.monotonic()
        destination.close()
        assert isinstance(sending.result(10), Later)
        assert time.monotonic() - began < 2


# No answer.


@pytest.mark.opening
def test_a_refused_connection_is_for_later(call: Call, humbug: Make, failure: Failure, free_port: int) -> None:
    error = failure(humbug(f"http://127.0.0.1:{free_port}/r"), call())
    assert isinstance(error, Later)
    assert error.reason == f"http://127.0.0.1:{free_port}/r: Connection refused"


@pytest.mark.opening
def test_an_unknown_host_is_for_later(call: Call, humbug: Make, failure: Failure) -> None:
    error = failure(humbug("http://name.invalid/r"), call())
    assert isinstance(error, Later)
    assert re.match("(?i)http://name.invalid/r: .*name", error.reason)


@pytest.mark.parametrize(
    "act",
    [
        Act(unread=True),
        Act(silent=True),
        Act(cut_at=9),
        Act(cut_at=30, status=503),
        Act(raw=b"220 mail.example.com ESMTP\r\n"),
        Act(raw=b"\0\xff\x80garbage" * 100),
        Act(headers=(("X-Huge", "h" * 70000),)),
        Act(headers=tuple((f"X-{n}", "h") for n in range(200))),
        Act(raw=b"HTTP/1.1 abc OK\r\n\r\n"),
        Act(raw=b""),
        Act(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
    ],
    ids=[
        "unread", "silent", "status-cut", "head-cut", "smtp", "garbage", "huge", "headers", "status", "nothing",
        "two lengths",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_for_later_with_a_reason(call: Call, humbug: Make, failure: Failure, act: Act) -> None:
    with Rude([act]) as server:
        destination = humbug(server.url)
        error = failure(destination, call())
        assert isinstance(error, Later)
        assert error.reason.startswith(f"{server.url}: ")
        assert len(error.reason) > len(server.url) + 5
        destination.send(call())


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Soon\r\n\r\n"])
def test_a_200_whose_head_breaks_off_is_no_answer_wherever_it_does(
    call: Call, humbug: Make, failure: Failure, head: bytes
) -> None:
    head += b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\n"
    cuts = range(head.rindex(b"200"), len(head))
    with Rude([Act(), *(Act(raw=head[:at]) for at in cuts), Act()]) as server:
        destination = humbug(server.url)
        # Once it has answered, nobody asks whether it speaks TLS.
        destination.send(call())
        for _ in cuts:
            assert isinstance(failure(destination, call()), Later)
        assert destination.send(call()).status == 200


def test_a_200_whose_text_breaks_off_is_accepted_unless_the_text_decides(
    call: Call, humbug: Make, failure: Failure
) -> None:
    broken = Act(framing=1000, body=b"all is ", cut_at=len(b"HTTP/1.1 200 Said\r\nContent-Length: 1000\r\n\r\nall is"))
    with Rude(lambda _: broken) as server:
        assert humbug(server.url).send(call()).status == 200
        assert isinstance(failure(humbug(server.url, accept_pattern=re.compile("well")), call()), Later)


def test_a_200_whose_text_breaks_off_before_it_could_match_reject_pattern_is_not_taken_for_accepted(
    call: Call, humbug: Make, failure: Failure
) -> None:
    with Rude([Act(framing=1000, body=b"status: ", then_close=True)]) as server:
        assert isinstance(failure(humbug(server.url, reject_pattern=re.compile("quota")), call()), Later)


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 64}.example/"])
def test_a_host_name_that_cannot_be_is_a_misconfiguration(call: Call, humbug: Make, failure: Failure, url: str) -> None:
    assert isinstance(failure(humbug(url), call()), Misconfigured)


# Names.


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., threading.Event]]:
    """Has the system know the name ``pbx.example``: told the ports of loopback, and that it waits before it says so."""
    looked_up, waits = socket.getaddrinfo, threading.Event()

    def know(*ports: int, at_once: bool = True) -> threading.Event:
        def look_up(host: str, *arguments: Any) -> Any:
            if host != "pbx.example" or socket.AI_NUMERICHOST in arguments:
                return looked_up(host, *arguments)
            waits.wait(30)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        if at_once:
            waits.set()
        return waits

    yield know
    waits.set()


@pytest.mark.opening
def test_the_timeout_covers_the_look_up_of_the_name(
    call: Call, humbug: Make, failure: Failure, names: Callable[..., threading.Event]
) -> None:
    with Rude() as server:
        known = names(server.port, at_once=False)
        destination = humbug("http://pbx.example/r", timeout=1)
        began = time.monotonic()
        error = failure(destination, call())
        assert time.monotonic() - began < 2
        assert isinstance(error, Later)
        assert error.reason == "http://pbx.example/r: no answer within 1 s"
        failure(destination, call())
        # However often it is asked for, it is looked up once at a time.
        assert sum(thread.name == "name pbx.example" for thread in threading.enumerate()) == 1
        known.set()
        until(lambda: destination.send(call()).status == 200, 5, "the answer")
        assert len(server.requests) == 1


@pytest.mark.opening
def test_an_address_that_takes_no_connection_leaves_time_for_the_next(
    call: Call, humbug: Make, deaf: int, names: Callable[..., threading.Event]
) -> None:
    with Rude() as server:
        names(deaf, server.port)
        assert humbug("http://pbx.example/r", timeout=1).send(call()).status == 200


@pytest.mark.opening
def test_an_address_that_refuses_is_passed_over(
    call: Call, humbug: Make, free_port: int, names: Callable[..., threading.Event]
) -> None:
    with Rude() as server:
        names(free_port, server.port)
        assert humbug("http://pbx.example/r").send(call()).status == 200


@pytest.mark.opening
def test_what_is_ended_while_it_looks_up_a_name_sends_nothing(
    call: Call, humbug: Make, failure: Failure, names: Callable[..., threading.Event]
) -> None:
    with Rude() as server, ThreadPoolExecutor(1) as pool:
        known = names(server.port, at_once=False)
        destination = humbug("http://pbx.example/r", timeout=30)
        sending = pool.submit(failure, destination, call())
        until(lambda: any(thread.name == "name pbx.example" for thread in threading.enumerate()), 5, "the look-up")
        destination.close()
        known.set()
        assert isinstance(sending.result(5), Later)
    assert server.requests == []


def connecting(port: int) -> int:
    """How many connections to ``port`` of loopback are being made."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "02" for line in lines)


@pytest.mark.opening
def test_what_is_ended_while_it_connects_sends_nothing(call: Call, humbug: Make, failure: Failure, deaf: int) -> None:
    others = connecting(deaf)
    with ThreadPoolExecutor(1) as pool:
        destination = humbug(f"http://127.0.0.1:{deaf}/", timeout=30)
        sending = pool.submit(failure, destination, call())
        until(lambda: connecting(deaf) > others, 5, "the connection is being made")
        destination.close()
        assert isinstance(sending.result(5), Later)
    assert connecting(deaf) == others


# A process that stands still.

SLOW = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connections = [listener.accept()[0] for _ in range(8)]
for rest in map(float, sys.argv[1:]):
    for connection in connections:
        connection.recv(65536)
    print("asked", flush=True)
    time.sleep(rest)
    for connection in connections:
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
input()
"""


@pytest.mark.opening
@pytest.mark.parametrize("before", [(), ("0",)], ids=["new", "kept"])
def test_an_answer_that_came_while_the_process_stood_still_is_one(
    call: Call, humbug: Make, before: tuple[str, ...]
) -> None:
    command = [sys.executable, "-S", "-c", SLOW, *before, "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        destination = humbug(f"http://127.0.0.1:{int(server.stdout.readline())}/", timeout=2)
        came: list[Any] = []

        def answered() -> bool:
            came.extend(destination.collect(0.1))
            return len(came) == 8

        for rest in (*before, "0.2"):
            came.clear()
            destination.begin([[(number, flatten(call(number)))] for number in range(8)])
            assert server.stdout.readline() == "asked\n"
            if rest != "0":
                # Whoever keeps the interpreter's lock stops all threads, as SIGSTOP does.
                ctypes.PyDLL(None).usleep(2_700_000)
            until(answered, 5, "all answers")
            assert [outcome for _, outcome in came] == [Answer(200, "ok")] * 8
        destination.close()
