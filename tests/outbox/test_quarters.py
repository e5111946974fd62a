"""What was called in each quarter of an hour: counted once, whoever tells it and however often."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from humbug_agent.cdr import CDR, Batch, Direction, Disposition
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.quarters import QUARTER, Counted, by_place, by_quarter
from tests.kit.calls import call

NOW = datetime.fromtimestamp(time.time() // QUARTER * QUARTER, UTC)
THIS = int(NOW.timestamp()) // QUARTER


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as made:
        yield made


def at(minutes: int, number: int, dst: str = "204", answered: bool = True, direction: str = "unknown") -> CDR:
    start = NOW + timedelta(minutes=minutes)
    return call(
        number, start=start, end=start + timedelta(seconds=70), dst=dst, billsec=60 if answered else 0,
        disposition=Disposition.ANSWERED if answered else Disposition.NO_ANSWER, direction=Direction(direction),
    )  # fmt: skip


def test_each_call_is_counted_once(outbox: Outbox) -> None:
    calls = [at(0, 1), at(14, 2, answered=False), at(15, 3), at(-1, 4)]
    for _ in range(2):
        outbox.accept("a", Batch(calls, [], "c"), ["humbug"])
        outbox.accept("b", Batch(calls[:1], [], "c"), ["humbug"])
    wanted = {THIS - 1: Counted(1, 0, 60), THIS: Counted(1, 1, 60), THIS + 1: Counted(1, 0, 60)}
    assert by_quarter(outbox.select, 0) == wanted
    assert by_quarter(outbox.select, THIS + 1) == {THIS + 1: Counted(1, 0, 60)}


def test_what_is_older_than_five_weeks_is_not_kept(outbox: Outbox) -> None:
    outbox.accept("a", Batch([at(-60 * 24 * 37, 1), at(-60 * 24 * 34, 2)], [], "c"), [])
    assert len(by_quarter(outbox.select, 0)) == 1


PLACES = {
    "+41443334455": "+414", "0041443334455": "+414", "0443334455": "10:044", "204": "", "": "", "s": "", "*98": "",
    "+": "+", "00": "+", "12345": "5:123", "+4144x": "",
}  # fmt: skip


def test_an_outside_number_is_somewhere(outbox: Outbox) -> None:
    outbox.accept("a", Batch([at(0, number, dst) for number, dst in enumerate(PLACES, 1)], [], "c"), [])
    outbox.accept("a", Batch([at(0, 100, "+4912345", direction="inbound")], [], "c"), [])
    found = {place: one.answered for place, one in by_place(outbox.select, 0).items()}
    assert found == Counter([*PLACES.values(), ""])


def test_an_outbox_of_before_has_its_weeks_counted(outbox: Outbox) -> None:
    outbox.accept("a", Batch([at(0, number, dst) for number, dst in enumerate(PLACES, 1)], [], "c"), [])
    before = by_place(outbox.select, 0), by_quarter(outbox.select, 0)
    with outbox.transaction() as conn:
        conn.execute("DROP TABLE quarters")
        conn.execute("DROP INDEX calls_linkedid")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'm011_journeys_and_history'")
    migrations.apply(Database(outbox.db.conn))
    assert (by_place(outbox.select, 0), by_quarter(outbox.select, 0)) == before
