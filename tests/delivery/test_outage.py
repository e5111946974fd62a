"""What the destination as a whole does to the delivery: away, misconfigured, overloaded; and how it all ends."""

import socket
import sqlite3
import threading
import time
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest

from humbug_agent import backoff
from humbug_agent.delivery import delivery
from humbug_agent.outbox.outbox import KEPT_FAILURES, Outbox
from humbug_agent.outbox.queries import Filter, purge, replay
from humbug_agent.outbox.schema import Connected
from tests.kit.rude import Act, Request, Rude, never, until
from tests.kit.sending import Ask, Filled, Make, Run

pytestmark = pytest.mark.slow

STATES = "SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state"
HEALTH = "SELECT state, message FROM health WHERE part = 'destination humbug'"


@pytest.mark.parametrize("status", [401, 302])
def test_a_misconfiguration_blames_no_call_and_everything_goes_once_it_is_mended(
    filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None, status: int
) -> None:
    mended = threading.Event()
    keys = filled(20)
    with (
        Rude(lambda _: Act(status=200 if mended.is_set() else status)) as server,
        running(humbug(server.url, connections=4)) as run,
    ):
        until(lambda: ask(HEALTH) and ask(HEALTH)[0][0] == "paused", 5, "the pause")
        until(lambda: len(server.requests) >= 7, 10, "some probes")
        assert f"answered {status}" in ask(HEALTH)[0][1]
        assert ask(STATES) == [("waiting", 20)]
        assert ask("SELECT DISTINCT due FROM deliveries") == [0]
        assert all(request.alone for request in server.requests[4:])
        assert len(set(server.arrived())) == len(server.requests), "a probe is another call each time"
        mended.set()
        run.delivery.wake()
        until(lambda: ask(STATES) == [("sent", 20)], 10, "all sent")
        until(lambda: ask(HEALTH) == [("ok", "")], 3, "the health")
    assert set(server.arrived()) == set(keys)
    # Each attempt is told of: those in vain, and that by which the call went.
    assert ask("SELECT sum(attempts) FROM deliveries") == [len(server.requests)]
    assert set(ask("SELECT status, error FROM failures")) <= {(status, ask("SELECT error FROM failures LIMIT 1")[0])}
    assert ask("SELECT count(*) FROM failures") == [len(server.requests) - 20]


def test_of_a_call_that_a_pause_probes_with_for_days_the_last_attempts_are_kept(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "PAUSED", backoff.Growth(0.001, 0.001))
    filled(1)
    with Rude(lambda _: Act(status=401)) as server:
        destination = delivery.Delivery(humbug(server.url))
        until(lambda: destination.step(outbox, 0.1) >= 0 and len(server.requests) > KEPT_FAILURES + 4, 20, "the probes")
        destination.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert ask("SELECT attempts FROM deliveries") == [len(server.requests)]
    assert ask("SELECT count(*) FROM failures") == [KEPT_FAILURES]
    assert ask("SELECT max(at) = (SELECT tried FROM deliveries) FROM failures") == [1]


def test_a_misconfigured_destination_is_seldom_asked(
    filled: Filled, humbug: Make, running: Run, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    filled(50)
    with Rude(lambda _: Act(status=403)) as server, running(humbug(server.url, connections=4)):
        until(lambda: ask(HEALTH) and ask(HEALTH)[0][0] == "paused", 5, "the pause")
        # The real waits: the next probe is more than ten seconds away.
        never(lambda: len(server.requests) > 5, 1.0, "more requests")
    assert ask(STATES) == [("waiting", 50)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "answered 403" in caplog.text


def test_an_overloaded_receiver_is_left_alone_as_long_as_it_asks(
    outbox: Outbox, filled: Filled, humbug: Make, running: Run, ask: Ask
) -> None:
    filled(10)
    busy = Act(status=429, headers=(("Retry-After", "1"),))
    with Rude([busy]) as server, running(humbug(server.url)):
        until(lambda: ask(STATES) == [("sent", 10)], 10, "all sent")
    first, second = server.requests[:2]
    assert second.at - first.at >= 0.99
    assert len(server.requests) == 11
    assert ask("SELECT attempts FROM deliveries WHERE call = 1") == [2]


def test_a_receiver_that_asks_to_be_left_alone_for_long_is_seen_to(
    outbox: Outbox, filled: Filled, humbug: Make, running: Run, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    filled(20)
    said = "answered 503; asks for 60 minutes without a call"
    with Rude(lambda _: Act(status=503, headers=(("Retry-After", "86400"),))) as server:
        with running(humbug(server.url, connections=16)):
            until(lambda: len(server.requests) == 16, 10, "all connections are used")
            until(lambda: ask(HEALTH) == [("failing", f"{server.url}: {said}")], 5, "the health")
            never(lambda: len(server.requests) > 16, 0.2, "more requests")
        # `run --once` begins anew, and does not wait for it.
        delivery.Delivery(humbug(server.url)).run_until_idle(outbox, threading.Event(), lambda _: None)
        assert len(server.requests) == 17
    assert [said in record.getMessage() for record in caplog.records] == [True, True]
    due = ask("SELECT due FROM deliveries WHERE due > 0")
    assert len(due) == 17
    assert max(due) <= time.time() + backoff.DELIVERY.longest * 1.25 + 3300


def test_an_answer_to_another_call_does_not_undo_what_an_overloaded_receiver_asked(
    filled: Filled, humbug: Make, running: Run, ask: Ask
) -> None:
    filled(10)
    told = threading.Event()

    def script(request: Request) -> Act:
        if request.number == 0:
            return Act(status=429, headers=(("Retry-After", "1"),))
        return Act(hold=told) if request.number == 1 else Act()

    with Rude(script) as server, running(humbug(server.url, connections=2)):
        until(lambda: ask("SELECT attempts FROM deliveries WHERE call IN (1, 2) AND attempts"), 5, "the 429")
        told.set()
        until(lambda: ask(STATES) == [("sent", 10)], 10, "all sent")
    refused = next(request for request in server.requests if request.number == 0)
    assert min(request.at for request in server.requests if request.number > 1) - refused.at >= 0.99


def test_an_outage_is_probed_with_one_call_at_a_time_less_and_less_often(
    filled: Filled, humbug: Make, running: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "DESTINATION", backoff.Growth(0.2, backoff.DESTINATION.longest))
    keys = filled(100)
    back = threading.Event()
    with (
        Rude(lambda _: Act(status=200 if back.is_set() else 503)) as server,
        running(humbug(server.url, connections=4)) as run,
    ):
        until(lambda: len(server.requests) >= 8, 15, "four probes")
        until(lambda: ask(HEALTH) and ask(HEALTH)[0][0] == "failing", 3, "the health")
        back.set()
        during = list(server.requests)
        run.delivery.wake()
        until(lambda: ask(STATES) == [("sent", 100)], 15, "all sent")
        until(lambda: ask(HEALTH) == [("ok", "")], 3, "the health")
    assert len(during) == 8
    assert len({request.key for request in during}) == 8
    assert all(request.alone for request in during[4:])
    for failures, (one, other) in enumerate(pairwise(during[4:])):
        assert other.at - one.at >= 0.2 * 0.75 * 2**failures
    said_yes = [request.key for request in server.requests[8:]]
    assert sorted(said_yes) == keys


def test_what_comes_in_while_the_receiver_is_away_goes_out_when_it_is_back(
    filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None, free_port: int
) -> None:
    destination = humbug(f"http://127.0.0.1:{free_port}/", connections=4)
    with running(destination) as run:
        with Rude(port=free_port) as before:
            filled(20)
            run.delivery.wake()
            until(lambda: ask(STATES) == [("sent", 20)], 10, "the first ones")
        filled(30)
        run.delivery.wake()
        until(lambda: ask(HEALTH)[0][0] == "failing", 5, "the outage")
        assert "refused" in ask(HEALTH)[0][1]
        with Rude(port=free_port) as after:
            until(lambda: ask(STATES) == [("sent", 50)], 15, "the others")
    assert len(before.requests) == 20
    assert len(after.requests) == len(set(after.arrived())) == 30


def test_an_outbox_locked_for_a_while_sends_nothing_twice(
    outbox: Outbox, filled: Filled, humbug: Make, running: Run, ask: Ask
) -> None:
    filled(200)
    locked = threading.Event()
    with (
        closing(sqlite3.connect(outbox.path, isolation_level=None, timeout=10)) as other,
        Rude(lambda request: Act(hold=locked if request.number >= 20 else None)) as server,
        running(humbug(server.url, connections=4)),
    ):
        until(lambda: server.under_way == 4, 10, "four under way")
        until(lambda: ask(STATES) == [("sent", 20), ("waiting", 180)], 5, "the marks")
        other.execute("BEGIN IMMEDIATE")
        locked.set()
        never(lambda: len(server.requests) > 24, 1.0, "a call sent before those answered could be marked")
        other.execute("ROLLBACK")
        until(lambda: ask(STATES) == [("sent", 200)], 10, "all sent")
    assert len(server.requests) == 200


def test_a_replay_by_another_process_is_seen_while_running(
    filled: Filled, humbug: Make, running: Run, ask: Ask, outbox: Outbox
) -> None:
    filled(3)
    with Rude() as server, running(humbug(server.url)):
        until(lambda: ask(STATES) == [("sent", 3)], 5, "all sent")
        with Outbox(outbox.path) as other:
            assert replay(other, Filter(ids=[2])) == 1
        until(lambda: len(server.requests) == 4, 2.5, "the replay")
        until(lambda: ask(STATES) == [("sent", 3)], 5, "its mark")
    assert server.arrived()[3] == server.arrived()[1]


def test_a_dead_call_goes_after_a_replay_with_todays_settings(
    filled: Filled, humbug: Make, ask: Ask, outbox: Outbox
) -> None:
    filled(1)
    with Rude([Act(status=400)]) as server:
        for api_key, state in (("wrong", "dead"), ("right", "sent")):
            delivery.Delivery(humbug(server.url, api_key=api_key)).run_until_idle(
                outbox, threading.Event(), lambda _: None
            )
            assert ask("SELECT state FROM deliveries") == [state]
            replay(outbox, Filter(state="dead"))
    assert [request.form["gateway"] for request in server.requests] == ["wrong", "right"]


def test_a_stop_while_idle_ends_at_once(humbug: Make, running: Run, filled: Filled, ask: Ask) -> None:
    filled(1)
    with Rude() as server, running(humbug(server.url)) as run:
        until(lambda: ask(STATES) == [("sent", 1)], 5, "sent")
        began = time.monotonic()
        run.stop.set()
        run.thread.join(10)
        assert time.monotonic() - began < 2


def test_a_stop_waits_for_the_answer_to_what_is_under_way(humbug: Make, running: Run, filled: Filled, ask: Ask) -> None:
    filled(5)
    answer = threading.Event()
    with Rude(lambda _: Act(hold=answer)) as server, running(humbug(server.url, connections=2)) as run:
        until(lambda: server.under_way == 2, 5, "two under way")
        run.stop.set()
        run.delivery.wake()
        never(lambda: not run.thread.is_alive(), 0.3, "it did not wait")
        answer.set()
        run.thread.join(3)
        assert not run.thread.is_alive()
    assert ask(STATES) == [("sent", 2), ("waiting", 3)]
    assert len(server.requests) == 2


def test_a_stop_does_not_wait_for_ever_for_an_answer(humbug: Make, running: Run, filled: Filled, ask: Ask) -> None:
    filled(5)
    with Rude(lambda _: Act(hang=True)) as server, running(humbug(server.url, connections=3, timeout=60)) as run:
        until(lambda: server.under_way == 3, 5, "three under way")
        began = time.monotonic()
        run.stop.set()
        run.thread.join(20)
        assert time.monotonic() - began < 8
    assert ask("SELECT state, attempts, count(*) FROM deliveries") == [("waiting", 0, 5)]


def test_a_stop_does_not_take_longer_the_more_connections_hang(
    humbug: Make, running: Run, filled: Filled, deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_SECONDS", 0.2)
    filled(12)
    destination = humbug(f"http://127.0.0.1:{deaf}/", connections=12, timeout=10)
    with running(destination) as run:
        until(lambda: sum(t.name.startswith("humbug-") for t in threading.enumerate()) == 12, 5, "twelve under way")
        began = time.monotonic()
        run.stop.set()
        run.thread.join(20)
        took = time.monotonic() - began
    assert took < 4


def test_what_was_purged_while_the_receiver_was_away_is_not_sent_nor_taken_for_another(
    outbox: Outbox, filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None, free_port: int
) -> None:
    filled(60)
    with running(humbug(f"http://127.0.0.1:{free_port}/", connections=4)):
        until(lambda: ask(HEALTH) and ask(HEALTH)[0][0] == "failing", 5, "the outage")
        purge(outbox, Filter(state="waiting"))
        keys = filled(67)
        with Rude(lambda _: Act(), port=free_port) as server:
            until(lambda: ask(STATES) == [("sent", 67)], 20, "the new ones")
            assert sorted(server.arrived()) == sorted(keys)


def test_a_reload_while_a_name_is_looked_up_sends_nothing_twice(
    humbug: Make, running: Run, filled: Filled, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_SECONDS", 0.2)
    looked_up, known = socket.getaddrinfo, threading.Event()

    def look_up(host: str, *arguments: Any) -> Any:
        if host == "localhost" and socket.AI_NUMERICHOST not in arguments:
            known.wait(30)
        return looked_up(host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    keys = filled(10)
    with Rude() as server:
        with running(humbug(f"http://localhost:{server.port}/", connections=4)) as before:
            until(lambda: any(thread.name == "humbug-3" for thread in threading.enumerate()), 5, "four under way")
            began = time.monotonic()
            before.stop.set()
            before.thread.join(10)
            assert time.monotonic() - began < 4
        with running(humbug(server.url, connections=4)):
            until(lambda: ask(STATES) == [("sent", 10)], 5, "all sent")
            known.set()
            until(lambda: not any(t.name == "name localhost" for t in threading.enumerate()), 5, "the look-up's end")
            never(lambda: len(server.requests) > 10, 0.3, "the old one sends, too")
    assert sorted(server.arrived()) == keys


def test_refused_calls_and_a_receiver_that_comes_and_goes_are_said_once_and_counted(
    filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    filled(100)
    # Two failures in a row make it fail; a refusal is an answer.
    with Rude(lambda request: Act(status=(503, 503, 400, 400, 413)[request.number % 5])) as server:
        with running(humbug(server.url)):
            until(lambda: len(ask("SELECT 1 FROM deliveries WHERE state = 'dead'")) >= 30, 20, "some refused")
        dead = len(ask("SELECT 1 FROM deliveries WHERE state = 'dead'"))
    said = [record.getMessage() for record in caplog.records]
    refused = [line for line in said if "refused for good" in line]
    assert len(refused) == 3
    assert ["answered 400" in line for line in refused[:2]] == [True, False]
    assert refused[2].endswith(f"({dead - 2} more within 1 min)")
    assert sum("All calls are kept and tried again" in line for line in said) <= 2
    assert sum("takes calls again" in line for line in said) <= 2
    assert len(said) <= 6


def test_an_outbox_that_was_opened_on_a_read_only_disk_is_opened_anew_once_the_disk_is_not(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens what it may not write for reading, and leaves it so for as long as the connection lives."""
    monkeypatch.setattr(delivery, "OUTBOX_SECONDS", 0.05)
    filled(3)
    opened: list[Outbox] = []

    def connect() -> Outbox:
        found = Outbox(outbox.path)
        if len(opened) < 2:
            found.close()
            # As it is after open() has failed with EROFS.
            found.db = Connected(sqlite3.connect(f"file:{outbox.path}?mode=ro", uri=True))
            found.db.conn.row_factory = sqlite3.Row
        opened.append(found)
        return found

    with Rude(lambda _: Act()) as server:
        stop = threading.Event()
        sends = delivery.Delivery(humbug(server.url))
        thread = threading.Thread(target=sends.run, args=(connect, stop))
        thread.start()
        try:
            until(lambda: ask(STATES) == [("sent", 3)], 10, "all sent")
        finally:
            stop.set()
            sends.wake()
            thread.join(30)
    assert not thread.is_alive()
    assert len(opened) > 2
