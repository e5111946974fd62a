"""One MariaDB for all tests of a process; each has a table of its own making."""

from collections.abc import Iterator

import pytest

from tests.kit.mariadb import MariaDb


@pytest.fixture(scope="session")
def server() -> Iterator[MariaDb]:
    with MariaDb() as running:
        yield running


@pytest.fixture
def database(server: MariaDb) -> MariaDb:
    server.make()
    return server
