"""The store in a PostgreSQL database, which several receivers may share: a call that came to two of them is one.

All of it is in a schema of its own. Receivers write one after the other, so that ids are in the order in which calls
can be seen: whoever asks for those after the last one that they know misses none.
"""

import json
import select
import socket
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from humbug_agent import __version__
from humbug_agent.ini import shown
from humbug_agent.libpq.trust import WHOLE_CHECK, authorities, is_near
from humbug_agent.receiver.store.contract import (
    ALL,
    CALL_COLUMNS,
    EVENT_COLUMNS,
    IN_GROUPS,
    LONGEST_SECONDS,
    TOTAL_COLUMNS,
    Arrival,
    Burst,
    Chosen,
    Identity,
    StoreError,
    Total,
    grouped,
    listed,
    typed,
)

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = ("postgresql://", "postgres://")
SCHEMA = "humbug_receiver"
LACKING = "needs psycopg: pip install 'humbug-agent[postgresql]', or, with Debian's package, apt install libpq5"

CONNECT_SECONDS, STATEMENT_SECONDS = 10, 20
LOCK = 0x68756D627563
"""Which advisory lock receivers take that write: the bytes of "humbuc"."""

PIECE = 5000
NO_TEXT, INSTEAD = "\0", "\ufffd"
"""PostgreSQL keeps no NUL in a text."""

# Of this transaction alone: between us and the server may be a pooler. Whoever is stopped in the middle of one keeps
# the others waiting no longer than that; and a commit is on the disk, whatever is usual there.
_BEGIN = (
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s'; "
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)
_LOCK = f"SELECT pg_advisory_xact_lock({LOCK})"

_TABLE = (
    f"CREATE TABLE {SCHEMA}.{{}} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {{}}, "
    "repeats bigint NOT NULL DEFAULT 0, UNIQUE (pbx, key))"
)
_NOW = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
MIGRATIONS = [
    [
        f"CREATE TABLE {SCHEMA}.version (version int NOT NULL)",
        f"INSERT INTO {SCHEMA}.version VALUES (0)",
        _TABLE.format("calls", typed(CALL_COLUMNS)),
        _TABLE.format("events", typed(EVENT_COLUMNS)),
        f"CREATE TABLE {SCHEMA}.pbxs (pbx text PRIMARY KEY, calls bigint, repeats bigint, received text)",
    ],
    [
        f"CREATE TABLE {SCHEMA}.tokens (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account text NOT NULL, "
        "digest bytea NOT NULL, made float8 NOT NULL, used float8)",
    ],
    [
        # How many calls there are of each 4096 ids: who pages through all of them counts none.
        f"CREATE TABLE {SCHEMA}.kept_calls (block bigint, pbx text, number bigint NOT NULL, PRIMARY KEY (block, pbx))",
        f"INSERT INTO {SCHEMA}.kept_calls SELECT id / 4096, pbx, count(*) FROM {SCHEMA}.calls GROUP BY 1, 2",
        f"CREATE FUNCTION {SCHEMA}.count_calls() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'INSERT' THEN "
        f"INSERT INTO {SCHEMA}.kept_calls AS had SELECT id / 4096, pbx, count(*) FROM changed GROUP BY 1, 2 "
        "ON CONFLICT (block, pbx) DO UPDATE SET number = had.number + excluded.number; ELSE "
        f"UPDATE {SCHEMA}.kept_calls AS had SET number = had.number - gone.number FROM "
        "(SELECT id / 4096 AS block, pbx, count(*) AS number FROM changed GROUP BY 1, 2) AS gone "
        "WHERE (had.block, had.pbx) = (gone.block, gone.pbx); "
        f"DELETE FROM {SCHEMA}.kept_calls WHERE number = 0; END IF; RETURN NULL; END $$",
        f"CREATE TRIGGER calls_insert AFTER INSERT ON {SCHEMA}.calls REFERENCING NEW TABLE AS changed "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.count_calls()",
        f"CREATE TRIGGER calls_delete AFTER DELETE ON {SCHEMA}.calls REFERENCING OLD TABLE AS changed "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.count_calls()",
        # What retention dropped: how many, the last of them, and the latest times of any, by its PBX's clock.
        f"CREATE TABLE {SCHEMA}.dropped (number bigint NOT NULL, last bigint NOT NULL, started text NOT NULL, "
        "ended text NOT NULL)",
        f"INSERT INTO {SCHEMA}.dropped VALUES (0, 0, '', '')",
        # Until now nobody wrote that down: it drops the oldest ones.
        f"UPDATE {SCHEMA}.dropped SET (last, started, ended) = (SELECT "
        f"coalesce(min(id) - 1, (SELECT last_value FROM {SCHEMA}.calls_id_seq)), coalesce(min(shown), {_NOW}), "
        f'coalesce(min(shown), {_NOW}) FROM (SELECT id, "EndTime" AS shown FROM {SCHEMA}.calls ORDER BY id LIMIT 1) '
        f"AS oldest) WHERE (SELECT sum(calls) FROM {SCHEMA}.pbxs) > (SELECT count(*) FROM {SCHEMA}.calls)",
    ],
]
"""Statements by the version of the schema that they are for. New ones go to the end."""


class PostgresqlStore:
    """The calls received, in the database that ``url`` names; see CallStore. ``where`` is without a password.

    libpq's own settings count, such as PGPASSWORD. Raises StoreError.
    """

    place_of = "strpos"

    def __init__(self, url: str) -> None:
        try:
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
            from psycopg.errors import Error
        except ImportError as error:
            raise StoreError(f"--store postgresql://… {LACKING} ({error})") from error
        try:
            said = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        except Error:
            # Its words may quote a password.
            raise StoreError("--store: is no URL of a database, such as postgresql://USER@HOST/DATABASE") from None
        hosts = [host for host in said.get("host", "").split(",") if host]
        sslmode = said.get("sslmode") or ("prefer" if all(map(is_near, hosts)) else WHOLE_CHECK)
        ours: dict[str, Any] = {
            "sslmode": sslmode,
            "sslrootcert": authorities(sslmode),
            "client_encoding": "UTF8",
            "application_name": f"humbug-agent-receiver/{__version__}",
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,
            "keepalives_idle": 60,
        }
        conninfo = make_conninfo(**({name: value for name, value in ours.items() if value is not None} | said))
        at = ", ".join(host if host.startswith("/") else shown(host, int(said.get("port") or 5432)) for host in hosts)
        self.where = f"PostgreSQL{f' at {at}' if at else ''}, database {said.get('dbname') or 'of its user'}"
        self._writing, self._asking = _Link(conninfo, self.where), _Link(conninfo, self.where)
        with self._writing.transaction() as conn:
            _bring_up_to_date(conn, self.where)

    def add(self, arrivals: Sequence[Arrival]) -> list[bool]:
        burst = Burst(arrivals)
        with self._writing.transaction() as conn:
            conn.execute(_LOCK)
            new = burst.new(_there(conn, "calls", burst.calls), _there(conn, "events", burst.events))
            _insert(conn, "calls", CALL_COLUMNS, burst, burst.calls)
            _insert(conn, "events", EVENT_COLUMNS, burst, burst.events)
            for one in burst.totals(new):
                conn.execute(
                    f"INSERT INTO {SCHEMA}.pbxs AS had ({listed(TOTAL_COLUMNS)}) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (pbx) DO UPDATE SET calls = had.calls + excluded.calls, "
                    "repeats = had.repeats + excluded.repeats, received = greatest(had.received, excluded.received)",
                    (one.pbx, one.calls, one.repeats, one.received),
                )
        return new

    def forget(self, received: str) -> int:
        old = "WHERE received < %s AND id IN (SELECT id FROM {} ORDER BY id LIMIT %s)"
        calls, events = f"{SCHEMA}.calls", f"{SCHEMA}.events"
        with self._asking.transaction() as conn:
            (marks,) = conn.execute(
                f'WITH gone AS (DELETE FROM {calls} {old.format(calls)} RETURNING id, "StartTime", "EndTime") '
                'SELECT count(*) AS number, max(id), max("StartTime") AS started, max("EndTime") AS ended FROM gone',
                (received, PIECE),
            )
            if marks["number"]:
                conn.execute(
                    f"UPDATE {SCHEMA}.dropped SET number = number + %s, last = greatest(last, %s), "
                    "started = greatest(started, %s), ended = greatest(ended, %s)",
                    tuple(marks.values()),
                )
            gone = conn.execute(f"DELETE FROM {events} {old.format(events)}", (received, PIECE)).rowcount
            return int(marks["number"]) + gone

    def totals(self) -> list[Total]:
        with self._asking.transaction() as conn:
            found = conn.execute(f"SELECT {listed(TOTAL_COLUMNS)} FROM {SCHEMA}.pbxs ORDER BY pbx")
            return [Total(*row.values()) for row in found]

    def rows(self, chosen: Chosen = ALL) -> Iterator[dict[str, Any]]:
        where, values = chosen.where("%s")
        last = 0
        while True:
            with self._asking.transaction() as conn:
                sql = f"SELECT * FROM {SCHEMA}.calls WHERE id > %s AND {where} ORDER BY id LIMIT %s"
                found = conn.execute(sql, (last, *values, PIECE)).fetchall()
            if not found:
                return
            yield from found
            last = found[-1]["id"]

    def newest(self, chosen: Chosen, number: int) -> list[dict[str, Any]]:
        where, values = chosen.where("%s")
        with self._asking.transaction() as conn:
            sql = f"SELECT * FROM {SCHEMA}.calls WHERE {where} ORDER BY id DESC LIMIT %s"
            return conn.execute(sql, (*values, number)).fetchall()[::-1]

    def number(self, chosen: Chosen = ALL) -> int:
        where, values = chosen.where("%s")
        with self._asking.transaction() as conn:
            (row,) = conn.execute(f"SELECT count(*) AS number FROM {SCHEMA}.calls WHERE {where}", values)
            return int(row["number"])

    def events(self) -> list[dict[str, Any]]:
        with self._asking.transaction() as conn:
            rows = conn.execute(f"SELECT * FROM {SCHEMA}.events ORDER BY id")
            return [row | {"fields": json.loads(row["fields"])} for row in rows]

    def ask(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._asking.transaction() as conn:
            conn.execute(f"SET LOCAL statement_timeout = '{LONGEST_SECONDS}s'; SET LOCAL search_path = {SCHEMA}")
            said = [_text(one) if isinstance(one, str) else one for one in values]
            return conn.execute(sql.replace("?", "%s"), said).fetchall()

    def ids(self, begin: int, last: int, condition: str, values: Sequence[object], *, by_id: bool) -> "array[int]":
        groups = "" if by_id else IN_GROUPS
        sql = f"SELECT string_agg(id::text, ',') AS ids FROM calls WHERE id BETWEEN ? AND ? AND {condition} {groups}"
        return grouped(self.ask(sql, begin, last, *values))

    def run(self, sql: str) -> None:
        with self._asking.transaction() as conn:
            conn.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL search_path = {SCHEMA}")
            conn.execute(sql)

    def close(self) -> None:
        self._writing.close()
        self._asking.close()


class _Link:
    """One connection, made when it is needed and kept until it breaks, for one thread at a time."""

    def __init__(self, conninfo: str, where: str) -> None:
        self._conninfo = conninfo
        self._where = where
        self._conn: Connection[dict[str, Any]] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> "Iterator[Connection[dict[str, Any]]]":
        """Raises StoreError."""
        from psycopg import Error

        with self._lock:
            try:
                conn = self._connected()
                with conn.transaction():
                    conn.execute(_BEGIN)
                    yield conn
            except Error as error:
                self._unlink()
                # What is behind the first line may quote a row.
                raise StoreError(
                    f"{self._where}: {(str(error).splitlines() or ['the connection was lost'])[0]}"
                ) from error

    def close(self) -> None:
        """Also where somebody waits for a server that says nothing."""
        if conn := self._conn:
            with suppress(OSError), socket.socket(fileno=socket.dup(conn.fileno())) as doubled:
                doubled.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._unlink()

    def _connected(self) -> "Connection[dict[str, Any]]":
        from psycopg import Connection
        from psycopg.rows import dict_row

        if self._conn and _spoke(self._conn):
            # Nobody asked: it says that it ends, or there is nobody any more.
            self._unlink()
        if self._conn is None:
            self._conn = Connection.connect(
                self._conninfo, autocommit=True, prepare_threshold=None, row_factory=dict_row
            )
        return self._conn

    def _unlink(self) -> None:
        conn, self._conn = self._conn, None
        if conn:
            conn.close()


def _spoke(conn: "Connection[dict[str, Any]]") -> bool:
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _bring_up_to_date(conn: "Connection[dict[str, Any]]", where: str) -> None:
    """Make the schema, or bring one of an older version up to date; several receivers may do so at once."""
    conn.execute(_LOCK)
    if not _is_there(conn, "regnamespace", SCHEMA):
        conn.execute(f"CREATE SCHEMA {SCHEMA}")
    version = 0
    if _is_there(conn, "regclass", f"{SCHEMA}.version"):
        (row,) = conn.execute(f"SELECT version FROM {SCHEMA}.version")
        version = row["version"]
    if version > len(MIGRATIONS):
        raise StoreError(f"{where}: the schema {SCHEMA} was made by a newer version of humbug-agent")
    for statement in (one for migration in MIGRATIONS[version:] for one in migration):
        conn.execute(statement)
    if version < len(MIGRATIONS):
        conn.execute(f"UPDATE {SCHEMA}.version SET version = {len(MIGRATIONS)}")


def _is_there(conn: "Connection[dict[str, Any]]", kind: str, name: str) -> bool:
    (row,) = conn.execute(f"SELECT to_{kind}(%s) IS NOT NULL AS there", (name,))
    return bool(row["there"])


def _there(conn: "Connection[dict[str, Any]]", table: str, arrivals: Sequence[Arrival]) -> set[Identity]:
    """Those that are in the table already."""
    if not arrivals:
        return set()
    names, keys = zip(*(one.identity for one in arrivals), strict=True)
    sql = (
        f"SELECT pbx, key FROM {SCHEMA}.{table} "
        "JOIN unnest(%s::text[], %s::text[]) AS asked (pbx, key) USING (pbx, key)"
    )
    return {(row["pbx"], row["key"]) for row in conn.execute(sql, (list(names), list(keys)))}


def _insert(
    conn: "Connection[dict[str, Any]]", table: str, columns: Sequence[str], burst: Burst, arrivals: Sequence[Arrival]
) -> None:
    if not arrivals:
        return
    turned = [list(map(_text, column)) for column in zip(*(one.values() for one in arrivals), strict=True)]
    marks = ", ".join(["%s::text[]"] * len(columns))
    conn.execute(
        f"INSERT INTO {SCHEMA}.{table} AS had ({listed(columns)}, repeats) SELECT * FROM unnest({marks}, %s::bigint[]) "
        "ON CONFLICT (pbx, key) DO UPDATE SET repeats = had.repeats + excluded.repeats + 1",
        (*turned, [burst.repeats(one) for one in arrivals]),
    )


def _text(value: str | None) -> str | None:
    return value.replace(NO_TEXT, INSTEAD) if value else value
