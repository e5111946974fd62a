"""What was told once more beside what the outbox has of it: looked up piece by piece, with little in memory.

All that is written is temporary tables of this connection, which SQLite keeps in memory while they are small, and then
in a file of its own.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields

from humbug_agent.cdr import MOMENTS, Form
from humbug_agent.flat import Flat
from humbug_agent.outbox import rows, twins
from humbug_agent.outbox.outbox import Outbox

PIECE = 500
"""Identities in one query; SQLite takes at most 32,766 parameters."""

CACHE_KILOBYTES = 49_152
"""For the temporary tables. Identities of a million calls take 32 MB; in no order, as they come, each piece of them
would write half of that to the disk where it has no room in memory."""

Clocked = Callable[[float, int | None], int]
"""The number of the day, from 1970-01-01 on, of a moment in seconds since the epoch, with how far the PBX's clock was
from UTC then, None where that is not known."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a call stands at one destination; ``error`` is blank of one that was sent."""

    destination: str
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Differing:
    """One call, or record that is none, that did not come where it should. ``state`` is missing, rejected or dead.

    ``start`` is in seconds since the epoch, with the clock's offset, None of a record that is no call. ``place`` is
    where such a record stands. ``destination`` is blank but of one that is dead; ``id`` is that of `outbox show`.
    ``brought``: it was brought in now.
    """

    source: str
    identity: bytes
    state: str
    destination: str
    reason: str
    start: float | None = None
    start_offset: int | None = None
    src: str = ""
    dst: str = ""
    uniqueid: str = ""
    disposition: str = ""
    place: str = ""
    id: str = ""
    brought: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the outbox has of some identities: the ids of ``calls``, those that were ``dropped``, and kept ``rejects``
    with their ids and reasons."""

    calls: dict[bytes, int]
    dropped: set[bytes]
    rejects: dict[bytes, tuple[int, str]]


_NAMES = [field.name for field in fields(Differing)]
_COLUMNS = ", ".join(_NAMES)
_PLACES = ", ".join("?" * len(_NAMES))
_DAY = "day_of(CAST(start AS REAL), CAST(start_offset AS INTEGER)) AS day"


class Comparison:
    """What one source after the other tells, beside the outbox. ``day`` finds the day of a call."""

    def __init__(self, outbox: Outbox, day: Clocked) -> None:
        self._outbox = outbox
        conn = outbox.db.conn
        with outbox.transaction(writes=False):
            conn.execute("CREATE TEMP TABLE told (identity BLOB PRIMARY KEY) WITHOUT ROWID")
            conn.execute("CREATE TEMP TABLE claimed (identity BLOB PRIMARY KEY, call INTEGER NOT NULL UNIQUE)")
            conn.execute(f"CREATE TEMP TABLE differing ({_COLUMNS}, PRIMARY KEY (source, identity, destination))")
        conn.execute(f"PRAGMA temp.cache_size = -{CACHE_KILOBYTES}")
        conn.execute("PRAGMA temp.journal_mode = MEMORY")
        conn.create_function("day_of", 2, day, deterministic=True)

    def begin(self) -> None:
        """Another source is compared."""
        with self._outbox.transaction(writes=False) as conn:
            conn.execute("DELETE FROM told")

    def first_told(self, identities: Iterable[bytes]) -> set[bytes]:
        """Those of them that the source has not told before."""
        found = set(identities)
        for piece in _pieces(list(found)):
            found.difference_update(row[0] for row in self._among("SELECT identity FROM told WHERE identity IN", piece))
        with self._outbox.transaction(writes=False) as conn:
            conn.executemany("INSERT INTO told VALUES (?)", ((one,) for one in sorted(found)))
        return found

    def known(self, identities: Iterable[bytes]) -> Known:
        found = Known({}, set(), {})
        for piece in _pieces(list(identities)):
            for sql in (_CLAIMED, _ALIASES, _CALLS):
                found.calls.update((row[0], row[1]) for row in self._among(sql, piece))
            found.dropped.update(row[0] for row in self._among(_FORGOTTEN, piece))
            found.rejects.update((row[0], (row[1], row[2])) for row in self._among(_REJECTS, piece))
        return found

    def twins(self, told: Form | None, calls: Sequence[Flat]) -> dict[bytes, int]:
        """The ids of those calls that are these, which are not known and were told so, by what they say."""
        if told is None or not calls:
            return {}
        with self._outbox.transaction(writes=False) as conn:
            return twins.find(conn, told, calls)

    def newest(self) -> int:
        """The id of the call that came last."""
        return int(self._outbox.select("SELECT coalesce(max(id), 0) FROM calls")[0][0])

    def deliveries(self, calls: Iterable[int]) -> Iterator[tuple[int, Delivered]]:
        """Of the calls with these ids."""
        for piece in _pieces(list(calls)):
            for call, *stands in self._among(_DELIVERIES, piece):
                yield call, Delivered(*stands)

    def _among(self, sql: str, piece: Sequence[object]) -> list[sqlite3.Row]:
        return self._outbox.select(f"{sql} ({', '.join('?' * len(piece))})", *piece)

    # What does not come out even.

    def differ(self, found: Iterable[Differing]) -> None:
        with self._outbox.transaction(writes=False) as conn:
            conn.executemany(f"INSERT OR REPLACE INTO differing VALUES ({_PLACES})", map(astuple, found))

    def missing(self, source: str) -> Iterator[list[Differing]]:
        """Piece by piece, those of a source that the outbox did not have when they were told."""
        after = b""
        where = "source = ? AND state = 'missing' AND identity > ?"
        sql = f"SELECT {_COLUMNS} FROM differing WHERE {where} ORDER BY identity LIMIT {PIECE}"
        while found := self._outbox.select(sql, source, after):
            yield [_differing(row) for row in found]
            after = found[-1]["identity"]

    def does_not_differ(self, source: str, identities: Iterable[bytes]) -> None:
        """They have come meanwhile."""
        with self._outbox.transaction(writes=False) as conn:
            sql = "DELETE FROM differing WHERE source = ? AND identity = ? AND state = 'missing'"
            conn.executemany(sql, ((source, one) for one in identities))

    def differing(self) -> Iterator[Differing]:
        """Of all sources: what is missing, then rejects, then what is dead, by their times."""
        conn = self._outbox.db.conn
        order = "state <> 'missing', state <> 'rejected', start, source, identity, destination"
        yield from map(_differing, conn.execute(f"SELECT {_COLUMNS} FROM differing ORDER BY {order}"))

    def reasons(self, most: int) -> list[tuple[str, str, str, str, bool, int]]:
        """Source, state, destination, reason, whether brought in now, and of how many; the most frequent first."""
        by = "source, state, destination, reason, brought"
        sql = f"SELECT {by}, count(*) AS n FROM differing GROUP BY {by} ORDER BY state <> 'missing', n DESC LIMIT ?"
        return [tuple(row) for row in self._outbox.select(sql, most)]

    # What the outbox has beside that.

    def not_told(self, sources: Sequence[str], since: float) -> dict[int, int]:
        """Day -> how many calls of these sources that began ``since`` then were not told now."""
        # Another source has told it first, perhaps, and in another form.
        where = _of_sources(len(sources)) + " AND identity NOT IN (SELECT identity FROM told)"
        for table in ("aliases", "claimed"):
            where += f" AND id NOT IN (SELECT call FROM {table} JOIN told USING (identity))"
        sql = f"SELECT {_DAY}, count(*) AS n FROM calls WHERE {where} GROUP BY day"
        return {row["day"]: row["n"] for row in self._outbox.select(sql, since, *sources, *sources)}

    def of_source(self, source: str, since: float) -> dict[int, int]:
        """Day -> how many calls the outbox has of it."""
        where = _of_sources(1)
        sql = f"SELECT {_DAY}, count(*) AS n FROM calls WHERE {where} GROUP BY day"
        return {row["day"]: row["n"] for row in self._outbox.select(sql, since, source, source)}

    def delivered(self, source: str, since: float) -> Iterator[tuple[int, str, str, int]]:
        """Day, destination, state, and how many deliveries of the source's calls are in it."""
        texts, where = rows.as_texts("destination state"), _of_sources(1)
        sql = f"SELECT {_DAY}, {texts}, count(*) AS n FROM calls JOIN deliveries ON call = calls.id WHERE {where}"
        sql += " GROUP BY 1, 2, 3"
        yield from (tuple(row) for row in self._outbox.select(sql, since, source, source))

    def first_accepted(self, source: str) -> float | None:
        """When the first of its calls came that the outbox has still; seconds since the epoch."""
        sql = "SELECT CAST(accepted AS REAL) AS at FROM calls WHERE source = ? OR also = ? ORDER BY accepted LIMIT 1"
        found = self._outbox.select(sql, source, source)
        return float(found[0]["at"]) if found else None


_CALLS = "SELECT identity, id FROM calls WHERE identity IN"
_CLAIMED = "SELECT identity, call FROM claimed WHERE identity IN"
_ALIASES = "SELECT identity, call FROM aliases WHERE identity IN"
_FORGOTTEN = "SELECT identity FROM forgotten WHERE identity IN"
_REJECTS = "SELECT key, id, CAST(reason AS TEXT) FROM rejects WHERE key IN"
_DELIVERIES = (
    "SELECT call, CAST(destination AS TEXT), CAST(state AS TEXT), iif(state = 'sent', '', CAST(error AS TEXT)) "
    "FROM deliveries WHERE call IN"
)


def _pieces(them: Sequence[object]) -> Iterator[Sequence[object]]:
    return (them[at : at + PIECE] for at in range(0, len(them), PIECE))


def _of_sources(number: int) -> str:
    """A condition: since when, and twice the names of so many sources."""
    names = ", ".join("?" * number)
    return f"event = 'Cdr' AND start >= ? AND start < {MOMENTS.stop} AND (source IN ({names}) OR also IN ({names}))"


def _differing(row: sqlite3.Row) -> Differing:
    return Differing(**{name: row[name] for name in _NAMES if name != "brought"}, brought=bool(row["brought"]))
