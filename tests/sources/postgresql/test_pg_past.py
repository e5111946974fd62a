"""Calls from before the day of the first start: they come beside those of now, in hours and at a pace of their own."""

import time
from datetime import UTC, datetime
from threading import Event

import pytest

from humbug_agent.sources.polling import pace
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.postgresql.source import Postgresql
from tests.kit.calls import cdrs
from tests.kit.fusionpbx_database import FusionpbxDatabase, a_row
from tests.sources.postgresql.conftest import source

pytestmark = pytest.mark.slow

SINCE = f"since = {datetime.fromtimestamp(time.time() - 100 * DAY, UTC):%Y-%m-%d}"


def read_until(one: Postgresql, cursor: str | None, enough: int, stop: Event | None = None) -> tuple[list[str], str]:
    """The first numbers that come, at least so many and all of their round, and the cursor; as the daemon reads."""
    found: list[str] = []
    stop = stop or Event()
    for batch in one.read(cursor, stop, follow=True):
        found += [record.uniqueid for record in cdrs(batch.records)]
        cursor = batch.cursor or cursor
        if len(found) >= enough:
            stop.set()
    assert cursor
    return found, cursor


def uuid_of(number: int) -> str:
    return str(a_row(number, 0)["xml_cdr_uuid"])


def test_outside_its_hours_the_past_waits_and_new_calls_come(
    database: FusionpbxDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "jittered", lambda seconds: 0.05)
    now, hour = time.time(), datetime.now(UTC).hour
    database.insert(*(a_row(number, now - number * DAY) for number in range(2, 50)), a_row(1, now - 30))
    other, this = f"{(hour + 2) % 24}-{(hour + 3) % 24}", f"{hour}-{(hour + 2) % 24}"
    one = source(f"{database.ini()}\n{SINCE}\nbackfill_hours = {other}\npoll_seconds = 1")
    found, cursor = read_until(one, None, 1)
    database.insert(a_row(100, now - 10))
    again, cursor = read_until(one, cursor, 1)
    assert [*found, *again] == [uuid_of(1), uuid_of(100)]
    left = one.unread(cursor)
    assert 98 * DAY < left < 101 * DAY
    one = source(f"{database.ini()}\n{SINCE}\nbackfill_hours = {this}\npoll_seconds = 1")
    found, cursor = read_until(one, cursor, 48 + 2)
    assert set(found) == {uuid_of(number) for number in (*range(1, 50), 100)}
    assert one.unread(cursor) == 0


def test_new_calls_do_not_wait_while_the_past_rests(
    database: FusionpbxDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "jittered", lambda seconds: 0.05)
    now = time.time()
    database.insert(*(a_row(number, now - 3 * DAY - number) for number in range(1, 51)))
    # At that pace the past rests for most of a minute.
    one = source(f"{database.ini()}\n{SINCE}\nrows_per_second = 1\npoll_seconds = 1")
    seen, began, stop = 0, 0.0, Event()
    for batch in one.read(None, stop, follow=True):
        seen += len(batch.records)
        if seen >= 50 and not began:
            began = time.monotonic()
            database.insert(a_row(1000, now))
        if uuid_of(1000) in [record.uniqueid for record in cdrs(batch.records)]:
            stop.set()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("before", [0, 20])
def test_the_past_of_a_replica_that_is_behind_has_no_gap_before_today(database: FusionpbxDatabase, before: int) -> None:
    """``before`` rows are there at first."""
    now, lines = time.time(), f"{database.ini()}\n{SINCE}"

    def read(cursor: str | None) -> tuple[set[str], str | None]:
        batches = list(source(lines).read(cursor, Event(), follow=False))
        found = {record.uniqueid for batch in batches for record in cdrs(batch.records)}
        return found, next((batch.cursor for batch in reversed(batches) if batch.cursor), cursor)

    database.insert(*(a_row(number, now - (30 - number) * DAY) for number in range(before)))
    found, cursor = read(None)
    assert len(found) == before
    assert source(lines).unread(cursor) == 0 or not before
    database.insert(*(a_row(number, now - (30 - number) * DAY) for number in range(before, 30)), a_row(30, now))
    more, cursor = read(cursor)
    assert found | more == {uuid_of(number) for number in range(31)}
    assert source(lines).unread(cursor) == 0
