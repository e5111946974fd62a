"""Years of history, read in by a daemon that is killed again and again, while calls go on: each call once.

HISTORY=1000000 makes it a million rows.
"""

import os
import time

import pytest

from humbug_agent.outbox.outbox import Outbox
from tests.kit.fusionpbx_database import FusionpbxDatabase, a_row
from tests.kit.host import Host, wait_until
from tests.kit.years import calls, configure, daemon, read_between_kills

HISTORY = int(os.environ.get("HISTORY", "20000"))
DAY = 86400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + HISTORY // 250)]


def lines(database: FusionpbxDatabase) -> str:
    return f"type = postgresql\n{database.ini()}\npoll_seconds = 1\nsince = 2020-01-01"


@pytest.mark.parametrize("dated", ["one after the other", "in the same moment", "mostly not"])
def test_each_row_of_years_is_a_call_once_wherever_the_daemon_is_killed(host: Host, dated: str) -> None:
    now = time.time()
    # As after a move to another database, in one transaction; or as it was before there was such a column.
    mostly_not = f"CASE WHEN n % 10 = 0 THEN to_timestamp({now - 1000 * DAY} + n) END"
    change = {"in the same moment": {"insert_date": "now()"}, "mostly not": {"insert_date": mostly_not}}.get(dated, {})
    with FusionpbxDatabase() as database:
        database.history(HISTORY, now - 1000 * DAY, now - 60, **change)
        configure(host, f"{lines(database)}\nrows_per_second = 100000")
        found = read_between_kills(host, HISTORY, lambda number: database.insert(a_row(10**9 + number, time.time())))
        assert set(found.values()) == {1}
        with database.connected() as db:
            assert found.keys() == {row[0] for row in db.execute("SELECT xml_cdr_uuid::text FROM v_xml_cdr")}


def test_status_shows_how_much_is_left_and_in_the_end_nothing(host: Host) -> None:
    now = time.time()
    with FusionpbxDatabase() as database:
        database.history(4000, now - 1000 * DAY, now - 60)
        configure(host, lines(database))

        def unread() -> int:
            number: int = host.status()["sources"]["database"]["unread_seconds"]
            return number

        with daemon(host), Outbox(host.folder / "outbox.db") as outbox:
            seen = []
            wait_until(lambda: calls(outbox) >= 1000, 60)
            seen.append(unread())
            wait_until(lambda: calls(outbox) >= 2500, 60)
            seen.append(unread())
            wait_until(lambda: calls(outbox) >= 4000, 60)
            wait_until(lambda: not unread(), 30)
        # Of 1000 days three quarters, and then three eighths; calls go on being read in while it is asked.
        assert 760 * DAY > seen[0] > seen[1] > 0
        assert seen[1] < 380 * DAY
