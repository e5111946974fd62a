"""Where FusionPBX's database is and as whom it is asked: by agent.ini, else by FusionPBX's own configuration."""

import re
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.ini import Secret, shown
from humbug_agent.sources.postgresql.settings import PostgresqlSettings

CONFIGS = (Path("/etc/fusionpbx/config.conf"), Path("/usr/local/etc/fusionpbx/config.conf"))
"""FusionPBX's, since 5.0. Only its web server's user and root may read it, as it is installed."""

SOCKETS = "/var/run/postgresql"
"""Where Debian's PostgreSQL has its Unix socket: over it, who is logged in as a user of the host needs no password."""

DATABASE, PORT = "fusionpbx", 5432

_SETTING = re.compile(r"database\.0\.(\w+)\s*=\s*(.*?)\s*")


@dataclass(frozen=True)
class Login:
    """Whom to ask, and as whom.

    ``host`` may be the directory of a Unix socket. A blank ``username`` is that of the daemon on its host.
    """

    host: str
    port: int
    database: str
    username: str
    password: Secret | None

    @property
    def where(self) -> str:
        """As messages name it."""
        if self.host.startswith("/"):
            return f"database {self.database} at {self.host}"
        return f"database {self.database} at {shown(self.host, self.port)}"


def login(settings: PostgresqlSettings) -> Login:
    """As things are now. A password belongs to a user: FusionPBX's own goes to nobody else, and to no other host."""
    theirs = _fusionpbx()
    host = settings.host or theirs.get("host") or SOCKETS
    username = settings.username or (theirs.get("username", "") if host == theirs.get("host") else "")
    password = settings.password
    if not password and (host, username) == (theirs.get("host"), theirs.get("username")) and theirs.get("password"):
        password = Secret(theirs["password"])
    return Login(
        host=host,
        port=settings.port or (int(theirs["port"]) if theirs.get("port", "").isdecimal() else PORT),
        database=settings.database or theirs.get("name") or DATABASE,
        username=username,
        password=password,
    )


def _fusionpbx() -> dict[str, str]:
    """The settings of FusionPBX's own database by their names; none where they can't be read."""
    for path in CONFIGS:
        try:
            lines = path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        return {found[1]: found[2] for line in lines if (found := _SETTING.fullmatch(line.strip()))}
    return {}
