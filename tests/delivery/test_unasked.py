"""Servers that say more, less or otherwise than they are asked: no call may be given the answer to another one."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.contract import Answer, DeliveryError
from humbug_agent.flat import flatten
from humbug_agent.outbox.outbox import Outbox
from tests.kit.rude import Act, Request, Rude, until
from tests.kit.sending import Ask, Call, Failure, Filled, Make, Sending

pytestmark = pytest.mark.slow


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
JUNK = {
    "two at once": OK + OK,
    "one and a half": OK + OK[:20],
    "hints behind": OK + HINTS,
    "longer than told": OK + b"more",
    "a line behind": OK + b"\r\n",
    "junk behind chunks": b"HTTP/1.1 200 OK\r\n" + CHUNKS + b"junk",
    "204 with a body": b"HTTP/1.1 204 No Content\r\n\r\nok",
}
DOUBTFUL = {
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CHUNKS,
    "chunks and length": b"HTTP/1.1 200 OK\r\n" + CHUNKS.replace(b"\r\n", b"\r\nContent-Length: 2\r\n", 1),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nok",
    "a folded length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok",
    "no header": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nwhat is this\r\nContent-Length: 4\r\n\r\nok",
    "chunks of HTTP/1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
}
PLAIN = {
    "hints": HINTS + OK,
    "many hints": PROCESSING * 3 + HINTS + OK,
    "bare line feeds": OK.replace(b"\r\n", b"\n"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204 with no length": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
}


def second_is_its_own(server: Rude, destination: Sending, call: Call, failure: Failure) -> None:
    """The second call is answered 503, and nothing else may be taken for that."""
    until(lambda: server.under_way == 0, 5, "the server is done")
    assert failure(destination, call(2)).answer.status == 503
    assert [key for key in server.arrived() if key] == [call(1).identity.hex(), call(2).identity.hex()]


@pytest.mark.opening
@pytest.mark.parametrize("said", JUNK.values(), ids=JUNK)
def test_what_comes_behind_an_answer_is_none(
    call: Call, humbug: Make, failure: Failure, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    with Rude([Act(wire=(said,)), Act(status=503)]) as server:
        destination = humbug(server.url)
        assert destination.send(call(1)).status in (200, 204)
        second_is_its_own(server, destination, call, failure)
        # Whoever did it once is not trusted again.
        for number in range(3, 6):
            destination.send(call(number))
        assert server.connections == 5
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1: says more than it is asked; from now on each request has a connection of its own"
    ]


@pytest.mark.parametrize("said", JUNK.values(), ids=JUNK)
def test_what_comes_behind_a_later_answer_puts_it_in_doubt(
    call: Call, humbug: Make, failure: Failure, said: bytes
) -> None:
    with Rude([Act(), Act(), Act(), Act(wire=(said,))]) as server:
        destination = humbug(server.url)
        for number in range(1, 4):
            destination.send(call(number))
        assert failure(destination, call(4)).reason.endswith("may be another request's")
        # Were each answer that to the call before, the last one that was taken would have none.
        assert destination.doubted() == [destination.numbered(call(3))]
        destination.send(call(5))
        assert server.connections == 2


def test_once_it_said_more_than_it_was_asked_no_connection_that_is_kept_is_used(call: Call, humbug: Make) -> None:
    together = threading.Barrier(2, timeout=10)

    def script(request: Request) -> Act:
        if request.number < 2:
            together.wait()
        return Act(wire=(OK + OK,)) if request.number == 2 else Act()

    with Rude(script) as server:
        destination = humbug(server.url, timeout=60)

        def come(*numbers: int) -> dict[int, Any]:
            destination.begin([[(number, flatten(call(number)))] for number in numbers])
            came: dict[int, Any] = {}
            until(lambda: came.update(destination.collect(0.1)) or len(came) == len(numbers), 10, "the answers")
            return came

        come(1, 2)
        assert isinstance(come(3)[3], DeliveryError)
        assert set(come(4, 5).values()) == {Answer(200, "ok")}
        assert (len(server.requests), server.connections) == (5, 4)


def test_what_comes_while_nothing_is_asked_is_told_at_once(call: Call, humbug: Make) -> None:
    late = threading.Event()
    with Rude([Act(), Act(), Act(wire=(OK, late, OK))]) as server:
        destination = humbug(server.url)
        for number in range(1, 4):
            destination.send(call(number))
        late.set()
        doubted: list[int] = []

        def told() -> list[int]:
            assert destination.collect(0.1) == []
            doubted.extend(destination.doubted())
            return doubted

        until(told, 5, "the doubt")
        assert doubted == [destination.numbered(call(3))]


@pytest.mark.parametrize("said", [OK, OK[:20], HINTS, b"\r\n"], ids=["whole", "half", "hints", "line"])
@pytest.mark.parametrize("tls", [False, True])
def test_what_comes_before_a_request_is_no_answer_to_it(
    call: Call,
    humbug: Make,
    failure: Failure,
    server_tls: Callable[..., Any],
    ca_file: Path,
    said: bytes,
    tls: bool,
) -> None:
    answered = threading.Event()
    with Rude([Act(wire=(OK, answered, said)), Act(status=503)], tls=server_tls() if tls else None) as server:
        destination = humbug(server.url, ca_file=ca_file)
        assert destination.send(call(1)).status == 200
        answered.set()
        second_is_its_own(server, destination, call, failure)


def test_a_server_that_says_that_it_was_idle_too_long_is_trusted_again(call: Call, humbug: Make) -> None:
    idle, late = threading.Event(), b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
    with Rude([Act(wire=(OK, idle, late))]) as server:
        destination = humbug(server.url)
        destination.send(call(1))
        idle.set()
        until(lambda: server.under_way == 0, 5, "the server is done")
        for number in range(2, 6):
            destination.send(call(number))
        assert server.connections == 2


@pytest.mark.parametrize("said", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_connection_whose_answer_may_end_elsewhere_is_used_once(
    call: Call, humbug: Make, failure: Failure, said: bytes
) -> None:
    with Rude([Act(wire=(said,)), Act(status=503)]) as server:
        destination = humbug(server.url, timeout=1)
        with suppress(DeliveryError):
            assert destination.send(call(1)).status == 200
        second_is_its_own(server, destination, call, failure)
        assert server.connections == 2


@pytest.mark.parametrize("said", [b"<html>hello</html>\r\n" + OK, b"HTTP/1.1\r\n\r\n" + OK, HINTS + b"hm\r\n\r\n" + OK])
def test_what_is_no_http_is_no_answer_nor_is_what_follows_it(
    call: Call, humbug: Make, failure: Failure, said: bytes
) -> None:
    first = call(1).identity.hex()
    # Somebody asks there too whether TLS is spoken.
    with Rude(lambda request: Act(wire=(said,)) if request.key == first else Act(status=503)) as server:
        destination = humbug(server.url, timeout=1)
        assert failure(destination, call(1)).answer.status is None
        second_is_its_own(server, destination, call, failure)


@pytest.mark.parametrize("said", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("split", [False, True])
def test_an_answer_that_is_beyond_doubt_keeps_its_connection(
    call: Call, humbug: Make, failure: Failure, said: bytes, split: bool
) -> None:
    head, end, tail = said.partition(b"\r\n\r\n")
    wire = (head + end, tail) if split and tail else (said,)
    with Rude([Act(wire=wire), Act(status=503)]) as server:
        destination = humbug(server.url)
        assert destination.send(call(1)).status in (200, 204)
        second_is_its_own(server, destination, call, failure)
        assert server.connections == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_a_call_that_got_the_late_answer_to_another_one_is_sent_again(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None, at_once: bool
) -> None:
    second, own = threading.Event(), threading.Event()
    keys = filled(6)
    # It answers the first call twice: the second time when it has the second call, which it does not store.
    late = OK + NO if at_once else OK
    with Rude([Act(wire=(OK, second, late)), Act(status=503, hold=own)]) as server:
        delivery = Delivery(humbug(server.url))

        def tried(number: int) -> bool:
            return delivery.step(outbox, 0.1) > 0 and ask("SELECT count(*) FROM deliveries WHERE attempts") == [number]

        until(lambda: tried(1), 5, "the first call's mark")
        delivery.step(outbox, 0)
        until(server.unread, 5, "the second call")
        second.set()
        until(lambda: tried(2), 5, "the second call's mark")
        own.set()
        until(lambda: len(server.requests) == 2 and not server.under_way, 5, "the second call's own answer")
        sent = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
        until(lambda: delivery.step(outbox, 0.1) >= 0 and ask(sent) == [6], 10, "all sent")
        delivery.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert Counter(server.arrived()) == Counter([*keys, keys[1]])
    said = "may be another request's" if at_once else "another call's; sent again"
    assert ask("SELECT error FROM failures WHERE call = 2")[-1].endswith(said)


def test_where_answers_were_late_by_one_a_call_that_failed_is_not_taken_for_sent(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None
) -> None:
    second, third = threading.Event(), threading.Event()
    keys = filled(6)
    with Rude([Act(wire=(OK, second, OK)), Act(status=503, hold=third)]) as server:
        delivery = Delivery(humbug(server.url))

        def has_marked(number: int) -> Callable[[], bool]:
            tried = "SELECT count(*) FROM deliveries WHERE attempts"
            return lambda: delivery.step(outbox, 0.1) > 0 and ask(tried) == [number]

        # The second call gets the late answer to the first, the third one the second's.
        for number, event in ((1, second), (2, third), (3, None)):
            until(has_marked(number), 5, f"the mark of call {number}")
            if event:
                delivery.step(outbox, 0)
                until(server.unread, 5, "the next call")
                event.set()
        until(lambda: len(server.requests) == 3 and not server.under_way, 5, "the third call's own answer")
        sent = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
        until(lambda: delivery.step(outbox, 0.1) >= 0 and ask(sent) == [6], 10, "all sent")
        delivery.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert Counter(server.arrived()) == Counter([*keys, keys[1], keys[2]])


@pytest.mark.parametrize("seed", range(2))
def test_no_call_is_marked_sent_that_its_server_did_not_store(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None, seed: int
) -> None:
    dice = random.Random(seed)
    stored: Counter[str] = Counter()
    lost: Counter[str] = Counter()

    def script(request: Request) -> Act:
        answer = OK if dice.random() < 0.6 else NO
        stored[request.key] += answer == OK
        if dice.random() < 0.1:
            lost[request.key] += 1
            return Act(silent=True)
        odd = dice.choice([HINTS + answer, PROCESSING + answer + OK, answer + OK, answer + b"x", answer + OK + HINTS])
        return Act(wire=(dice.choice([answer, odd]),))

    with Rude(script) as server:
        filled(40)
        delivery = Delivery(humbug(server.url, connections=3))
        waiting = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
        until(lambda: delivery.step(outbox, 0.1) >= 0 and ask(waiting) == [0], 30, "all sent")
        delivery.run_until_idle(outbox, threading.Event(), lambda _: None)
    sent = ask("SELECT lower(hex(identity)) FROM deliveries JOIN calls ON id = call WHERE state = 'sent'")
    assert len(sent) == 40
    assert [key for key in sent if not stored[key]] == []
    assert [key for key in sent if stored[key] > 1 + lost[key]] == []
