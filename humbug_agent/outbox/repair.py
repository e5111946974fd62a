"""What can still be read of a damaged outbox, brought into a new one.

Nothing of the old file is believed as a whole: its rows are read in small pieces, so that a page that can't be read
takes only what stands on it. What is not surely delivered is sent: rather twice than never.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from humbug_agent.cdr import MOMENTS, Damaged
from humbug_agent.flat import Flat, whole
from humbug_agent.outbox import rows, takers, twins

log = logging.getLogger(__name__)

Again = Callable[[str, str], str | None]
"""A source's name and its cursor -> the cursor to go on from when what was read before may be lost; None: none."""

PIECE = 256
"""Ids that are asked for at once where a table can't be read through; each by itself where not even that can be."""

MOST_UNREAD_IDS = 2_000_000
"""Ids between what could be read from a table's beginning and from its end that are asked for at most."""

UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the latter where SQLite's own message quotes bytes of it."""

STATES = ("waiting", "sent", "dead")


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be saved of a damaged outbox.

    ``lost`` calls waited, or were dead, and can't be read. ``unreadable`` tables could be read only in part.

    ``unsure`` calls are sent, perhaps again: of one of their deliveries nothing can be read. ``accepted`` says of each
    source when its last call that is still known of came, in seconds since the epoch.
    """

    lost: int
    unsure: int
    unreadable: frozenset[str]
    accepted: Mapping[str, float]


def lenient(data: bytes) -> str:
    """Text of a damaged file: a byte that is no UTF-8 costs a character, and not the row."""
    return data.decode(errors="replace")


def salvage(
    path: Path, damaged: sqlite3.Connection, new: sqlite3.Connection, again: Again, destinations: Sequence[str]
) -> Salvage:
    """Calls not delivered yet go on waiting, delivered ones stay known, each source is read from where ``again`` says.

    ``path`` is the damaged outbox's, for messages; ``destinations`` are those that agent.ini has now.
    """
    old = _Damaged(path, damaged)
    _read_deliveries(old, new)
    lost, unsure, accepted = _bring_calls(old, new, destinations)
    _bring_aliases(old, new)
    for table in ("rejects", "cursors", "replays", "sent_minutes", "quarters"):
        # Older versions had none of the last three, and no call depends on them.
        if table in ("rejects", "cursors") or old.has(table):
            names = old.columns(table)
            _insert(new, table, names, old.rows(table, f"SELECT {', '.join(names)} FROM {table}") if names else ())
    new.execute("DELETE FROM replays WHERE (call, destination) NOT IN (SELECT call, destination FROM deliveries)")
    _insert(new, "forgotten", ['"identity"'], old.identities())
    _bring_dropped(old, new)
    for source, cursor in new.execute("SELECT source, cursor FROM cursors").fetchall():
        after = again(source, cursor)
        if after is None:
            new.execute("DELETE FROM cursors WHERE source = ?", (source,))
        else:
            new.execute("UPDATE cursors SET cursor = ? WHERE source = ?", (after, source))
    return Salvage(lost, unsure, frozenset(old.unreadable), accepted)


def _read_deliveries(old: "_Damaged", new: sqlite3.Connection) -> None:
    """All that is said of deliveries, into the temporary table ``told``.

    The table and its index both say what waits, and one of them may be sound: what one of them does not take for sent
    is not.
    """
    new.execute(
        "CREATE TEMP TABLE told (call INTEGER, destination TEXT, state TEXT NOT NULL, "
        "attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, tried REAL, status INTEGER, "
        "reply TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', PRIMARY KEY (call, destination)) WITHOUT ROWID"
    )
    new.execute("CREATE TEMP TABLE first (destination TEXT PRIMARY KEY, call INTEGER)")
    names = old.columns("deliveries")
    at = names.index('"state"') if names else 0
    found = old.by_id("deliveries", "call", names) if names else ()
    _insert(new, "told", names, (row for row in found if row[at] in STATES))
    indexed = old.rows(
        "deliveries",
        "SELECT call, destination, state FROM deliveries INDEXED BY deliveries_state WHERE state <> 'sent'",
    )
    new.executemany(
        "INSERT INTO told (call, destination, state) VALUES (?, ?, ?) ON CONFLICT (call, destination) "
        "DO UPDATE SET state = excluded.state WHERE state = 'sent'",
        (row for row in indexed if isinstance(row[0], int) and isinstance(row[1], str) and row[2] in STATES),
    )
    new.execute("INSERT INTO first SELECT destination, min(call) FROM told GROUP BY destination")


def _bring_calls(
    old: "_Damaged", new: sqlite3.Connection, destinations: Sequence[str]
) -> tuple[int, int, dict[str, float]]:
    """As the fields of Salvage: ``lost``, ``unsure``, ``accepted``."""
    accepted: dict[str, float] = {}
    unsure, newest = 0, 0
    new.execute("CREATE TEMP TABLE gone (call INTEGER PRIMARY KEY, at REAL)")
    names = old.columns("calls")
    for row in old.by_id("calls", "id", names) if names else ():
        call = dict(zip(names, row, strict=True))
        number, source, came = call['"id"'], call['"source"'], call['"accepted"']
        newest = max(newest, number)
        if new.execute("SELECT 1 FROM calls WHERE id = ?", (number,)).fetchone():
            # It was read from the table's other end.
            continue
        if isinstance(source, str) and isinstance(came, float):
            accepted[source] = max(came, accepted.get(source, 0.0))
        flat = Flat._make(call.get(f'"{name}"') for name in Flat._fields)
        missing = [name for name in _missing(new, number, destinations) if takers.may_take(destinations, name, flat)]
        told = new.execute("SELECT count(*), total(state <> 'sent') FROM told WHERE call = ?", (number,)).fetchone()
        if not missing and not told[1] and call.get('"untaken"') != 1:
            new.execute("INSERT OR IGNORE INTO forgotten (identity) VALUES (?)", (call['"identity"'],))
            end = call['"end"']
            sound = isinstance(end, float) and int(end) in MOMENTS
            new.execute("INSERT OR IGNORE INTO gone VALUES (?, ?)", (number, end if sound else 0.0))
            continue
        if not _insert(new, "calls", names, [row]) or not _is_call(new, number):
            new.execute("DELETE FROM calls WHERE id = ?", (number,))
            if not told[1]:
                # Nobody knows that it waited.
                new.execute(
                    "INSERT OR REPLACE INTO told (call, destination, state) VALUES (?, '', 'waiting')", (number,)
                )
            continue
        unsure += bool(missing)
        new.execute(
            "INSERT INTO deliveries (call, destination, state, attempts, due, tried, status, reply, error) "
            "SELECT call, destination, state, max(attempts, 0), max(due, 0.0), tried, status, reply, error FROM told "
            "WHERE call = ?",
            (number,),
        )
        new.executemany(
            "INSERT INTO deliveries (call, destination) VALUES (?, ?)", ((number, name) for name in missing)
        )
    new.execute("UPDATE calls SET untaken = 0 WHERE untaken = 1 AND id IN (SELECT call FROM deliveries)")
    lost, highest = new.execute(
        "SELECT count(DISTINCT iif(state <> 'sent' AND NOT EXISTS (SELECT 1 FROM calls WHERE id = call), call, NULL)), "
        "coalesce(max(call), 0) FROM told"
    ).fetchone()
    # Another call must not get an id that somebody may still name.
    _number_from(new, max(newest, highest, old.last_number()) + 1)
    return lost, unsure, accepted


def _bring_dropped(old: "_Damaged", new: sqlite3.Connection) -> None:
    """What retention had dropped, and the delivered calls, which are not brought."""
    found = old.rows("dropped", "SELECT last, end FROM dropped") if old.has("dropped") else ()
    marks = [row for row in found if isinstance(row[0], int) and isinstance(row[1], float)]
    marks += new.execute("SELECT max(call), max(at) FROM gone HAVING count(*)").fetchall()
    if marks:
        last, end = (max(one) for one in zip(*marks, strict=True))
        new.execute("UPDATE dropped SET last = ?1, start = ?2, end = ?2", (last, end))


def _bring_aliases(old: "_Damaged", new: sqlite3.Connection) -> None:
    """Those of delivered calls are forgotten with them. One whose call can't be read must not keep it from coming."""
    # An earlier version had none.
    there = old.has("aliases")
    new.execute("CREATE TEMP TABLE alias (identity BLOB, call INTEGER)")
    # The index has all that the table has, and one of them may be sound.
    for part, how in (("aliases", "NOT INDEXED"), ("aliases_call", "INDEXED BY aliases_call")):
        found = old.rows(part, f"SELECT identity, call FROM aliases {how}") if there else ()
        sound = (row for row in found if isinstance(row[0], bytes) and isinstance(row[1], int))
        new.executemany("INSERT INTO alias VALUES (?, ?)", sound)
    new.execute(
        "INSERT OR IGNORE INTO forgotten (identity) SELECT identity FROM alias WHERE call IN (SELECT call FROM gone)"
    )
    new.execute("INSERT OR IGNORE INTO aliases SELECT identity, call FROM alias WHERE call IN (SELECT id FROM calls)")
    if "sqlite_master" in old.unreadable or {"aliases", "aliases_call"} <= old.unreadable:
        twins.claim_all(new)


def _missing(new: sqlite3.Connection, call: int, destinations: Sequence[str]) -> list[str]:
    """Which destinations the call has, or had, a delivery for of which nothing can be read.

    A destination has one for each call that it takes since its first one, unless an admin has dropped it; where nothing
    at all is known of a call's, it is sent to all that there are now.
    """
    found = [
        name
        for (name,) in new.execute(
            "SELECT destination FROM first WHERE first.call <= ?1 AND NOT EXISTS "
            "(SELECT 1 FROM told WHERE told.call = ?1 AND told.destination = first.destination)",
            (call,),
        )
    ]
    if found or new.execute("SELECT 1 FROM told WHERE call = ?", (call,)).fetchone():
        return found
    return list(destinations)


def _number_from(new: sqlite3.Connection, number: int) -> None:
    """Give the next call this id."""
    new.execute("DELETE FROM sqlite_sequence WHERE name = 'calls'")
    if number < 2**62:
        new.execute("INSERT INTO sqlite_sequence VALUES ('calls', ?)", (number,))


def _is_call(new: sqlite3.Connection, call: int) -> bool:
    """A page whose bytes are wrong can look sound to SQLite."""
    cursor = new.execute(f"SELECT {rows.COLUMNS} FROM calls WHERE id = ?", (call,))
    return not isinstance(whole(Flat._make(cursor.fetchone())), Damaged)


def _insert(new: sqlite3.Connection, table: str, names: Sequence[str], found: Iterable[tuple[Any, ...]]) -> int:
    """Returns how many of these rows the table took; those that it has, or that are none of its rows, are left out."""
    kinds = {
        f'"{row[1]}"': _kinds(row[2], bool(row[3] or row[5])) for row in new.execute(f"PRAGMA table_info({table})")
    }
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    columns = [kinds[name] for name in names]
    sound = (row for row in found if all(isinstance(value, kind) for value, kind in zip(row, columns, strict=True)))
    return new.executemany(sql, sound).rowcount if names else 0


def _kinds(declared: str, not_null: bool) -> tuple[type, ...]:
    """What a column holds: SQLite itself takes anything for a value of any type."""
    held = {"INTEGER": (int,), "REAL": (float, int), "TEXT": (str,), "BLOB": (bytes,)}[declared]
    return held if not_null else (*held, NoneType)


class _Damaged:
    """A damaged outbox, opened to be read as far as that goes.

    ``unreadable`` are the tables that could not be read to their ends.
    """

    def __init__(self, path: Path, conn: sqlite3.Connection) -> None:
        self._path = path
        self._conn = conn
        conn.text_factory = lenient
        self.unreadable: set[str] = set()

    def has(self, table: str) -> bool:
        return bool(list(self.rows("sqlite_master", "SELECT 1 FROM sqlite_master WHERE name = ?", table)))

    def columns(self, table: str) -> list[str]:
        """Their names: it may be the file of an earlier version, which had fewer. None: it can't be looked at."""
        names = [f'"{row[1]}"' for row in self.rows(table, f"PRAGMA table_info({table})")]
        if not names:
            self.unreadable.add(table)
        return names

    def rows(self, table: str, sql: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        """As far as they can be read."""
        try:
            yield from self._conn.execute(sql, parameters)
        except UNREADABLE as error:
            self._failed(table, error)

    def by_id(self, table: str, key: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """From the beginning and from the end as far as that goes, and what lies between by its ids.

        A row may come more than once.
        """
        sql = f"SELECT {', '.join(names)} FROM {table}"
        at = names.index(f'"{key}"')
        first: list[int] = []
        last: list[int] = []
        for order, seen in (("", first), (" DESC", last)):
            try:
                for row in self._conn.execute(f"{sql} ORDER BY {key}{order}"):
                    seen[:] = [row[at]]
                    yield row
                if order == "":
                    return
            except UNREADABLE as error:
                self._failed(table, error)
        if not last or not all(isinstance(number, int) for number in (*first, *last)):
            return
        begin = max(first[0] if first else 0, last[0] - MOST_UNREAD_IDS)
        for number in range(begin, last[0], PIECE):
            yield from self._piece(table, f"{sql} WHERE {key} BETWEEN ? AND ?", number, number + PIECE - 1)

    def _piece(self, table: str, sql: str, begin: int, end: int) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._conn.execute(sql, (begin, end)).fetchall()
        except UNREADABLE:
            for number in range(begin, end + 1):
                yield from self.rows(table, sql, number, number)

    def identities(self, low: bytes = b"") -> Iterator[tuple[bytes]]:
        """Of the calls that were dropped: all whose identities begin with ``low``, as far as they can be read."""
        high = low + b"\xff" * (16 - len(low))
        try:
            yield from self._conn.execute(
                "SELECT identity FROM forgotten WHERE identity BETWEEN ? AND ?", (low, high)
            ).fetchall()
        except UNREADABLE as error:
            self._failed("forgotten", error)
            if len(low) < 2:
                for byte in range(256):
                    yield from self.identities(low + bytes([byte]))

    def last_number(self) -> int:
        """The highest id that a call ever had, as far as that can be read."""
        found = list(self.rows("sqlite_sequence", "SELECT seq FROM sqlite_sequence WHERE name = 'calls'"))
        return max((row[0] for row in found if isinstance(row[0], int)), default=0)

    def _failed(self, table: str, error: Exception) -> None:
        if table not in self.unreadable:
            self.unreadable.add(table)
            log.warning("%s: its %s can be read only in part (%s)", self._path, table, error)
