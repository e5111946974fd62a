"""What the command line asks of the outbox: looking up, replaying, dropping, and counting.

Beside the daemon, and while it runs.
"""

import dataclasses
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from humbug_agent import rows
from humbug_agent.cdr import Damaged, Record
from humbug_agent.outbox import Outbox, forget

STATES = ("waiting", "sent", "dead")
CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries; what is None or empty does not matter. Times are seconds since the epoch, of the call's start.

    ``number`` is the end of the caller's or the called number.
    """

    state: str | None = None
    ids: Sequence[int] = ()
    destination: str | None = None
    uniqueid: str | None = None
    number: str | None = None
    since: float | None = None
    until: float | None = None

    def where(self) -> tuple[str, list[object]]:
        """A condition over calls and deliveries, and its parameters."""
        conditions: list[tuple[str, object]] = [
            ("state = ?", self.state),
            ("destination = ?", self.destination),
            ("uniqueid = ?", self.uniqueid),
            ("start >= ?", self.since),
            ("start < ?", self.until),
        ]
        asked = [(sql, value) for sql, value in conditions if value is not None]
        sql, parameters = [sql for sql, _ in asked], [value for _, value in asked]
        if self.number is not None:
            sql.append("? IN (substr(src, -length(?)), substr(dst, -length(?)))")
            parameters += [self.number] * 3
        if self.ids:
            sql.append(f"calls.id IN ({', '.join('?' * len(self.ids))})")
            parameters += self.ids
        return " AND ".join(sql) or "1", parameters


@dataclass(frozen=True, slots=True)
class Entry:
    """A call on its way to one destination. Times are seconds since the epoch, 0 or None where there is none."""

    id: int
    source: str
    accepted: float
    destination: str
    state: str
    attempts: int
    due: float
    tried: float | None
    status: int | None
    reply: str
    error: str
    record: Record | Damaged


@dataclass(frozen=True, slots=True)
class Failure:
    at: float
    destination: str
    status: int | None
    reply: str
    error: str


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay ``at`` a time (seconds since the epoch), and how the delivery stood before it."""

    at: float
    destination: str
    state: str
    attempts: int
    tried: float | None
    status: int | None
    reply: str
    error: str


@dataclass(frozen=True, slots=True)
class KeptReject:
    id: int
    source: str
    at: float
    place: str
    reason: str
    text: bytes


_ENTRY = (
    f"SELECT calls.id, {rows.as_texts('source destination state reply error')}, accepted, hex(destination) AS place, "
    f"attempts, due, tried, status, {rows.COLUMNS} FROM calls JOIN deliveries ON call = calls.id WHERE "
)


def entries(outbox: Outbox, wanted: Filter) -> Iterator[Entry]:
    """The deliveries that ``wanted`` means, in the order in which their calls came."""
    where, parameters = wanted.where()
    after: tuple[int, str] = (0, "")
    # By hex: what is no text in a damaged file can't be said again.
    sql = f"{_ENTRY} {where} AND (calls.id, hex(destination)) > (?, ?) ORDER BY calls.id, hex(destination) LIMIT ?"
    while True:
        # In pieces: a reader that takes its time would keep SQLite from tidying up its log.
        found = outbox.select(sql, *parameters, *after, CHUNK)
        yield from map(_entry, found)
        if len(found) < CHUNK:
            return
        after = (found[-1]["id"], found[-1]["place"])


def newest(outbox: Outbox, wanted: Filter, limit: int) -> list[Entry]:
    """The last ``limit`` of the same, in the same order."""
    where, parameters = wanted.where()
    sql = f"{_ENTRY} {where} ORDER BY calls.id DESC, destination DESC LIMIT ?"
    return [_entry(row) for row in outbox.select(sql, *parameters, limit)][::-1]


def _entry(row: sqlite3.Row) -> Entry:
    names = [field.name for field in dataclasses.fields(Entry) if field.name != "record"]
    return Entry(**{name: row[name] for name in names}, record=rows.record(row))


def count(outbox: Outbox, wanted: Filter) -> int:
    where, parameters = wanted.where()
    sql = f"SELECT count(*) AS n FROM calls JOIN deliveries ON call = calls.id WHERE {where}"
    return int(outbox.select(sql, *parameters)[0]["n"])


def failures(outbox: Outbox, call: int) -> list[Failure]:
    """The last failed attempts at delivering a call, oldest first."""
    sql = f"SELECT at, {rows.as_texts('destination reply error')}, status FROM failures WHERE call = ? ORDER BY id"
    return [Failure(**row) for row in outbox.select(sql, call)]


def replays(outbox: Outbox, call: int) -> list[Replay]:
    """The replays of a call that had been tried, oldest first."""
    texts = rows.as_texts("destination state reply error")
    sql = f"SELECT at, {texts}, attempts, tried, status FROM replays WHERE call = ? ORDER BY id"
    return [Replay(**row) for row in outbox.select(sql, call)]


def replay(outbox: Outbox, wanted: Filter) -> int:
    """Make these deliveries wait again, as if they had never been tried. How they stood is kept. Returns how many."""
    where, parameters = wanted.where()
    chosen = f"(SELECT call, destination FROM calls JOIN deliveries ON call = calls.id WHERE {where})"
    with outbox.transaction() as conn:
        conn.execute(
            "INSERT INTO replays (call, destination, at, state, attempts, tried, status, reply, error) "
            "SELECT call, destination, ?, state, attempts, tried, status, reply, error FROM deliveries "
            f"WHERE tried IS NOT NULL AND (call, destination) IN {chosen}",
            (time.time(), *parameters),
        )
        return conn.execute(
            "UPDATE deliveries SET state = 'waiting', attempts = 0, due = 0, tried = NULL, status = NULL, reply = '', "
            f"error = '' WHERE (call, destination) IN {chosen}",
            parameters,
        ).rowcount


def purge(outbox: Outbox, wanted: Filter) -> int:
    """Drop these deliveries, and the calls that have none left; a re-read does not bring them back."""
    where, parameters = wanted.where()
    with outbox.transaction() as conn:
        conn.execute("CREATE TEMP TABLE IF NOT EXISTS old (id INTEGER PRIMARY KEY)")
        conn.execute("DELETE FROM old")
        conn.execute(
            f"INSERT INTO old SELECT DISTINCT call FROM calls JOIN deliveries ON call = calls.id WHERE {where}",
            parameters,
        )
        gone = conn.execute(
            "DELETE FROM deliveries WHERE (call, destination) IN "
            f"(SELECT call, destination FROM calls JOIN deliveries ON call = calls.id WHERE {where})",
            parameters,
        ).rowcount
        conn.execute("DELETE FROM old WHERE id IN (SELECT call FROM deliveries)")
        forget(conn)
    return gone


def rejects(outbox: Outbox, ids: Sequence[int] = (), limit: int = -1) -> list[KeptReject]:
    where = f"id IN ({', '.join('?' * len(ids))})" if ids else "1"
    texts = rows.as_texts("source place reason")
    sql = f"SELECT id, {texts}, at, CAST(text AS BLOB) AS text FROM rejects WHERE {where} ORDER BY id LIMIT ?"
    return [KeptReject(**row) for row in outbox.select(sql, *ids, limit)]


def drop_rejects(outbox: Outbox, ids: Sequence[int]) -> int:
    """Drop these rejects; a re-read does not bring them back."""
    with outbox.transaction() as conn:
        conn.executemany(
            "INSERT OR IGNORE INTO forgotten SELECT key FROM rejects WHERE id = ?", ((number,) for number in ids)
        )
        return conn.executemany("DELETE FROM rejects WHERE id = ?", ((number,) for number in ids)).rowcount


@dataclass(frozen=True, slots=True)
class Totals:
    """``rejects`` is source -> number; ``deliveries`` is destination -> state -> number; ``oldest`` is destination ->
    when its oldest waiting call was accepted, ``last_error`` destination -> the last failure that is not made good yet
    (time, text)."""

    calls: int
    rejects: dict[str, int]
    deliveries: dict[str, dict[str, int]]
    oldest: dict[str, float]
    last_error: dict[str, tuple[float, str]]


def destinations(outbox: Outbox) -> list[str]:
    """All to which the outbox holds deliveries, whether agent.ini has them or not."""
    found = outbox.select(f"SELECT DISTINCT {rows.as_texts('destination')} FROM deliveries ORDER BY 1")
    return [row["destination"] for row in found]


# Without what is no call; it has an index of its own, being rare.
CALLS = "SELECT count(*) - (SELECT count(*) FROM calls WHERE event <> 'Cdr') AS n FROM calls"


def totals(outbox: Outbox) -> Totals:
    deliveries: dict[str, dict[str, int]] = {}
    for row in outbox.select(
        f"SELECT {rows.as_texts('destination state')}, count(*) AS n FROM deliveries "
        "GROUP BY deliveries.destination, deliveries.state"
    ):
        deliveries.setdefault(row["destination"], dict.fromkeys(STATES, 0))[row["state"]] = row["n"]
    oldest = outbox.select(
        "SELECT destination, CAST(accepted AS REAL) AS accepted FROM calls JOIN (SELECT destination, min(call) AS "
        "first FROM deliveries WHERE state = 'waiting' GROUP BY destination) ON id = first"
    )
    errors = outbox.select(
        f"SELECT {rows.as_texts('destination error')}, at FROM failures WHERE id IN "
        "(SELECT max(failures.id) FROM failures JOIN deliveries USING (call, destination) WHERE state <> 'sent' "
        "GROUP BY destination)"
    )
    rejected = f"SELECT {rows.as_texts('source')}, count(*) AS n FROM rejects GROUP BY rejects.source"
    return Totals(
        int(outbox.select(CALLS)[0]["n"]),
        {row["source"]: row["n"] for row in outbox.select(rejected)},
        deliveries,
        {row["destination"]: row["accepted"] for row in oldest},
        {row["destination"]: (row["at"], row["error"]) for row in errors},
    )


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """A source's cursor, when it last moved (seconds since the epoch), and what came from it since the beginning.

    ``rejects`` has also those that were replayed or purged since, and counts again what was read again: Totals has
    those that are there now.
    """

    cursor: str
    at: float
    calls: int
    rejects: int


def read_so_far(outbox: Outbox) -> dict[str, ReadSoFar]:
    found = outbox.select(
        f"SELECT {rows.as_texts('source cursor')}, CAST(at AS REAL) AS at, CAST(calls AS INTEGER) AS calls, "
        "CAST(rejects AS INTEGER) AS rejects FROM cursors"
    )
    return {row["source"]: ReadSoFar(row["cursor"], row["at"], row["calls"], row["rejects"]) for row in found}
