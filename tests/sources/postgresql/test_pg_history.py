"""Years of history, read in by a daemon that is killed again and again, while calls go on: each call once.

HISTORY=1000000 makes it a million rows.
"""

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from humbug_agent.outbox.outbox import Outbox
from tests.kit.fusionpbx_database import FusionpbxDatabase, a_row
from tests.kit.host import API_KEY, Host, wait_until

HISTORY = int(os.environ.get("HISTORY", "20000"))
PATIENCE, LOOK = 60 + HISTORY / 500, HISTORY / 2_000_000
"""Seconds. To count a million calls is work that is taken from who brings them."""

KILLS = 5
DAY = 86400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + HISTORY // 250)]


def configure(host: Host, database: FusionpbxDatabase, more: str) -> None:
    # All calls wait.
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
        f"[source database]\ntype = postgresql\n{database.ini()}\npoll_seconds = 1\nrows_per_second = 100000\n{more}\n"
        f"[destination humbug]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = {API_KEY}\n"
    )


@contextmanager
def daemon(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    with host.daemon(subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def calls(outbox: Outbox) -> int:
    number: int = outbox.select("SELECT count(*) FROM calls")[0][0]
    return number


@pytest.mark.parametrize("dated", ["one after the other", "in the same moment", "mostly not"])
def test_each_row_of_years_is_a_call_once_wherever_the_daemon_is_killed(host: Host, dated: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    now = time.time()
    # As after a move to another database, in one transaction; or as it was before there was such a column.
    mostly_not = f"CASE WHEN n % 10 = 0 THEN to_timestamp({now - 1000 * DAY} + n) END"
    change = {"in the same moment": {"insert_date": "now()"}, "mostly not": {"insert_date": mostly_not}}.get(dated, {})
    with FusionpbxDatabase() as database:
        database.history(HISTORY, now - 1000 * DAY, now - 60, **change)
        configure(host, database, "since = 2020-01-01")
        added = HISTORY
        began = time.monotonic()
        with Outbox(host.folder / "outbox.db") as outbox:
            reached = 0
            for kill in range(1, KILLS + 1):
                at = reached + rng.randrange(1, HISTORY // (2 * KILLS))
                with daemon(host):
                    wait_until(lambda at=at: calls(outbox) >= at, PATIENCE, LOOK)  # type: ignore[misc]
                    time.sleep(rng.uniform(0, 0.05))
                reached = calls(outbox)
                database.insert(a_row(10**9 + kill, time.time()))
                added += 1
            assert reached < HISTORY + KILLS
            with daemon(host):
                wait_until(lambda: calls(outbox) >= added, PATIENCE, LOOK)
                database.insert(a_row(2 * 10**9, time.time()))
                wait_until(lambda: calls(outbox) >= added + 1, 30)
                print(f"{HISTORY:,} rows in {time.monotonic() - began:.1f} s")
            found = Counter(row["uniqueid"] for row in outbox.select("SELECT uniqueid FROM calls"))
            assert outbox.select("SELECT count(*) FROM deliveries")[0][0] == added + 1
            assert outbox.select("SELECT count(*) FROM rejects")[0][0] == 0
        assert set(found.values()) == {1}
        with database.connected() as db:
            assert found.keys() == {row[0] for row in db.execute("SELECT xml_cdr_uuid::text FROM v_xml_cdr")}


def test_status_shows_how_much_is_left_and_in_the_end_nothing(host: Host) -> None:
    now = time.time()
    with FusionpbxDatabase() as database:
        database.history(4000, now - 1000 * DAY, now - 60)
        configure(host, database, "since = 2020-01-01")
        host.ini.write_text(host.ini.read_text().replace("rows_per_second = 100000\n", ""))

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
