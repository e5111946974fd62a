"""What the command line asks of the outbox: looking up, replaying, dropping, and counting.

Beside the daemon, and while it runs.
"""

import dataclasses
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from humbug_agent.cdr import Damaged, Record
from humbug_agent.flat import Flat, whole
from humbug_agent.outbox import rows
from humbug_agent.outbox.dropping import Piecemeal, choose, forget, hour, mark
from humbug_agent.outbox.outbox import Outbox

Progress = Callable[[int], object]
"""Hears how much more is done."""


def _nothing(_: int) -> None:
    pass


STATES = ("waiting", "sent", "dead")
UNTAKEN = "untaken"
"""The state of a call that has no delivery, since no destination took it."""

_UNTAKEN = (
    "(SELECT id AS call, '' AS destination, 'untaken' AS state, 0 AS attempts, 0.0 AS due, NULL AS tried, "
    "NULL AS status, '' AS reply, 'no destination takes it' AS error FROM calls WHERE untaken = 1) AS deliveries"
)
"""SQL: the deliveries that untaken calls don't have."""

CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries; what is None or empty does not matter. Times are seconds since the epoch, of the call's start.

    ``number`` is the end of the caller's or the called number. The ``state`` may be UNTAKEN: then it is calls.
    """

    state: str | None = None
    ids: Sequence[int] = ()
    destination: str | None = None
    uniqueid: str | None = None
    number: str | None = None
    since: float | None = None
    until: float | None = None

    def all_meant(self) -> Sequence["Filter"]:
        """This one, and what else it means: calls that are named by their ids may be untaken."""
        named = self.ids and self.state is None and self.destination is None
        return (self, dataclasses.replace(self, state=UNTAKEN)) if named else (self,)

    @property
    def tables(self) -> str:
        """SQL: calls and their deliveries."""
        return f"calls JOIN {_UNTAKEN if self.state == UNTAKEN else 'deliveries'} ON call = calls.id"

    def where(self) -> tuple[str, list[object]]:
        """A condition over calls and deliveries, and its parameters."""
        conditions: list[tuple[str, object]] = [
            # By the second half SQLite sees that its index of what is not sent has them all.
            ("state = ?" if self.state in ("sent", None) else "state = ? AND state <> 'sent'", self.state),
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
    """One attempt at a delivery that failed."""

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
    """A reject as it is kept in the outbox."""

    id: int
    source: str
    at: float
    place: str
    reason: str
    text: bytes


_ENTRY = (
    f"SELECT calls.id, {rows.as_texts('source destination state reply error')}, accepted, hex(destination) AS place, "
    f"attempts, due, tried, status, {rows.COLUMNS} FROM "
)


def entries(outbox: Outbox, wanted: Filter) -> Iterator[Entry]:
    """The deliveries that ``wanted`` means, in the order in which their calls came."""
    where, parameters = wanted.where()
    after: tuple[int, str] = (0, "")
    # By hex: what is no text in a damaged file can't be said again.
    sql = (
        f"{_ENTRY} {wanted.tables} WHERE {where} AND (calls.id, hex(destination)) > (?, ?) "
        "ORDER BY calls.id, hex(destination) LIMIT ?"
    )
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
    # The same order either way; by the table in which they are looked up nothing need be sorted.
    by = "calls.id" if wanted.state in ("sent", None) else "call"
    sql = f"{_ENTRY} {wanted.tables} WHERE {where} ORDER BY {by} DESC, deliveries.destination DESC LIMIT ?"
    return [_entry(row) for row in outbox.select(sql, *parameters, limit)][::-1]


def _entry(row: sqlite3.Row) -> Entry:
    names = [field.name for field in dataclasses.fields(Entry) if field.name != "record"]
    return Entry(**{name: row[name] for name in names}, record=whole(Flat._make(row[name] for name in Flat._fields)))


def count(outbox: Outbox, wanted: Filter) -> int:
    if wanted.state != UNTAKEN and wanted == Filter(state=wanted.state, destination=wanted.destination):
        # That is known: to count a million takes its time.
        several = by_state(outbox)
        chosen = [several.get(wanted.destination, {})] if wanted.destination is not None else several.values()
        return sum(states.get(state, 0) for states in chosen for state in STATES if wanted.state in (None, state))
    where, parameters = wanted.where()
    sql = f"SELECT count(*) AS n FROM {wanted.tables} WHERE {where}"
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


def replay(outbox: Outbox, wanted: Filter, progress: Progress = _nothing) -> int:
    """Make these deliveries wait again, as if they had never been tried. How they stood is kept. Returns how many.

    ``progress`` hears of how many calls were dealt with. Ended early, some of them wait.
    """

    def piece(conn: sqlite3.Connection, these: str, parameters: Sequence[object]) -> int:
        conn.execute(
            "INSERT INTO replays (call, destination, at, state, attempts, tried, status, reply, error) "
            "SELECT call, destination, ?, state, attempts, tried, status, reply, error FROM deliveries "
            f"WHERE tried IS NOT NULL AND (call, destination) IN {these}",
            (time.time(), *parameters),
        )
        return conn.execute(
            "UPDATE deliveries SET state = 'waiting', attempts = 0, due = 0, tried = NULL, status = NULL, reply = '', "
            f"error = '' WHERE (call, destination) IN {these}",
            parameters,
        ).rowcount

    return _in_pieces(outbox, wanted, piece, progress)


def wait_no_longer(outbox: Outbox, now: float) -> None:
    """Make every delivery due that waits for a time after ``now`` (seconds since the epoch)."""
    with outbox.transaction() as conn:
        conn.execute("UPDATE deliveries SET due = ? WHERE state = 'waiting' AND due > ?", (now, now))


def purge(outbox: Outbox, wanted: Filter, progress: Progress = _nothing) -> int:
    """Drop these deliveries, and the calls that have none left; a re-read does not bring them back.

    Of untaken calls, the calls. ``progress`` hears of how many are gone. Ended early, some of them are.
    """

    def piece(conn: sqlite3.Connection, these: str, parameters: Sequence[object]) -> int:
        # The history of a delivery goes with it: were the delivery made anew, it would be told as that one's.
        for table in ("failures", "replays"):
            conn.execute(f"DELETE FROM {table} WHERE (call, destination) IN {these}", parameters)
        gone = conn.execute(f"DELETE FROM deliveries WHERE (call, destination) IN {these}", parameters).rowcount
        conn.execute("DELETE FROM old WHERE EXISTS (SELECT 1 FROM deliveries WHERE call = id)")
        mark(conn)
        dropped = forget(conn)
        return dropped if wanted.state == UNTAKEN else gone

    return _in_pieces(outbox, wanted, piece, progress)


def _in_pieces(
    outbox: Outbox, wanted: Filter, work: Callable[[sqlite3.Connection, str, Sequence[object]], int], progress: Progress
) -> int:
    """Have ``work`` deal with the deliveries that a query in brackets, with its parameters, says, piece by piece.

    The ids of their calls are in the temporary table ``old``. Returns the sum of what ``work`` did.
    """
    where, parameters = wanted.where()
    with outbox.transaction(writes=False) as conn:
        conn.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (id INTEGER PRIMARY KEY)")
        conn.execute("DELETE FROM wanted")
        sql = f"SELECT DISTINCT call FROM {wanted.tables} WHERE {where}"
        conn.execute(f"INSERT INTO wanted {sql}", parameters)
    # What they are may have changed since then. The few that there are in a piece are looked at in this order.
    these = (
        "(SELECT call, destination FROM old CROSS JOIN calls ON calls.id = old.id "
        f"CROSS JOIN deliveries ON call = calls.id WHERE {where})"
    )
    done = 0

    def piece(conn: sqlite3.Connection, rows: int) -> bool:
        nonlocal done
        choose(conn, "SELECT id FROM wanted ORDER BY id LIMIT ?", (rows,))
        conn.execute("DELETE FROM wanted WHERE id IN (SELECT id FROM old)")
        did = work(conn, these, parameters)
        done += did
        progress(did)
        return bool(conn.execute("SELECT EXISTS (SELECT 1 FROM wanted)").fetchone()[0])

    Piecemeal(outbox).run(piece)
    return done


def rejects(outbox: Outbox, ids: Sequence[int] = (), limit: int = -1) -> list[KeptReject]:
    where = f"id IN ({', '.join('?' * len(ids))})" if ids else "1"
    texts = rows.as_texts("source place reason")
    sql = f"SELECT id, {texts}, at, CAST(text AS BLOB) AS text FROM rejects WHERE {where} ORDER BY id LIMIT ?"
    return [KeptReject(**row) for row in outbox.select(sql, *ids, limit)]


def reject_ids(outbox: Outbox) -> list[int]:
    return [row["id"] for row in outbox.select("SELECT id FROM rejects ORDER BY id")]


def drop_rejects(outbox: Outbox, ids: Sequence[int], progress: Progress = _nothing) -> int:
    """Drop these rejects; a re-read does not bring them back.

    With the last one of a source it is forgotten, too, how many of its rejects were not kept.
    """
    left = deque(ids)
    gone = 0

    def piece(conn: sqlite3.Connection, rows: int) -> bool:
        nonlocal gone
        these = [(left.popleft(),) for _ in range(min(rows, len(left)))]
        conn.executemany(
            f"INSERT OR IGNORE INTO forgotten (identity, hour) SELECT key, {hour(time.time())} FROM rejects "
            "WHERE id = ?",
            these,
        )
        gone += conn.executemany("DELETE FROM rejects WHERE id = ?", these).rowcount
        progress(len(these))
        if not left:
            conn.execute("UPDATE cursors SET unkept = 0 WHERE source NOT IN (SELECT source FROM rejects)")
        return bool(left)

    if left:
        Piecemeal(outbox).run(piece)
    return gone


@dataclass(frozen=True, slots=True)
class Totals:
    """How many calls, deliveries and rejects there are.

    ``rejects`` is source -> number; ``deliveries`` is destination -> state -> number; ``oldest`` is destination ->
    when its oldest waiting call was accepted, ``last_error`` destination -> the last failure that is not made good yet
    (time, text). ``untaken`` of the calls no destination took, the last of them has the id ``last_untaken``.
    """

    calls: int
    rejects: dict[str, int]
    deliveries: dict[str, dict[str, int]]
    oldest: dict[str, float]
    last_error: dict[str, tuple[float, str]]
    untaken: int = 0
    last_untaken: int | None = None


def destinations(outbox: Outbox) -> list[str]:
    """All to which the outbox holds deliveries, whether agent.ini has them or not."""
    return sorted(by_state(outbox))


def by_state(outbox: Outbox) -> dict[str, dict[str, int]]:
    """How many deliveries there are, as Totals has it."""
    numbers = ", ".join(f"CAST({state} AS INTEGER) AS {state}" for state in STATES)
    found = outbox.select(f"SELECT {rows.as_texts('destination')}, {numbers} FROM kept ORDER BY kept.destination")
    several = {row["destination"]: {state: max(0, row[state]) for state in STATES} for row in found}
    return {name: states for name, states in several.items() if any(states.values())}


def count_anew(outbox: Outbox) -> None:
    """Put right what the outbox says how many there are, where a damage has changed that. Raises OutboxError."""
    counts = ", ".join(f"total(state = '{state}') AS {state}" for state in STATES)
    with outbox.transaction(writes=False) as conn:
        counted = conn.execute(f"SELECT destination, {counts} FROM deliveries GROUP BY destination").fetchall()
        said = {row["destination"]: row for row in conn.execute("SELECT * FROM kept")}
        counted_calls = dict(conn.execute("SELECT id / 4096, count(*) FROM calls WHERE event = 'Cdr' GROUP BY 1"))
        said_calls = dict(conn.execute("SELECT id, CAST(number AS INTEGER) FROM kept_calls"))
    there = {row["destination"]: row for row in counted}
    off: list[tuple[object, ...]] = []
    for name in there.keys() | said.keys():
        by = [_number(there, name, state) - _number(said, name, state) for state in STATES]
        off += [(name, *by)] if any(by) else []
    blocks = counted_calls.keys() | said_calls.keys()
    off_calls = [(block, counted_calls.get(block, 0) - said_calls.get(block, 0)) for block in blocks]
    off_calls = [(block, by) for block, by in off_calls if by]
    if not off and not off_calls:
        return
    # Meanwhile they may have changed, and not the difference.
    with outbox.transaction() as conn:
        conn.executemany(
            "INSERT INTO kept VALUES (?1, ?2, ?3, ?4) ON CONFLICT (destination) DO UPDATE SET waiting = waiting + ?2, "
            "sent = sent + ?3, dead = dead + ?4",
            off,
        )
        conn.executemany(
            "INSERT INTO kept_calls VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET number = number + ?2", off_calls
        )


def _number(rows_: dict[str, sqlite3.Row], name: str, state: str) -> int:
    said = rows_[name][state] if name in rows_ else 0
    return int(said) if isinstance(said, int | float) else 0


CALLS = "SELECT max(0, ifnull(sum(CAST(number AS INTEGER)), 0)) AS n FROM kept_calls"
"""Without what is no call."""


_OLDEST = (
    f"SELECT {rows.as_texts('destination')}, CAST(accepted AS REAL) AS accepted FROM deliveries INDEXED BY "
    "deliveries_state JOIN calls ON id = call WHERE state = 'waiting' AND state <> 'sent' AND destination = ? "
    "ORDER BY call LIMIT 1"
)
_LAST_ERROR = (
    "SELECT CAST(failures.destination AS TEXT) AS destination, CAST(failures.error AS TEXT) AS error, failures.at "
    "FROM failures CROSS JOIN deliveries USING (call, destination) WHERE destination = ? AND state <> 'sent' "
    "ORDER BY failures.id DESC LIMIT 1"
)


def totals(outbox: Outbox) -> Totals:
    deliveries = by_state(outbox)
    # One by one: of those that wait, and of failures that are made good, there may be a million.
    oldest = [row for name, states in deliveries.items() if states["waiting"] for row in outbox.select(_OLDEST, name)]
    open_ = [name for name, states in deliveries.items() if states["waiting"] or states["dead"]]
    errors = [row for name in open_ for row in outbox.select(_LAST_ERROR, name)]
    rejected = f"SELECT {rows.as_texts('source')}, count(*) AS n FROM rejects GROUP BY rejects.source"
    return Totals(
        sum(row["n"] for row in outbox.select(CALLS)),
        {row["source"]: row["n"] for row in outbox.select(rejected)},
        deliveries,
        {row["destination"]: row["accepted"] for row in oldest},
        {row["destination"]: (row["at"], row["error"]) for row in errors},
        *untaken(outbox),
    )


def untaken(outbox: Outbox, above: int = 0) -> tuple[int, int | None]:
    """How many calls no destination took, of those with ids above that one; and the id of the last of them."""
    sql = "SELECT count(*) AS n, max(id) AS last FROM calls WHERE untaken = 1 AND id > ?"
    found = outbox.select(sql, above)[0]
    return found["n"], found["last"]


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """A source's cursor, when it last moved (seconds since the epoch), and what came from it since the beginning.

    ``rejects`` has also those that were replayed or purged since, and counts again what was read again: Totals has
    those that are there now. ``unkept`` of them there was no room for, since the last time that there were none.
    """

    cursor: str
    at: float
    calls: int
    rejects: int
    unkept: int


def read_so_far(outbox: Outbox) -> dict[str, ReadSoFar]:
    found = outbox.select(
        f"SELECT {rows.as_texts('source cursor')}, CAST(at AS REAL) AS at, CAST(calls AS INTEGER) AS calls, "
        "CAST(rejects AS INTEGER) AS rejects, CAST(unkept AS INTEGER) AS unkept FROM cursors"
    )
    return {row["source"]: ReadSoFar(*(row[field.name] for field in dataclasses.fields(ReadSoFar))) for row in found}
