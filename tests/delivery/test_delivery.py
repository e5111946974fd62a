"""From the outbox to a real server: order, side by side, and what each outcome does to a call."""

import itertools
import threading
import time
from pathlib import Path

import pytest

from humbug_agent.backoff import LONGEST_PUT_OFF
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.humbug.destination import Humbug
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.receiver import Background, Misbehaviour, Receiver, Store
from tests.kit.rude import Act, Request, Rude, until
from tests.kit.sending import Ask, Filled, Make

pytestmark = pytest.mark.slow

STATES = "SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state"


def deliver(destination: Humbug, outbox: Outbox) -> int:
    counted: list[int] = []
    Delivery(destination).run_until_idle(outbox, threading.Event(), counted.append)
    return sum(counted)


def test_calls_go_oldest_first(outbox: Outbox, filled: Filled, humbug: Make) -> None:
    with Rude() as server:
        keys = filled(60)
        assert deliver(humbug(server.url), outbox) == 60
    assert server.arrived() == keys
    assert server.connections == 1


def test_all_connections_work_side_by_side_and_never_more(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    together = threading.Barrier(4, timeout=10)

    def script(_: Request) -> Act:
        # Ten rounds of four: were they fewer at a time, the barrier would break.
        together.wait()
        return Act()

    with Rude(script) as server:
        filled(40)
        deliver(humbug(server.url, connections=4), outbox)
    assert (server.peak, server.connections) == (4, 4)
    assert ask(STATES) == [("sent", 40)]
    assert len(set(server.arrived())) == 40


def test_a_call_is_marked_before_the_next_one_is_sent(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None
) -> None:
    unmarked: list[str] = []

    def script(request: Request) -> Act:
        for before in server.arrived()[-2:-1]:
            row = ask(
                "SELECT state, attempts FROM deliveries JOIN calls ON id = call WHERE hex(identity) = ?", before.upper()
            )
            if row[0] == ("waiting", 0):
                unmarked.append(before)
        return Act(status=(200, 503, 400, 200, 200)[request.number % 5])

    with Rude(script) as server:
        filled(40)
        deliver(humbug(server.url), outbox)
        assert len(server.requests) >= 40
    assert unmarked == []


def test_never_are_more_calls_in_doubt_than_there_are_connections(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    doubts: list[int] = []

    def script(_: Request) -> Act:
        arrived = set(server.arrived())
        known = ask("SELECT lower(hex(identity)) FROM deliveries JOIN calls ON id = call WHERE state = 'sent'")
        doubts.append(len(arrived - set(known)))
        return Act()

    with Rude(script) as server:
        filled(300)
        deliver(humbug(server.url, connections=4), outbox)
    assert len(doubts) == 300
    assert max(doubts) <= 4


def test_a_call_that_always_fails_does_not_hold_up_the_others(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    began = time.monotonic()
    keys = filled(201)
    poison = keys[20]
    with Rude(lambda request: Act(status=500 if request.key == poison else 200)) as server:
        deliver(humbug(server.url, connections=4), outbox)
    assert time.monotonic() - began < 10
    assert ask(STATES) == [("sent", 200), ("waiting", 1)]
    attempts, wait, status, error = ask(
        "SELECT attempts, due - tried, status, error FROM deliveries WHERE state = 'waiting'"
    )[0]
    assert attempts == server.arrived().count(poison) >= 1
    assert 0.75 * 2**attempts <= wait <= 1.25 * 2**attempts
    assert (status, error) == (500, f"{server.url}: answered 500")
    assert len(server.requests) == 200 + attempts


def test_a_call_that_a_firewall_forbids_does_not_stop_the_others(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None
) -> None:
    keys = filled(60)
    with Rude(lambda request: Act(status=403 if request.key == keys[7] else 200)) as server:
        destination = Delivery(humbug(server.url, connections=2))
        deadline = time.monotonic() + 20
        while ask(STATES) != [("sent", 60 - 1), ("waiting", 1)]:
            assert time.monotonic() < deadline
            destination.step(outbox, 0.1)
        destination.run_until_idle(outbox, threading.Event(), lambda _: None)
    attempts, error = ask("SELECT attempts, error FROM deliveries WHERE state = 'waiting'")[0]
    assert attempts >= 1
    assert "403" in error


def test_a_refused_call_is_dead_with_what_was_said_and_the_others_go_on(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    keys = filled(30)
    bad = Act(status=400, body=b"Source is missing " * 100)
    with Rude(lambda request: bad if request.key in keys[3:6] else Act()) as server:
        deliver(humbug(server.url, connections=3), outbox)
    assert len(server.requests) == 30
    assert ask(STATES) == [("dead", 3), ("sent", 27)]
    for state, attempts, status, reply, error in ask(
        "SELECT state, attempts, status, reply, error FROM deliveries WHERE call BETWEEN 4 AND 6"
    ):
        assert (state, attempts, status, len(reply)) == ("dead", 1, 400, 500)
        assert reply.startswith("Source is missing")
        assert "answered 400 (Source is missing" in error
    assert ask("SELECT count(*) FROM failures") == [3]


def test_an_answer_that_was_lost_costs_exactly_one_repeat(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, hasty: None
) -> None:
    keys = filled(10)
    lost = [keys[4]]

    def script(request: Request) -> Act:
        if request.key not in lost:
            return Act()
        lost.remove(request.key)
        return Act(silent=True)

    with Rude(script) as server:
        destination = Delivery(humbug(server.url))
        until(lambda: destination.step(outbox, 0.1) >= 0 and ask(STATES) == [("sent", 10)], 10, "all sent")
        destination.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert sorted(server.arrived()) == sorted([*keys, keys[4]])
    assert ask("SELECT attempts FROM deliveries WHERE call = 5") == [2]


def test_a_lone_call_that_waits_for_its_next_try_costs_no_work(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    filled(1)
    with Rude(lambda _: Act(status=503)) as server:
        destination = Delivery(humbug(server.url))
        until(lambda: destination.step(outbox, 1.0), 5, "the first answer")
        due = ask("SELECT due FROM deliveries")[0]
        steps = 0
        while time.time() < due - 0.2:
            destination.step(outbox, 0.5)
            steps += 1
        destination.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert 1 <= steps <= 10


def test_what_could_not_be_written_down_is_written_down_later_and_not_sent_again(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    filled(50)
    connection = outbox.db.conn
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with Rude(lambda _: Act(body=b"stored" * 80)) as server:
        destination = Delivery(humbug(server.url, connections=2))
        with pytest.raises(OutboxError, match="full"):
            until(lambda: destination.step(outbox, 0.5) < 0, 10, "the end of the room")
        for _ in range(5):
            with pytest.raises(OutboxError, match="full"):
                destination.step(outbox, 0.1)
        written = sum(ask("SELECT count(*) FROM deliveries WHERE state = 'sent'"))
        assert len(server.requests) <= written + 2 < 50
        connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        destination.run_until_idle(outbox, threading.Event(), lambda _: None)
    assert len(server.requests) == 50
    assert ask(STATES) == [("sent", 50)]


def test_what_a_clock_since_set_back_has_put_off_is_delivered(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask
) -> None:
    filled(4)
    now = time.time()
    with outbox.transaction() as conn:
        conn.execute("UPDATE deliveries SET due = ? WHERE call = 1", (now + 30 * 86400,))
        conn.execute("UPDATE deliveries SET due = ?, tried = ? WHERE call = 2", (now + LONGEST_PUT_OFF - 60, now - 1))
        # Tried while the clock was an hour ahead.
        conn.execute("UPDATE deliveries SET due = ?, tried = ? WHERE call = 4", (now + 3500, now + 3490))
    with Rude() as server:
        assert deliver(humbug(server.url), outbox) == 3
    assert ask("SELECT state FROM deliveries ORDER BY call") == ["sent", "waiting", "sent", "sent"]


@pytest.mark.parametrize("key", [None, "zebra crossing"])
def test_every_call_comes_to_the_embedded_receiver_once_as_it_was(
    outbox: Outbox, filled: Filled, humbug: Make, tmp_path: Path, key: str | None
) -> None:
    store = Store(tmp_path / "received.db")
    try:
        with Background(Receiver(store, "the-api-key", key)) as receiver:
            filled(150)
            assert deliver(humbug(receiver.url, connections=4, encryption_key=key), outbox) == 150
        rows = sorted(store.rows(), key=lambda row: row["key"])
        assert [row["key"] for row in rows] == [number.to_bytes(16, "big").hex() for number in range(1, 151)]
        assert store.repeats() == 0
        for number, row in enumerate(rows, 1):
            assert row["CallerID"] == '"Zoë" <0448450043>'
            assert (row["UniqueID"], row["UserField"]) == (f"1700000000.{number}", "inbound")
            assert row["StartTime"] == f"2026-01-15 12:{number // 60:02}:{number % 60:02}"
    finally:
        store.close()


@pytest.mark.parametrize("bad", [Misbehaviour(status=503, every=3), Misbehaviour(status=429, every=4, retry_after="0")])
def test_every_call_comes_to_a_receiver_that_often_fails(
    outbox: Outbox, filled: Filled, humbug: Make, ask: Ask, tmp_path: Path, hasty: None, bad: Misbehaviour
) -> None:
    store = Store(tmp_path / "received.db")
    try:
        with Background(Receiver(store, misbehaviour=bad)) as receiver:
            filled(100)
            destination = Delivery(humbug(receiver.url, connections=4))
            until(lambda: destination.step(outbox, 0.2) >= 0 and ask(STATES) == [("sent", 100)], 20, "all sent")
            destination.run_until_idle(outbox, threading.Event(), lambda _: None)
        assert store.counts() == {"calls": 100, "repeats": 0}
    finally:
        store.close()


def test_repeats_and_new_calls_share_the_way(outbox: Outbox, filled: Filled, humbug: Make, ask: Ask) -> None:
    filled(200)
    with outbox.transaction() as conn:
        conn.execute("UPDATE deliveries SET due = 1 + call, attempts = 3 WHERE call <= 100")
    with Rude() as server:
        deliver(humbug(server.url), outbox)
    new = [int(key, 16) > 100 for key in server.arrived()]
    assert any(new[:40])
    assert not all(new[:40])
    for kind in (True, False):
        numbers = [int(key, 16) for key, is_new in zip(server.arrived(), new, strict=True) if is_new is kind]
        assert all(a < b for a, b in itertools.pairwise(numbers))
