"""A replica that is asked in place of the PBX's own database: what reaches it late is taken, however late."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.source import Mysql
from humbug_agent.sources.polling.pace import DAY
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.mariadb import MariaDb, cdr_row
from tests.sources.mysql.test_mysql import source

pytestmark = pytest.mark.slow

STALLED = "is read only and replicates from no other one"


class Replica(MariaDb):
    """Of another server, from which it has all that was ever written there."""

    def __init__(self, first: MariaDb) -> None:
        super().__init__("--server-id=2", "--read-only=1")
        self._first = first

    def follow(self, *, delay: int = 0) -> None:
        ((file, position, *_),) = self._first.run("SHOW MASTER STATUS")
        self.run(
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {self._first.port}, "
            f"MASTER_USER = 'replica', MASTER_PASSWORD = 'word', MASTER_LOG_FILE = '{file}', "
            f"MASTER_LOG_POS = {position}, MASTER_DELAY = {delay}",
            "START SLAVE",
        )

    def rows(self) -> int:
        number: int = self.run("SELECT count(*) FROM asteriskcdrdb.cdr")[0][0]
        return number


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MariaDb, Replica]]:
    with MariaDb("--log-bin=log", "--server-id=1") as first, Replica(first) as replica:
        first.run("CREATE USER replica@'%' IDENTIFIED BY 'word'", "GRANT REPLICATION SLAVE ON *.* TO replica@'%'")
        replica.follow()
        yield first, replica


@pytest.fixture
def pair(servers: tuple[MariaDb, Replica]) -> tuple[MariaDb, Replica]:
    first, replica = servers
    replica.run("STOP SLAVE")
    first.make()
    replica.make()
    replica.follow()
    return servers


def take(outbox: Outbox, one: Mysql) -> str:
    """Bring in what is there; returns what is said to be wrong."""
    try:
        for batch in one.read(outbox.cursor("database"), Event(), follow=False):
            outbox.accept("database", batch, ["humbug"])
    except SourceError as error:
        return str(error)
    return ""


def test_calls_come_when_a_replica_has_them_however_long_it_stood_still(
    pair: tuple[MariaDb, Replica], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, replica = pair
    one = source(replica)
    today = time.time()
    began = today - 12 * DAY

    def at(moment: float) -> None:
        monkeypatch.setattr(time, "time", lambda: moment)

    with Outbox(tmp_path / "outbox.db") as outbox:

        def taken() -> set[str]:
            return {row["dst"] for row in outbox.select("SELECT dst FROM calls")}

        first.insert(cdr_row(1, began - 60))
        wait_until(lambda: replica.rows() == 1)
        at(began)
        assert take(outbox, one) == ""
        replica.run("STOP SLAVE SQL_THREAD")
        before = outbox.cursor("database")
        at(today)
        assert STALLED in take(outbox, one)
        # It says so, and what it goes on from is as it was.
        assert outbox.cursor("database") == before
        # Of twelve days, and three that were long when it stopped, and ended after others.
        days = [cdr_row(10 + day, began + day * DAY) for day in range(12)]
        long = [cdr_row(2, began - 300), cdr_row(3, began - 3000), cdr_row(4, began - 20 * 3600)]
        first.insert(days[0], *long, *days[1:])
        assert taken() == {"1"}
        replica.run("START SLAVE SQL_THREAD")
        wait_until(lambda: replica.rows() == 16)
        assert take(outbox, one) == ""
        assert taken() >= {"1", *(str(10 + day) for day in range(12))}
        # The rest as it would have come at the time: within a minute, and within an hour.
        at(today + 70)
        take(outbox, one)
        assert taken() >= {"2", "3"}
        at(today + 3700)
        take(outbox, one)
        assert "4" in taken()
        assert queries.totals(outbox).calls == 16


@pytest.mark.parametrize("keys", [("calldate",), ()], ids=["indexed", "scanned"])
def test_history_of_a_replica_that_is_behind_has_no_gap_before_today(
    pair: tuple[MariaDb, Replica], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    first, replica = pair
    first.make(keys=keys)
    now = time.time()
    since = f"since = {datetime.fromtimestamp(now - 40 * DAY, UTC):%Y-%m-%d}"
    first.insert(*(cdr_row(day, now - day * DAY) for day in range(30, 5, -1)))
    wait_until(lambda: replica.rows() == 25)
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert take(outbox, source(replica, since)) == ""
        assert queries.totals(outbox).calls == 25
        first.insert(*(cdr_row(day, now - day * DAY) for day in range(5, -1, -1)))
        wait_until(lambda: replica.rows() == 31)
        assert take(outbox, source(replica, since)) == ""
        assert queries.totals(outbox).calls == 31


def test_the_daemon_says_that_replication_is_stopped_and_takes_what_comes_with_a_delay(
    pair: tuple[MariaDb, Replica], host: Host
) -> None:
    first, replica = pair
    replica.run("STOP SLAVE")
    replica.follow(delay=2)
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
        f"[source database]\ntype = mysql\n{replica.ini()}\npoll_seconds = 1\n"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
    )

    def state() -> tuple[str, bool]:
        found = host.status()["sources"]["database"]
        return found["state"], STALLED in found["message"]

    with host.daemon() as daemon:
        try:
            first.insert(cdr_row(1))
            wait_until(lambda: host.store.count() == 1)
            assert state() == ("ok", False)
            replica.run("STOP SLAVE SQL_THREAD")
            wait_until(lambda: state() == ("failing", True))
            first.insert(cdr_row(2))
            replica.run("START SLAVE SQL_THREAD")
            wait_until(lambda: host.store.count() == 2)
            wait_until(lambda: state() == ("ok", False))
        finally:
            daemon.terminate()
            said = daemon.communicate()[1].decode()
    assert said.count(STALLED) == 1
    assert said.count("reading again") == 1
