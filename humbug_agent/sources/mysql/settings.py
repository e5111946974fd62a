"""agent.ini's settings of a source of type mysql."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import ClassVar, Self

from humbug_agent.ini import LOOPBACK, Secret, Section, host, timezone
from humbug_agent.sources.polling.settings import read_hours, read_since
from humbug_agent.sources.settings import SourceSettings


@dataclass(frozen=True)
class MysqlSettings(SourceSettings):
    """The settings of a [source NAME] of type mysql.

    What is blank is found in the PBX's own files where ``database`` is blank, too. ``utc`` says whether its times are
    UTC; None: the reader finds out. ``backfill_hours`` are the hours of the day (in the source's zone) in which old
    calls are brought in, from the first up to the second; None: all. ``backfill_rows`` is their number a second.
    """

    type: ClassVar[str] = "mysql"
    knows_users: ClassVar[bool] = True
    name: str
    host: str
    port: int
    socket: str
    user: str
    password: Secret | None
    database: str
    table: str
    utc: bool | None
    timezone: tzinfo | None
    since: datetime | None
    backfill_hours: tuple[int, int] | None
    backfill_rows: int
    poll_seconds: int
    timeout: int

    @property
    def of_asterisk(self) -> bool:
        return True

    def warnings(self) -> list[str]:
        if not self.host or self.host in LOOPBACK:
            return []
        there = f"the password and all calls pass the network to {self.host} unencrypted"
        return [f"[source {self.name}] host: {there}; let the agent run on that host"]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            host=section.converted("host", host, "a host") or "",
            port=section.whole("port", 3306, 1, 65535),
            socket=section.text("socket"),
            user=section.text("user"),
            password=section.secret("password"),
            database=section.text("database"),
            table=section.text("table"),
            utc=None if section.text("utc", "auto").lower() == "auto" else section.flag("utc", False),
            timezone=section.converted("timezone", timezone, "an IANA time zone"),
            since=read_since(section),
            backfill_hours=read_hours(section),
            backfill_rows=section.whole("backfill_rows", 500, 1, 100_000),
            poll_seconds=section.whole("poll_seconds", 5, 1, 86400),
            timeout=section.whole("timeout", 10, 1, 600),
        )
