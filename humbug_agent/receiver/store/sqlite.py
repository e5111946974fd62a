"""The store in a SQLite file of its own, with a column for each parameter."""

import json
import sqlite3
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from humbug_agent.receiver.protocol import COLUMNS
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
    counts,
    grouped,
    listed,
    typed,
)

BUSY_SECONDS = 10
"""How long another program may keep the file to itself."""

AT_ONCE = 100
"""Rows in one statement: SQLite has the work of them, while Python's other threads have Python."""

LOOK_STEPS = 20_000
"""Of SQLite's machine, a millisecond, before somebody looks whether it takes too long."""

PIECE = 5000
"""Rows that are read, or dropped, in one go: no call waits long for it."""

# AUTOINCREMENT: ids only grow, also once the last call has been dropped.
_TABLE = (
    "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, {}, repeats INTEGER NOT NULL DEFAULT 0, UNIQUE (pbx, key))"
)
_OLD_TABLE = (
    "CREATE TABLE IF NOT EXISTS {} ({}, key TEXT PRIMARY KEY NOT NULL, received TEXT NOT NULL, repeats INTEGER)"
)
_OLD_EVENT_COLUMNS = EVENT_COLUMNS[1:-2]


def _anew(table: str, columns: Sequence[str], had: Sequence[str]) -> list[str]:
    """The table with an id and the name of a PBX, which is blank of all that came before there were names."""
    kept = listed([*had, "key", "received", "repeats"])
    return [
        f"ALTER TABLE {table} RENAME TO {table}_before",
        _TABLE.format(table, typed(columns)),
        f"INSERT INTO {table} (pbx, {kept}) SELECT '', {kept} FROM {table}_before ORDER BY rowid",
        f"DROP TABLE {table}_before",
    ]


MIGRATIONS = [
    # As the first versions made them, which counted none.
    [
        _OLD_TABLE.format("calls", ", ".join(f'"{name}" TEXT' for name in COLUMNS)),
        _OLD_TABLE.format("events", ", ".join(f'"{name}" TEXT' for name in _OLD_EVENT_COLUMNS)),
    ],
    [
        *_anew("calls", CALL_COLUMNS, COLUMNS),
        *_anew("events", EVENT_COLUMNS, _OLD_EVENT_COLUMNS),
        "CREATE TABLE pbxs (pbx TEXT PRIMARY KEY, calls INTEGER, repeats INTEGER, received TEXT)",
        "INSERT INTO pbxs SELECT pbx, count(*), sum(repeats), max(received) FROM calls GROUP BY pbx",
    ],
    [
        "CREATE TABLE tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, digest BLOB NOT NULL, "
        "made REAL NOT NULL, used REAL)",
    ],
    [
        # How many calls there are of each 4096 ids: who pages through all of them counts none.
        "CREATE TABLE kept_calls (block INTEGER, pbx TEXT, number INTEGER NOT NULL, PRIMARY KEY (block, pbx)) "
        "WITHOUT ROWID",
        "INSERT INTO kept_calls SELECT id / 4096, pbx, count(*) FROM calls GROUP BY 1, 2",
        "CREATE TRIGGER calls_insert AFTER INSERT ON calls BEGIN INSERT INTO kept_calls VALUES "
        "(NEW.id / 4096, NEW.pbx, 1) ON CONFLICT (block, pbx) DO UPDATE SET number = number + 1; END",
        "CREATE TRIGGER calls_delete AFTER DELETE ON calls BEGIN UPDATE kept_calls SET number = number - 1 "
        "WHERE block = OLD.id / 4096 AND pbx = OLD.pbx; "
        "DELETE FROM kept_calls WHERE block = OLD.id / 4096 AND pbx = OLD.pbx AND number = 0; END",
        # What retention dropped: how many, the last of them, and the latest times of any, by its PBX's clock.
        "CREATE TABLE dropped (number INTEGER NOT NULL, last INTEGER NOT NULL, started TEXT NOT NULL, "
        "ended TEXT NOT NULL)",
        "INSERT INTO dropped VALUES (0, 0, '', '')",
        # Until now nobody wrote that down: it drops the oldest ones.
        "UPDATE dropped SET (last, started, ended) = (SELECT coalesce(min(id) - 1, (SELECT seq FROM sqlite_sequence "
        "WHERE name = 'calls')), coalesce(\"EndTime\", datetime('now')), coalesce(\"EndTime\", datetime('now')) "
        "FROM calls) WHERE (SELECT sum(calls) FROM pbxs) > (SELECT count(*) FROM calls)",
    ],
]
"""Statements by the version of the file (PRAGMA user_version) that they are for. New ones go to the end."""


class Store:
    """The calls received, in a SQLite file that is made readable for its owner only; see CallStore.

    One of an older version is brought up to date. Raises OSError where the file can't be made, StoreError where it is
    no database of ours.
    """

    place_of = "instr"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        path.touch(0o600)
        # Whoever makes the Store seldom is the thread that writes.
        with self._in_words():
            self._db = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with self._in_words():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._bring_up_to_date()
        except StoreError:
            self._db.close()
            raise

    def _bring_up_to_date(self) -> None:
        with _transaction(self._db):
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise StoreError(f"{self.path}: was made by a newer version of humbug-agent")
            for statement in (one for migration in MIGRATIONS[version:] for one in migration):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    @contextmanager
    def _another(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, for any thread."""
        with self._in_words(), closing(sqlite3.connect(self.path, BUSY_SECONDS, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            yield db

    def add(self, arrivals: Sequence[Arrival]) -> list[bool]:
        burst = Burst(arrivals)
        with self._in_words(), _transaction(self._db):
            new = burst.new(self._there("calls", burst.calls), self._there("events", burst.events))
            self._insert("calls", CALL_COLUMNS, burst, burst.calls)
            self._insert("events", EVENT_COLUMNS, burst, burst.events)
            for one in burst.totals(new):
                self._db.execute(
                    f"INSERT INTO pbxs ({listed(TOTAL_COLUMNS)}) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "calls = calls + excluded.calls, repeats = repeats + excluded.repeats, "
                    "received = max(received, excluded.received)",
                    (one.pbx, one.calls, one.repeats, one.received),
                )
        return new

    def _there(self, table: str, arrivals: Sequence[Arrival]) -> set[Identity]:
        """Those that are in the table already."""
        found: set[Identity] = set()
        for some in _pieces(arrivals):
            identities = ", ".join(["(?, ?)"] * len(some))
            sql = f"SELECT pbx, key FROM {table} WHERE (pbx, key) IN (VALUES {identities})"
            found |= {*self._db.execute(sql, [part for one in some for part in one.identity])}
        return found

    def _insert(self, table: str, columns: Sequence[str], burst: Burst, arrivals: Sequence[Arrival]) -> None:
        for some in _pieces(arrivals):
            marks = ", ".join([f"({', '.join('?' * (len(columns) + 1))})"] * len(some))
            self._db.execute(
                f"INSERT INTO {table} ({listed(columns)}, repeats) VALUES {marks} "
                "ON CONFLICT (pbx, key) DO UPDATE SET repeats = repeats + excluded.repeats + 1",
                [value for one in some for value in (*one.values(), burst.repeats(one))],
            )

    def forget(self, received: str) -> int:
        gone = 0
        with self._another() as db, _transaction(db):
            old = "WHERE received < ? AND id IN (SELECT id FROM {} ORDER BY id LIMIT ?)"
            number = f'SELECT count(*), max(id), max("StartTime"), max("EndTime") FROM calls {old.format("calls")}'
            if (marks := db.execute(number, (received, PIECE)).fetchone())[0]:
                db.execute(
                    "UPDATE dropped SET number = number + ?, last = max(last, ?), started = max(started, ?), "
                    "ended = max(ended, ?)",
                    tuple(marks),
                )
            for table in ("calls", "events"):
                gone += db.execute(f"DELETE FROM {table} {old.format(table)}", (received, PIECE)).rowcount
        return gone

    def totals(self) -> list[Total]:
        with self._another() as db:
            return [Total(*row) for row in db.execute(f"SELECT {listed(TOTAL_COLUMNS)} FROM pbxs ORDER BY pbx")]

    def rows(self, chosen: Chosen = ALL) -> Iterator[dict[str, Any]]:
        where, values = chosen.where("?")
        last = 0
        while True:
            # Another connection for each piece: who reads for long must not keep the WAL from being checkpointed.
            with self._another() as db:
                sql = f"SELECT * FROM calls WHERE id > ? AND {where} ORDER BY id LIMIT ?"
                found = db.execute(sql, (last, *values, PIECE)).fetchall()
            if not found:
                return
            yield from map(dict, found)
            last = found[-1]["id"]

    def newest(self, chosen: Chosen, number: int) -> list[dict[str, Any]]:
        where, values = chosen.where("?")
        with self._another() as db:
            found = db.execute(f"SELECT * FROM calls WHERE {where} ORDER BY id DESC LIMIT ?", (*values, number))
            return [dict(row) for row in found][::-1]

    def number(self, chosen: Chosen = ALL) -> int:
        where, values = chosen.where("?")
        with self._another() as db:
            found: int = db.execute(f"SELECT count(*) FROM calls WHERE {where}", values).fetchone()[0]
            return found

    def events(self) -> list[dict[str, Any]]:
        with self._another() as db:
            rows = db.execute("SELECT * FROM events ORDER BY id")
            return [dict(row) | {"fields": json.loads(row["fields"])} for row in rows]

    def ask(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self._another() as db:
            until = time.monotonic() + LONGEST_SECONDS
            db.set_progress_handler(lambda: time.monotonic() > until, LOOK_STEPS)
            return [dict(row) for row in db.execute(sql, values)]

    def ids(self, begin: int, last: int, condition: str, values: Sequence[object], *, by_id: bool) -> "array[int]":
        number, groups = ("id", "") if by_id else ("+id", IN_GROUPS)
        sql = f"SELECT group_concat(id) AS ids FROM calls WHERE {number} BETWEEN ? AND ? AND {condition} {groups}"
        return grouped(self.ask(sql, begin, last, *values))

    def run(self, sql: str) -> None:
        with self._another() as db:
            db.execute(sql)

    def counts(self) -> dict[str, int]:
        """``calls`` and ``repeats`` of all PBXs."""
        return counts(self.totals())

    def count(self) -> int:
        return self.counts()["calls"]

    def repeats(self) -> int:
        return self.counts()["repeats"]

    def close(self) -> None:
        self._db.close()


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # Some errors, such as a full disk, have ended it already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _pieces(arrivals: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
    for start in range(0, len(arrivals), AT_ONCE):
        yield arrivals[start : start + AT_ONCE]
