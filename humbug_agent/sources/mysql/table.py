"""The table itself: asked by short statements that only read, over one connection, and what is wrong in words.

A statement that takes too long is ended by the server. Of a window of time, all rows are asked for that stand in its
whole seconds, so that equal rows, which share their second, are always seen together.
"""

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from threading import Event
from typing import Any

from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.found import Place
from humbug_agent.sources.polling.apart import Unanswered, ask_apart
from humbug_agent.sources.polling.client import Stopped, TooMany, TooMuch
from humbug_agent.sources.wall_clock import UNIQUEID
from humbug_agent.words import count, said

MOST_ROWS = 20_000
"""Of a window: with more it is made narrower, unless it is a minute."""

MINUTE, HOUR = 60, 3600

GRACE_SECONDS = 5.0
"""So much longer than the server may take to let us in and to answer we wait for both."""

SAME_SECONDS = 2
"""What is written in the second in which a table is looked at leaves the time of its last change as it is."""

NEEDED = ("src", "dst", "channel", "duration", "billsec", "disposition")
TIMES = ("calldate", "start")
"""Columns without which a row is no call; of the times one, the first that is of a fitting type and filled."""

FITTING = ("datetime", "timestamp", "char", "text", "binary")
"""What the types end in that hold a date with its time as the server writes it."""

FIRST_YEAR = "1900-01-01"
"""What is before is no time: MySQL has 0000-00-00 and FreePBX 1000-01-01 where nobody said one."""

MOST_TIMELESS = 1000
"""Rows without a time that are told."""

_SAYS = {
    1045: "user {user} is not let in; check user and password, or give it SELECT (docs/sources/mysql.md)",
    1698: "user {user} is not let in without a password; the daemon's user must be the database's "
    "(docs/sources/mysql.md)",
    1130: "this host is not let in; GRANT SELECT to user {user} from here",
    1044: "user {user} may not see the database; GRANT SELECT ON {place} TO it",
    1142: "user {user} may not read the table; GRANT SELECT ON {place} TO it",
    1049: "there is no such database; check database",
    1146: "there is no such table; check table",
}
"""MySQL's numbers of errors -> what to do."""

MARIADB, MYSQL = "MariaDB", "MySQL"

_SLOW = {1969, 3024, 1317}
"""A statement that was ended since it took too long."""


@dataclass(frozen=True)
class Shape:
    """What the table has: its columns, the one with the time, and how a window of time is found without a scan.

    ``by`` is that column where an index begins with it, ``uniqueid`` where one begins with that and all uniqueids begin
    with ``prefix`` and a second; blank: only by looking at all rows. ``instants``: the server knows which moments its
    times are. ``passing``: the next row may make it another, and who asks goes by it for one round alone.
    """

    columns: tuple[str, ...]
    time: str
    by: str
    prefix: str
    instants: bool
    passing: bool


class Table:
    """A connection that is made when it is needed. Every method raises SourceError, in an admin's words, and Stopped.

    ``stop`` is set by whoever waits for no answer any more.
    """

    def __init__(self, find: Callable[[], Place], timeout: int) -> None:
        self._find = find
        self._timeout = timeout
        self.stop = Event()
        self._conn: Any = None
        self._patience = 0
        self._shape: Shape | None = None
        self._place: Place | None = None
        self.where = "database"

    def now(self) -> float:
        """As whoever asks window by window wants it: the database is taken to be on this host, or to keep its time."""
        return time.time()

    def close(self) -> None:
        if self._conn:
            self._conn.close()
        self._conn, self._shape = None, None

    @property
    def shape(self) -> Shape:
        if self._shape is None:
            self._shape = self._look()
        return self._shape

    def renew(self) -> None:
        """Another round begins."""
        if self._shape and self._shape.passing:
            self._shape = None

    @property
    def place(self) -> Place:
        """Where it is; found anew with each connection."""
        if self._place is None or self._conn is None:
            self._place = self._find()
            self.where = f"database {self._place}"
        return self._place

    def ask(self, sql: str, *values: object, slow: bool = False) -> list[tuple[str | None, ...]]:
        """All values as text, as the server writes them; ``slow``: it may take a minute."""
        pymysql = _client()
        limit = max(MINUTE, self._timeout) if slow else self._timeout
        if self._conn and self._patience < limit:
            self._conn.close()
            self._conn = None
        if self._conn is None:
            self._conn, self._patience = self._unconnected(limit), limit
        conn, longest = self._conn, self._timeout + limit + GRACE_SECONDS
        question = partial(_answer, conn, limit, sql, values)
        try:
            return ask_apart(question, self.stop, longest, partial(_cut, conn), conn.close)
        except (Stopped, Unanswered) as error:
            # It is closed by its question, which may read from it yet.
            self._conn, self._shape = None, None
            if isinstance(error, Stopped):
                raise
            raise SourceError(f"{self.where}: no answer within {longest:g} s") from error
        except pymysql.err.MySQLError as error:
            raise self._said(error) from error
        except (OSError, RuntimeError) as error:
            # The latter where a way of logging in needs another package, which it names.
            self.close()
            raise SourceError(f"{self.where}: {said(error)}") from error

    def sql(self) -> str:
        """The statement for the rows from one value of the column that they are found by until before another one."""
        by = _quoted(self.shape.by or self.shape.time)
        return f"{self._select} WHERE {by} >= %s AND {by} < %s"

    @property
    def _select(self) -> str:
        return f"SELECT {', '.join(map(_quoted, self.shape.columns))} FROM {self._table}"

    @property
    def _table(self) -> str:
        return f"{_quoted(self.place.database)}.{_quoted(self.place.table)}"

    def window(self, begin: int, end: int, clock: tzinfo) -> list[dict[str, str]]:
        """The rows of whole seconds since the epoch, ``end`` excluded, by the ``clock`` of the table. Raises TooMany.

        Over a change of the clock it is up to an hour more on both sides: that asks for no row too few.
        """
        shape = self.shape
        if shape.by == "uniqueid":
            lo, hi = f"{shape.prefix}{begin}", f"{shape.prefix}{end}"
        else:
            clock = UTC if shape.instants else clock
            offsets = [_offset(at, clock) for at in (begin - HOUR, begin, end, end + HOUR)]
            lo, hi = _stamp(begin + min(offsets)), _stamp(end + max(offsets))
        limit = None if end - begin <= MINUTE else MOST_ROWS + 1
        found = self.ask(f"{self.sql()} LIMIT {limit or 2**62}", lo, hi, slow=not shape.by)
        if limit and len(found) == limit:
            raise TooMany(f"{self.where}: has more than {count(MOST_ROWS, 'call')} in that time")
        return self._named(found)

    def timeless(self) -> list[dict[str, str]]:
        """Rows that no window has, since nobody said when they were: so many as are told."""
        shape = self.shape
        if shape.by == "uniqueid":
            return []
        at = _quoted(shape.time)
        where = f"{at} IS NULL OR {at} < %s"
        sql = f"{self._select} WHERE {where} LIMIT {MOST_TIMELESS}"
        return self._named(self.ask(sql, FIRST_YEAR, slow=not shape.by))

    def _named(self, found: list[tuple[str | None, ...]]) -> list[dict[str, str]]:
        names = [name.lower() for name in self.shape.columns]
        return [{name: value or "" for name, value in zip(names, row, strict=True)} for row in found]

    def newest(self) -> list[dict[str, str]]:
        """The times and uniqueids of the last rows, whichever clock is theirs. Without an index it takes a scan."""
        shape = self.shape
        uniqueid = "uniqueid" if "uniqueid" in {name.lower() for name in shape.columns} else "''"
        columns, by = ", ".join([_quoted(shape.time), uniqueid]), _quoted(shape.by or shape.time)
        found = self.ask(f"SELECT {columns} FROM {self._table} ORDER BY {by} DESC LIMIT 20", slow=not shape.by)
        return [{"time": row[0] or "", "uniqueid": row[1] or ""} for row in found]

    def changed(self) -> str:
        """When the table was last written to, as far as the server knows; blank: it does not, or that goes on."""
        at = self.place
        found = self.ask(
            "SELECT update_time, table_rows FROM information_schema.tables WHERE table_schema = %s AND table_name = %s "
            f"AND update_time < now() - INTERVAL {SAME_SECONDS} SECOND",
            at.database,
            at.table,
        )
        return f"{found[0][0]} {found[0][1]}" if found else ""

    def stalled(self) -> str:
        """Why nothing new comes into the table of a replica, as far as MariaDB tells everybody; blank: it may."""
        if self.ask("SELECT @@GLOBAL.read_only") in ([("0",)], [("OFF",)]):
            return ""
        if self.ask("SHOW GLOBAL STATUS WHERE variable_name = 'Slaves_running'") != [("Slaves_running", "0")]:
            return ""
        return (
            f"{self.where}: the server is read only and replicates from no other one: what it has is read, and new "
            "calls once it goes on (SHOW REPLICA STATUS says why it does not)"
        )

    def _unconnected(self, patience: int) -> Any:
        """The connection that its first question makes."""
        pymysql = _client()
        at = self.place
        return pymysql.connect(
            host=at.host,
            port=at.port,
            unix_socket=at.socket or None,
            user=at.user,
            password=at.password,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=self._timeout,
            # The server ends a statement first.
            read_timeout=patience + 1,
            write_timeout=self._timeout,
            # What the server says is taken as it is.
            conv={kind: how for kind, how in pymysql.converters.conversions.items() if not isinstance(kind, int)},
            defer_connect=True,
        )

    def _look(self) -> Shape:
        at = self.place
        found = self.ask(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s "
            "AND table_name = %s ORDER BY ordinal_position",
            at.database,
            at.table,
        )
        if not found:
            # The server says of what is not there, and of what we may not see, nothing: so it says which.
            self.ask(f"SELECT 1 FROM {self._table} LIMIT 1")
        kinds = {str(name).lower(): str(kind).lower() for name, kind in found}
        times = [name for name in TIMES if name in kinds]
        lacking = [*(() if times else ("calldate",)), *(name for name in NEEDED if name not in kinds)]
        if lacking:
            none = f"has no column {', '.join(lacking)}, or none that user {at.user} may read"
            raise SourceError(f"{self.where}: {none}; is it the table of calls?")
        fitting = [name for name in times if kinds[name].endswith(FITTING)]
        if not fitting:
            raise SourceError(
                f"{self.where}: its column {times[0]} is of the type {kinds[times[0]]}, which holds no date with its "
                "time: give the table a column of the type datetime, calldate or start, and have Asterisk fill it "
                "(alias start => calldate in cdr_adaptive_odbc.conf)"
            )
        by_time = next(filter(self._is_filled, fitting), "") if len(fitting) > 1 else fitting[0]
        by_time, passing = by_time or fitting[0], not by_time
        names = tuple(str(name) for name, kind in found if not str(kind).lower().endswith("blob"))
        indexed = self.ask(
            "SELECT column_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s "
            "AND seq_in_index = 1 AND index_type = 'BTREE'",
            at.database,
            at.table,
        )
        firsts = {str(name).lower() for (name,) in indexed}
        instants = kinds[by_time] == "timestamp"
        if by_time in firsts:
            return Shape(names, by_time, by_time, "", instants, passing)
        if "uniqueid" not in firsts:
            return Shape(names, by_time, "", "", instants, passing)
        prefix = self._prefix()
        return Shape(names, by_time, "" if prefix is None else "uniqueid", prefix or "", instants, passing=True)

    def _is_filled(self, column: str) -> bool:
        at = _quoted(column)
        sql = f"SELECT 1 FROM {self._table} WHERE {at} >= %s LIMIT 1"
        return bool(self.ask(sql, FIRST_YEAR, slow=True))

    def _prefix(self) -> str | None:
        """What all uniqueids begin with, before their second; None where they don't all begin with the same."""
        none = f"EXISTS (SELECT 1 FROM {self._table} WHERE uniqueid IS NULL)"
        ((least, most, lacks),) = self.ask(f"SELECT min(uniqueid), max(uniqueid), {none} FROM {self._table}")
        made = [UNIQUEID.fullmatch(one or "") for one in (least, most)]
        if lacks != "0" or not all(one and len(one[1]) == 10 for one in made):
            return None
        first, last = (one.string[: one.start(1)] for one in made if one)
        return first if first == last else None

    def _said(self, error: Exception) -> SourceError:
        number = error.args[0] if error.args else 0
        at = self._place
        if number in _SLOW:
            waits = "the server is busy, or the table is locked, as while it is altered"
            return TooMuch(f"{self.where}: no whole answer within {self._timeout} s: {waits}")
        # Whatever has changed is looked at anew.
        self.close()
        if number in _SAYS and at:
            what = _SAYS[number].format(user=at.user, place=f"{_quoted(at.database)}.{_quoted(at.table)}")
            return SourceError(f"{self.where}: {what}")
        text = " ".join(str(one) for one in error.args[1:]) or str(error)
        return SourceError(f"{self.where}: {text}")


def _client() -> Any:
    """What only this source needs."""
    try:
        import pymysql
    except ImportError:
        raise SourceError("PyMySQL is missing: pip install 'humbug-agent[mysql]'") from None
    return pymysql


def _answer(conn: Any, limit: int, sql: str, values: tuple[object, ...]) -> list[tuple[str | None, ...]]:
    """In a thread of its own: it knows the connection alone."""
    if not conn.open:
        conn.connect()
        with conn.cursor() as cursor:
            for statement in at_first(conn.get_server_info()):
                cursor.execute(statement)
    with conn.cursor() as cursor:
        before, sql = limited(conn.get_server_info(), limit, sql)
        if before:
            cursor.execute(before)
        cursor.execute(sql, values)
        return [tuple(map(_text, row)) if bytes in map(type, row) else row for row in cursor.fetchall()]


def at_first(server: str) -> list[str]:
    """What a connection begins with, in the words that a server knows which says this of its version."""
    kind, version = _version(server)
    found = [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION time_zone = '+00:00'",
        # From one question to the next it is a day at most.
        "SET SESSION wait_timeout = 200000",
    ]
    if version >= {MARIADB: (10, 0, 0), MYSQL: (5, 6, 5)}[kind]:
        found.append("SET SESSION TRANSACTION READ ONLY")
    if kind == MYSQL and version >= (8, 0, 3):
        # When a table was changed it tells out of a cache else, which it keeps for a day.
        found.append("SET SESSION information_schema_stats_expiry = 0")
    return found


def limited(server: str, seconds: int, sql: str) -> tuple[str, str]:
    """What is to be said before a question, if anything, and the question, so that the server ends it after a time.

    Where it can't, we hang up.
    """
    kind, version = _version(server)
    if kind == MARIADB:
        return "", f"SET STATEMENT max_statement_time = {seconds} FOR {sql}" if version >= (10, 1, 2) else sql
    return f"SET SESSION max_execution_time = {seconds * 1000}" if version >= (5, 7, 8) else "", sql


def _version(server: str) -> tuple[str, tuple[int, ...]]:
    """MariaDB 10 puts one of MySQL's before its own, for old replicas."""
    kind = MARIADB if "mariadb" in server.lower() else MYSQL
    numbers = re.findall(r"[0-9]+", server.removeprefix("5.5.5-") if kind == MARIADB else server)
    return kind, tuple(map(int, numbers[:3]))


def _text(value: str | bytes | None) -> str | None:
    """Of a column without a charset, where it is text; blank of bits, places on a map and the like."""
    if type(value) is not bytes:
        return value  # type: ignore[return-value]
    with suppress(UnicodeDecodeError):
        if (found := value.decode()).isprintable():
            return found
    return ""


def _cut(conn: Any) -> None:
    """End what is read from it, in whichever thread. PyMySQL has no other way to its socket."""
    if sock := conn._sock:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _quoted(name: str) -> str:
    """As a name in a statement that is given values."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ")[:19]


def _offset(seconds: int, clock: tzinfo) -> int:
    shift = datetime.fromtimestamp(seconds, clock).utcoffset()
    return round(shift.total_seconds()) if shift else 0
