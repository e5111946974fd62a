"""How many calls were delivered in each of the last minutes, kept in the outbox: a chart of them outlives a restart.

A minute is one since the epoch.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

SENT_MINUTES = 60
"""For how many minutes the outbox remembers how much was delivered in each."""


def count(conn: sqlite3.Connection, destination: str, sent: Iterable[float], latest: int) -> int:
    """Within a transaction: calls were delivered at these times, in seconds since the epoch.

    ``latest`` is the minute of the last ones before. Returns that of these.
    """
    minutes = Counter(int(at // 60) for at in sent)
    if not minutes:
        return latest
    conn.executemany(
        "INSERT INTO sent_minutes VALUES (?, ?, ?) ON CONFLICT (destination, minute) DO UPDATE SET "
        "sent = sent + excluded.sent",
        ((destination, minute, number) for minute, number in minutes.items()),
    )
    if (newest := max(minutes)) != latest:
        oldest = newest - SENT_MINUTES
        conn.execute("DELETE FROM sent_minutes WHERE destination = ? AND minute <= ?", (destination, oldest))
    return newest


def counted(select: Callable[..., list[sqlite3.Row]], destination: str) -> tuple[dict[int, int], float]:
    """Minute -> how many, for those that had some; and when the outbox was made, in seconds since the epoch."""
    found = select(
        "SELECT CAST(minute AS INTEGER) AS minute, CAST(sent AS INTEGER) AS sent FROM sent_minutes "
        "WHERE destination = ?",
        destination,
    )
    (made,) = select("SELECT CAST(strftime('%s', min(applied_at)) AS INTEGER) AS at FROM _sqlite_migrations")
    return {row["minute"]: row["sent"] for row in found}, float(made["at"] or 0)
