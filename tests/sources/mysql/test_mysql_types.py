"""Columns of other types than those of Asterisk's own table: the same calls, or a word about why not."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch, Form
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql import source as module
from tests.kit.host import wait_until
from tests.kit.mariadb import MariaDb, cdr_row
from tests.sources.mysql.test_mysql import AGO, calls, cursor, read, source
from tests.sources.mysql.test_mysql_scans import followed

pytestmark = pytest.mark.slow

RETYPED = {"calldate": "datetime(3) NOT NULL", "duration": "decimal(10, 2)", "billsec": "int(10) unsigned zerofill"}
"""Columns of another type, in which the server writes the same otherwise."""


@pytest.mark.parametrize("column", RETYPED)
def test_a_column_of_another_type_makes_no_other_call(database: MariaDb, column: str, tmp_path: Path) -> None:
    row = cdr_row(1, time.time() - AGO)
    database.insert(row, row, cdr_row(2, time.time() - AGO))
    with Outbox(tmp_path / "outbox.db") as outbox:
        for kind in ("", f"MODIFY {column} {RETYPED[column]}"):
            if kind:
                database.run(f"ALTER TABLE cdr {kind}", database="asteriskcdrdb")
            for batch in read(source(database)):
                outbox.accept("database", batch, ["humbug"])
        assert queries.totals(outbox).calls == 3


def test_calls_stay_known_by_what_an_earlier_version_made_of_an_odd_type(
    database: MariaDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ", ".join(f"MODIFY {column} {kind}" for column, kind in RETYPED.items())
    database.make(f"ALTER TABLE cdr {odd}")
    row = cdr_row(1, time.time() - AGO)
    stamps = [f"{row['calldate']}.{fraction}" for fraction in (250, 250, 437)]
    database.insert(*(row | {"calldate": stamp} for stamp in stamps))
    with Outbox(tmp_path / "outbox.db") as outbox:
        with monkeypatch.context() as earlier:
            earlier.setattr(module, "_plain", lambda row: {name: row.get(name, "") for name in module._RECOGNISED})
            for batch in read(source(database)):
                outbox.accept("database", batch, ["humbug"])
        assert queries.totals(outbox).calls == 3
        database.insert(row)
        one = source(database)
        one.compare_with(outbox.known)
        found = calls(read(one))
        assert len({call.identity for call in found}) == 4
        assert len(outbox.known([call.identity for call in found])) == 3


def test_a_fraction_of_a_second_parts_no_row_from_its_line(database: MariaDb, tmp_path: Path) -> None:
    database.make("ALTER TABLE cdr MODIFY calldate datetime(3) NOT NULL")
    row = cdr_row(1, time.time() - AGO)
    database.insert(row | {"calldate": f"{row['calldate']}.437"})
    batch = next(batch for batch in read(source(database)) if batch.records)
    (call,) = calls([batch])
    assert call.start.microsecond == call.end.microsecond == 0
    line = replace(call, identity=b"of the same line", extra={})
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert outbox.accept("master-csv", Batch([line], [], None, told=Form.WHOLE), ["humbug"]) == 1
        assert outbox.accept("database", batch, ["humbug"]) == 0


NULLED = "MODIFY calldate datetime NULL"


@pytest.mark.parametrize("key", ["calldate", "uniqueid", ""])
def test_rows_without_a_time_are_rejects_and_check_counts_them(database: MariaDb, key: str) -> None:
    database.make(f"ALTER TABLE cdr {NULLED}", keys=[key] if key else [])
    now = time.time()
    with database.connect() as conn, conn.cursor() as lenient:
        lenient.execute("SET GLOBAL sql_mode = ''")
    odd = (None, None, "0000-00-00 00:00:00", "1000-01-01 00:00:00")
    rows = [cdr_row(1, now - AGO) | {"calldate": one} for one in odd]
    database.insert(cdr_row(2, now - AGO), *rows)
    database.run("SET GLOBAL sql_mode = DEFAULT")
    one = source(database)
    batches = read(one)
    assert [call.dst for call in calls(batches)] == ["2"]
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert len({reject.key for reject in rejects}) == len(rejects) == 4
    assert sum("has no time" in reject.reason for reject in rejects) == 2
    said = "4 more that can't be read" if key == "uniqueid" else "4 rows without a time in calldate"
    assert said in source(database).check()
    # They are told but once.
    assert not [reject for batch in read(one) for reject in batch.rejects]


@pytest.mark.parametrize("kind", ["bigint", "date", "double"])
def test_a_time_of_a_type_that_holds_none_is_refused_by_name(database: MariaDb, kind: str) -> None:
    database.make("ALTER TABLE cdr DROP COLUMN calldate", f"ALTER TABLE cdr ADD calldate {kind}", keys=())
    with pytest.raises(SourceError, match=f"calldate is of the type {kind}.*alias start"):
        source(database).check()
    with pytest.raises(SourceError, match=f"calldate is of the type {kind}"):
        read(source(database))


@pytest.mark.parametrize("unfilled", ["calldate datetime NULL", "calldate bigint NULL"])
def test_the_time_is_that_of_the_column_that_is_filled(database: MariaDb, unfilled: str) -> None:
    began = int(time.time() - 30)
    database.make(
        "ALTER TABLE cdr DROP COLUMN calldate", f"ALTER TABLE cdr ADD {unfilled}, ADD start datetime, ADD KEY (start)",
        keys=(),
    )  # fmt: skip
    one = source(database)
    batches = read(one)
    row = cdr_row(1, began)
    row["start"] = row.pop("calldate")
    database.insert(row)
    (call,) = calls(read(one, cursor(batches)))
    assert (call.start.timestamp(), one.table.shape.by) == (began, "start")


ODD_UNIQUEIDS = {"another system's": "pbx1-{now}.2", "a name": "order-17", "none": None}


@pytest.mark.parametrize("kind", ODD_UNIQUEIDS)
def test_a_uniqueid_unlike_those_before_hides_no_call(database: MariaDb, kind: str) -> None:
    database.make("ALTER TABLE cdr MODIFY uniqueid varchar(150) NULL", keys=("uniqueid",))
    now = int(time.time())
    database.insert(cdr_row(1, now - AGO))
    one = source(database, "poll_seconds = 1")
    with followed(one) as found:
        wait_until(lambda: len(found) == 1)
        assert one.table.shape.by == "uniqueid"
        uniqueid = ODD_UNIQUEIDS[kind]
        database.insert(cdr_row(2, now - 20, uniqueid=uniqueid and uniqueid.format(now=now - 20)))
        wait_until(lambda: len(found) == 2)
