"""Dropping what nobody needs any more, and giving its room back.

There may be millions of rows to go. It is done in pieces, each a transaction of its own, so that the daemon and the
command line write in between, and SQLite's log (the WAL) stays small.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from humbug_agent.outbox import twins
from humbug_agent.outbox.outbox import Outbox

PIECE_SECONDS = 0.05
FIRST, FEWEST, MOST = 500, 16, 10_000
"""Rows, or pages, in a piece."""

REMEMBERED_HOURS = 2 * 365 * 24
"""For so long the identity of a dropped call stays known."""

BYTES_REMEMBERED = 40
"""Of the file, for one identity."""

_END = b"\xff" * 17
"""Behind all identities."""

PARTS = 64
_PART = bytes([256 // PARTS])
"""What is below tells how many identities there are, and how old: being hashes, one in so many is."""

_NO_TIME = 10**11
"""Seconds since the epoch: what is damaged, and no time of a call."""

Piece = Callable[[sqlite3.Connection, int], bool]
"""Within a transaction, deals with so many rows. Returns whether there may be more."""


@dataclass(frozen=True)
class Piecemeal:
    """Long work on the outbox; ``stop`` ends it early."""

    outbox: Outbox
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, piece: Piece) -> bool:
        """Returns whether it came to its end. Raises OutboxError."""
        rows, more = FIRST, True
        while more and not self.stop.is_set():
            with self.outbox.transaction() as conn:
                began = time.monotonic()
                more = piece(conn, rows)
            took = time.monotonic() - began
            rows = min(max(int(rows * min(PIECE_SECONDS / took, 2.0)), FEWEST), MOST)
            self.outbox.write_back()
            if more:
                self.stop.wait(took)
        return not more


def hour(now: float) -> int:
    """Whole hours since the epoch."""
    return int(now // 3600)


def mark(conn: sqlite3.Connection) -> None:
    """Within a transaction: write down that those in ``old`` are dropped, for whoever asks for them.

    Damaged times say nothing of the others'.
    """
    latest = ", ".join(f"max(iif(typeof({one}) = 'real' AND {one} < {_NO_TIME}, {one}, 0))" for one in ("start", "end"))
    sql = f"SELECT max(id), {latest} FROM calls WHERE id IN (SELECT id FROM old) AND event = 'Cdr'"
    if (found := conn.execute(sql).fetchone())[0]:
        conn.execute("UPDATE dropped SET last = max(last, ?), start = max(start, ?), end = max(end, ?)", tuple(found))


def forget(conn: sqlite3.Connection) -> int:
    """Within a transaction: drop the calls in the temporary table ``old``, keeping their identities."""
    conn.execute("UPDATE dropped SET number = number + (SELECT count(*) FROM old)")
    conn.execute(
        "INSERT OR IGNORE INTO forgotten (identity, hour) SELECT identity, ? FROM calls "
        "WHERE id IN (SELECT id FROM old) ORDER BY identity",
        (hour(time.time()),),
    )
    twins.forget(conn, hour(time.time()))
    conn.execute("DELETE FROM deliveries WHERE call IN (SELECT id FROM old)")
    conn.execute("DELETE FROM failures WHERE call IN (SELECT id FROM old)")
    conn.execute("DELETE FROM replays WHERE call IN (SELECT id FROM old)")
    return conn.execute("DELETE FROM calls WHERE id IN (SELECT id FROM old)").rowcount


def choose(conn: sqlite3.Connection, sql: str, parameters: Iterable[object]) -> None:
    """Within a transaction: have in the temporary table ``old`` the calls whose ids this SELECT finds."""
    conn.execute("CREATE TEMP TABLE IF NOT EXISTS old (id INTEGER PRIMARY KEY)")
    conn.execute("DELETE FROM old")
    conn.execute(f"INSERT INTO old {sql}", tuple(parameters))


_DELIVERED = "NOT EXISTS (SELECT 1 FROM deliveries WHERE call = id AND state <> 'sent')"


def forget_delivered(work: Piecemeal, before: float, until: Callable[[], bool] = lambda: False) -> int:
    """Drop the calls accepted ``before`` (seconds since the epoch) that every destination has, the oldest first.

    Their identities stay. It ends when ``until`` says so. Returns how many were dropped. Raises OutboxError.
    """
    newest = work.outbox.select("SELECT id FROM calls WHERE accepted < ? ORDER BY accepted DESC LIMIT 1", before)
    last = newest[0]["id"] if newest else 0
    # Before the first there may be hundreds of thousands that still wait. "+" keeps to the order of the ids.
    first = work.outbox.select(
        f"SELECT id FROM calls WHERE id <= ? AND +accepted < ? AND {_DELIVERED} ORDER BY id LIMIT 1", last, before
    )
    if not first:
        return 0
    at, gone = first[0]["id"] - 1, 0

    def piece(conn: sqlite3.Connection, rows: int) -> bool:
        nonlocal at, gone
        sql = "SELECT max(id) FROM (SELECT id FROM calls WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
        begin, at = at, conn.execute(sql, (at, last, rows)).fetchone()[0] or last
        choose(
            conn,
            f"SELECT id FROM calls WHERE id > ? AND id <= ? AND +accepted < ? AND {_DELIVERED}",
            (begin, at, before),
        )
        mark(conn)
        gone += forget(conn)
        return at < last and not until()

    work.run(piece)
    return gone


def forget_identities(work: Piecemeal, before: int) -> bool:
    """Drop the identities of the calls that were dropped before that hour. Raises OutboxError.

    Returns whether all of them were looked at.
    """
    now, at = hour(time.time()), b""
    with work.outbox.transaction() as conn:
        # Another number in the file's header.
        latest = max(before, _remembered_from(conn))
        conn.execute(f"PRAGMA application_id = {latest}")

    def piece(conn: sqlite3.Connection, rows: int) -> bool:
        nonlocal at
        found = conn.execute(
            "SELECT identity FROM forgotten WHERE identity > ? ORDER BY identity LIMIT 1 OFFSET ?", (at, rows)
        ).fetchone()
        begin, at = at, found[0] if found else _END
        span = "WHERE identity > ? AND identity <= ?"
        # An earlier version did not write down when; and what a wrong clock wrote down must not stay for ever.
        conn.execute(f"UPDATE forgotten SET hour = ? {span} AND (hour = 0 OR hour > ?)", (now, begin, at, now + 24))
        conn.execute(f"DELETE FROM forgotten {span} AND hour < ?", (begin, at, before))
        return found is not None

    return work.run(piece)


def remembered_from(outbox: Outbox) -> float:
    """What is not known, and ended earlier (seconds since the epoch), may have been dropped, and forgotten since."""
    with outbox.transaction(writes=False) as conn:
        return max(_remembered_from(conn), hour(time.time()) - REMEMBERED_HOURS) * 3600.0


def _remembered_from(conn: sqlite3.Connection) -> int:
    """The hour before which no identity is remembered, 0 where none was forgotten."""
    return int(conn.execute("PRAGMA application_id").fetchone()[0])


def forget_old_identities(work: Piecemeal, now: float) -> None:
    """The same for those that have been remembered long enough, once a day. Raises OutboxError."""
    today = hour(now) // 24
    # A number in the file's header that is there for the application.
    if work.outbox.select("PRAGMA user_version")[0][0] == today:
        return
    if forget_identities(work, hour(now) - REMEMBERED_HOURS):
        with work.outbox.transaction() as conn:
            conn.execute(f"PRAGMA user_version = {today}")


def make_room(work: Piecemeal, room: int, youngest: int) -> int:
    """Have the identities of dropped calls take up to ``room`` bytes: the oldest go, down to three quarters of it.

    Those of calls dropped in or after the hour ``youngest`` stay. Returns the hour before which none are left, 0 when
    nothing had to go. Raises OutboxError.
    """
    found = work.outbox.select("SELECT hour, count(*) AS n FROM forgotten WHERE identity < ? GROUP BY hour", _PART)
    kept = sum(row["n"] for row in found) * PARTS * BYTES_REMEMBERED
    if kept <= room:
        return 0
    before = 0
    for row in found:
        if kept <= room * 3 // 4 or row["hour"] >= youngest:
            break
        kept -= row["n"] * PARTS * BYTES_REMEMBERED
        before = row["hour"] + 1
    if before:
        forget_identities(work, before)
    return before


def shrink(work: Piecemeal) -> None:
    """Give the room that dropped calls left back to the file system. Raises OutboxError."""

    def piece(conn: sqlite3.Connection, pages: int) -> bool:
        for _ in range(pages):
            # One page each: sqlite3 makes only the first step of a statement without columns.
            conn.execute("PRAGMA incremental_vacuum(1)")
        return bool(conn.execute("PRAGMA freelist_count").fetchone()[0])

    if work.outbox.free_bytes():
        work.run(piece)
