"""The table: its columns, how it is made and brought up to date, and how calls get into it."""

import json
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from humbug_agent.destinations.contract import Misconfigured, Refused
from humbug_agent.destinations.postgresql.failures import HINTS, NO_RIGHT, NO_TABLE
from humbug_agent.destinations.postgresql.link import Link, Steps
from humbug_agent.destinations.postgresql.settings import PostgresqlSettings
from humbug_agent.flat import Flat

LOCK = 0x68756D627567
"""Which advisory lock agents take that make the table, or change it: the bytes of "humbug"."""

NO_TEXT, INSTEAD = "\0", "\ufffd"
"""PostgreSQL keeps no NUL in a text."""


class Column(NamedTuple):
    """A column of the table, and of which field of a call it is made.

    ``sent`` is the type in which it is sent, ``made`` how the column is made of that.
    """

    name: str
    type: str
    field: str
    sent: str = "text"
    made: str = "{}"


COLUMNS = (
    Column("identity", "bytea NOT NULL", "identity", "bytea"),
    Column("event", "text NOT NULL DEFAULT 'Cdr'", "event"),
    Column("start_time", "timestamptz NOT NULL", "start", "float8", "to_timestamp({})"),
    Column("answer_time", "timestamptz", "answer", "float8", "to_timestamp({})"),
    Column("end_time", "timestamptz NOT NULL", "end", "float8", "to_timestamp({})"),
    Column("duration", "bigint NOT NULL DEFAULT 0", "duration", "int8"),
    Column("billsec", "bigint NOT NULL DEFAULT 0", "billsec", "int8"),
    Column("src", "text NOT NULL DEFAULT ''", "src"),
    Column("dst", "text NOT NULL DEFAULT ''", "dst"),
    Column("clid", "text NOT NULL DEFAULT ''", "clid"),
    Column("direction", "text NOT NULL DEFAULT ''", "direction"),
    Column("disposition", "text NOT NULL DEFAULT ''", "disposition"),
    Column("dcontext", "text NOT NULL DEFAULT ''", "dcontext"),
    Column("channel", "text NOT NULL DEFAULT ''", "channel"),
    Column("dstchannel", "text NOT NULL DEFAULT ''", "dstchannel"),
    Column("lastapp", "text NOT NULL DEFAULT ''", "lastapp"),
    Column("lastdata", "text NOT NULL DEFAULT ''", "lastdata"),
    Column("accountcode", "text NOT NULL DEFAULT ''", "accountcode"),
    Column("uniqueid", "text NOT NULL DEFAULT ''", "uniqueid"),
    Column("linkedid", "text NOT NULL DEFAULT ''", "linkedid"),
    Column("userfield", "text NOT NULL DEFAULT ''", "userfield"),
    Column("extra", "jsonb NOT NULL DEFAULT '{}'", "extra", "jsonb"),
)
"""After ``pbx``, which with the identity is the primary key. A column that is added later has a default, or may be
NULL: the rows that are there already have none."""

_OURS = {"pbx", *(column.name for column in COLUMNS)}

_UNFILLED = (
    "attnotnull AND NOT atthasdef AND coalesce(to_jsonb(a) ->> 'attidentity', '') = '' "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = atttypid AND typdefault IS NOT NULL) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = attrelid AND tgtype & 7 = 7)"
)
"""Of a column: whether nobody puts anything into it. A trigger that is asked BEFORE each row (bits 1, 2 and 4) may."""

_AT = {name: at for at, name in enumerate(Flat._fields)}


class Table:
    """The table that ``settings`` names, as far as it is known: `look` finds out which columns it has."""

    def __init__(self, settings: PostgresqlSettings) -> None:
        self.name = ".".join(settings.table)
        self._quoted = ".".join(f'"{part}"' for part in settings.table)
        self._schema = settings.table[0] if len(settings.table) > 1 else ""
        self._create = settings.create
        self._pbx = (settings.pbx or socket.gethostname()).replace(NO_TEXT, INSTEAD).encode()
        self._columns: tuple[Column, ...] = ()
        self._insert = ""

    @property
    def lacks(self) -> list[str]:
        """What a given table has no column for."""
        return [column.name for column in COLUMNS if column not in self._columns]

    def look(self, link: Link) -> Steps[bool]:
        """Which columns it has; False: there is no such table. Raises DeliveryError."""
        found = yield from link.ask(
            f"SELECT attname, {_UNFILLED} FROM pg_catalog.pg_attribute AS a "
            f"WHERE attrelid = to_regclass('{self._quoted}') AND attnum > 0 AND NOT attisdropped"
        )
        names = {name for name, _ in found}
        self._columns = tuple(column for column in COLUMNS if column.name in names)
        if names and not names.issuperset(("pbx", "identity")):
            raise Misconfigured(f"table {self.name}: needs the columns pbx and identity")
        for name, unfilled in found:
            if unfilled == "t" and name not in _OURS:
                raise Misconfigured(
                    f"table {self.name}: its column {name} is NOT NULL without a default, and no call fills "
                    "it; give it a default"
                )
        self._insert = self._made_insert()
        return bool(names)

    def make(self, link: Link) -> Steps[None]:
        """Make it, or add the columns that it lacks, if the agent may; several agents may do so at once.

        Raises DeliveryError.
        """
        there = yield from self.look(link)
        if self._create and not (there and self._columns == COLUMNS):
            try:
                yield from link.ask("; ".join([f"SELECT pg_advisory_xact_lock({LOCK})", self._made(there)]))
            except Refused as error:
                raise Misconfigured(f"table {self.name} can't be changed: {error.reason}") from error
            there = yield from self.look(link)
        if not there:
            raise Misconfigured(f"there is no table {self.name}{HINTS[NO_TABLE]}")

    def may_be_made(self, link: Link) -> Steps[None]:
        """Raises Misconfigured where there is no table and the agent may make none."""
        if not self._create:
            raise Misconfigured(f"there is no table {self.name}{HINTS[NO_TABLE]}")
        schema = f"'{self._schema}'" if self._schema else "current_schema()"
        ((may,),) = yield from link.ask(f"SELECT has_schema_privilege({schema}, 'CREATE')")
        if may != "t":
            raise Misconfigured(f"table {self.name} can't be made: no right to create one{HINTS[NO_RIGHT]}")

    def _made(self, there: bool) -> str:
        """The statement that makes it, or adds what it lacks."""
        if there:
            added = (f"ADD COLUMN IF NOT EXISTS {one.name} {one.type}" for one in COLUMNS if one not in self._columns)
            return f"ALTER TABLE {self._quoted} {', '.join(added)}"
        columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
        return f"CREATE TABLE IF NOT EXISTS {self._quoted} (pbx text NOT NULL, {columns}, PRIMARY KEY (pbx, identity))"

    def insert(self, link: Link, values: Sequence[bytes]) -> Steps[None]:
        """Put the calls of which these are the `values` into it, all or none, each once. Raises DeliveryError."""
        yield from link.ask(self._insert, [self._pbx, *values])

    def values(self, flats: Sequence[Flat]) -> list[bytes]:
        """The calls as one array for each column, in PostgreSQL's form.

        Raises ValueError, TypeError or AttributeError where a call is none.
        """
        if not flats:
            return [b"{}"] * len(self._columns)
        turned = list(zip(*flats, strict=True))
        return [_WRITERS[column.sent](turned[_AT[column.field]]).encode() for column in self._columns]

    def shown(self, flat: Flat) -> dict[str, str]:
        """What would stand in each column, as text; a blank answer_time is NULL."""
        said = {column.name: _shown(column, flat[_AT[column.field]]) for column in COLUMNS}
        return {"pbx": self._pbx.decode(), **said}

    def said(self, flat: Flat) -> str:
        """The insert of one call, as psql would take it."""
        shown = self.shown(flat)
        literals = ", ".join(
            "NULL" if name == "answer_time" and not said else _literal(said) for name, said in shown.items()
        )
        return (
            f"INSERT INTO {self.name} ({', '.join(shown)}) VALUES ({literals}) ON CONFLICT (pbx, identity) DO NOTHING"
        )

    def _made_insert(self) -> str:
        names = ", ".join(column.name for column in self._columns)
        made = ", ".join(column.made.format(f"u.{column.name}") for column in self._columns)
        arrays = ", ".join(f"${number}::{column.sent}[]" for number, column in enumerate(self._columns, 2))
        return (
            f"INSERT INTO {self._quoted} (pbx, {names}) SELECT $1::text, {made} FROM unnest({arrays}) AS u ({names}) "
            "ON CONFLICT (pbx, identity) DO NOTHING"
        )


def _texts(values: Sequence[str]) -> str:
    joined = NO_TEXT.join(values)
    if joined.count(NO_TEXT) >= len(values):
        joined = NO_TEXT.join(value.replace(NO_TEXT, INSTEAD) for value in values)
    # All values of a column are quoted in one go: most of them have nothing to quote.
    return '{"' + joined.replace("\\", r"\\").replace('"', r"\"").replace(NO_TEXT, '","') + '"}'


def _bytes(values: Sequence[bytes]) -> str:
    return r'{"\\x' + r'","\\x'.join([value.hex() for value in values]) + '"}'


def _numbers(values: Sequence[float | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"


def _json(values: Sequence[str]) -> str:
    joined = NO_TEXT.join(values)
    return _texts([_as_jsonb(value) for value in values] if _ODD in joined else [value or "{}" for value in values])


_ODD = r"\u0000"


def _as_jsonb(value: str) -> str:
    """jsonb has no NUL either, however it is written."""
    said: dict[str, str] = json.loads(value or "{}")
    clean = {name.replace(NO_TEXT, INSTEAD): text.replace(NO_TEXT, INSTEAD) for name, text in said.items()}
    return json.dumps(clean, ensure_ascii=False)


_WRITERS: dict[str, Callable[[Any], str]] = {
    "text": _texts,
    "bytea": _bytes,
    "float8": _numbers,
    "int8": _numbers,
    "jsonb": _json,
}


def _shown(column: Column, value: Any) -> str:
    if column.sent == "bytea":
        return r"\x" + bytes(value).hex()
    if column.sent == "float8":
        return "" if value is None else datetime.fromtimestamp(value, UTC).isoformat(" ")
    if column.sent == "jsonb":
        return _as_jsonb(value)
    return str(value).replace(NO_TEXT, INSTEAD)


def _literal(text: str) -> str:
    """For a server with standard_conforming_strings, which is every one's default."""
    return "'" + text.replace("'", "''") + "'"
