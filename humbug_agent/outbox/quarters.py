"""What was called in each quarter of an hour of the last weeks, counted as calls are accepted: to tell it, nobody need
look at a million of them. What is dropped or purged later was called all the same.

A quarter is one since the epoch: all clocks of PBXs are whole quarters of an hour from UTC. A *place* is where an
outside number is: ``+`` and up to three digits of one that begins with ``+`` or ``00``, ``LENGTH:`` and as many of
another one of five digits or more; blank for extensions, for what is no number, and for calls that came in.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Select = Callable[..., list[sqlite3.Row]]
"""As `Outbox.select`."""

QUARTER = 900
"""Seconds."""

KEPT_QUARTERS = 36 * 24 * 4
"""Five weeks and a day."""

_PLACE = (
    "CASE WHEN direction IN ('inbound', 'internal') OR ltrim(dst, '+') GLOB '*[^0-9]*' THEN '' "
    "WHEN dst GLOB '+*' THEN '+' || substr(dst, 2, 3) WHEN dst GLOB '00*' THEN '+' || substr(dst, 3, 3) "
    "WHEN length(dst) >= 5 THEN length(dst) || ':' || substr(dst, 1, 3) ELSE '' END"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls, as the PBX wrote them, and for how many ``seconds`` those that were answered were talked."""

    answered: int = 0
    missed: int = 0
    seconds: int = 0


def count(conn: sqlite3.Connection, newest: int, dropped: int) -> int:
    """Within a transaction: those whose ids are above ``newest`` were accepted.

    Quarters before ``dropped`` were dropped by now. Returns the one before which all are.
    """
    oldest = int(time.time() // QUARTER) - KEPT_QUARTERS
    conn.execute(
        f"INSERT INTO quarters SELECT CAST(start / {QUARTER} AS INTEGER), {_PLACE}, total(disposition = 'ANSWERED'), "
        "total(disposition <> 'ANSWERED'), total(billsec) FROM calls "
        f"WHERE id > ? AND start >= ? AND event = 'Cdr' GROUP BY 1, 2 ON CONFLICT (quarter, place) DO UPDATE SET "
        "answered = answered + excluded.answered, missed = missed + excluded.missed, "
        "seconds = seconds + excluded.seconds",
        (newest, oldest * QUARTER),
    )
    if oldest != dropped:
        conn.execute("DELETE FROM quarters WHERE quarter < ?", (oldest,))
    return oldest


def by_quarter(select: Select, since: int) -> dict[int, Counted]:
    """Of the quarter ``since`` and later ones, those in which somebody called."""
    return {int(row["name"]): one for row, one in _counted(select, "quarter", since)}


def by_place(select: Select, since: int) -> dict[str, Counted]:
    """The same by the places that were called."""
    return {str(row["name"]): one for row, one in _counted(select, "place", since)}


def _counted(select: Select, key: str, since: int) -> Iterator[tuple[sqlite3.Row, Counted]]:
    sums = ", ".join(f"CAST(total({one}) AS INTEGER) AS {one}" for one in ("answered", "missed", "seconds"))
    for row in select(f"SELECT CAST({key} AS TEXT) AS name, {sums} FROM quarters WHERE quarter >= ? GROUP BY 1", since):
        yield row, Counted(row["answered"], row["missed"], row["seconds"])
