"""What is asked for calls over HTTP: which calls, in which order, and the indexes that this takes.

Nothing here is needed where nobody may ask. Calls are found once and told in pages: the ids of those that a question
is about stay in memory, so that the ten-thousandth page costs what the first one does, and no page moves while others
are read.
"""

import json
import sqlite3
import threading
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from humbug_agent.flat import Flat
from humbug_agent.outbox import rows
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError

LONGEST_SECONDS = 10.0
"""What takes longer to find is not looked for: whoever asks is to ask for less."""

KEPT_IDS, KEPT_VIEWS, KEPT_SECONDS = 4_000_000, 256, 600.0
"""Of the questions that were asked: eight bytes for each id, for so many questions, for so long after the last page."""

_GROUP = 65536
_LOOK_STEPS = 20_000
"""Of SQLite's machine, a millisecond, before somebody looks whether it takes too long."""

DOMAIN = "iif(json_valid(extra), json_extract(extra, '$.domain_name'), NULL)"
"""SQL: the domain that FreeSWITCH or FusionPBX named."""

# No call that is read in pays for them where nobody may ask.
INDEXES = {
    "api_accountcode": "CREATE INDEX api_accountcode ON calls (accountcode, start)",
    "api_domain": f"CREATE INDEX api_domain ON calls ({DOMAIN}, start) WHERE extra <> ''",
}
BY_TENANT = frozenset(INDEXES)


class TooLong(OutboxError):
    """It takes too long to find these calls; a smaller question may be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which calls; what is None or empty does not matter. Times are seconds since the epoch.

    ``tenants`` are accountcodes and domains, one of which the call must have. ``since`` and ``until`` (not included)
    are of the start. ``number`` is the caller's or the called number, ``part`` a part of either, ``src`` and ``dst`` a
    part of that one. ``hours`` are the first and the last second of the day, by the PBX's clock, in which the call
    began; ``offset`` is how far that clock is from UTC where a call does not say. ``said`` is what else the PBX must
    have said: a name, and its possible values; ``has``: whether it said anything but nothing, 0 or no under one of
    these names.
    """

    tenants: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None
    directions: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    number: str = ""
    part: str = ""
    src: str = ""
    dst: str = ""
    hours: tuple[int, int] | None = None
    offset: int = 0
    uniqueids: tuple[str, ...] = ()
    linkedids: tuple[str, ...] = ()
    said: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has: tuple[tuple[tuple[str, ...], bool], ...] = ()

    def where(self) -> tuple[str, list[object]]:
        """A condition over calls, and its parameters."""
        among = "IN (SELECT value FROM json_each(?))"
        second = "((CAST(start AS INTEGER) + ifnull(start_offset, ?)) % 86400 + 86400) % 86400"
        of_day = f"{second} BETWEEN ? AND ?"
        conditions: list[tuple[bool, str, list[object]]] = [
            (self.since is not None, "start >= ?", [self.since]),
            (self.until is not None, "start < ?", [self.until]),
            (bool(self.directions), f"direction {among}", [json.dumps(self.directions)]),
            (bool(self.dispositions), f"disposition {among}", [json.dumps(self.dispositions)]),
            (bool(self.number), "? IN (src, dst)", [self.number]),
            (bool(self.part), "(instr(src, ?) OR instr(dst, ?))", [self.part] * 2),
            (bool(self.src), "instr(src, ?)", [self.src]),
            (bool(self.dst), "instr(dst, ?)", [self.dst]),
            (bool(self.uniqueids), f"uniqueid {among}", [json.dumps(self.uniqueids)]),
            (bool(self.linkedids), f"linkedid {among}", [json.dumps(self.linkedids)]),
        ]
        if self.tenants is not None:
            names = json.dumps(self.tenants)
            either = f"(accountcode {among} OR (extra <> '' AND {DOMAIN} {among}))"
            conditions.append((True, either, [names, names]))
        if self.hours:
            begin, end = self.hours
            outside = begin > end
            bounds = [end + 1, begin - 1] if outside else [begin, end]
            conditions.append((True, f"NOT {of_day}" if outside else of_day, [self.offset, *bounds]))
        value = "json_extract(iif(json_valid(extra), extra, '{}'), '$.' || ?)"
        for name, values in self.said:
            conditions.append((True, f"{value} {among}", [name, json.dumps(values)]))
        for names_, wanted in self.has:
            something = " OR ".join([f"ifnull({value}, '') NOT IN ('', '0', '[]', 'false', 'no')"] * len(names_))
            conditions.append((True, f"({something})" if wanted else f"NOT ({something})", list(names_)))
        asked = [(sql, values) for holds, sql, values in conditions if holds]
        # What is no call of the PBX's has an index of its own, being rare.
        others = "id NOT IN (SELECT id FROM calls WHERE event <> 'Cdr')"
        return " AND ".join([sql for sql, _ in asked] + [others]), [one for _, values in asked for one in values]


@dataclass(frozen=True, slots=True)
class Page:
    """So many of the calls that a question is about: their ids, those that can still be read of them, and the counts.

    ``count`` is how many calls there are from the first page on, ``calls`` are (id, call) in the order of the ids.
    """

    calls: Sequence[tuple[int, Flat]]
    count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The oldest call that is kept: its id, and when it began. ``dropped``: there were others before it."""

    id: int
    start: float
    dropped: bool


@dataclass
class _View:
    """The ids of all calls that a question was about when it was asked first, and of those that came since."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    looked_at: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Views:
    """The questions that were asked of late. Any thread may ask, over an outbox of its own.

    Raises OutboxError, TooLong.
    """

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[str, Wanted], _View] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, outbox: Outbox, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        """The ``number``-th page (from 1) of the calls with ids from ``from_id`` on, as ``who`` goes through them.

        With the first page what retention has dropped since is left out; on the others it only is missing, so that
        nothing moves over the edge of a page.
        """
        view = self._view((who, wanted))
        with view.lock:
            _look(outbox, view, wanted, anew=number == 1)
            first = bisect_left(view.ids, from_id)
            begin = first + (number - 1) * size
            ids, count = view.ids[begin : begin + size], len(view.ids) - first
        self._make_room()
        return Page(read(outbox, ids), count)

    def _view(self, key: tuple[str, Wanted]) -> _View:
        with self._lock:
            view = self._views.setdefault(key, _View())
            self._views.move_to_end(key)
            view.used = time.monotonic()
            return view

    def _make_room(self) -> None:
        with self._lock:
            held = sum(len(view.ids) for view in self._views.values())
            old = time.monotonic() - KEPT_SECONDS
            while len(self._views) > 1:
                view = next(iter(self._views.values()))
                if held <= KEPT_IDS and len(self._views) <= KEPT_VIEWS and view.used > old:
                    break
                held -= len(view.ids)
                self._views.popitem(last=False)


def read(outbox: Outbox, ids: Sequence[int]) -> list[tuple[int, Flat]]:
    """The calls of these ids, in their order; those that are gone are left out. Raises OutboxError."""
    sql = f"SELECT id, {rows.COLUMNS} FROM calls WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
    return [(row[0], Flat._make(row[1:])) for row in map(tuple, outbox.select(sql, json.dumps(list(ids))))]


def kept(outbox: Outbox) -> Kept | None:
    """None where no call is. Raises OutboxError."""
    sql = (
        "SELECT (SELECT min(id) FROM calls) AS id, (SELECT CAST(min(start) AS REAL) FROM calls) AS start, "
        "EXISTS (SELECT 1 FROM forgotten) AS dropped"
    )
    row = outbox.select(sql)[0]
    return None if row["id"] is None else Kept(row["id"], row["start"], bool(row["dropped"]) and row["id"] > 1)


def prepare(outbox: Outbox, needed: Collection[str]) -> list[str]:
    """Make the indexes that are needed, drop those of ours that are not. Returns those that it made.

    A million calls take some seconds for each, in which nobody else writes. Raises OutboxError.
    """
    there = {row["name"] for row in outbox.select("SELECT name FROM sqlite_master WHERE type = 'index'")}
    made = [name for name in INDEXES if name in needed and name not in there]
    gone = [name for name in INDEXES if name in there and name not in needed]
    for sql in [INDEXES[name] for name in made] + ["DROP INDEX IF EXISTS " + name for name in gone]:
        with outbox.transaction() as conn:
            conn.execute(sql)
    return made


# Each by itself is at an end of the table; both at once SQLite would look for in all of it.
_ENDS = "SELECT ifnull((SELECT min(id) FROM calls), 0) AS first, ifnull((SELECT max(id) FROM calls), 0) AS last"


def _look(outbox: Outbox, view: _View, wanted: Wanted, *, anew: bool) -> None:
    """Bring the view up to date. ``anew``: without what is gone by now."""
    ends = outbox.select(_ENDS)[0]
    with _in_time(outbox):
        if not view.looked_at:
            view.ids = _all(outbox, wanted, ends["last"])
        elif ends["last"] > view.looked_at:
            where, parameters = wanted.where()
            # By the ids: those that came since are few.
            sql = f"SELECT id FROM calls NOT INDEXED WHERE id > ? AND id <= ? AND {where} ORDER BY id"
            found = outbox.select(sql, view.looked_at, ends["last"], *parameters)
            view.ids.extend(row["id"] for row in found)
    view.looked_at = max(view.looked_at, ends["last"])
    if anew and view.ids and view.ids[0] < ends["first"]:
        del view.ids[: bisect_left(view.ids, ends["first"])]


def _all(outbox: Outbox, wanted: Wanted, last: int) -> "array[int]":
    """Tens of thousands in a row of SQLite's answer: a million rows would hold up whatever else Python has to do."""
    where, parameters = wanted.where()
    sql = (
        "SELECT group_concat(id) AS ids FROM calls "
        f"WHERE {where} AND +id <= ? GROUP BY id / {_GROUP} ORDER BY id / {_GROUP}"
    )
    ids = array("q")
    for row in outbox.select(sql, *parameters, last):
        ids.extend(sorted(map(int, row["ids"].split(","))))
    return ids


@contextmanager
def _in_time(outbox: Outbox) -> Iterator[None]:
    conn, deadline = outbox.db.conn, time.monotonic() + LONGEST_SECONDS
    conn.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_STEPS)
    try:
        yield
    except OutboxError as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise TooLong(
                f"to find these calls takes longer than {LONGEST_SECONDS:g} s; ask for a shorter time"
            ) from None
        raise
    finally:
        conn.set_progress_handler(None, 0)
