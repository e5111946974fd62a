"""What can still be read of a damaged outbox, brought into a new one."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humbug_agent import rows

log = logging.getLogger(__name__)

Again = Callable[[str, str], str | None]
"""A source's name and its cursor -> the cursor to go on from when what was read before may be lost; None: none."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """``lost`` calls waited, or were dead, and can't be read. ``unreadable`` tables could be read only in part.

    ``accepted`` says of each source when its last call that is still known of came, in seconds since the epoch.
    """

    lost: int
    unreadable: frozenset[str]
    accepted: Mapping[str, float]


def salvage(path: Path, damaged: sqlite3.Connection, new: sqlite3.Connection, again: Again) -> Salvage:
    """Calls not delivered yet go on waiting, delivered ones stay known, each source is read from where ``again`` says.

    ``path`` is the damaged outbox's, for messages.
    """
    old = _Damaged(path, damaged)
    lost = _waiting(old, new)
    for table in ("rejects", "forgotten", "cursors"):
        if names := old.columns(table):
            new.executemany(_insert(table, names), old.rows(table, f"SELECT {', '.join(names)} FROM {table}"))
    for table in ("replays", "sent_minutes"):
        # Version 0.1.0 had neither, and no call depends on them.
        if old.has(table):
            names = old.columns(table)
            new.executemany(_insert(table, names), old.rows(table, f"SELECT {', '.join(names)} FROM {table}"))
    new.execute("DELETE FROM replays WHERE call NOT IN (SELECT call FROM deliveries)")
    done = (
        "SELECT identity FROM calls WHERE id IN (SELECT call FROM deliveries WHERE +state = 'sent') "
        "AND id NOT IN (SELECT call FROM deliveries WHERE +state <> 'sent')"
    )
    new.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", old.rows("calls", done))
    for source, cursor in new.execute("SELECT source, cursor FROM cursors").fetchall():
        after = again(source, cursor)
        if after is None:
            new.execute("DELETE FROM cursors WHERE source = ?", (source,))
        else:
            new.execute("UPDATE cursors SET cursor = ? WHERE source = ?", (after, source))
    accepted = dict(old.rows("calls", "SELECT source, max(accepted) FROM calls GROUP BY source"))
    return Salvage(lost, frozenset(old.unreadable), accepted)


def _waiting(old: "_Damaged", new: sqlite3.Connection) -> int:
    """What waits or is dead, with its call. Returns of how many calls only the delivery can be read."""
    names = old.columns("deliveries")
    if not names:
        return 0
    # The table and its index both say which, and one of them may be sound. "+" keeps to the table.
    for chosen, which in (
        (names, "deliveries WHERE call IN (SELECT call FROM deliveries WHERE +state <> 'sent')"),
        (["call", "destination", "state"], "deliveries INDEXED BY deliveries_state WHERE state <> 'sent'"),
    ):
        columns = ", ".join(chosen)
        new.executemany(_insert("deliveries", chosen), old.rows("deliveries", f"SELECT {columns} FROM {which}"))
    names = old.columns("calls")
    lost = 0
    for (call,) in new.execute("SELECT DISTINCT call FROM deliveries").fetchall():
        # One by one: behind a page that can't be read there are others that can.
        found = list(old.rows("calls", f"SELECT {', '.join(names)} FROM calls WHERE id = ?", call)) if names else []
        if not found or not new.execute(_insert("calls", names), found[0]).rowcount or not _is_call(new, call):
            new.execute("DELETE FROM calls WHERE id = ?", (call,))
            # Another call will get its id.
            new.execute("DELETE FROM deliveries WHERE call = ?", (call,))
            lost += 1
    return lost


def _is_call(new: sqlite3.Connection, call: int) -> bool:
    """A page whose bytes are wrong can look sound to SQLite."""
    cursor = new.execute(f"SELECT {rows.COLUMNS} FROM calls WHERE id = ?", (call,))
    cursor.row_factory = sqlite3.Row
    try:
        rows.record(cursor.fetchone())
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True


def _insert(table: str, names: list[str]) -> str:
    return f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


class _Damaged:
    """``unreadable`` are the tables that could not be read to their ends."""

    def __init__(self, path: Path, conn: sqlite3.Connection) -> None:
        self._path = path
        self._conn = conn
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
        except sqlite3.DatabaseError as error:
            if table not in self.unreadable:
                self.unreadable.add(table)
                log.warning("%s: its %s can be read only in part (%s)", self._path, table, error)
