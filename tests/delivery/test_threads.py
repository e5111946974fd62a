"""A host that gives no thread for a while: what could not be begun is tried again, and harms nothing that was."""

import socket
import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.contract import Batch as Together
from humbug_agent.destinations.contract import Later
from humbug_agent.http_client import names
from humbug_agent.http_client.client import HttpClient, NoAnswer
from humbug_agent.http_client.loop import Came, Loop, Question
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.rude import Act, Rude
from tests.kit.sending import Call, Failure, Filled, Make
from tests.kit.threads import no_thread

pytestmark = pytest.mark.slow

LET_NONE = "this host lets no thread begin: too many tasks, or too little memory"


def test_a_name_whose_look_up_could_not_begin_is_looked_up_again(call: Call, humbug: Make, failure: Failure) -> None:
    with Rude() as server:
        destination = humbug(f"http://localhost:{server.port}/", timeout=2)
        with no_thread("name "):
            error = failure(destination, call())
        assert isinstance(error, Later)
        assert LET_NONE in error.reason
        assert destination.send(call()).status == 200


def test_a_name_whose_look_up_failed_oddly_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def fail(host: str, port: int, *arguments: int) -> object:
        if socket.AI_NUMERICHOST in arguments:
            return look_up(host, port, *arguments)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(MemoryError):
            names.look_up("localhost", 9, lambda: 5.0, lambda: False)
    assert names.look_up("localhost", 9, lambda: 5.0, lambda: False)


def question(number: int) -> Question:
    return Question((number,), b"call=%d" % number, {})


def came(loop: Loop, count: int) -> list[Came]:
    found: list[Came] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        found += loop.collect(1)
    return found


@pytest.mark.parametrize("refused", ["", "test-"])
def test_what_has_no_thread_fails_and_what_is_asked_with_it_does_not(refused: str) -> None:
    with Rude() as server:
        client = HttpClient(timeout=5, user_agent="test")
        with closing(Loop(client, client.prepare("POST", server.url), 1000, "test")) as loop, closing(client):
            if refused:
                loop.ask([question(1)])
                assert len(came(loop, 1)) == 1
            with no_thread(refused):
                loop.ask([question(2), question(3)])
            found = {one.question.numbers[0]: one.outcome for one in came(loop, 2) if one.question}
            assert set(found) == {2, 3}
            assert [isinstance(found[number], NoAnswer) for number in (2, 3)] == [not refused, True]
            assert LET_NONE in str(found[3])
            loop.ask([question(4), question(5)])
            assert not any(isinstance(one.outcome, NoAnswer) for one in came(loop, 2))


def test_a_request_has_its_time_limit_though_the_first_watchman_could_not_begin() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = HttpClient(timeout=0.5, user_agent="test")
        request = client.prepare("POST", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with closing(client):
            with no_thread("deadlines"), pytest.raises(NoAnswer, match=LET_NONE):
                client.send(request, b"", {}, 1000)
            client.lane()
            assert client._watchman
            assert client._watchman.is_alive()


def test_of_calls_that_failed_as_they_were_begun_an_answer_counts_all_the_same(
    outbox: Outbox, filled: Filled, humbug: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(3)
    with Rude(lambda _: Act(status=200)) as server:
        destination = humbug(server.url, timeout=2, connections=4)
        begin = destination.begin

        def faulty(batches: Sequence[Together]) -> None:
            begin(batches)
            raise MemoryError

        monkeypatch.setattr(destination, "begin", faulty)
        delivery, until = Delivery(destination), time.monotonic() + 30
        while queries.count(outbox, queries.Filter(state="sent")) < 3 and time.monotonic() < until:
            delivery.step(outbox, 0.1)
        assert len(server.requests) == 3
    assert [entry.attempts for entry in queries.entries(outbox, queries.Filter())] == [2, 2, 2]
