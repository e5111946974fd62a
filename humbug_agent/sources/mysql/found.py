"""Where the PBX's database is, by agent.ini or by the PBX's own files.

FreePBX says it in /etc/freepbx.conf or /etc/amportal.conf. Elsewhere cdr_adaptive_odbc.conf names a connection of
res_odbc.conf, and that a data source of /etc/odbc.ini.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from humbug_agent.host.daemon_user import name_of
from humbug_agent.pbx_host import odbc
from humbug_agent.pbx_host.conf import ConfError
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.settings import MysqlSettings

ROOT = Path("/")
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # nosec B108 # its own default
"""Where Debian, Red Hat and MySQL itself have it."""

_COMMENTS = re.compile(
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?://|\#(?!\[))(?:(?!\?>)[^\n])*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)
"""Of PHP; and strings, in which there are none."""

_PHP = re.compile(
    r"""\$amp_conf\s*\[\s*['"](\w+)['"]\s*\]\s*=\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([0-9]+))\s*;""",
    re.DOTALL,
)
"""A setting: its name, and what is in single quotes, or in double quotes, or a number."""

_ESCAPED = re.compile(r"\\(?:([nrtvef\\$\"])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2}))")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "e": "\x1b", "f": "\f"}
"""PHP's, in double quotes."""


@dataclass(frozen=True, slots=True)
class Place:
    """How to get to the table. ``said`` is the file that says so, blank where agent.ini does."""

    host: str
    port: int
    socket: str
    user: str
    password: str
    database: str
    table: str
    said: str = ""

    def __str__(self) -> str:
        return f"{self.database}.{self.table} at {self.socket or f'{self.host}:{self.port}'}"


def place(settings: MysqlSettings, root: Path = ROOT) -> Place:
    """Raises SourceError where nothing says it."""
    by_file = None if settings.database else _by_files(root)
    if not settings.database and by_file is None:
        raise SourceError(
            "no file of the PBX says where its database is (looked for /etc/freepbx.conf, /etc/amportal.conf and "
            "/etc/asterisk/cdr_adaptive_odbc.conf); set database, and user and password, in agent.ini"
        )
    found = by_file or Place("", settings.port, "", "", "", settings.database, "")
    if settings.user:
        found = replace(found, user=settings.user, password="")  # nosec B106 # the socket's own
    if settings.password:
        found = replace(found, password=settings.password.reveal())
    if settings.host or settings.socket:
        found = replace(found, host=settings.host, port=settings.port, socket=settings.socket)
    if not found.socket and found.host in ("", "localhost"):
        # As MySQL's own clients take it.
        there = next((path for path in SOCKETS if (root / path.lstrip("/")).exists()), "")
        found = replace(found, host=found.host or "127.0.0.1", socket=there)
    return replace(found, user=found.user or name_of(os.geteuid()), table=settings.table or found.table or "cdr")


def _by_files(root: Path) -> Place | None:
    unreadable = []
    for find in (_freepbx, _amportal, _odbc):
        try:
            if found := find(root):
                return found
        except PermissionError as error:
            unreadable.append(f"{error.filename} can't be read by {name_of(os.geteuid())}")
        except (OSError, ConfError) as error:
            unreadable.append(str(getattr(error, "strerror", None) or error))
    if unreadable:
        raise SourceError(f"{'; '.join(unreadable)}; let the daemon's user read it, or set database in agent.ini")
    return None


def _freepbx(root: Path) -> Place | None:
    path = root / "etc/freepbx.conf"
    if not path.exists():
        return None
    return _of_freepbx(_php(path.read_text("utf-8", "replace")), "/etc/freepbx.conf")


def _php(text: str) -> dict[str, str]:
    """What $amp_conf is after these lines."""
    text = _COMMENTS.sub(lambda found: found[1] or " ", text)
    return {
        name: re.sub(r"\\(['\\])", r"\1", single) or _ESCAPED.sub(_unescaped, double) or number
        for name, single, double, number in _PHP.findall(text)
    }


def _unescaped(found: re.Match[str]) -> str:
    if named := found[1]:
        return _CONTROLS.get(named, named)
    return chr(int(found[2], 8) % 256 if found[2] else int(found[3], 16))


def _amportal(root: Path) -> Place | None:
    path = root / "etc/amportal.conf"
    if not path.exists():
        return None
    lines = path.read_text("utf-8", "replace").splitlines()
    parts = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return _of_freepbx({name.strip(): value.strip() for name, _, value in parts}, "/etc/amportal.conf")


def _of_freepbx(said: dict[str, str], file: str) -> Place | None:
    if "AMPDBUSER" not in said:
        return None

    def value(name: str, usual: str) -> str:
        return said.get(f"CDR{name}") or said.get(f"AMP{name}") or usual

    return Place(
        host=value("DBHOST", "localhost"),
        port=_port(value("DBPORT", "")),
        socket=value("DBSOCK", ""),
        user=value("DBUSER", ""),
        password=value("DBPASS", ""),
        # AMPDBNAME is that of its settings.
        database=said.get("CDRDBNAME") or "asteriskcdrdb",
        table=said.get("CDRDBTABLENAME") or "cdr",
        said=file,
    )


def _odbc(root: Path) -> Place | None:
    others = []
    for table in odbc.tables(root / "etc/asterisk", root):
        source = table.source
        if not table.in_mysql:
            others.append(f"{table.driver} (data source {table.dsn} of odbc.ini)")
            continue
        return Place(
            host=_said(source, "server", "servername") or "localhost",
            port=_port(_said(source, "port")),
            socket=_said(source, "socket"),
            user=odbc.said(table.connection, "username") or _said(source, "user", "uid", "username"),
            password=odbc.said(table.connection, "password") or _said(source, "password", "pwd"),
            database=_said(source, "database", "db"),
            table=table.name,
            said="/etc/asterisk/cdr_adaptive_odbc.conf",
        )
    if others:
        raise SourceError(
            f"by cdr_adaptive_odbc.conf the calls are in a database of the driver {', '.join(others)}, which can't be "
            "read: type = mysql reads MariaDB and MySQL alone. Take Master.csv or AMI, or set database in agent.ini"
        )
    return None


def _said(source: dict[str, str], *names: str) -> str:
    return next((found for name in names if (found := source.get(name))), "")


def _port(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() else 3306
