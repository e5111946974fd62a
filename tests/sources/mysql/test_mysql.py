"""The source mysql: which rows are which calls, asked for how, and what it says when something is wrong."""

import configparser
import gc
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import CDR, LACKS, Batch, Form
from humbug_agent.ini import Section
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.settings import MysqlSettings
from humbug_agent.sources.mysql.source import Mysql
from humbug_agent.sources.polling.pace import DAY
from tests.kit.mariadb import MariaDb, cdr_row, settings

pytestmark = pytest.mark.slow

BERLIN = ZoneInfo("Europe/Berlin")
AGO = 3600.0
"""Seconds before now at which most calls of these tests began."""


def source(database: MariaDb, *lines: str, zone: ZoneInfo | None = None) -> Mysql:
    return Mysql(settings(database, *lines), zone or ZoneInfo("UTC"))


def read(one: Mysql, cursor: str | None = None) -> list[Batch]:
    return list(one.read(cursor, Event(), follow=False))


def calls(batches: list[Batch]) -> list[CDR]:
    return [record for batch in batches for record in batch.records if isinstance(record, CDR)]


def cursor(batches: list[Batch]) -> str | None:
    return next((batch.cursor for batch in reversed(batches) if batch.cursor), None)


def test_a_row_is_the_call_that_asterisk_wrote(database: MariaDb) -> None:
    began = int(time.time() - AGO)
    database.insert(cdr_row(7, began, recordingfile="x.wav"))
    batches = read(source(database))
    (call,) = calls(batches)
    assert {batch.told for batch in batches if batch.records} == {Form.ROW}
    start = datetime.fromtimestamp(began, UTC)
    assert (call.start, call.answer, call.end) == (start, start + timedelta(seconds=5), start + timedelta(seconds=12))
    assert (call.src, call.dst, call.clid, call.linkedid) == ("101", "7", '"Desk 7" <7>', f"{began}.1")
    assert call.extra == {"amaflags": "3", "did": "4930", "recordingfile": "x.wav", "sequence": "7"}


def test_equal_rows_are_as_many_calls_and_each_stays_the_same(database: MariaDb) -> None:
    row = cdr_row(1, time.time() - AGO)
    database.insert(row, row)
    first = calls(read(source(database)))
    database.insert(row)
    again = calls(read(source(database)))
    assert len({one.identity for one in first}) == 2
    assert {one.identity for one in first} < {one.identity for one in again}
    assert len({one.identity for one in again}) == 3


def test_what_the_pbx_adds_to_a_row_or_to_the_table_later_makes_no_other_call(database: MariaDb) -> None:
    database.make("ALTER TABLE cdr DROP COLUMN uniqueid")
    row = cdr_row(1, time.time() - AGO)
    del row["uniqueid"]
    database.insert(row)
    (before,) = calls(read(source(database)))
    change = (
        "ALTER TABLE cdr ADD COLUMN uniqueid varchar(32) NOT NULL DEFAULT '', ADD COLUMN cost varchar(9) DEFAULT 'x'"
    )
    database.run(change, "UPDATE cdr SET recordingfile = 'r', userfield = 'u'", database="asteriskcdrdb")
    (after,) = calls(read(source(database)))
    assert before.identity == after.identity
    assert after.userfield == "u"


@pytest.mark.parametrize("charset", ["latin1", "utf8mb4"])
def test_text_is_read_whichever_way_it_came_into_the_table(database: MariaDb, charset: str) -> None:
    database.make(f"ALTER TABLE cdr CONVERT TO CHARACTER SET {charset}")
    # One client says that it sends UTF-8, the other one sends it and says that it is latin1.
    database.insert(cdr_row(1, time.time() - AGO, clid="Müller"))
    database.insert(cdr_row(2, time.time() - AGO, clid="Müller €".encode().decode("cp1252")))
    assert [one.clid for one in calls(read(source(database)))] == ["Müller", "Müller €"]


@pytest.mark.parametrize("key", ["calldate", "uniqueid", ""])
def test_calls_are_found_by_whichever_index_there_is(database: MariaDb, key: str) -> None:
    database.make(keys=[key] if key else [])
    now = time.time()
    database.insert(*(cdr_row(number, now - number * 1000) for number in range(80)))
    batches = read(source(database))
    assert sorted(int(one.dst) for one in calls(batches)) == list(range(80))
    database.insert(cdr_row(100, now - 10), cdr_row(101, now - 200000, uniqueid=f"{int(now - 20000)}.101"))
    again = calls(read(source(database), cursor(batches)))
    assert 100 in {int(one.dst) for one in again}


def test_the_times_clock_is_found_by_the_uniqueids(database: MariaDb) -> None:
    began = int(time.time() - AGO)
    local = datetime.fromtimestamp(began, BERLIN).strftime("%Y-%m-%d %H:%M:%S")
    for stamp in (local, None):
        database.make()
        rows = [cdr_row(number, began) for number in range(4)]
        database.insert(*(row | {"calldate": stamp or row["calldate"]} for row in rows))
        found = calls(read(source(database, zone=BERLIN)))
        assert [one.start.timestamp() for one in found] == [began] * 4
        assert {one.start.utcoffset() for one in found} == {datetime.fromtimestamp(began, BERLIN).utcoffset()}


def test_the_first_call_of_a_new_pbx_tells_the_clock(database: MariaDb) -> None:
    one = source(database, zone=BERLIN)
    assert one.check().endswith("0 calls in the last day; its times are taken for local")
    batches = read(one)
    began = int(time.time() - 30)
    database.insert(cdr_row(1, began))
    (call,) = calls(read(one, cursor(batches)))
    assert call.start.timestamp() == began


def test_a_change_of_the_clock_is_noticed_with_the_calls_of_both(database: MariaDb) -> None:
    began = int(time.time() - 2 * AGO)
    local = [
        cdr_row(n, began + n) | {"calldate": datetime.fromtimestamp(began + n, BERLIN).strftime("%Y-%m-%d %H:%M:%S")}
        for n in range(5)
    ]
    database.insert(*local, *(cdr_row(n, began + 3600 + n) for n in range(5, 10)))
    found = {int(one.dst): one.start.timestamp() for one in calls(read(source(database, zone=BERLIN)))}
    assert found == {n: began + n + (3600 if n >= 5 else 0) for n in range(10)}


def test_columns_with_times_that_the_server_knows_are_in_no_zone(database: MariaDb) -> None:
    change = "ALTER TABLE cdr CHANGE calldate start timestamp NOT NULL DEFAULT '2020-01-01 00:00:00'"
    database.make(change, "ALTER TABLE cdr DROP COLUMN uniqueid")
    began = int(time.time() - AGO)
    row = cdr_row(1, began)
    del row["calldate"], row["uniqueid"]
    database.run("SET GLOBAL time_zone = '+05:00'")
    database.insert(row)
    database.run(f"UPDATE cdr SET start = FROM_UNIXTIME({began})", database="asteriskcdrdb")
    (call,) = calls(read(source(database, zone=BERLIN)))
    database.run("SET GLOBAL time_zone = 'SYSTEM'")
    assert call.start.timestamp() == began


def test_columns_of_every_kind_and_name_are_read_or_left_out(database: MariaDb) -> None:
    kinds = {
        "json": "'{}'", "bit(3)": "b'101'", "blob": "'x'", "varbinary(9)": "'text'", "varbinary(8)": "0xff",
        "geometry": "Point(1, 2)", "year": "2020", "time": "'838:59:59'", "uuid": "uuid()", "inet6": "'::1'",
    }  # fmt: skip
    names = ["50% off", "a``b", "order", "ü", "time", "utc", "began", "number among equal rows"]
    columns = [f"ADD COLUMN `a {kind}` {kind} DEFAULT {said}" for kind, said in kinds.items()]
    columns += [f"ADD COLUMN `{name}` varchar(9) DEFAULT 'x'" for name in names]
    database.make(f"ALTER TABLE cdr {', '.join(columns)}, MODIFY src varbinary(80)")
    began = int(time.time() - AGO)
    database.insert(cdr_row(1, began))
    (call,) = calls(read(source(database)))
    assert (call.src, call.dst, call.start.timestamp()) == ("101", "1", began)
    assert {name: value for name, value in call.extra.items() if name.startswith("a ") and name != "a uuid"} == {
        "a json": "{}", "a varbinary(9)": "text", "a year": "2020", "a time": "838:59:59", "a inet6": "::1",
    }  # fmt: skip
    assert [name for name, value in call.extra.items() if value == "x"] == ["50% off", "a`b", "order", "ü"]


def test_what_the_table_lacks_is_said_of_each_call(database: MariaDb) -> None:
    database.make("ALTER TABLE cdr DROP COLUMN dcontext, DROP COLUMN accountcode")
    row = cdr_row(1, time.time() - AGO)
    del row["dcontext"], row["accountcode"]
    database.insert(row)
    (call,) = calls(read(source(database)))
    assert call.extra[LACKS] == "dcontext accountcode"


def test_old_calls_come_beside_the_new_ones_each_once(database: MariaDb, tmp_path: Path) -> None:
    now = time.time()
    database.insert(*(cdr_row(number, now - number * 1_000_000) for number in range(200)))
    one = source(database, "since = 2020-01-01")
    before = one.unread(None)
    assert before > 5 * 365 * DAY
    with Outbox(tmp_path / "outbox.db") as outbox:
        new = 0
        for batch in one.read(None, Event(), follow=False):
            new += outbox.accept("database", batch, ["humbug"])
            if new > 100:
                # Killed there, with what is on disk.
                break
        left = one.unread(outbox.cursor("database"))
        assert 0 < left < before
        for batch in source(database, "since = 2020-01-01").read(outbox.cursor("database"), Event(), follow=False):
            new += outbox.accept("database", batch, ["humbug"])
        assert new == queries.totals(outbox).calls == 200
        assert one.unread(outbox.cursor("database")) == 0


def test_outside_its_hours_old_calls_wait_and_new_ones_come(database: MariaDb) -> None:
    now = time.time()
    database.insert(cdr_row(1, now - 30), cdr_row(2, now - 3 * DAY))
    hour = datetime.now(UTC).hour
    one = source(database, "since = 2020-01-01", f"backfill_hours = {(hour + 2) % 24}-{(hour + 3) % 24}")
    reading = one.read(None, stop := Event(), follow=True)
    found: list[CDR] = []
    for batch in reading:
        found += calls([batch])
        if batch.cursor and found:
            stop.set()
    assert [one.dst for one in found] == ["1"]


def test_new_calls_do_not_wait_while_old_ones_rest(database: MariaDb) -> None:
    now = time.time()
    database.insert(*(cdr_row(number, now - 3 * DAY - number) for number in range(50)))
    # At that pace the old ones rest for most of a minute.
    one = source(database, "since = 2020-01-01", "backfill_rows = 1", "poll_seconds = 1")
    stop, seen, began = Event(), 0, 0.0
    for batch in one.read(None, stop, follow=True):
        seen += len(batch.records)
        if seen >= 50 and not began:
            began = time.monotonic()
            database.insert(cdr_row(1000))
        if "1000" in [call.dst for call in calls([batch])]:
            stop.set()
    assert time.monotonic() - began < 30


def plan(database: MariaDb, one: Mysql, begin: int, end: int) -> dict[str, str]:
    sql = one.table.sql()
    conn = database.connect()
    with conn, conn.cursor() as cursor:
        lo, hi = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (begin, end))
        if one.table.shape.by == "uniqueid":
            lo, hi = str(begin), str(end)
        cursor.execute(f"EXPLAIN {sql}", (lo, hi))
        names = [column[0] for column in cursor.description]
        return dict(zip(names, map(str, cursor.fetchone()), strict=True))


def many(database: MariaDb, number: int, *, keys: tuple[str, ...]) -> None:
    """Calls of so many times five seconds until now."""
    database.make(keys=keys)
    database.run(
        "INSERT INTO cdr (calldate, src, dst, channel, uniqueid, disposition, duration, billsec) SELECT "
        "FROM_UNIXTIME(UNIX_TIMESTAMP() - 60 - seq * 5), '101', seq, CONCAT('PJSIP/101-', seq), "
        f"CONCAT(UNIX_TIMESTAMP() - 60 - seq * 5, '.', seq), 'ANSWERED', 12, 7 FROM seq_1_to_{number}",
        "ANALYZE TABLE cdr",
        database="asteriskcdrdb",
    )


@pytest.mark.parametrize("key", ["calldate", "uniqueid"])
def test_no_poll_of_a_large_table_scans_it(database: MariaDb, key: str) -> None:
    many(database, 300_000, keys=(key,))
    one = source(database)
    now = int(time.time())
    for back in (120, 3600, DAY):
        found = plan(database, one, now - back, now + DAY)
        assert (found["type"], found["key"]) == ("range", key)
    assert plan(database, one, now - 120, now + DAY)["rows"].isdecimal()
    before = read_rows(one)
    one.table.window(now - 120, now + DAY, UTC)
    assert read_rows(one) - before < 50
    # Not even the look at the clock does.
    before = read_rows(one)
    one.table.newest()
    assert read_rows(one) - before < 50


def read_rows(one: Mysql) -> int:
    """How many the server has looked at for this connection, in tables and in indices."""
    said = one.table.ask(
        "SELECT variable_value FROM information_schema.session_status WHERE variable_name LIKE 'HANDLER_READ%%'"
    )
    return sum(int(value or 0) for (value,) in said)


TROUBLES = {
    "user nobody is not let in": ("user = nobody",),
    "user humbug is not let in; check user and password": ("password = wrong",),
    "there is no such table; check table": ("table = calls",),
    "user humbug may not read the table; GRANT SELECT ON": ("database = mysql",),
}


@pytest.mark.parametrize("said", TROUBLES)
def test_what_is_wrong_is_said_in_words_and_never_the_password(database: MariaDb, said: str) -> None:
    lines = {line.partition(" = ")[0]: line for line in (*database.ini().splitlines(), *TROUBLES[said])}
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("\n".join(["[s]", *lines.values()]))
    one = Mysql(MysqlSettings.read("s", Section("s", dict(parser["s"]), [])), BERLIN)
    if said == "there is no such table; check table":
        database.run("GRANT SELECT ON asteriskcdrdb.* TO humbug@'%'")
    with pytest.raises(SourceError, match=said) as error:
        one.check()
    assert "the-secret" not in str(error.value)
    with pytest.raises(SourceError, match=said):
        read(one)


def test_a_column_that_is_missing_is_named(database: MariaDb) -> None:
    database.make("ALTER TABLE cdr DROP COLUMN disposition")
    with pytest.raises(SourceError, match="has no column disposition"):
        source(database).check()


def test_a_column_that_may_not_be_read_is_named(database: MariaDb) -> None:
    columns = "calldate, src, dst, channel, duration, billsec"
    database.run(
        "CREATE USER some@'%' IDENTIFIED BY 'the-secret'", f"GRANT SELECT ({columns}) ON asteriskcdrdb.cdr TO some@'%'"
    )
    with pytest.raises(SourceError, match="has no column disposition, or none that user some may read"):
        source(database, "user = some").check()


def test_a_locked_table_is_waited_for_and_nothing_moves(database: MariaDb) -> None:
    database.insert(cdr_row(1))
    one = source(database, "timeout = 1")
    batches = read(one)
    with database.connect() as conn, conn.cursor() as altering:
        altering.execute("LOCK TABLES cdr WRITE")
        moved: list[Batch] = []
        with pytest.raises(SourceError, match="the table is locked, as while it is altered"):
            moved.extend(one.read(cursor(batches), Event(), follow=False))
        assert not moved
        altering.execute("UNLOCK TABLES")
    database.insert(cdr_row(2))
    assert "2" in [call.dst for call in calls(read(one, cursor(batches)))]


def test_no_server_hangs_up_between_two_questions_of_one_day(own: MariaDb) -> None:
    own.run("SET GLOBAL wait_timeout = 1")
    with closing(source(own).table) as table:
        assert int(table.ask("SELECT @@SESSION.wait_timeout")[0][0] or 0) > 2 * DAY


def test_a_column_that_goes_while_it_reads_ends_one_reading_alone(database: MariaDb) -> None:
    one = source(database)
    assert one.table.shape
    database.insert(cdr_row(1))
    database.run("ALTER TABLE cdr DROP COLUMN did", database="asteriskcdrdb")
    with pytest.raises(SourceError, match="did"):
        one.table.window(0, 10, UTC)
    assert len(calls(read(one))) == 1


@pytest.fixture
def own() -> Iterator[MariaDb]:
    with MariaDb() as running:
        yield running


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_goes_on_by_itself_after_a_restart_and_a_server_that_hangs(own: MariaDb) -> None:
    own.insert(cdr_row(1))
    one = source(own, "timeout = 1")
    batches = read(one)
    own.stop(signal.SIGKILL)
    # PyMySQL leaves its socket to whoever collects the garbage, where nobody answers.
    with pytest.raises(SourceError, match=r"(?i)can.t connect"):
        read(one, cursor(batches))
    gc.collect()
    own.start()
    own.insert(cdr_row(2))
    assert "2" in [call.dst for call in calls(read(one, cursor(batches)))]
    own.freeze()
    with pytest.raises(SourceError):
        read(one, cursor(batches))
    own.thaw()
    assert read(one, cursor(batches))


def test_rows_of_a_replica_that_is_behind_are_found_when_they_come(
    database: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    database.insert(cdr_row(1, now - 60))
    batches = read(source(database))
    # A row that began a good hour ago comes only now; an hour later the day is asked for again.
    database.insert(cdr_row(2, now - 4000))
    later = now + 3700
    monkeypatch.setattr(time, "time", lambda: later)
    assert "2" in [call.dst for call in calls(read(source(database), cursor(batches)))]


def test_check_says_what_it_found_and_whose_clock_the_times_are(database: MariaDb) -> None:
    database.insert(*(cdr_row(number, time.time() - 100) for number in range(4)))
    said = source(database, zone=BERLIN).check()
    assert "4 calls in the last day; the newest:" in said
    assert said.endswith("its times are UTC")
    database.make(keys=[])
    assert "add one on calldate" in source(database).check()


def test_it_never_writes(database: MariaDb) -> None:
    database.run("GRANT ALL ON asteriskcdrdb.* TO humbug@'%'")
    one = source(database)
    with pytest.raises(SourceError, match="READ ONLY"):
        one.table.ask("DELETE FROM asteriskcdrdb.cdr")
    database.run("REVOKE ALL ON asteriskcdrdb.* FROM humbug@'%'", "GRANT SELECT ON asteriskcdrdb.* TO humbug@'%'")


def test_without_its_client_it_says_what_to_install(database: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    one = source(database)
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(SourceError, match="pip install 'humbug-agent"):
        one.check()
