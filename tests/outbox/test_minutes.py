"""What was delivered in each minute of the last hour: it outlives restarts, replays, purges and a damaged file."""

import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from humbug_agent.delivery.tally import Tally
from humbug_agent.outbox import minutes, queries, schema
from humbug_agent.outbox.dropping import Piecemeal, forget_delivered
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.minutes import SENT_MINUTES
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import Filter
from tests.kit.calls import batch
from tests.kit.damage import unguarded

NOW = time.time() // 60 * 60 + 30


def after_a_restart(path: Path, now: float = NOW) -> list[int | None]:
    tally = Tally(now)
    with Outbox(path) as outbox:
        tally.remember(*outbox.sent_minutes("humbug"))
    return tally.per_minute(now)


def made_long_ago(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE _sqlite_migrations SET applied_at = '2020-01-01 00:00:00+00:00'")


def sent(path: Path, *ages: float) -> None:
    """A call each that was delivered so many seconds ago."""
    with Outbox(path) as outbox:
        first = int(outbox.select("SELECT coalesce(max(id), 0) AS last FROM calls")[0]["last"]) + 1
        outbox.accept("csv", batch(*range(first, first + len(ages))), ["humbug", "other"])
        for number, age in enumerate(ages):
            outbox.mark("humbug", [Mark(first + number, "sent", NOW - age)])
            outbox.mark("other", [Mark(first + number, "dead", NOW - age)])


@given(st.lists(st.integers(0, 2 * 3600), max_size=40))
def test_it_is_what_one_counts_by_hand(ages: list[int]) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.row_factory = sqlite3.Row
        migrations.apply(Database(db))
        for age in sorted(ages, reverse=True):
            minutes.count(db, "humbug", [NOW - age], 0)
        tally = Tally(NOW)
        counted, _ = minutes.counted(lambda sql, *values: db.execute(sql, values).fetchall(), "humbug")
        tally.remember(counted, 0.0)
    by_hand = Counter(int((NOW - age) // 60) for age in ages)
    last = int(NOW // 60)
    assert tally.per_minute(NOW) == [by_hand[minute] for minute in range(last - SENT_MINUTES + 1, last + 1)]
    assert len(counted) <= SENT_MINUTES


def test_it_outlives_a_replay_a_purge_and_retention(path: Path) -> None:
    sent(path, 65, 65, 125, 3540, 3700)
    made_long_ago(path)
    expected = [1, *[0] * 56, 1, 2, 0]
    assert after_a_restart(path) == expected
    with Outbox(path) as outbox:
        queries.replay(outbox, Filter(ids=[1]))
        queries.purge(outbox, Filter(ids=[2]))
        queries.purge(outbox, Filter(destination="other"))
        forget_delivered(Piecemeal(outbox), time.time() + 1)
    assert after_a_restart(path) == expected
    # The replay was sent now.
    with Outbox(path) as outbox:
        outbox.mark("humbug", [Mark(1, "sent", NOW)])
    assert after_a_restart(path) == [1, *[0] * 56, 1, 2, 1]


def test_of_the_time_before_the_outbox_was_made_nothing_is_known(path: Path) -> None:
    sent(path, 0)
    known = after_a_restart(path)
    assert known[-1] == 1
    assert known[0] is None
    assert after_a_restart(path, time.time() + 3600)[-1] == 0
    assert None not in after_a_restart(path, time.time() + 3600)


def test_an_upgrade_knows_the_last_hour_and_a_damaged_outbox_keeps_it(path: Path) -> None:
    old = Database(sqlite3.connect(path), execute_plugins=False)
    migrations.apply(old, stop_before="m003_what_was_sent")
    old.conn.executemany(
        "INSERT INTO deliveries (call, destination, state, attempts, tried) VALUES (?, ?, ?, 1, ?)",
        [
            (1, "humbug", "sent", NOW - 65),
            (2, "humbug", "sent", NOW - 65),
            (3, "humbug", "waiting", NOW - 65),
            (4, "humbug", "sent", NOW - 5000),
            (5, "other", "sent", NOW - 65),
        ],
    )
    old.conn.execute("UPDATE _sqlite_migrations SET applied_at = '2020-01-01 00:00:00+00:00'")
    old.conn.commit()
    old.close()
    assert after_a_restart(path) == [*[0] * 58, 2, 0]
    schema.move_aside(path)
    known = after_a_restart(path)
    assert known[58] == 2
    assert known[0] is None


def test_many_deliveries_make_no_start_slow(path: Path) -> None:
    with Outbox(path) as outbox, outbox.transaction() as conn, unguarded(conn) as db:
        db.execute(
            "INSERT INTO deliveries (call, destination, state, attempts, tried) "
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
            "SELECT i, 'humbug', 'sent', 1, ? FROM n",
            (NOW,),
        )
    with Outbox(path) as outbox:
        plan = outbox.select("EXPLAIN QUERY PLAN SELECT minute, sent FROM sent_minutes WHERE destination = ?", "humbug")
        assert "SEARCH sent_minutes USING PRIMARY KEY" in plan[0]["detail"]
        began = time.thread_time()
        outbox.sent_minutes("humbug")
        assert time.thread_time() - began < 0.05


def test_a_clock_that_was_wrong_for_a_while_leaves_the_last_hour_right(path: Path) -> None:
    sent(path, -20 * 365 * 86400)
    sent(path, 65)
    made_long_ago(path)
    assert after_a_restart(path) == [*[0] * 58, 1, 0]


def test_the_tally_goes_on_where_it_was(path: Path) -> None:
    sent(path, 65, 5)
    tally = Tally(NOW)
    with Outbox(path) as outbox:
        tally.remember(*outbox.sent_minutes("humbug"))
    tally.count(delivered=True, now=NOW)
    tally.count(delivered=False, now=NOW)
    assert tally.per_minute(NOW)[-2:] == [1, 2]
    assert (tally.delivered, tally.failed) == (1, 1)
