"""Columns of other types than those of Asterisk's own table: the same calls, or a word about why not."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch, Form
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.mysql import source as module
from tests.kit.mariadb import MariaDb, cdr_row
from tests.sources.mysql.test_mysql import AGO, calls, read, source

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
