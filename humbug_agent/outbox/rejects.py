"""The rejects that are kept: as many of each source as there is room for."""

import sqlite3
from collections.abc import Sequence

from humbug_agent.cdr import Reject
from humbug_agent.outbox import rows

REJECTS_BYTES = 32 * 2**20
SHARE = 16
"""The rejects of one source take up to so many bytes, and up to one part in sixteen of max_size_mb."""

REJECT_BYTES = 400
"""What a reject takes beside its text."""


def keep(conn: sqlite3.Connection, source: str, now: float, rejects: Sequence[Reject], max_bytes: int | None) -> int:
    """Within a transaction: keep them as far as there is room for those of one source. Returns how many were not.

    ``max_bytes`` is the outbox's limit, None where it has none.
    """
    room = min(REJECTS_BYTES, (max_bytes or REJECTS_BYTES * SHARE) // SHARE)
    room -= conn.execute(
        "SELECT coalesce(sum(bytes + ?), 0) FROM rejects WHERE source = ?", (REJECT_BYTES, source)
    ).fetchone()[0]
    unkept = 0
    for r in rejects:
        known = "SELECT 1 FROM rejects WHERE key = ?1 UNION ALL SELECT 1 FROM forgotten WHERE identity = ?1"
        if conn.execute(known, (r.key,)).fetchone():
            continue
        size = len(r.text) + REJECT_BYTES
        if size > room:
            unkept += 1
            continue
        room -= size
        conn.execute(
            "INSERT INTO rejects (key, source, at, place, reason, text) VALUES (?, ?, ?, ?, ?, ?)",
            (r.key, source, now, rows.as_text(r.where), rows.as_text(r.reason), r.text),
        )
    return unkept
