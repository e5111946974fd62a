"""One call that an Asterisk tells in two ways, as a row of a database and as a line or an event: recognised as one.

A row keeps too little of a call to make the other's identity. So the outbox has, beside the identity that a call was
accepted by, its *aliases*: the other identities that it is known by. Whoever comes second looks for a *twin*, a call
that agrees with it and that nobody of its own kind has claimed, and claims it by an alias. Each claims but one: of two
equal calls there are two rows and two lines, and none of them is left over. A call that a row made has its own identity
among its aliases; that tells the two kinds apart.
"""

import json
import sqlite3
from collections.abc import Sequence

from humbug_agent.cdr import LACKS, Form, occurrence
from humbug_agent.flat import CALL, Flat
from humbug_agent.outbox import rows

NARROWEST = 19
"""Characters. What is shorter has been cut by no column that there is: accountcode, with the fewest, had 20 once."""

HOUR = 3600
"""Seconds by which a clock is put back in autumn: of a time that it showed twice, the two may think differently."""

_CUT = ("src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "accountcode")
_ALIKE = 1 + 2 * (len(_CUT) + 1)
"""What `likeness` is at most."""

_FREE = {
    Form.ROW: "NOT EXISTS (SELECT 1 FROM aliases WHERE call = calls.id)",
    Form.WHOLE: "(SELECT count(*) = 1 AND max(aliases.identity) = calls.identity FROM aliases WHERE call = calls.id)",
}
"""Of a call that nobody who tells in this way has told yet."""


def likeness(row: Flat, told: Flat) -> int:
    """How well what a row says and what a line or an event says agree; 0: they are two calls.

    The row's texts may be cut, what is not ASCII in them may be anything, and it may lack whole columns.
    """
    if (row.duration, row.billsec, row.disposition) != (told.duration, told.billsec, told.disposition):
        return 0
    if row.start != told.start and _clock(row) != _clock(told):
        return 0
    lacks = json.loads(row.extra).get(LACKS, "").split() if LACKS in row.extra else ()
    found = 1
    for name in _CUT:
        if name not in lacks:
            alike = _alike(getattr(row, name), getattr(told, name))
            if not alike:
                return 0
            found += alike
    # A Master.csv may have none.
    if row.uniqueid and told.uniqueid:
        alike = _alike(row.uniqueid, told.uniqueid)
        return found + alike if alike else 0
    return found


def _clock(flat: Flat) -> float:
    return flat.start + (flat.start_offset or 0)


def _alike(row: str, told: str) -> int:
    """2: they are equal. 1: the row's may be what became of the other."""
    row, told = row.rstrip(), told.rstrip()
    if row == told:
        return 2
    plain = _ascii(told)
    if len(plain) < len(told) and row.startswith(plain):
        return 1
    return int(len(row) >= NARROWEST and plain.startswith(_ascii(row)))


def _ascii(text: str) -> str:
    """What stands before the first character that is no ASCII."""
    return text if text.isascii() else text[: next(at for at, one in enumerate(text) if not one.isascii())]


def may_meet(conn: sqlite3.Connection, told: Form) -> bool:
    """Whether what is told so can be a call by another identity: of lines and events, once a row has made a call."""
    return told is Form.ROW or bool(conn.execute("SELECT 1 FROM aliases LIMIT 1").fetchone())


def meet(conn: sqlite3.Connection, source: str, told: Form, flats: Sequence[Flat], known: set[bytes]) -> list[Flat]:
    """Within a transaction: those of ``flats`` that are no call of the outbox by another identity.

    Of the others it is written down that ``source`` has seen them, too. ``known`` are the aliases among theirs.
    """
    left = []
    for flat in flats:
        if flat.identity not in known:
            twin = None if flat.event != CALL or _is_call(conn, flat.identity) else _twin(conn, told, flat)
            if twin is None:
                left.append(flat)
                continue
            conn.execute("INSERT INTO aliases (identity, call) VALUES (?, ?)", (flat.identity, twin))
            known.add(flat.identity)
        conn.execute(
            "UPDATE calls SET also = ?1 WHERE id = (SELECT call FROM aliases WHERE identity = ?2) AND also = '' "
            "AND source <> ?1",
            (source, flat.identity),
        )
    return left


def accepted(conn: sqlite3.Connection, newest: int) -> None:
    """Within a transaction: rows have made the calls with ids above ``newest``."""
    conn.execute("INSERT INTO aliases (identity, call) SELECT identity, id FROM calls WHERE id > ?", (newest,))


def _is_call(conn: sqlite3.Connection, identity: bytes) -> bool:
    return bool(conn.execute("SELECT 1 FROM calls WHERE identity = ?", (identity,)).fetchone())


def find(conn: sqlite3.Connection, told: Form, flats: Sequence[Flat]) -> dict[bytes, int]:
    """Which calls `meet` would take those of ``flats`` for that nobody knows by their identities.

    What it would write is written into the temporary table ``claimed`` (identity, call) alone.
    """
    found: dict[bytes, int] = {}
    if may_meet(conn, told):
        for flat in flats:
            if (twin := _twin(conn, told, flat, " AND id NOT IN (SELECT call FROM claimed)")) is not None:
                conn.execute("INSERT INTO claimed (identity, call) VALUES (?, ?)", (flat.identity, twin))
                found[flat.identity] = twin
    return found


def _twin(conn: sqlite3.Connection, told: Form, flat: Flat, condition: str = "") -> int | None:
    """The call that this is most likely, the oldest of several."""
    found = conn.execute(
        f"SELECT id, {rows.COLUMNS} FROM calls WHERE start IN (?, ?, ?) AND event = '{CALL}' AND {_FREE[told]} "
        f"{condition} ORDER BY id",
        (flat.start, flat.start - HOUR, flat.start + HOUR),
    )
    best, twin = 0, None
    for number, *values in found:
        other = Flat._make(values)
        alike = likeness(flat, other) if told is Form.ROW else likeness(other, flat)
        if alike > best:
            best, twin = alike, int(number)
        if alike == _ALIKE:
            break
    return twin


def forget(conn: sqlite3.Connection, hour: int) -> None:
    """Within a transaction: the calls in the temporary table ``old`` are dropped, and stay known by their aliases."""
    conn.execute(
        "INSERT OR IGNORE INTO forgotten (identity, hour) SELECT identity, ? FROM aliases "
        "WHERE call IN (SELECT id FROM old)",
        (hour,),
    )
    conn.execute("DELETE FROM aliases WHERE call IN (SELECT id FROM old)")


def claim_all(conn: sqlite3.Connection) -> None:
    """Within a transaction: no call that is there now is claimed by anybody who comes.

    Where aliases were lost nobody knows who made which call, and what is claimed wrongly is lost.
    """
    calls = conn.execute("SELECT id, identity FROM calls").fetchall()
    conn.executemany(
        "INSERT OR IGNORE INTO aliases (identity, call) VALUES (?, ?)",
        # No record has the number 0.
        (alias for number, own in calls for alias in ((own, number), (occurrence(own, 0), number))),
    )
