"""What can be wrong with a database: it is said in words, nothing is lost by it, and it goes on by itself."""

import json
import logging
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from humbug_agent import backoff
from humbug_agent.cdr import Batch
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling import pace
from humbug_agent.sources.polling.rows import ApiRows
from humbug_agent.sources.postgresql import link as linked
from humbug_agent.sources.postgresql import login
from humbug_agent.sources.postgresql import reading as reading_
from humbug_agent.sources.postgresql.link import Link
from humbug_agent.sources.postgresql.reading import RowReading
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from tests.kit.calls import cdrs
from tests.kit.fusionpbx_database import ME, OWNER, PASSWORD, READER, FusionpbxDatabase, a_row
from tests.kit.host import wait_until
from tests.kit.pbxs import PostgresqlPbx
from tests.sources.contract.test_contract import began, configured, reading, until
from tests.sources.postgresql.conftest import source

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "SOURCE", backoff.Growth(0.05, 0.1))
    monkeypatch.setattr(pace, "jittered", lambda seconds: 0.05)


@pytest.fixture
def pbx(tmp_path: Path) -> Iterator[PostgresqlPbx]:
    with PostgresqlPbx(tmp_path) as one:
        yield one


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def cursor(outbox: Path) -> str | None:
    with Outbox(outbox) as box:
        return box.cursor("pbx")


def says(outbox: Path, *texts: str) -> None:
    """Waits until it is in trouble, in these words."""

    def in_words() -> bool:
        with Outbox(outbox) as box:
            health = box.health().get("source pbx")
        return health is not None and health.state != "ok" and all(text in health.message for text in texts)

    try:
        wait_until(in_words, 15)
    except AssertionError:
        with Outbox(outbox) as box:
            raise AssertionError(box.health()) from None


def test_a_server_that_is_away_is_waited_for(pbx: PostgresqlPbx, outbox: Path) -> None:
    pbx.end(1)
    pbx.database.stop()
    with reading(configured(pbx, outbox)):
        says(outbox, f"database fusionpbx at {pbx.database.folder}", "check that PostgreSQL runs")
        pbx.database.start()
        until(pbx, outbox, 1)


@pytest.mark.parametrize("ends", ["stop", "kill"])
def test_a_server_that_is_restarted_costs_no_call(pbx: PostgresqlPbx, outbox: Path, ends: str) -> None:
    with reading(configured(pbx, outbox)):
        began(outbox)
        for number in range(1, 5):
            pbx.end(number)
            getattr(pbx.database, ends)()
            says(outbox, "database fusionpbx")
            pbx.database.start()
        until(pbx, outbox, 1, 2, 3, 4)


def test_a_server_that_says_nothing_is_given_up_and_asked_anew(
    pbx: PostgresqlPbx, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linked, "GRACE_SECONDS", 0.5)
    with reading(configured(pbx, outbox, "timeout = 1")):
        began(outbox)
        # Its first round ends with these.
        wait_until(lambda: json.loads(cursor(outbox) or "")["undated"] is None)
        before = cursor(outbox)
        pbx.database.freeze()
        says(outbox, "no answer within 1 s")
        assert cursor(outbox) == before
        pbx.database.thaw()
        pbx.end(1)
        until(pbx, outbox, 1)


def test_a_server_that_is_slow_ends_the_question_itself(pbx: PostgresqlPbx, outbox: Path) -> None:
    with reading(configured(pbx, outbox, "timeout = 1")):
        began(outbox)
        with pbx.database.connected() as db, db.transaction():
            # As an upgrade of FusionPBX does it, which adds a column.
            db.execute("LOCK TABLE v_xml_cdr IN ACCESS EXCLUSIVE MODE")
            says(outbox, "it took longer than timeout = 1 s")
        pbx.end(1)
        until(pbx, outbox, 1)


def test_nobody_waits_for_a_lock_of_ours(pbx: PostgresqlPbx, outbox: Path) -> None:
    with reading(configured(pbx, outbox)):
        pbx.end(1)
        until(pbx, outbox, 1)
        with pbx.database.connected() as db:
            db.execute("SET lock_timeout = '5s'")
            db.execute("ALTER TABLE v_xml_cdr ADD COLUMN added text")
        pbx.end(2)
        until(pbx, outbox, 1, 2)


MENDED = {
    "password": (
        f"ALTER ROLE {READER} PASSWORD 'another'",
        f"ALTER ROLE {READER} PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'",
        ("password authentication failed", f"check username ({READER}) and password"),
    ),
    "table": (
        "ALTER TABLE v_xml_cdr RENAME TO v_other",
        "ALTER TABLE v_other RENAME TO v_xml_cdr",
        ("it has no table v_xml_cdr",),
    ),
    "column": (
        "ALTER TABLE v_xml_cdr RENAME end_epoch TO end_other",
        "ALTER TABLE v_xml_cdr RENAME end_other TO end_epoch",
        ("v_xml_cdr lacks the 1 column end_epoch",),
    ),
    "right": (
        f"REVOKE SELECT ON v_xml_cdr FROM {READER}",
        f"GRANT SELECT ON v_xml_cdr TO {READER}",
        (f"GRANT SELECT ON v_xml_cdr, v_xml_cdr_json TO {READER}",),
    ),
}
"""What breaks it, what mends it, and what is said meanwhile."""


@pytest.mark.parametrize("what", MENDED)
@pytest.mark.parametrize("when", ["from the beginning", "in the midst"])
def test_what_an_admin_has_to_mend_is_said_and_then_it_goes_on(
    pbx: PostgresqlPbx, outbox: Path, what: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wrong, right, words = MENDED[what]

    def done(sql: str) -> None:
        with pbx.database.connected("postgres") as db:
            db.execute(sql)
            # Whoever is logged in does not notice another password.
            db.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{READER}'")

    pbx.end(1)
    if when == "from the beginning":
        done(wrong)
    with reading(configured(pbx, outbox)):
        if when == "in the midst":
            until(pbx, outbox, 1)
            done(wrong)
        says(outbox, *words)
        before = cursor(outbox)
        done(right)
        pbx.end(2)
        until(pbx, outbox, 1, 2)
        assert before is not None
    assert PASSWORD not in caplog.text


def read(lines: str, cursor: str | None = None) -> tuple[list[str], str | None, list[Batch]]:
    """The uuids, the cursor, and all batches."""
    batches = list(source(lines).read(cursor, threading.Event(), follow=False))
    uuids = [record.uniqueid for batch in batches for record in cdrs(batch.records)]
    return uuids, next((batch.cursor for batch in reversed(batches) if batch.cursor), None), batches


def uuid_of(number: int) -> str:
    return str(a_row(number, 0)["xml_cdr_uuid"])


@pytest.mark.parametrize(("number", "hours", "late"), [(0, 1.1, 3), (1, 25, 60)])
def test_a_row_that_comes_into_sight_late_is_found(
    database: FusionpbxDatabase, number: int, hours: float, late: float
) -> None:
    """As on a replica that is behind, or at the end of a long transaction."""
    now, lines = time.time(), f"{database.ini()}\nsince = 2020-01-01"
    database.insert(a_row(1, now - 100 * 3600), a_row(2, now - 30))
    uuids, cursor, _ = read(lines)
    # Those of the last day are first.
    assert uuids == [uuid_of(2), uuid_of(1)]
    database.insert(a_row(3, now - late * 3600))
    assert read(lines, cursor)[0] == [uuid_of(2)]
    # The time comes at which it looks back.
    found = json.loads(cursor or "")
    found["reached"]["sweeps"][number]["began"] -= hours * 3600
    found["reached"]["sweeps"][number]["began"] = int(found["reached"]["sweeps"][number]["began"])
    assert uuid_of(3) in read(lines, json.dumps(found))[0]


def test_a_row_of_the_future_hides_none_of_today(database: FusionpbxDatabase) -> None:
    now, lines = time.time(), f"{database.ini()}\nsince = 2020-01-01"
    database.insert(a_row(1, now - 60), a_row(2, now + 20 * 3600), a_row(3, now + 10**9))
    uuids, cursor, _ = read(lines)
    assert uuids == [uuid_of(1), uuid_of(2)]
    database.insert(a_row(4, now - 30))
    assert uuid_of(4) in read(lines, cursor)[0]


def test_a_value_that_is_none_makes_a_reject_and_not_a_halt(database: FusionpbxDatabase) -> None:
    now = time.time()
    rows = [a_row(1, now - 90), a_row(2, now - 80, end_epoch="NaN"), a_row(3, now - 70, start_epoch=-5)]
    database.insert(*rows, a_row(4, now - 60))
    uuids, _, batches = read(database.ini())
    assert uuids == [uuid_of(1), uuid_of(4)]
    assert len([reject for batch in batches for reject in batch.rejects]) == 2


def test_nothing_can_be_changed_not_even_as_the_owner(database: FusionpbxDatabase) -> None:
    database.insert(a_row(1, time.time()))
    settings = source(database.ini().replace(f"username = {READER}", f"username = {OWNER}"))._settings
    link = Link(settings)
    try:
        for sql in ("DELETE FROM v_xml_cdr", "DROP TABLE v_xml_cdr", "CREATE TABLE mine (one int)"):
            with pytest.raises(SourceError, match="read-only transaction"):
                link.ask(sql, {}, threading.Event())
    finally:
        link.close()
    with database.connected() as db:
        assert db.execute("SELECT count(*) FROM v_xml_cdr").fetchone() == (1,)


def test_a_user_of_this_host_needs_no_password(database: FusionpbxDatabase) -> None:
    with database.connected("postgres") as db:
        db.execute(f'CREATE ROLE "{ME}" LOGIN')
    with database.connected() as db:
        db.execute(f'GRANT SELECT ON v_xml_cdr TO "{ME}"')
    database.insert(a_row(1, time.time() - 60))
    lines = f"host = {database.folder}\nport = {database.port}"
    assert read(lines)[0] == [uuid_of(1)]
    said = source(lines).check()
    assert "logged in, 1 row in the last day; the newest call: " in said
    assert "may not read v_xml_cdr_json" in said


def test_what_agent_ini_does_not_say_is_what_fusionpbx_goes_by(
    database: FusionpbxDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "config.conf"
    conf.write_text(
        f"#database system settings\ndatabase.0.type = pgsql\ndatabase.0.host = {database.folder}\n"
        f"database.0.port = {database.port}\ndatabase.0.sslmode = prefer\ndatabase.0.name = {OWNER}\n"
        f"database.0.username = {READER}\ndatabase.0.password = {PASSWORD}\n\ndatabase.1.type = sqlite\n"
    )
    monkeypatch.setattr(login, "CONFIGS", (tmp_path / "none.conf", conf))
    database.insert(a_row(1, time.time() - 60))
    assert read("")[0] == [uuid_of(1)]
    # Its password is for its own user, and goes to no other host.
    settings: PostgresqlSettings = source("username = other")._settings
    assert login.login(settings).password is None
    settings = source("host = db.example.org")._settings
    assert (login.login(settings).username, login.login(settings).password) == ("", None)


def test_check_tells_of_the_index_and_what_makes_it() -> None:
    with FusionpbxDatabase(indexed=False) as database:
        said = source(database.ini()).check()
        assert "CREATE INDEX CONCURRENTLY ON v_xml_cdr (insert_date, xml_cdr_uuid)" in said
        with database.connected() as db:
            db.execute(said.rpartition("PostgreSQL: ")[2])
        assert "INDEX" not in source(database.ini()).check()


def test_a_look_that_takes_too_long_for_want_of_the_index_says_so() -> None:
    with FusionpbxDatabase(indexed=False) as database:
        database.history(1, time.time() - 86400, time.time())
        with database.connected() as db:
            # Each row takes as long to look at as a million others.
            db.execute("ALTER TABLE v_xml_cdr RENAME TO v_slow")
            columns = "xml_cdr_uuid, end_epoch, insert_date + (SELECT '0'::interval FROM pg_sleep(3)) AS insert_date"
            db.execute(f"CREATE VIEW v_xml_cdr AS SELECT {columns} FROM v_slow")
            db.execute(f"GRANT SELECT ON v_xml_cdr TO {READER}")
        with pytest.raises(SourceError, match=r"it took longer than timeout = 1 s; .*CREATE INDEX CONCURRENTLY"):
            read(f"{database.ini()}\ntimeout = 1")


def test_a_database_that_does_not_know_its_charset_is_read(database: FusionpbxDatabase) -> None:
    with database.connected("postgres", "postgres") as db:
        db.execute("CREATE DATABASE old TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with database.connected("postgres", "old") as db:
        columns = "xml_cdr_uuid uuid, caller_id_name bytea, end_epoch numeric, start_epoch numeric, hangup_cause text"
        db.execute(f"CREATE TABLE v_xml_cdr ({columns}, insert_date timestamptz)")
        db.execute("ALTER TABLE v_xml_cdr ALTER caller_id_name TYPE text USING encode(caller_id_name, 'escape')")
        db.execute("SET client_encoding = 'SQL_ASCII'")
        now = int(time.time()) - 60
        db.execute(
            "INSERT INTO v_xml_cdr VALUES (%s, convert_from(%s, 'SQL_ASCII'), %s, %s, 'USER_BUSY', %s)",
            [uuid_of(1), b"Jos\xe9", now, now, datetime.now(UTC)],
        )
        db.execute(f"GRANT SELECT ON v_xml_cdr TO {READER}")
    _, _, batches = read(database.ini().replace(f"database = {OWNER}", "database = old"))
    (record,) = (record for batch in batches for record in cdrs(batch.records))
    assert record.clid == '"José" <>'
    assert not [reject for batch in batches for reject in batch.rejects]


def test_without_psycopg_it_is_said_what_to_install(
    database: FusionpbxDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = source(database.ini())
    assert one.trouble() == ""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'humbug-agent[postgresql]'" in one.trouble()
    with pytest.raises(SourceError, match="psycopg can't be used"):
        one.check()


@contextmanager
def scans_counted(database: FusionpbxDatabase) -> Iterator[list[int]]:
    """How often the whole of v_xml_cdr was read within the block."""

    def so_far() -> int:
        with database.connected() as db:
            db.execute("SELECT pg_stat_force_next_flush()")
            row = db.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'v_xml_cdr'").fetchone()
        assert row
        return int(row[0])

    before, counted = so_far(), [0]
    yield counted
    counted[0] = so_far() - before


@pytest.mark.parametrize("indexed", [True, False])
def test_a_look_scans_the_table_only_where_nothing_else_can_be_done(indexed: bool) -> None:
    now = time.time()
    with FusionpbxDatabase(indexed=indexed) as database:
        database.history(100_000, now - 1000 * 86400, now - 86400)
        lines = f"{database.ini()}\nrows_per_second = 100000"
        _, cursor, _ = read(lines)
        with database.connected() as db:
            db.execute("ANALYZE v_xml_cdr")
        database.insert(a_row(10**9, now))
        with scans_counted(database) as counted:
            for _ in range(3):
                uuids, _, _ = read(lines, cursor)
                assert uuids == [uuid_of(10**9)]
        # What has no date is looked for once a day, by the key.
        assert counted == ([0] if indexed else [3])


def test_between_two_scans_new_rows_are_found_at_the_end_of_the_table_and_in_gaps_by_the_next_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, stop = time.time(), threading.Event()
    with FusionpbxDatabase(indexed=False) as database:
        database.history(50_000, now - 1000 * 86400, now - 86400)
        one = source(f"{database.ini()}\nrows_per_second = 100000")
        link = Link(one._settings)
        rows = RowReading(link, one._settings, UTC, ApiRows("database", one.call), stop)

        def look() -> list[str]:
            return [one.uniqueid for batch in rows.round(follow=True) for one in cdrs(batch.records)]

        monkeypatch.setattr(reading_, "SCAN_SHARE", 10**9)
        list(rows.start(None))
        look()
        database.insert(a_row(10**9, now))
        with scans_counted(database) as counted:
            assert [look(), look()] == [[uuid_of(10**9)], []]
        assert counted == [0]
        with database.connected() as db:
            db.execute("DELETE FROM v_xml_cdr WHERE end_epoch < %s", [now - 500 * 86400])
            db.execute("VACUUM v_xml_cdr")
        database.insert(a_row(10**9 + 1, now))
        assert look() == []
        rows._whole_due = 0.0
        assert look() == [uuid_of(10**9 + 1)]
        link.close()


def test_a_server_that_says_the_password_back_is_not_quoted_with_it() -> None:
    secret = 'Planted/"<ü>+&%41'
    heard: list[bytes] = []

    def parrot(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            # AuthenticationCleartextPassword, and an ErrorResponse to what comes.
            connection.sendall(b"R" + struct.pack(">II", 8, 3))
            heard.append(connection.recv(1000))
            said = b"SFATAL\0C28P01\0Mno user has " + heard[0][5:].rstrip(b"\0") + b"\0\0"
            connection.sendall(b"E" + struct.pack(">I", 4 + len(said)) + said)

    folder = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(f"{folder}/.s.PGSQL.5432")
            server.listen()
            thread = threading.Thread(target=parrot, args=(server,))
            thread.start()
            one = source(f"host = {folder}\nusername = me\npassword = {secret}")
            with pytest.raises(SourceError, match="no user has ") as caught:
                one.check()
            thread.join()
        finally:
            shutil.rmtree(folder)
    assert secret.encode() in heard[0]
    assert "Planted" not in str(caught.value)
