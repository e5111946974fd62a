"""What a poll costs a database of years, by MariaDB's own account."""

from contextlib import closing
from threading import Event

import pytest

from tests.kit.mariadb import KEYS, MariaDb
from tests.sources.mysql.test_mysql import cursor, many, read, read_rows, source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

POLLS = 200


def test_a_poll_of_five_million_rows_costs_the_database_milliseconds(database: MariaDb) -> None:
    many(database, 5_000_000, keys=KEYS)
    database.run("SET GLOBAL userstat = 1")
    one = source(database)
    progress = one._remembered(cursor(read(one)))
    with closing(one.table):

        def busy() -> float:
            """Seconds that the server has worked for this connection."""
            said = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'BUSY_TIME'"
            return float(one.table.ask(said)[0][0] or 0)

        # What is known of the table already, of a connection that is kept.
        list(one._round(progress, Event(), follow=True))
        looked_at, worked = read_rows(one), busy()
        for _ in range(POLLS):
            list(one._round(progress, Event(), follow=True))
        worked, looked_at = (busy() - worked) / POLLS, (read_rows(one) - looked_at) // POLLS
    database.run("SET GLOBAL userstat = 0")
    print(f"a poll of 5,000,000 rows: {worked * 1000:.2f} ms, {looked_at} rows looked at")
    assert 0 < worked < 0.005
    assert looked_at < 100
