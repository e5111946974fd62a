"""Into which database cdr_adaptive_odbc writes: by its own file, by res_odbc.conf and by unixODBC's files."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.pbx_host import conf as files
from humbug_agent.pbx_host.conf import Section

DRIVERS = re.compile("mysql|maria|myodbc|maodbc", re.IGNORECASE)
"""What the names of drivers for MariaDB and MySQL have in them, or those of their libraries."""

Ini = dict[str, dict[str, str]]
"""Section -> setting -> value, their names in small letters."""


@dataclass(frozen=True, slots=True)
class OdbcTable:
    """A table that is written to.

    ``connection`` is its section of res_odbc.conf, ``source`` that of odbc.ini, named ``dsn`` there. ``library`` is
    what odbcinst.ini says of the source's driver.
    """

    name: str
    connection: Section
    dsn: str
    source: dict[str, str]
    library: str

    @property
    def driver(self) -> str:
        return self.source.get("driver", "")

    @property
    def in_mysql(self) -> bool:
        """Whether it is in a MariaDB or MySQL, as one is taken for that names no driver."""
        return not self.driver or bool(DRIVERS.search(f"{self.driver} {self.library}"))


def tables(etc: Path, root: Path) -> Iterator[OdbcTable]:
    """Those whose way leads to a data source. Raises OSError, ConfError.

    ``etc`` is where Asterisk's files are, below ``root``, below which are all others.
    """
    if not (etc / "cdr_adaptive_odbc.conf").exists() or not (etc / "res_odbc.conf").exists():
        return
    connections = files.read(etc / "res_odbc.conf", etc, root)
    sources = ini(root / os.environ.get("ODBCINI", "/etc/odbc.ini").lstrip("/"))
    drivers = ini(root / "etc/odbcinst.ini")
    for table in files.read(etc / "cdr_adaptive_odbc.conf", etc, root).sections:
        wanted = said(table, "connection")
        connection = connections.first(wanted) if wanted and not table.template else None
        if connection is None or not connection.yes("enabled", True):
            continue
        dsn = said(connection, "dsn") or wanted
        if (source := sources.get(dsn.lower())) is not None:
            driver = drivers.get(source.get("driver", "").lower(), {})
            library = f"{driver.get('driver', '')} {driver.get('driver64', '')}"
            yield OdbcTable(said(table, "table") or "cdr", connection, dsn, source, library)


def ini(path: Path) -> Ini:
    """A file as unixODBC reads it: comments are lines of their own, and of two equal names the first counts.

    Empty where there is none. Raises OSError.
    """
    found: Ini = {}
    if not path.exists():
        return found
    section: dict[str, str] = {}
    for line in map(str.strip, path.read_text("utf-8", "replace").split("\n")):
        if line.startswith("["):
            section = found.setdefault(line[1:].partition("]")[0].strip().lower(), {})
        elif not line.startswith((";", "#")):
            name, is_set, value = line.partition("=")
            if is_set:
                section.setdefault(name.strip().lower(), value.strip())
    return found


def said(section: Section, name: str) -> str:
    found = section.last(name)
    return found.value if found else ""
