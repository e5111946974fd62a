"""What is dropped from the outbox, in pieces beside which others write, and what must be remembered of it."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlite_utils import Database

from humbug_agent.config import Config
from humbug_agent.daemon import housekeeping
from humbug_agent.outbox import dropping, queries
from humbug_agent.outbox.dropping import Piecemeal
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import Filter
from tests.kit.agent_ini import config_of
from tests.kit.calls import batch, call

pytestmark = pytest.mark.slow

TO = ["humbug"]
DAY = 86400.0
YEAR = 365 * DAY
NOW = 1_800_000_000.0


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Outbox(path) as opened:
        yield opened


class Clock:
    """The time of day as this process sees it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


def config_for(path: Path, max_size_mb: int = 64) -> Config:
    return config_of(path.parent, f"max_size_mb = {max_size_mb}")


def keep_house(outbox: Outbox, config: Config) -> None:
    housekeeping.keep_house(outbox, config, threading.Event())


def deliver(outbox: Outbox, state: str = "sent") -> None:
    due = outbox.take("humbug", 100_000, time.time())
    outbox.mark("humbug", [Mark(one.id, state, time.time()) for one in due])


def remembered(outbox: Outbox) -> int:
    return int(outbox.select("SELECT count(*) AS n FROM forgotten")[0]["n"])


def test_in_ten_years_the_outbox_does_not_grow_and_what_was_sent_in_the_last_two_is_known(
    outbox: Outbox, path: Path, clock: Clock
) -> None:
    config = config_for(path)
    step, number = 10 * DAY, 0
    used = []
    for _ in range(365):
        outbox.accept("csv", batch(*range(number, number + 20)), TO)
        deliver(outbox)
        number += 20
        clock.now += step
        keep_house(outbox, config)
        used.append(outbox.used_bytes())
    per_year = round(YEAR / step) * 20
    assert remembered(outbox) == pytest.approx(2 * per_year, rel=0.05)
    assert max(used[180:]) <= 1.1 * max(used[73:110])
    assert outbox.accept("csv", batch(*range(number - 2 * per_year, number)), TO) == 0
    assert outbox.accept("csv", batch(*range(per_year)), TO) == per_year


def test_of_calls_dropped_by_an_earlier_version_the_two_years_begin_with_the_update(path: Path, clock: Clock) -> None:
    with closing(Database(sqlite3.connect(path), execute_plugins=False)) as db:
        migrations.apply(db, stop_before="m005_bounds")
        db.conn.execute("INSERT INTO forgotten VALUES (?)", (call(1).identity,))
        db.conn.commit()
    config = config_for(path)
    with Outbox(path) as outbox:
        for now, left in ((NOW, 1), (NOW + 2 * YEAR - DAY, 1), (NOW + 2 * YEAR + DAY, 0)):
            clock.now = now
            keep_house(outbox, config)
            assert remembered(outbox) == left


def test_what_a_clock_that_was_far_ahead_wrote_down_does_not_stay_for_ever(
    outbox: Outbox, path: Path, clock: Clock
) -> None:
    config = config_for(path)
    outbox.accept("csv", batch(1), TO)
    clock.now = NOW + 30 * YEAR
    queries.purge(outbox, Filter())
    for now, left in ((NOW, 1), (NOW + 2 * YEAR + DAY, 0)):
        clock.now = now
        keep_house(outbox, config)
        assert remembered(outbox) == left


def remember(outbox: Outbox, numbers: range, dropped: Callable[[int], float]) -> None:
    with outbox.transaction() as conn:
        conn.executemany(
            "INSERT INTO forgotten VALUES (?, ?)",
            ((call(number).identity, dropping.hour(dropped(number))) for number in numbers),
        )


def fill(outbox: Outbox, first: int) -> None:
    number = first
    while outbox.used_bytes() < 0.95 * 2**20:
        outbox.accept("csv", batch(*range(number, number + 100)), TO)
        number += 100


def test_at_the_size_limit_the_oldest_identities_go_before_reading_stops(path: Path, clock: Clock) -> None:
    config = config_for(path, max_size_mb=1)
    with Outbox(path, max_bytes=2**20) as outbox:
        # A call a second, and what little room there is.
        remember(outbox, range(25_000), lambda number: NOW - (25_000 - number))
        fill(outbox, 30_000)
        deliver(outbox)
        clock.now += 3600
        keep_house(outbox, config)
        assert outbox.used_bytes() < 0.91 * 2**20
        assert 5000 < remembered(outbox) < 12_000
        assert outbox.accept("csv", batch(*range(21_000, 25_000)), TO) == 0
        assert outbox.accept("csv", batch(*range(100)), TO) == 100


def test_calls_that_wait_take_the_room_of_identities_older_than_hosted_pbxs_tell_again(
    path: Path, clock: Clock
) -> None:
    config = config_for(path, max_size_mb=1)
    with Outbox(path, max_bytes=2**20) as outbox:
        remember(outbox, range(11_000), lambda number: NOW - (100 * DAY if number % 11 else DAY))
        fill(outbox, 20_000)
        keep_house(outbox, config)
        assert outbox.used_bytes() < 0.91 * 2**20
        assert remembered(outbox) == 1000
        assert outbox.accept("csv", batch(*range(0, 11_000, 11)), TO) == 0


def test_others_write_between_the_pieces(outbox: Outbox, path: Path) -> None:
    for number in range(0, 3000, 500):
        outbox.accept("csv", batch(*range(number, number + 500)), TO)
    deliver(outbox)
    with closing(sqlite3.connect(path, timeout=0)) as other:
        pieces: list[int] = []

        class Between(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                with other:
                    other.execute("INSERT INTO health VALUES (?, '', '', 0)", (str(len(pieces)),))
                pieces.append(remembered(outbox))
                return super().wait(timeout)

        assert dropping.forget_delivered(Piecemeal(outbox, Between()), time.time() + 1) == 3000
    assert len(pieces) > 1
    assert pieces == sorted(set(pieces))


def test_it_ends_early_and_goes_on_where_it_was(outbox: Outbox) -> None:
    outbox.accept("csv", batch(*range(2000)), TO)
    deliver(outbox)

    class Soon(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    first = dropping.forget_delivered(Piecemeal(outbox, Soon()), time.time() + 1)
    assert 0 < first < 2000
    assert dropping.forget_delivered(Piecemeal(outbox), time.time() + 1) == 2000 - first


def test_purge_and_replay_tell_how_far_they_are(outbox: Outbox) -> None:
    outbox.accept("csv", batch(*range(2000)), TO)
    deliver(outbox, "dead")
    for work in (queries.replay, queries.purge):
        heard: list[int] = []
        assert work(outbox, Filter(), heard.append) == 2000
        assert sum(heard) == 2000
        assert len(heard) > 1


@pytest.mark.parametrize("state", ["sent", "dead"])
def test_a_purge_gives_the_room_back(outbox: Outbox, path: Path, state: str) -> None:
    outbox.accept("csv", batch(*range(2000)), TO)
    deliver(outbox, state)
    empty = 64 * 4096
    queries.purge(outbox, Filter())
    dropping.shrink(Piecemeal(outbox))
    outbox.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert path.stat().st_size < empty + 2000 * dropping.BYTES_REMEMBERED


def steps(outbox: Outbox, work: Callable[[], object]) -> int:
    """How many thousand steps SQLite takes for that."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    outbox.db.conn.set_progress_handler(count, 1000)
    work()
    outbox.db.conn.set_progress_handler(None, 0)
    return taken


LONG_WORK: dict[str, Callable[[Outbox], object]] = {
    "purge of all": lambda outbox: queries.purge(outbox, Filter()),
    "purge of delivered ones": lambda outbox: queries.purge(outbox, Filter(state="sent")),
    "replay": lambda outbox: queries.replay(outbox, Filter(state="sent")),
    "retention": lambda outbox: dropping.forget_delivered(Piecemeal(outbox), time.time() + 1),
}


@pytest.mark.parametrize("work", LONG_WORK.values(), ids=list(LONG_WORK))
def test_long_work_takes_as_many_steps_for_each_call_however_many_there_are(
    tmp_path: Path, work: Callable[[Outbox], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("FIRST", "FEWEST", "MOST"):
        monkeypatch.setattr(dropping, size, 50)
    taken = []
    for number in (400, 3200):
        with Outbox(tmp_path / f"{number}.db") as outbox:
            outbox.accept("csv", batch(*range(number)), TO)
            due = outbox.take("humbug", number // 2, time.time(), range(number // 2 + 1))
            outbox.mark("humbug", [Mark(one.id, "sent", 1.0) for one in due])
            taken.append(steps(outbox, partial(work, outbox)))
    assert taken[1] < 10 * taken[0]
