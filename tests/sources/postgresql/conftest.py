"""A FusionPBX's database that is only read, and sources for it."""

from collections.abc import Callable, Iterator
from datetime import UTC

import pytest

from humbug_agent.ini import Section
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from humbug_agent.sources.postgresql.source import Postgresql
from tests.kit.fusionpbx_database import FusionpbxDatabase

Make = Callable[..., Postgresql]


@pytest.fixture(scope="module")
def shared() -> Iterator[FusionpbxDatabase]:
    with FusionpbxDatabase() as database:
        yield database


@pytest.fixture
def database(shared: FusionpbxDatabase) -> FusionpbxDatabase:
    """Nothing is in it."""
    with shared.connected() as db:
        db.execute("TRUNCATE v_xml_cdr, v_xml_cdr_json")
    return shared


def source(lines: str) -> Postgresql:
    """Of these lines of agent.ini."""
    mistakes: list[str] = []
    values = dict(line.split(" = ", 1) for line in lines.splitlines() if line)
    settings = PostgresqlSettings.read("database", Section("source database", values, mistakes))
    assert not mistakes
    return Postgresql(settings, UTC)
