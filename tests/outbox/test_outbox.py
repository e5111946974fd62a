"""The outbox on real files: nothing accepted twice, nothing lost, and the file looked after."""

import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlite_utils import Database

from humbug_agent.cdr import Batch, Notice
from humbug_agent.config import Config
from humbug_agent.daemon import housekeeping
from humbug_agent.flat import OF_THE_RECORD, flatten
from humbug_agent.outbox import api_queries, lock, queries, rows, schema
from humbug_agent.outbox.dropping import Piecemeal, forget_delivered
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.outbox import KEPT_FAILURES, Mark, Outbox
from humbug_agent.outbox.queries import Filter
from humbug_agent.outbox.schema import OutboxDamaged, OutboxError, OutboxFull
from humbug_agent.status import coverage
from tests.kit.agent_ini import config_of
from tests.kit.calls import START, batch, call, records_of, reject

pytestmark = pytest.mark.slow

TO = ["humbug"]


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Outbox(path, durable=True) as opened:
        yield opened


def states(outbox: Outbox) -> dict[str, int]:
    return queries.totals(outbox).deliveries.get("humbug", {})


def test_a_call_comes_back_as_it_went_in(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2), TO)
    assert records_of(outbox.take("humbug", 10, time.time())) == [call(1), call(2)]


def test_what_is_no_call_comes_back_as_it_went_in_and_counts_as_none(outbox: Outbox) -> None:
    fields = {"Shutdown": "Cleanly", "Restart": "True"}
    notice = Notice(identity=b"n" * 16, event="Shutdown", at=START, fields=fields)
    assert outbox.accept("ami", Batch([call(1), notice], [], None), TO) == 2
    assert records_of(outbox.take("humbug", 10, time.time())) == [call(1), notice]
    assert queries.totals(outbox).calls == 1


def test_a_call_of_two_sources_is_one_and_both_have_seen_it(outbox: Outbox) -> None:
    assert outbox.accept("ami", batch(1, 2), TO) == 2
    assert outbox.accept("csv", batch(2, 3), TO) == 1
    assert outbox.accept("csv", batch(2, 3), TO) == 0
    assert coverage.sightings(outbox, 0) == {("ami",): 1, ("ami", "csv"): 1, ("csv",): 1}
    assert len(outbox.take("humbug", 10, time.time())) == 3


def first_version(path: Path) -> None:
    """An outbox as version 0.1.0 made it, with a call that waits."""
    db = Database(sqlite3.connect(path), execute_plugins=False)
    migrations.apply(db, stop_before="m002_second_source")
    places = ", ".join("?" * (len(OF_THE_RECORD) + 2))
    db.conn.execute(
        f"INSERT INTO calls (source, accepted, {', '.join(OF_THE_RECORD)}) VALUES ({places})",
        ("csv", 1.0, *flatten(call(1))[: len(OF_THE_RECORD)]),
    )
    db.conn.execute("INSERT INTO deliveries (call, destination) VALUES (1, 'humbug')")
    db.conn.commit()
    db.close()


def test_an_outbox_of_the_first_version_goes_on(path: Path) -> None:
    first_version(path)
    with Outbox(path) as outbox:
        assert records_of(outbox.take("humbug", 10, time.time())) == [call(1)]
        assert outbox.accept("ami", batch(1), TO) == 0
        assert coverage.sightings(outbox, 0) == {("ami", "csv"): 1}


def test_a_damaged_outbox_of_the_first_version_loses_no_waiting_call(path: Path) -> None:
    first_version(path)
    schema.move_aside(path)
    with Outbox(path) as outbox:
        assert records_of(outbox.take("humbug", 10, time.time())) == [call(1)]


def test_the_file_and_its_companions_are_for_the_owner_alone(path: Path, outbox: Outbox) -> None:
    outbox.accept("csv", batch(1), TO)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"outbox.db": 0o600, "outbox.db-wal": 0o600, "outbox.db-shm": 0o600}


def test_records_and_cursor_are_on_disk_together_or_not_at_all(path: Path, outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, cursor="first"), TO)
    bad = Batch([call(2), call(3, disposition=None)], [], "second")
    with pytest.raises(AttributeError):
        outbox.accept("csv", bad, TO)
    with Outbox(path) as other:
        assert other.cursor("csv") == "first"
        assert states(other) == {"waiting": 1, "sent": 0, "dead": 0}


def test_what_is_known_already_adds_nothing(outbox: Outbox) -> None:
    assert outbox.accept("csv", batch(1, 2), TO) == 2
    assert outbox.accept("ami", batch(2, 3), TO) == 1
    assert states(outbox)["waiting"] == 3


def test_every_destination_gets_every_call(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2), ["one", "two"])
    outbox.mark("one", [Mark(1, "sent", time.time())])
    assert [due.id for due in outbox.take("one", 10, time.time())] == [2]
    assert [due.id for due in outbox.take("two", 10, time.time())] == [1, 2]


def test_a_batch_without_a_cursor_leaves_the_cursor_where_it_is(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, cursor="here"), TO)
    outbox.accept("csv", batch(2, cursor=None), TO)
    assert outbox.cursor("csv") == "here"
    assert outbox.cursor("another") is None


def test_new_calls_go_in_the_order_in_which_they_came(outbox: Outbox) -> None:
    outbox.accept("csv", batch(3, 1, 2), TO)
    assert records_of(outbox.take("humbug", 2, time.time())) == [call(3), call(1)]
    assert [due.id for due in outbox.take("humbug", 2, time.time(), without=[1])] == [2, 3]


def test_new_calls_and_repeats_whose_time_has_come_take_turns(outbox: Outbox) -> None:
    now = time.time()
    outbox.accept("csv", batch(*range(20)), TO)
    outbox.mark("humbug", [Mark(number, "waiting", now, due=now + number) for number in range(1, 11)])
    assert [due.id for due in outbox.take("humbug", 4, now)] == [11, 12, 13, 14]
    assert [due.id for due in outbox.take("humbug", 4, now + 100)] == [11, 1, 12, 2]
    assert sorted(due.id for due in outbox.take("humbug", 30, now + 100)) == list(range(1, 21))
    assert outbox.take("humbug", 4, now + 100)[1].attempts == 1


def test_only_the_last_failures_of_a_call_are_kept(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1), TO)
    for attempt in range(KEPT_FAILURES + 5):
        outbox.mark("humbug", [Mark(1, "waiting", float(attempt), due=1.0, status=500, error=f"try {attempt}")])
    kept = queries.failures(outbox, 1)
    assert [failure.error for failure in kept] == [f"try {attempt}" for attempt in range(5, KEPT_FAILURES + 5)]
    assert outbox.take("humbug", 1, time.time())[0].attempts == KEPT_FAILURES + 5


def test_a_mark_comes_too_late_for_a_call_that_is_settled(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1), TO)
    outbox.mark("humbug", [Mark(1, "sent", 1.0)])
    outbox.mark("humbug", [Mark(1, "dead", 2.0)])
    assert states(outbox) == {"waiting": 0, "sent": 1, "dead": 0}


def test_delivered_calls_are_dropped_and_a_re_read_does_not_bring_them_back(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2, 3), TO)
    outbox.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "dead", 1.0)])
    assert forget_delivered(Piecemeal(outbox), time.time() + 1) == 1
    assert outbox.accept("csv", batch(1, 2, 3, 4), TO) == 1
    assert states(outbox) == {"waiting": 2, "sent": 0, "dead": 1}


def test_calls_stay_for_keep_days(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1), TO)
    outbox.mark("humbug", [Mark(1, "sent", time.time())])
    assert forget_delivered(Piecemeal(outbox), time.time() - 60) == 0


def fill(outbox: Outbox) -> None:
    for number in range(0, 10_000, 100):
        outbox.accept("csv", batch(*range(number, number + 100), cursor=str(number)), TO)


def test_reading_pauses_at_the_limit_and_goes_on_when_delivered_calls_may_go(path: Path) -> None:
    config = config_for(path, "end")
    with Outbox(config.agent.outbox, max_bytes=2**20) as outbox:
        with pytest.raises(OutboxFull, match="max_size_mb = 1 is reached"):
            fill(outbox)
        full_at = outbox.cursor("csv")
        housekeeping.keep_house(outbox, config, threading.Event())
        with pytest.raises(OutboxFull):
            outbox.accept("csv", batch(20_000), TO)
        assert outbox.cursor("csv") == full_at
        waiting = outbox.take("humbug", 10_000, time.time())
        outbox.mark("humbug", [Mark(due.id, "sent", 1.0) for due in waiting])
        housekeeping.keep_house(outbox, config, threading.Event())
        assert outbox.accept("csv", batch(20_000), TO) == 1
        assert outbox.used_bytes() < 2**20


def test_rejects_are_kept_once_and_dropped_for_good(outbox: Outbox) -> None:
    once = Batch([], [reject(b"what"), reject(b"ever")], "c")
    outbox.accept("csv", once, TO)
    outbox.accept("csv", once, TO)
    kept = queries.rejects(outbox)
    assert [(one.text, one.reason, one.place) for one in kept] == [
        (b"what", "has 1 columns", "Master.csv, byte 0"),
        (b"ever", "has 1 columns", "Master.csv, byte 0"),
    ]
    assert queries.drop_rejects(outbox, [kept[0].id]) == 1
    outbox.accept("csv", once, TO)
    assert [one.text for one in queries.rejects(outbox)] == [b"ever"]


def test_health_remembers_since_when(outbox: Outbox) -> None:
    outbox.report("source csv", "failing", "no such file")
    since = outbox.health()["source csv"].since
    outbox.report("source csv", "failing", "permission denied")
    assert outbox.health()["source csv"].since == since
    assert outbox.health()["source csv"].message == "permission denied"
    outbox.report("source csv", "ok")
    assert outbox.health()["source csv"].since > since


def test_filters_choose_by_state_number_uniqueid_time_and_id(outbox: Outbox) -> None:
    outbox.accept("csv", batch(*range(1, 700)), TO)
    outbox.mark("humbug", [Mark(5, "dead", 1.0), Mark(6, "sent", 1.0)])

    def ids(wanted: Filter) -> list[int]:
        return [entry.id for entry in queries.entries(outbox, wanted)]

    assert ids(Filter(state="dead")) == [5]
    assert ids(Filter(number="440000012")) == [12]
    assert ids(Filter(number="%")) == []
    assert ids(Filter(uniqueid="1795193882.7")) == [7]
    assert ids(Filter(since=call(690).start.timestamp(), until=call(692).start.timestamp())) == [690, 691]
    assert ids(Filter(ids=[3, 1])) == [1, 3]
    assert ids(Filter(destination="another")) == []
    assert ids(Filter()) == list(range(1, 700))
    assert queries.count(outbox, Filter(state="waiting")) == 697
    assert [entry.id for entry in queries.newest(outbox, Filter(), 2)] == [698, 699]


def test_replayed_deliveries_wait_as_if_never_tried(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2), TO)
    outbox.mark("humbug", [Mark(1, "dead", 1.0, error="400"), Mark(2, "dead", 1.0)])
    assert queries.replay(outbox, Filter(ids=[1])) == 1
    (due,) = outbox.take("humbug", 10, time.time())
    assert (due.id, due.attempts) == (1, 0)


def test_purged_calls_do_not_come_back(outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2), ["one", "two"])
    assert queries.purge(outbox, Filter(destination="one", ids=[1])) == 1
    assert [due.id for due in outbox.take("two", 10, time.time())] == [1, 2]
    assert queries.purge(outbox, Filter(ids=[1])) == 1
    assert outbox.accept("csv", batch(1, 2), ["one", "two"]) == 0
    assert [due.id for due in outbox.take("two", 10, time.time())] == [2]


def test_the_history_of_a_delivery_is_purged_with_it(path: Path, outbox: Outbox) -> None:
    """Were it kept, a delivery that is made anew, as by the salvage of a damaged outbox, would be told as that one."""
    outbox.accept("csv", batch(1), ["one", "two"])
    for name in ("one", "two"):
        outbox.mark(name, [Mark(1, "dead", 1.0, error=f"{name} failed")])
    queries.replay(outbox, Filter())
    for name in ("one", "two"):
        outbox.mark(name, [Mark(1, "dead", 2.0, error=f"{name} failed")])
    assert {one.destination for one in queries.failures(outbox, 1)} == {"one", "two"}
    assert queries.purge(outbox, Filter(destination="one")) == 1
    assert {one.destination for one in queries.failures(outbox, 1)} == {"two"}
    assert {one.destination for one in queries.replays(outbox, 1)} == {"two"}


def test_another_process_that_writes_is_waited_for(path: Path, outbox: Outbox) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.5, other.execute, ["COMMIT"])
        release.start()
        assert outbox.accept("csv", batch(1), TO) == 1
        release.join()


def test_looking_into_it_writes_nothing(path: Path, outbox: Outbox) -> None:
    """A full disk may have no room for that, and another process may be writing."""
    began = time.monotonic()
    with outbox.transaction(), Outbox(path) as looking:
        assert looking.health() == {}
        assert looking.select("PRAGMA auto_vacuum")[0][0] == schema.INCREMENTAL
    assert time.monotonic() - began < schema.BUSY_SECONDS / 3


def damage(path: Path, index: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()[0]
        page = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)


def config_for(path: Path, start: str) -> Config:
    return config_of(path.parent, "max_size_mb = 1", f"start = {start}")


@pytest.mark.parametrize("start", ["beginning", "end"])
def test_a_damaged_file_is_moved_aside_and_what_it_had_is_neither_lost_nor_sent_again(path: Path, start: str) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(*range(3000), cursor="here"), TO)
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in range(1, 1001)])
    damage(path, "calls_start")
    housekeeping.prepare(config_for(path, start))
    moved = [file for file in path.parent.iterdir() if re.fullmatch(r"outbox\.db\.damaged-[0-9T]+", file.name)]
    assert len(moved) == 1
    with Outbox(path) as outbox:
        assert outbox.cursor("csv") == ("here" if start == "end" else None)
        assert states(outbox)["waiting"] == 2000
        assert outbox.accept("csv", batch(*range(3000)), TO) == 0
        assert records_of(outbox.take("humbug", 1, time.time())) == [call(1000)]


def test_calls_of_whose_deliveries_nothing_can_be_read_are_sent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(*range(3000)), TO)
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in range(1, 3001)])
    damage(path, "deliveries")
    housekeeping.prepare(config_for(path, "beginning"))
    with Outbox(path) as outbox:
        # Which ones had been delivered nobody can tell any more: at least once, then.
        assert states(outbox)["waiting"] == 3000
        assert outbox.accept("csv", batch(*range(3000)), TO) == 0
    assert "of 3,000 calls it can't be read whether they were delivered: they are sent, perhaps again" in caplog.text


def test_a_file_that_is_no_database_is_moved_aside(path: Path) -> None:
    path.write_bytes(b"these are no calls" * 1000)
    with pytest.raises(OutboxDamaged):
        Outbox(path)
    housekeeping.prepare(config_for(path, "end"))
    with Outbox(path) as outbox:
        assert outbox.accept("csv", batch(1), TO) == 1


def test_moving_a_damaged_file_aside_is_finished_by_the_next_start_when_killed(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(*range(3000)), TO)
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in range(1, 1001)])
    damage(path, "calls_start")
    damaged = path.read_bytes()
    schema.move_aside(path)
    # Killed while the new one was being filled: the damaged file is still there, and a half-made one beside it.
    path.rename(path.with_name("outbox.db.new"))
    path.write_bytes(damaged)
    housekeeping.prepare(config_for(path, "beginning"))
    with Outbox(path) as outbox:
        assert states(outbox)["waiting"] == 2000
    # Killed before the new one got its name.
    path.rename(path.with_name("outbox.db.new"))
    housekeeping.prepare(config_for(path, "beginning"))
    with Outbox(path) as outbox:
        assert states(outbox)["waiting"] == 2000


def test_a_start_is_not_refused_because_somebody_asks_who_runs(path: Path) -> None:
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            lock.running(path)

    with lock.locked(path):
        pass
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(300):
            with lock.locked(path):
                pass
    finally:
        stop.set()
        asking.join()


def test_an_id_is_never_given_to_another_call(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(1, 2), TO)
        queries.purge(outbox, Filter(ids=[2]))
        outbox.accept("csv", batch(3), TO)
        assert [due.id for due in outbox.take("humbug", 10, time.time())] == [1, 3]


def test_processes_that_make_the_outbox_at_the_same_moment_do_not_hinder_each_other(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from humbug_agent.outbox.outbox import Outbox; Outbox(Path(sys.argv[1]))"
    )
    for _ in range(6):
        command = [sys.executable, "-W", "ignore", "-c", code, str(path)]
        makers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
        said = [maker.communicate(timeout=30)[1] for maker in makers]
        assert said == [b""] * 4
        for file in path.parent.glob("outbox.db*"):
            file.unlink()


def test_a_sound_file_is_left_alone(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(1), TO)
    housekeeping.prepare(config_for(path, "end"))
    with Outbox(path) as outbox:
        assert states(outbox)["waiting"] == 1


def test_an_outbox_of_a_newer_version_is_refused_with_a_word_on_what_to_do(path: Path) -> None:
    Outbox(path).close()
    with closing(Database(path)) as db:
        db.table("_sqlite_migrations").insert(
            {"migration_set": migrations.name, "name": "m999_future", "applied_at": "2030-01-01"}
        )
    with pytest.raises(OutboxError, match=r"a newer humbug-agent made it \(m999_future\)"):
        Outbox(path)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match=r"nowhere/outbox.db: No such file or directory; its directory must exist"):
        Outbox(tmp_path / "nowhere" / "outbox.db")


def test_only_one_agent_runs_on_an_outbox(path: Path) -> None:
    assert lock.running(path) is None
    with lock.locked(path):
        with (
            pytest.raises(lock.AgentError, match=r"another humbug-agent is running on it, pid \d+"),
            lock.locked(path),
        ):
            pass
        assert lock.running(path)
    assert lock.running(path) is None


def test_what_is_no_text_can_be_told_of(outbox: Outbox) -> None:
    """The name of a file may be any bytes."""
    outbox.report("source s", "failing", "/var/a\udcff: can't be read")
    assert outbox.health()["source s"].message == "/var/a\\udcff: can't be read"


def as_of_before(path: Path, calls: int) -> None:
    """An outbox with so many calls, every third of them sent, as the version before its counts were kept left it."""
    with closing(Database(sqlite3.connect(path), execute_plugins=False)) as db:
        migrations.apply(db, stop_before="m007_kept_counts")
        names = f"id, source, accepted, {rows.COLUMNS}"
        for number in range(1, 101):
            values = (number, "csv", 1.0, *flatten(call(number)))
            db.conn.execute(f"INSERT INTO calls ({names}) VALUES ({', '.join('?' * len(values))})", values)
        others = names.replace("identity, ", "")
        db.conn.execute(
            f"WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {calls // 100 - 1}) INSERT INTO calls "
            f"(identity, {others}) SELECT randomblob(16), {others.replace('id', 'i * 100 + id', 1)} FROM calls, n"
        )
        db.conn.execute("INSERT INTO deliveries (call, destination) SELECT id, 'humbug' FROM calls")
        db.conn.execute("UPDATE deliveries SET state = 'sent' WHERE call % 3 = 0")
        # One that retention dropped.
        db.conn.execute("INSERT INTO forgotten (identity) VALUES (randomblob(16))")
        db.conn.commit()


def test_counts_of_an_outbox_of_before_are_kept_whenever_its_first_start_is_killed(path: Path) -> None:
    as_of_before(path, 30_000)
    opens = (
        "import pathlib, sys; from humbug_agent.outbox.outbox import Outbox; print('go', flush=True); "
        "Outbox(pathlib.Path(sys.argv[1]))"
    )
    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", opens, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"go\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.002 * 2**number)
            process.kill()
    with Outbox(path) as outbox:
        assert states(outbox) == {"waiting": 20_000, "sent": 10_000, "dead": 0}
        assert queries.totals(outbox).calls == 30_000
        outbox.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "dead", 1.0)])
        outbox.accept("csv", batch(40_000), TO)
        assert states(outbox) == {"waiting": 19_999, "sent": 10_001, "dead": 1}
        assert queries.totals(outbox).calls == 30_001
        blocks = outbox.select("SELECT id, number FROM kept_calls")
        assert [tuple(row) for row in blocks] == [
            (0, 4095),
            *((n, 4096) for n in range(1, 7)),
            (7, 30_001 - 7 * 4096 + 1),
        ]
        # All that it drops every destination has, and it is dropped in this order.
        assert (gone := api_queries.dropped(outbox))
        assert (gone.last, gone.start) == (2, call(3).end.timestamp())
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_counts_that_a_damage_has_changed_are_put_right(path: Path, outbox: Outbox) -> None:
    outbox.accept("csv", batch(1, 2, 3), TO)
    outbox.mark("humbug", [Mark(1, "sent", 1.0)])
    with outbox.transaction() as conn:
        conn.execute("UPDATE kept SET waiting = 77, sent = 'x', dead = -5")
        conn.execute("DELETE FROM kept_calls")
        conn.execute("INSERT INTO kept VALUES ('gone', 1, 2, 3)")
    queries.count_anew(outbox)
    assert queries.totals(outbox).deliveries == {"humbug": {"waiting": 2, "sent": 1, "dead": 0}}
    assert queries.totals(outbox).calls == 3


def test_whoever_opens_an_outbox_knows_all_its_migrations() -> None:
    assert {one.name for one in migrations.pending(Database(memory=True))} == schema.MIGRATIONS
