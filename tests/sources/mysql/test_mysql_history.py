"""Years of history, read in and sent on by a daemon that is killed again and again, while calls go on: each row once.

`sh tests/run long` has one of a long history; HISTORY=1000000 makes it so many rows.
"""

import os
import random
import subprocess
import time
from collections import Counter

import pytest

from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.mariadb import MariaDb, cdr_row
from tests.kit.years import configure, read_between_kills

HISTORY, MANY = 6000, int(os.environ.get("HISTORY", "200000"))
KILLS, CONNECTIONS = 4, 4
DAY = 86400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + MANY // 250)]


def fill(database: MariaDb, history: int) -> None:
    """Rows of a thousand days, every fifth of which is equal to the one before it in all that the table keeps."""
    database.run(
        "INSERT INTO cdr (calldate, clid, src, dst, channel, lastapp, duration, billsec, disposition, uniqueid) "
        f"SELECT FROM_UNIXTIME(at), '101', '101', n, CONCAT('PJSIP/101-', n), 'Dial', 12, 7, 'ANSWERED', "
        f"CONCAT(at, '.', n) FROM (SELECT seq - (seq % 5 = 0) AS n, UNIX_TIMESTAMP() - 1000 * {DAY} "
        f"+ FLOOR((seq - (seq % 5 = 0)) * 1000 * {DAY} / {history + 10}) AS at FROM seq_1_to_{history}) AS made",
        database="asteriskcdrdb",
    )


def test_each_row_of_many_years_is_a_call_once_wherever_the_daemon_is_killed(host: Host, database: MariaDb) -> None:
    fill(database, MANY)
    lines = f"type = mysql\n{database.ini()}\ntimezone = UTC\npoll_seconds = 1\nbackfill_rows = 100000"
    configure(host, f"{lines}\nsince = 2020-01-01")
    found = read_between_kills(host, MANY, lambda number: database.insert(cdr_row(10**9 + number)))
    assert found == Counter(uniqueid for (uniqueid,) in database.run("SELECT uniqueid FROM asteriskcdrdb.cdr"))


def test_each_row_of_years_is_at_the_receiver_once_wherever_the_daemon_is_killed(host: Host, database: MariaDb) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    fill(database, HISTORY)
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
        f"[source database]\ntype = mysql\n{database.ini()}\ntimezone = UTC\npoll_seconds = 1\nbackfill_rows = 100000\n"
        "since = 2020-01-01\n"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
        f"connections = {CONNECTIONS}\n"
    )
    with Outbox(host.folder / "outbox.db") as outbox:

        def calls() -> int:
            return queries.totals(outbox).calls

        reached = 0
        for kill in range(1, KILLS + 1):
            goal = reached + rng.randrange(1, HISTORY // (KILLS + 1))
            with host.daemon(subprocess.DEVNULL) as daemon:
                try:
                    wait_until(lambda goal=goal: calls() >= goal, 120)  # type: ignore[misc]
                finally:
                    daemon.kill()
            reached = calls()
            database.insert(cdr_row(10**9 + kill))
        # It was always in the midst.
        assert reached < HISTORY
        began = time.monotonic()
        with host.daemon(subprocess.DEVNULL) as daemon:
            try:
                wait_until(lambda: host.store.count() >= HISTORY + KILLS, 120)
                wait_until(lambda: not host.status()["deliveries"]["waiting"])
                assert host.status()["sources"]["database"]["unread_seconds"] == 0
            finally:
                daemon.kill()
        print(f"{HISTORY + KILLS - reached:,} rows in {time.monotonic() - began:.1f} s")
    came = Counter(row["UniqueID"] for row in host.store.rows())
    assert came == Counter(uniqueid for (uniqueid,) in database.run("SELECT uniqueid FROM asteriskcdrdb.cdr"))
    # Those alone came again that were under way at a kill.
    assert host.store.repeats() <= KILLS * CONNECTIONS
