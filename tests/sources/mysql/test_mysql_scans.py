"""A table without an index that helps: looked at rarely, and as a whole all the same."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from threading import Event, Thread

import pytest

from humbug_agent.cdr import CDR
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.source import SCAN_SHARE, Mysql
from humbug_agent.sources.polling.pace import DAY
from tests.kit.host import wait_until
from tests.kit.mariadb import MariaDb, cdr_row
from tests.sources.mysql.test_mysql import calls, many, read, source

pytestmark = pytest.mark.slow


def still(database: MariaDb) -> None:
    """Nothing was written for so long that the server's own word about it counts."""
    sql = "SELECT update_time < now() - INTERVAL 3 SECOND FROM information_schema.tables WHERE table_name = 'cdr'"
    wait_until(lambda: database.run(sql) == [(1,)])


@contextmanager
def followed(one: Mysql) -> Iterator[list[CDR]]:
    """The calls that come, as the daemon reads them."""
    stop, found, cursor = Event(), list[CDR](), None

    def follow() -> None:
        nonlocal cursor
        while not stop.is_set():
            try:
                for batch in one.read(cursor, stop, follow=True):
                    found.extend(calls([batch]))
                    cursor = batch.cursor or cursor
            except SourceError:
                stop.wait(0.1)

    thread = Thread(target=follow)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def test_it_is_looked_at_rarely_and_never_unchanged(database: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    many(database, 50_000, keys=())
    still(database)
    one = source(database, "poll_seconds = 1")
    stop, began = Event(), time.monotonic()
    asked = 0
    window = one.table.window

    def counted(begin: int, end: int, clock: tzinfo) -> list[dict[str, str]]:
        nonlocal asked
        asked += 1
        return window(begin, end, clock)

    monkeypatch.setattr(one.table, "window", counted)
    assert calls(list(one.read(None, stop, follow=False)))
    looks = asked
    # It rests; then it has not changed.
    assert one._again > began + SCAN_SHARE * 0.01
    assert not calls(read(one))
    one._again = 0.0
    assert not calls(read(one))
    assert asked == looks
    database.insert(cdr_row(1))
    assert "1" in [call.dst for call in calls(read(one))]


def test_old_calls_come_while_nothing_new_is_written(database: MariaDb) -> None:
    database.make(keys=())
    now = time.time()
    database.insert(*(cdr_row(number, now - 1000 - 40 * DAY * number) for number in range(8)))
    still(database)
    one = source(database, "since = 2025-01-01", "poll_seconds = 1", "backfill_rows = 100000")
    with followed(one) as found:
        wait_until(lambda: len(found) == 8, 60)


def test_a_look_that_failed_is_done_again(database: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    database.make(keys=())
    database.insert(cdr_row(1, time.time() - 1000))
    still(database)
    one = source(database, "poll_seconds = 1")
    window, failures = one.table.window, ["no whole answer"]

    def failing(begin: int, end: int, clock: tzinfo) -> list[dict[str, str]]:
        if failures:
            raise SourceError(failures.pop())
        return window(begin, end, clock)

    monkeypatch.setattr(one.table, "window", failing)
    with followed(one) as found:
        wait_until(lambda: len(found) == 1, 30)
