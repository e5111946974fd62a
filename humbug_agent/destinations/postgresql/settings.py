"""agent.ini's settings of a destination of type postgresql."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.destinations.settings import DestinationSettings, Privacy
from humbug_agent.ini import Secret, Section, file
from humbug_agent.ini import host as a_host
from humbug_agent.libpq.trust import WHOLE_CHECK, is_near
from humbug_agent.routing import only

SSL_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
"""In libpq's words, from none to all that can be checked."""


@dataclass(frozen=True)
class PostgresqlSettings(DestinationSettings):
    """The settings of a [destination NAME] of type postgresql. ``table`` has its schema before it, if one is said.

    ``pbx`` may be blank: then it is the name of this host.
    """

    type: ClassVar[str] = "postgresql"
    knows_users: ClassVar[bool] = True
    name: str
    host: str
    port: int
    database: str
    user: str
    password: Secret | None
    sslmode: str
    ca_file: Path | None
    table: tuple[str, ...]
    create: bool
    pbx: str
    batch: int
    timeout: int

    @property
    def is_near(self) -> bool:
        """Whether the server is on this host."""
        return is_near(self.host)

    def warnings(self) -> list[str]:
        if self.is_near or self.sslmode.startswith("verify-"):
            return []
        how = "unencrypted" if self.sslmode == "disable" else "to whoever answers in its name, perhaps unencrypted"
        if self.sslmode == "require":
            how = "encrypted to whoever answers in its name"
        return [f"[destination {self.name}] sslmode: calls go to {self.host} {how}; {WHOLE_CHECK} checks who it is"]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        where = section.converted("host", _host, "a host, or the folder of a Unix socket") or "/var/run/postgresql"
        return cls(
            name=name,
            only=only.read(section),
            host=where,
            port=section.whole("port", 5432, 1, 65535),
            database=section.text("database", "cdr"),
            user=section.text("user", "humbug-agent"),
            password=section.secret("password"),
            sslmode=section.choice("sslmode", SSL_MODES, "prefer" if is_near(where) else WHOLE_CHECK),
            ca_file=section.converted("ca_file", file, "a readable file"),
            table=section.converted("table", _table, "TABLE or SCHEMA.TABLE") or ("cdr",),
            create=section.flag("create", True),
            pbx=section.text("pbx"),
            batch=section.whole("batch", 500, 1, 10_000),
            timeout=section.whole("timeout", 20, 1, 600),
            privacy=Privacy.read(section),
        )


def _host(value: str) -> str:
    return value if value.startswith("/") else a_host(value.strip("[]"))


def _table(value: str) -> tuple[str, ...]:
    """As PostgreSQL would understand it without quotation marks."""
    parts = tuple(value.lower().split("."))
    if len(parts) > 2 or not all(re.fullmatch(r"[a-z_][a-z0-9_$]{0,62}", part) for part in parts):
        raise ValueError("of letters, digits and underscores, with one dot at most")
    return parts
