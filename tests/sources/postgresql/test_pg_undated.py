"""Rows without an insert_date, as of FusionPBX's own past and of other programs that fill the table."""

import json
import time
from threading import Event

import pytest

from tests.kit.calls import cdrs
from tests.kit.fusionpbx_database import FusionpbxDatabase, a_row
from tests.sources.postgresql.conftest import source

pytestmark = pytest.mark.slow


def read(database: FusionpbxDatabase, cursor: str | None = None) -> tuple[list[str], str]:
    """The callers that come, and the cursor behind them."""
    batches = list(source(database.ini()).read(cursor, Event(), follow=False))
    last = next(batch.cursor for batch in reversed(batches) if batch.cursor)
    return sorted(call.src for batch in batches for call in cdrs(batch.records)), last


def test_a_column_that_is_never_filled_orders_nothing_also_without_statistics(database: FusionpbxDatabase) -> None:
    with database.connected("postgres") as db:
        db.execute("DELETE FROM pg_statistic WHERE starelid = 'v_xml_cdr'::regclass")
    now = time.time()
    database.insert(*(a_row(number, now - 600 + number, insert_date=None) for number in range(1, 6)))
    first, cursor = read(database)
    assert len(first) == 5
    database.insert(a_row(50, now - 2, insert_date=None))
    again, _ = read(database, cursor)
    assert set(again) - set(first) == {"0310000050"}


def test_a_row_without_a_date_among_others_comes_with_the_hour(database: FusionpbxDatabase) -> None:
    now = time.time()
    database.insert(*(a_row(number, now - 600 + number) for number in range(20)))
    first, cursor = read(database)
    assert len(first) == 20
    database.insert(a_row(50, now - 2, insert_date=None), a_row(51, now - 2))
    said = json.loads(cursor)
    # An hour later.
    said["reached"]["sweeps"][0]["began"] -= 3601
    again, _ = read(database, json.dumps(said))
    assert {"0310000050", "0310000051"} <= set(again)
