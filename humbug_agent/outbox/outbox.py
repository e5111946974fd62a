"""The outbox: calls, their deliveries, cursors and rejects in one SQLite file. The only state there is.

One Outbox for each thread. Everything that must be true together is one transaction.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import zip_longest
from pathlib import Path

from humbug_agent.cdr import MOMENTS, Batch, Damaged, Form
from humbug_agent.flat import TEST, Flat, is_call, whole
from humbug_agent.outbox import minutes, quarters, rejects, rows, schema, takers, twins
from humbug_agent.outbox.health import Health

KEPT_FAILURES = 20
LOG_BYTES = 16 * 2**20
"""How large SQLite's log (the WAL) may grow while long work is done in pieces."""
CLOCK_CHUNK = 10_000
"""Calls in one transaction, a tenth of a second: others wait for their turn to write."""
KNOWN_CHUNK = 500
"""Identities in one query; SQLite takes at most 32,766 parameters."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose time has come; ``attempts`` is how many failed so far. ``test``: it is a test call's."""

    id: int
    attempts: int
    flat: Flat

    @property
    def test(self) -> bool:
        return self.flat.event == TEST


@dataclass(frozen=True, slots=True)
class Lost:
    """The same of a call that is none any more, and why not."""

    id: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of one attempt at delivering call ``id``.

    ``state`` is sent, waiting or dead; a waiting one is tried again at ``due`` (seconds since the epoch), or where that
    is None as if this attempt had not been. ``test``: it is a test call, which is not counted.
    """

    id: int
    state: str
    tried: float
    due: float | None = 0.0
    status: int | None = None
    reply: str = ""
    error: str = ""
    test: bool = False


_MARK = (
    "UPDATE deliveries SET state = ?, attempts = attempts + 1, due = ifnull(?, due), tried = ?, status = ?, reply = ?, "
    "error = ? WHERE call = ? AND destination = ?"
)


class Outbox:
    """Raises OutboxError and its children only; the callers know what the user is to do from its text."""

    def __init__(self, path: Path, *, durable: bool = False, max_bytes: int | None = None) -> None:
        self.path = path
        self.db = schema.connect(path, durable=durable)
        self.db.conn.row_factory = sqlite3.Row
        self._max_bytes = max_bytes
        self._page_size = self._quarters_dropped = 0
        self._minutes: dict[str, int] = {}

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, writes: bool = True) -> Iterator[sqlite3.Connection]:
        """Waits for its turn to write, then commits as a whole or not at all.

        One that ``writes`` nothing but temporary tables waits for nobody, and keeps nobody waiting.
        """
        try:
            self.db.conn.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield self.db.conn
                self.db.commit()
            except BaseException:
                self.db.rollback()
                raise
        except sqlite3.DatabaseError as error:
            raise schema.reported(error, self.path) from error

    def select(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        try:
            return rows.leniently(self.db.conn, lambda: self.db.conn.execute(sql, parameters).fetchall())
        except sqlite3.DatabaseError as error:
            raise schema.reported(error, self.path) from error

    # What sources and the pump need.

    def cursor(self, source: str) -> str | None:
        found = self.select("SELECT CAST(cursor AS TEXT) AS cursor FROM cursors WHERE source = ?", source)
        return str(found[0]["cursor"]) if found else None

    def forget_cursor(self, source: str) -> datetime:
        """Begin anew with the source. Returns when it was read last, in UTC."""
        with self.transaction() as conn:
            conn.execute("UPDATE cursors SET cursor = '' WHERE source = ?", (source,))
            (at,) = conn.execute("SELECT CAST(at AS REAL) FROM cursors WHERE source = ?", (source,)).fetchone()
            return datetime.fromtimestamp(at if MOMENTS.start <= at < MOMENTS.stop else 0.0, UTC)

    def accept(self, source: str, batch: Batch, destinations: Sequence[str], *, beside: bool = False) -> int:
        """Put a batch on disk, with its cursor, all or nothing. Returns how many of the calls were new.

        A call goes to those of the ``destinations`` that take it. One whose identity is known already, here or among
        the forgotten, adds nothing but that this source has seen it, too. ``beside`` the source's own reading, of which
        nothing changes but what is counted. Raises OutboxFull before anything is written when the file has reached its
        limit.
        """
        now = time.time()
        with self.transaction() as conn:
            if self._max_bytes is not None and self._reaches(self._max_bytes):
                raise schema.OutboxFull(
                    f"outbox {self.path}: max_size_mb = {self._max_bytes // 2**20} is reached; reading waits until "
                    "calls are delivered or purged (humbug-agent outbox purge), or the limit is raised"
                )
            newest = conn.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()[0]
            conn.executemany(
                f"INSERT INTO calls (source, accepted, {rows.COLUMNS}) VALUES (?, ?, {rows.PLACES}) ON CONFLICT "
                "(identity) DO UPDATE SET also = excluded.source WHERE also = '' AND source <> excluded.source",
                ((source, now, *values) for values in self._unknown(conn, source, batch)),
            )
            if batch.told is Form.ROW:
                twins.accepted(conn, newest)
            takers.hand_out(conn, newest, destinations)
            unkept = rejects.keep(conn, source, now, batch.rejects, self._max_bytes) if batch.rejects else 0
            calls = int(conn.execute("SELECT count(*) FROM calls WHERE id > ?", (newest,)).fetchone()[0])
            if calls:
                self._quarters_dropped = quarters.count(conn, newest, self._quarters_dropped)
            if beside:
                sql = (
                    "UPDATE cursors SET calls = calls + ?, rejects = rejects + ?, unkept = unkept + ? WHERE source = ?"
                )
                conn.execute(sql, (calls, len(batch.rejects), unkept, source))
                return calls
            conn.execute(
                "INSERT INTO cursors (source, cursor, at, calls, rejects, unkept) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (source) DO UPDATE SET cursor = CASE excluded.cursor WHEN '' THEN cursor ELSE "
                "excluded.cursor END, at = excluded.at, calls = calls + excluded.calls, "
                "rejects = rejects + excluded.rejects, unkept = unkept + excluded.unkept",
                (source, batch.cursor or "", now, calls, len(batch.rejects), unkept),
            )
        return calls

    def _unknown(self, conn: sqlite3.Connection, source: str, batch: Batch) -> list[Flat]:
        """What the columns of these records hold, but for those that were dropped, or are calls by another identity."""
        found = list(rows.each(batch.records))
        identities = [values[0] for values in found]
        if gone := self._among("forgotten", identities):
            found = [values for values in found if values[0] not in gone]
        if batch.told and twins.may_meet(conn, batch.told):
            return twins.meet(conn, source, batch.told, found, self._among("aliases", identities))
        return found

    def unkept(self, source: str) -> int:
        """How many records of it were not understood and, for want of room, not kept as rejects."""
        found = self.select("SELECT unkept FROM cursors WHERE source = ?", source)
        return int(found[0]["unkept"]) if found else 0

    def known(self, identities: Sequence[bytes]) -> set[bytes]:
        """Which of these are calls that were accepted, kept or dropped since."""
        return set().union(*(self._among(table, identities) for table in ("calls", "aliases", "forgotten")))

    def _among(self, table: str, identities: Sequence[object]) -> set[bytes]:
        found: set[bytes] = set()
        for begin in range(0, len(identities), KNOWN_CHUNK):
            asked = identities[begin : begin + KNOWN_CHUNK]
            places = ", ".join("?" * len(asked))
            found.update(
                row[0] for row in self.select(f"SELECT identity FROM {table} WHERE identity IN ({places})", *asked)
            )
        return found

    # What delivery needs.

    def take(self, destination: str, limit: int, now: float, without: Iterable[int] = ()) -> list[Due | Lost]:
        """Up to ``limit`` deliveries that are due at ``now``, except those ``without``.

        Calls not tried yet, in the order in which they came, and repeats whose time has come take turns: neither a
        long backlog nor a hundred thousand calls that never succeed hold up the others.
        """
        skip = set(without)
        again = self._due(destination, "due > 0 AND due <= ?", "due, call", (now,), limit, skip)
        fresh = self._due(destination, "due = 0", "call", (), limit, skip)
        return [due for pair in zip_longest(fresh, again) for due in pair if due][:limit]

    def take_newest(self, destination: str, without: set[int]) -> list[Due | Lost]:
        """The newest call that was not tried yet, except those ``without``, if there is one."""
        return self._due(destination, "due = 0", "call DESC", (), 1, without)

    def _due(
        self, destination: str, when: str, order: str, parameters: tuple[float, ...], limit: int, skip: set[int]
    ) -> list[Due | Lost]:
        found = self.select(
            f"SELECT call, CAST(attempts AS INTEGER) AS attempts, {rows.COLUMNS} FROM deliveries "
            f"JOIN calls ON calls.id = call WHERE destination = ? AND state = 'waiting' AND {when} ORDER BY {order} "
            "LIMIT ?",
            destination,
            *parameters,
            limit + len(skip),
        )
        return [_due(row) for row in found if row["call"] not in skip][:limit]

    def mark(self, destination: str, marks: Sequence[Mark]) -> bool:
        """Write down what became of these attempts, all in one transaction.

        False: some of them were offered by a damaged index, which is made anew; they are written down all the same.
        """
        with self.transaction() as conn:
            values = [(m.state, m.due, m.tried, m.status, m.reply, m.error, m.id, destination) for m in marks]
            written = conn.executemany(f"{_MARK} AND state = 'waiting'", values).rowcount
            # Those that are missing may have been purged meanwhile. What is offered all the same would be so for ever.
            misled = self._misled(conn, destination, [m.id for m in marks]) if written < len(marks) else set()
            if misled:
                self._make_list_anew(conn, destination)
                again = (one for one, m in zip(values, marks, strict=True) if m.id in misled)
                conn.executemany(f"{_MARK} AND state = 'waiting'", again)
            sent = (m.tried for m in marks if m.state == "sent" and not m.test)
            self._minutes[destination] = minutes.count(conn, destination, sent, self._minutes.get(destination, 0))
            failed = [m for m in marks if m.state != "sent"]
            if not failed:
                return not misled
            conn.executemany(
                "INSERT INTO failures (call, destination, at, status, reply, error) "
                "SELECT call, destination, ?, ?, ?, ? FROM deliveries WHERE call = ? AND destination = ?",
                ((m.tried, m.status, m.reply, m.error, m.id, destination) for m in failed),
            )
            conn.executemany(
                "DELETE FROM failures WHERE call = ? AND destination = ? AND id NOT IN "
                "(SELECT id FROM failures WHERE call = ? AND destination = ? ORDER BY id DESC LIMIT ?)",
                ((m.id, destination, m.id, destination, KEPT_FAILURES) for m in failed),
            )
            return not misled

    def _misled(self, conn: sqlite3.Connection, destination: str, calls: Sequence[int]) -> set[int]:
        """Which of these calls the index tells to wait, and the table does not."""
        found = conn.execute(
            "SELECT call FROM deliveries INDEXED BY deliveries_due WHERE destination = ? AND state = 'waiting' "
            f"AND call IN ({', '.join(map(str, calls))})",
            (destination,),
        )
        of_table = "SELECT 1 FROM deliveries WHERE call = ? AND destination = ? AND +state = 'waiting'"
        return {call for (call,) in found.fetchall() if not conn.execute(of_table, (call, destination)).fetchone()}

    def _make_list_anew(self, conn: sqlite3.Connection, destination: str) -> None:
        """The indices of deliveries. What they told to wait, and is in no state in the table, waits."""
        stateless = conn.execute(
            "SELECT call FROM deliveries NOT INDEXED WHERE destination = ? "
            "AND +state NOT IN ('waiting', 'sent', 'dead')",
            (destination,),
        ).fetchall()
        waited = self._misled(conn, destination, [call for (call,) in stateless])
        conn.execute("REINDEX deliveries")
        conn.executemany(
            "UPDATE deliveries SET state = 'waiting' WHERE call = ? AND destination = ?",
            ((call, destination) for call in waited),
        )

    def bury_damaged(self) -> int:
        """Deliveries that are in no state that there is are dead from now on: nobody would ever look at them again.

        Returns how many.
        """
        # What lies between the states that there are: among a million that wait the index finds it at once.
        gaps = ("state < 'dead'", "state > 'dead' AND state < 'sent'", "state > 'sent' AND state < 'waiting'")
        with self.transaction() as conn:
            return sum(
                conn.execute(
                    "UPDATE deliveries SET error = 'the outbox is damaged: its state was ' || quote(state), "
                    f"state = 'dead' WHERE state <> 'sent' AND {gap}"
                ).rowcount
                for gap in (*gaps, "state > 'waiting'")
            )

    def doubt_answers(self, destination: str, ids: Sequence[int], now: float) -> None:
        """Have these calls sent again: what seemed to be the answer to them may have been to others."""
        said = "what was taken for its answer may have been another call's; sent again"
        with self.transaction() as conn:
            for number in ids:
                if conn.execute(
                    "UPDATE deliveries SET state = 'waiting', due = ?, error = ? WHERE call = ? AND destination = ? "
                    "AND state <> 'waiting'",
                    (now, said, number, destination),
                ).rowcount:
                    conn.execute(
                        "INSERT INTO failures (call, destination, at, reply, error) VALUES (?, ?, ?, '', ?)",
                        (number, destination, now, said),
                    )

    def put_off(self, destination: str, due: Mapping[int, float]) -> None:
        """Try these calls again at ``due`` (seconds since the epoch): they may have failed by their own fault."""
        with self.transaction() as conn:
            conn.executemany(
                "UPDATE deliveries SET due = ? WHERE call = ? AND destination = ? AND state = 'waiting'",
                ((at, call, destination) for call, at in due.items()),
            )

    def sent_minutes(self, destination: str) -> tuple[dict[int, int], float]:
        """As in `minutes.counted`."""
        return minutes.counted(self.select, destination)

    def still_waiting(self, destination: str, ids: Iterable[int]) -> set[int]:
        """Which of these calls wait for delivery: another process may have dropped or settled some."""
        found = self.select(
            "SELECT call FROM deliveries WHERE destination = ? AND state = 'waiting' AND call IN "
            f"({', '.join(str(number) for number in ids)})",
            destination,
        )
        return {int(row["call"]) for row in found}

    # What the agent needs to keep house.

    def report(self, part: str, state: str, message: str = "") -> None:
        """Tell the other processes how a part of the daemon fares; ``since`` moves only when it changes."""
        with self.transaction() as conn:
            conn.execute(
                "INSERT INTO health VALUES (?, ?, ?, ?) ON CONFLICT (part) DO UPDATE SET state = excluded.state, "
                "message = excluded.message, since = iif(state = excluded.state, since, excluded.since)",
                (part, state, rows.as_text(message), time.time()),
            )

    def doubt(self, source: str, said: str) -> None:
        """Tell the other processes what seems wrong with the times of a source; blank: nothing any more."""
        self.report(f"clock {source}", "doubtful" if said else "ok", said)

    def doubts(self) -> dict[str, str]:
        """Source -> what seems wrong with its times; only those of which something does."""
        health = self.health().values()
        return {one.part.removeprefix("clock "): one.message for one in health if one.message and one.is_of("clock")}

    def remember_times(self, source: str, seen: str) -> None:
        """Keep over restarts what the last records of a source said of its zone."""
        self.report(f"times {source}", seen)

    def remembered_times(self, source: str) -> str:
        found = self.health().get(f"times {source}")
        return found.state if found else ""

    def forget_health(self) -> None:
        """What an earlier daemon said is not how things are; what records said of their times they still say."""
        with self.transaction() as conn:
            conn.execute("DELETE FROM health WHERE part NOT LIKE 'times %'")

    def health(self) -> dict[str, Health]:
        found = self.select(f"SELECT {rows.as_texts('part state message')}, since FROM health")
        return {row["part"]: Health(**row) for row in found}

    def used_bytes(self) -> int:
        """What the file holds, without the room that dropped calls left in it."""
        found = self.select(
            "SELECT (page_count - freelist_count) * page_size AS used "
            "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        return int(found[0]["used"])

    def _reaches(self, limit: int) -> bool:
        """Whether the file holds so many bytes. Asked with each batch, so what costs a tenth comes first."""
        if not self._page_size:
            self._page_size = int(self.select("PRAGMA page_size")[0][0])
        pages = int(self.select("PRAGMA page_count")[0][0])
        return pages * self._page_size >= limit and self.used_bytes() >= limit

    def free_bytes(self) -> int:
        """The room that dropped calls left in the file."""
        found = self.select("SELECT freelist_count * page_size AS free FROM pragma_freelist_count, pragma_page_size")
        return int(found[0]["free"])

    def write_back(self) -> None:
        """Bring SQLite's log into the file where it has grown large, unless somebody is just reading from it."""
        log = self.path.with_name(f"{self.path.name}-wal")
        found = schema.status(log)
        if not found or found.st_size < LOG_BYTES:
            return
        try:
            # It is tried again soon, and must keep nobody waiting.
            self.db.conn.execute("PRAGMA busy_timeout = 0")
            self.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.db.conn.execute(f"PRAGMA busy_timeout = {schema.BUSY_SECONDS * 1000}")
        except sqlite3.DatabaseError as error:
            raise schema.reported(error, self.path) from error

    def keep_wall_clock(self, zone: tzinfo) -> int:
        """Write down for up to ten thousand calls, of which that is not known, that the PBX's clock was ``zone``'s.

        Returns how many they were; call again while it is not 0. An earlier version did not write it down.
        """

        def known(column: str) -> str:
            # What is no time is none by any clock, and must not be asked for again.
            bounds = f"BETWEEN {MOMENTS.start} AND {MOMENTS.stop - 1}"
            offset = f'iif(typeof("{column}") = \'real\' AND "{column}" {bounds}, clock_offset("{column}"), 0)'
            return f'iif("{column}" IS NULL, NULL, {offset})'

        def offset(seconds: float) -> int | None:
            shift = datetime.fromtimestamp(seconds, zone).utcoffset()
            return None if shift is None else round(shift.total_seconds())

        with self.transaction() as conn:
            conn.create_function("clock_offset", 1, offset, deterministic=True)
            return conn.execute(
                f"UPDATE calls SET start_offset = {known('start')}, answer_offset = {known('answer')}, "
                f"end_offset = {known('end')} WHERE id IN (SELECT id FROM calls WHERE start_offset IS NULL "
                "AND event = 'Cdr' LIMIT ?)",
                (CLOCK_CHUNK,),
            ).rowcount


def _due(row: sqlite3.Row) -> Due | Lost:
    call, attempts, *values = row
    flat = Flat._make(values)
    if not is_call(flat) and isinstance(found := whole(flat), Damaged):
        return Lost(call, attempts, found.reason)
    return Due(call, attempts, flat)
