"""AsteriskAmi in this process, on a real connection: what it hands over, and what it hands over again."""

import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from humbug_agent.cdr import CDR, Batch, Form, Notice, Record
from humbug_agent.daemon import supervisor
from humbug_agent.listening import inbox
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.repeats import Sayings
from humbug_agent.sources.asterisk.ami.source import AsteriskAmi
from humbug_agent.sources.contract import SourceError
from tests.kit.ami_calls import call, event, events, played
from tests.kit.ami_feed import source, understood
from tests.kit.ami_server import AmiServer
from tests.kit.calls import cdrs
from tests.kit.consumer import CONNECTED, Consumer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


@contextmanager
def reading(server: AmiServer, *kinds: str) -> Iterator[Consumer[AsteriskAmi]]:
    with Consumer(source(kinds or ("cdr",), server.port)) as consumer:
        assert consumer.next() == CONNECTED
        # It is told what it is to the server before the server takes note of it itself.
        wait_until(lambda: server.listeners)
        yield consumer


def dialled(records: Iterable[Record]) -> list[int]:
    return [int(record.dst) for record in cdrs(records)]


def test_it_asks_for_no_more_than_it_needs(ami: AmiServer) -> None:
    for kinds, classes in ((("cdr",), "cdr"), (("cdr", "alarm"), "cdr,system"), (("reload", "shutdown"), "system")):
        with reading(ami, *kinds):
            assert [said["Events"] for said in ami.said if said["Action"] == "Login"][-1] == classes


def test_what_did_not_come_onto_the_disk_is_handed_over_again(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        ami.play(events(1, 2, 3), apart=True)
        first = consumer.next()
        consumer.fails()
        ami.play(events(4), apart=True)
        assert consumer.next() is first
        consumer.fails()
        assert consumer.next() is first
        assert dialled([*first.records, *consumer.take(4 - len(first.records))]) == [1, 2, 3, 4]
        assert ami.connections == 1


def test_what_came_before_a_failure_is_not_lost_by_it(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        ami.play(events(1, 2))
        ami.drop()
        assert dialled(consumer.take(2)) == [1, 2]
        with pytest.raises(SourceError, match=rf"AMI 127\.0\.0\.1:{ami.port}: has closed the connection; calls that"):
            consumer.next()
        wait_until(lambda: ami.listeners)
        ami.play(events(3))
        assert dialled(consumer.take(1)) == [3]


def test_what_has_come_by_the_stop_is_handed_over(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        ami.play(events(*range(2500)), (65536,), apart=True)
        assert dialled(consumer.rest()) == list(range(2500))
    wait_until(lambda: not ami.open)


def test_what_came_on_a_new_connection_by_the_stop_is_handed_over_too(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        ami.play(events(1), apart=True)
        ami.drop()
        wait_until(lambda: ami.logins == 2)
        # It pings once it has told that it is connected.
        pings = ami.pings
        wait_until(lambda: ami.pings > pings)
        ami.play(events(2), apart=True)
        assert dialled(consumer.rest()) == [1, 2]


def test_stopped_while_its_consumer_failed_it_leaves_no_connection_behind(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        ami.play(events(1), apart=True)
        consumer.next()
        consumer.fails()
        assert dialled(consumer.rest()) == [1]
    wait_until(lambda: not ami.open)


def test_after_a_failed_consumer_it_says_that_it_can_be_read(ami: AmiServer) -> None:
    with reading(ami) as consumer:
        consumer.fails()
        assert consumer.next() == CONNECTED


def test_beyond_the_limit_events_are_lost_and_it_is_said_how_many(
    ami: AmiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_BYTES", 100_000)
    with reading(ami) as consumer:
        ami.play(events(*range(1000)), (65536,), apart=True)
        reason = consumer.until_failure()
        kept = dialled(consumer.found)
        assert kept == list(range(len(kept)))
        assert f"{1000 - len(kept)} events found no room while the outbox could not be written" in reason
        assert 50_000 < sum(len(event(call(number))) - 4 for number in kept) < 101_000
        # There is room again.
        ami.play(events(*range(1000, 1100)), apart=True)
        assert dialled(consumer.take(100)) == list(range(1000, 1100))


def test_small_events_take_no_more_memory_than_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_BYTES", 1_000_000)
    kept = inbox.Inbox([b"Event: A\r\n"])
    tracemalloc.start()
    try:
        for _ in range(200):
            kept.heard(1, [b"Event: A\r\nN: %d" % number for number in range(1000)])
        assert tracemalloc.get_traced_memory()[0] < 4_000_000
    finally:
        tracemalloc.stop()


def test_what_is_no_call_becomes_a_notice_with_its_fields(ami: AmiServer) -> None:
    with reading(ami, "cdr", "reload", "shutdown", "alarm") as consumer:
        before = datetime.now(UTC)
        ami.play(
            b"Event: Reload\r\nPrivilege: system,all\r\nModule: cdr_manager\r\nStatus: 0\r\n\r\n"
            b"Event: Alarm\r\nPrivilege: system,all\r\nDAHDIChannel: 1\r\nAlarm: Red Alarm\r\n\r\n"
            b"Event: AlarmClear\r\nPrivilege: system,all\r\nDAHDIChannel: 1\r\n\r\n"
            b"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 3\r\n\r\n" + played("restart.rx")
        )
        found = consumer.take(6)
    notices = [record for record in found if isinstance(record, Notice)]
    assert [(notice.event, dict(notice.fields)) for notice in notices] == [
        ("Reload", {"Module": "cdr_manager", "Status": "0"}),
        ("Alarm", {"DAHDIChannel": "1", "Alarm": "Red Alarm"}),
        ("AlarmClear", {"DAHDIChannel": "1"}),
        ("Shutdown", {"Shutdown": "Cleanly", "Restart": "True"}),
    ]
    assert all(before <= notice.at <= datetime.now(UTC) for notice in notices)
    assert [record.dst for record in found if isinstance(record, CDR)] == ["500", "500"]


def test_a_notice_told_twice_is_two_and_one_that_was_not_asked_for_none() -> None:
    reload = b"Event: Reload\r\nPrivilege: system,all\r\nModule: cdr\r\nModule: again\r\nno header\r\n: x\r\n\r\n"
    listening = source(("reload",))
    first, second = understood(reload * 2, listening).records
    assert first.identity != second.identity
    assert isinstance(first, Notice)
    assert dict(first.fields) == {"Module": "cdr"}
    assert understood(reload, source(("cdr", "shutdown"))) == Batch([], [], None, len(reload) - 4, Form.WHOLE)
    assert understood(event(call(1)), listening).records == []


def test_without_following_there_is_nothing_to_read() -> None:
    # Nobody listens on this port, and nobody asks.
    assert list(source(port=1).read(None, threading.Event(), follow=False)) == []


def test_the_pump_brings_it_into_a_real_outbox_and_counts_each_call_once(ami: AmiServer, tmp_path: Path) -> None:
    stop = threading.Event()
    told = events(*range(300))
    listening = source(port=ami.port)
    with Outbox(tmp_path / "outbox.db", durable=True) as outbox:
        pumping = supervisor.pump(listening, outbox, ["humbug"], stop, Sayings(lambda *_: None), follow=True)
        assert next(pumping).new == 0
        wait_until(lambda: ami.listeners)
        ami.play(told, (14_000, 3), apart=True)
        ami.drop()
        new = 0
        while new < 300:
            new += next(pumping).new
        with pytest.raises(SourceError):
            next(pumping)
        pumping = supervisor.pump(listening, outbox, ["humbug"], stop, Sayings(lambda *_: None), follow=True)
        assert next(pumping).new == 0
        wait_until(lambda: ami.listeners)
        ami.play(told, (65536,), apart=True)
        stop.set()
        assert sum(brought.new for brought in pumping) == 0
        assert len(outbox.take("humbug", 1000, time.time())) == 300
