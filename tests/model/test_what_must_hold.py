"""What the outbox refuses to hold, whoever writes it; and that what is damaged already costs no more than itself."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from humbug_agent.outbox import schema
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.schema import OutboxDamaged
from humbug_agent.outbox.waits import cut_waits
from tests.kit.calls import batch
from tests.kit.damage import unguarded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Outbox(path) as opened:
        opened.accept("csv", batch(1, 2), ["humbug"])
        yield opened


WRONG = [
    "UPDATE deliveries SET state = 'gone' WHERE call = 1",
    "UPDATE deliveries SET attempts = -1 WHERE call = 1",
    "UPDATE deliveries SET due = -1 WHERE call = 1",
    "INSERT INTO deliveries (call, destination) VALUES (9, 'humbug')",
    "INSERT INTO deliveries (call, destination, state) VALUES (1, 'other', 'Waiting')",
    "INSERT INTO deliveries (call, destination, attempts) VALUES (1, 'other', -1)",
    "DELETE FROM calls WHERE id = 1",
    "DELETE FROM calls",
]


@pytest.mark.parametrize("sql", WRONG)
def test_what_must_not_be_is_refused_and_leaves_all_as_it_was(outbox: Outbox, path: Path, sql: str) -> None:
    with pytest.raises(OutboxDamaged, match="a delivery would"), outbox.transaction() as conn:
        conn.execute(sql)
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError, match="a delivery would"):
        other.execute(sql)
    assert [one.id for one in outbox.take("humbug", 9, 1.0)] == [1, 2]


def damaged(outbox: Outbox, change: str) -> None:
    with outbox.transaction() as conn, unguarded(conn):
        conn.execute(f"UPDATE deliveries SET {change} WHERE call = 1")


@pytest.mark.parametrize("change", ["attempts = -7", "due = -7.0, attempts = 'x'"])
def test_a_delivery_that_is_damaged_already_gets_better(outbox: Outbox, path: Path, change: str) -> None:
    damaged(outbox, change)
    assert schema.check(path) is None
    cut_waits(outbox, "humbug", 4.0)
    assert {one.id for one in outbox.take("humbug", 9, 5.0)} == {1, 2}
    outbox.mark("humbug", [Mark(1, "waiting", 5.0, 6.0), Mark(2, "sent", 5.0)])
    assert [one.id for one in outbox.take("humbug", 9, 7.0)] == [1]
    outbox.mark("humbug", [Mark(1, "sent", 7.0)])
    assert outbox.take("humbug", 9, 9.0) == []


def test_one_in_no_state_that_there_is_is_dead_and_the_file_stays(outbox: Outbox, path: Path) -> None:
    damaged(outbox, "state = 'wbiting', attempts = -7")
    assert schema.check(path) is None
    assert outbox.bury_damaged() == 1
    assert [one.id for one in outbox.take("humbug", 9, 7.0)] == [2]


def test_a_salvage_brings_what_no_longer_may_be(outbox: Outbox, path: Path) -> None:
    damaged(outbox, "attempts = -7, due = -7.0")
    outbox.close()
    schema.move_aside(path)
    with Outbox(path) as new:
        assert [(one.id, one.attempts) for one in new.take("humbug", 9, 7.0)] == [(1, 0), (2, 0)]


def test_a_file_of_before_gets_it_too_and_what_was_wrong_in_it_stays(path: Path) -> None:
    with closing(Database(sqlite3.connect(path), execute_plugins=False)) as db:
        migrations.apply(db, stop_before="m006_what_must_hold")
        db.conn.execute("INSERT INTO deliveries (call, destination, state) VALUES (1, 'humbug', 'gone')")
        db.conn.commit()
    with Outbox(path) as outbox:
        assert outbox.select("SELECT state FROM deliveries")[0]["state"] == "gone"
        outbox.accept("csv", batch(1, 2), ["other"])
        with pytest.raises(OutboxDamaged), outbox.transaction() as conn:
            conn.execute("UPDATE deliveries SET state = 'lost'")
