"""agent.ini's settings of a source of type postgresql."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section
from humbug_agent.sources.freeswitch.settings import LegSettings, read_legs
from humbug_agent.sources.polling.settings import read_hours, read_since


@dataclass(frozen=True)
class PostgresqlSettings(LegSettings):
    """The settings of a [source NAME] of type postgresql.

    A blank ``host``, ``database`` or ``username``, and a ``password`` or ``port`` of None, are what FusionPBX's own
    configuration says. ``since`` is for the first start, None a day before it. ``backfill_hours`` are the hours of the
    day, in the source's zone, in which older calls than that are brought in; None: all. ``timeout`` is in seconds.
    """

    type: ClassVar[str] = "postgresql"
    knows_users: ClassVar[bool] = True
    name: str
    host: str
    port: int | None
    database: str
    username: str
    password: Secret | None
    since: datetime | None
    backfill_hours: tuple[int, int] | None
    poll_seconds: int
    rows_per_second: int
    timeout: int

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            host=section.text("host"),
            port=section.converted("port", _port, "a port from 1 to 65535"),
            database=section.text("database"),
            username=section.text("username"),
            password=section.secret("password"),
            since=read_since(section),
            backfill_hours=read_hours(section),
            poll_seconds=section.whole("poll_seconds", 60, 1, 86400),
            rows_per_second=section.whole("rows_per_second", 1000, 1, 100_000),
            timeout=section.whole("timeout", 60, 1, 600),
            **read_legs(section),
        )


def _port(value: str) -> int:
    """Raises ValueError."""
    if value.isdecimal() and 1 <= int(value) <= 65535:
        return int(value)
    raise ValueError("PostgreSQL's own is 5432")
