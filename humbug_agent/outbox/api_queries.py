"""Which calls an API asks for, as the outbox finds them, and the indexes that this takes.

Nothing here is needed where nobody may ask.
"""

import json
import sqlite3
import time
from array import array
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from humbug_agent.call_store.contract import Dropped, Wanted
from humbug_agent.call_store.pages import BLOCK, FEW, Stand
from humbug_agent.flat import Flat
from humbug_agent.outbox import rows
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError

LONGEST_SECONDS = 10.0
"""What takes longer to find is not looked for: whoever asks is to ask for less."""

_LOOK_STEPS = 20_000
"""Of SQLite's machine, a millisecond, before somebody looks whether it takes too long."""

DOMAIN = "iif(json_valid(extra), json_extract(extra, '$.domain_name'), NULL)"
"""SQL: the domain that FreeSWITCH or FusionPBX named."""

OF_PBX = "id NOT IN (SELECT id FROM calls WHERE event <> 'Cdr')"
"""SQL: it is a call of the PBX's. What is none has an index of its own, being rare."""

# No call that is read in pays for them where nobody may ask.
INDEXES = {
    "api_src": "CREATE INDEX api_src ON calls (src, start)",
    "api_dst": "CREATE INDEX api_dst ON calls (dst, start)",
    "api_accountcode": "CREATE INDEX api_accountcode ON calls (accountcode, start)",
    "api_domain": f"CREATE INDEX api_domain ON calls ({DOMAIN}, start) WHERE extra <> ''",
    "api_accountcode_end": "CREATE INDEX api_accountcode_end ON calls (accountcode, end)",
    "api_domain_end": f"CREATE INDEX api_domain_end ON calls ({DOMAIN}, end) WHERE extra <> ''",
}
BY_NUMBER = frozenset({"api_src", "api_dst"})
BY_START = frozenset({"api_accountcode", "api_domain"})
BY_END = frozenset({"api_accountcode_end", "api_domain_end"})


class TooLong(OutboxError):
    """It takes too long to find these calls; a smaller question may be answered."""


def where(wanted: Wanted) -> tuple[str, list[object]]:
    """A condition over calls, and its parameters."""
    among = "IN (SELECT value FROM json_each(?))"
    second = "((CAST(start AS INTEGER) + ifnull(start_offset, ?)) % 86400 + 86400) % 86400"
    of_day = f"{second} BETWEEN ? AND ?"
    conditions: list[tuple[bool, str, list[object]]] = [
        (wanted.since is not None, "start >= ?", [wanted.since]),
        (wanted.until is not None, "start < ?", [wanted.until]),
        (wanted.ended_since is not None, "end >= ?", [wanted.ended_since]),
        (wanted.ended_until is not None, "end < ?", [wanted.ended_until]),
        (bool(wanted.directions), f"direction {among}", [json.dumps(wanted.directions)]),
        (bool(wanted.dispositions), f"disposition {among}", [json.dumps(wanted.dispositions)]),
        (bool(wanted.number), "(src = ? OR dst = ?)", [wanted.number] * 2),
        (bool(wanted.part), "(instr(src, ?) OR instr(dst, ?))", [wanted.part] * 2),
        (bool(wanted.src), "instr(src, ?)", [wanted.src]),
        (bool(wanted.dst), "instr(dst, ?)", [wanted.dst]),
        (bool(wanted.uniqueids), f"uniqueid {among}", [json.dumps(wanted.uniqueids)]),
        (bool(wanted.linkedids), f"linkedid {among} AND linkedid <> ''", [json.dumps(wanted.linkedids)]),
    ]
    if wanted.tenants is not None:
        names = json.dumps(wanted.tenants)
        either = f"(accountcode {among} OR (extra <> '' AND {DOMAIN} {among}))"
        conditions.append((True, either, [names, names]))
    if wanted.hours:
        begin, end = wanted.hours
        outside = begin > end
        bounds = [end + 1, begin - 1] if outside else [begin, end]
        conditions.append((True, f"NOT {of_day}" if outside else of_day, [wanted.offset, *bounds]))
    value = "json_extract(iif(json_valid(extra), extra, '{}'), '$.' || ?)"
    for name, values in wanted.said:
        conditions.append((True, f"{value} {among}", [name, json.dumps(values)]))
    for names_, some in wanted.has:
        something = " OR ".join([f"ifnull({value}, '') NOT IN ('', '0', '[]', 'false', 'no')"] * len(names_))
        conditions.append((True, f"({something})" if some else f"NOT ({something})", list(names_)))
    asked = [(sql, values) for holds, sql, values in conditions if holds]
    return " AND ".join([sql for sql, _ in asked] + [OF_PBX]), [one for _, values in asked for one in values]


def stand(outbox: Outbox, wanted: Wanted, begin: int | None) -> Stand:
    """As `Finder.stand`; there are blocks where all calls are wanted. Raises OutboxError."""
    # One statement, so that all of it is of one moment.
    sql = (
        "SELECT ifnull((SELECT max(id) FROM calls), 0) AS last, dropped.number AS dropped, kept_calls.id AS block, "
        "CAST(kept_calls.number AS INTEGER) AS number FROM dropped LEFT JOIN kept_calls ON kept_calls.id >= ? AND ? "
        "ORDER BY kept_calls.id"
    )
    every = begin is not None and wanted == Wanted()
    found = outbox.select(sql, (begin or 0) // BLOCK, every)
    blocks = [(row["block"] * BLOCK, row["number"]) for row in found if row["block"] is not None]
    return Stand(found[0]["last"], found[0]["dropped"], blocks if every else None)


def found(outbox: Outbox, wanted: Wanted, begin: int, last: int) -> "array[int]":
    """The ids of those that are wanted, from the one to the other. Raises OutboxError, TooLong."""
    condition, parameters = where(wanted)
    # Tens of thousands in a row of SQLite's answer: a million rows would hold up whatever else Python has to do.
    by_id, by_else = ("NOT INDEXED", "id", ""), ("", "+id", "GROUP BY id / 65536 ORDER BY id / 65536")
    how, number, groups = by_id if last - begin < FEW else by_else
    sql = f"SELECT group_concat(id) AS ids FROM calls {how} WHERE {number} BETWEEN ? AND ? AND {condition} {groups}"
    ids = array("q")
    with in_time(outbox):
        for row in outbox.select(sql, begin, last, *parameters):
            ids.extend(sorted(map(int, row["ids"].split(",") if row["ids"] else ())))
    return ids


def read(outbox: Outbox, ids: Sequence[int]) -> list[tuple[int, Flat]]:
    """The calls of these ids, in their order; those that are gone are left out. Raises OutboxError."""
    sql = f"SELECT id, {rows.COLUMNS} FROM calls WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
    return _calls(outbox.select(sql, json.dumps(list(ids))))


def _calls(found: Sequence[sqlite3.Row]) -> list[tuple[int, Flat]]:
    return [(row[0], Flat._make(row[1:])) for row in map(tuple, found)]


def after(outbox: Outbox, wanted: Wanted, last: tuple[int, Flat] | None, most: int) -> list[tuple[int, Flat]]:
    """As `Store.after`. Raises OutboxError, TooLong.

    The calls of each number, and of each tenant, have their order in an index: the next of them are at hand, however
    many follow.
    """
    moment = "start" if wanted.ended_since is None and wanted.ended_until is None else "end"
    condition, values = where(replace(wanted, number="") if wanted.number else replace(wanted, tenants=None))
    if last:
        condition += f" AND ({moment}, id) > (?, ?)"
        values += [getattr(last[1], moment), last[0]]
    each: list[tuple[str, list[object]]] = [("", [])]
    if wanted.number:
        each = [("src = ? AND ", [wanted.number]), ("dst = ? AND ", [wanted.number])]
    elif wanted.tenants is not None:
        of_tenant = ("accountcode = ? AND ", f"extra <> '' AND {DOMAIN} = ? AND ")
        each = [(key, [tenant]) for tenant in wanted.tenants for key in of_tenant]
    pieces = [
        f"SELECT * FROM (SELECT id, {moment} AS at FROM calls WHERE {key}{condition} ORDER BY {moment}, id LIMIT ?)"
        for key, _ in each
    ]
    parameters = [one for _, tenant in each for one in (*tenant, *values, most)]
    # One statement, so that what is found is read: fewer than ``most`` are the last ones, not those that are left.
    sql = (
        f"SELECT id, {rows.COLUMNS} FROM (SELECT * FROM ({' UNION '.join(pieces)}) ORDER BY at, id LIMIT ?) "
        "CROSS JOIN calls USING (id) ORDER BY at, id"
    )
    with in_time(outbox):
        return _calls(outbox.select(sql, *parameters, most))


def dropped(outbox: Outbox) -> Dropped | None:
    """None where no call was. Raises OutboxError."""
    row = outbox.select("SELECT last, start, end FROM dropped")[0]
    return Dropped(*row) if row["last"] else None


def needed(*, by_number: bool, by_start: bool, by_end: bool) -> frozenset[str]:
    """The indexes for who asks for the calls of a number, or of tenants, by their starts, or by their ends."""
    said = {BY_NUMBER: by_number, BY_START: by_start, BY_END: by_end}
    return frozenset[str]().union(*(some for some, holds in said.items() if holds))


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


@contextmanager
def in_time(outbox: Outbox) -> Iterator[None]:
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
