"""A call, or a notice, as a row of the outbox, and back; or what a damaged row is instead.

The columns are the CDR's own fields, which event it is, and how far the PBX's clock was from UTC then: what the clock
showed is kept as it was written, and moves with no setting. Times are seconds since the epoch, offsets seconds east of
UTC, ``extra`` is JSON. A notice has its time as start and end, its fields as ``extra``, and blanks where only a call
says something.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

from humbug_agent.cdr import CDR, Calls, Damaged, Direction, Disposition, Notice, Record
from humbug_agent.words import said

FIELDS = tuple(field.name for field in dataclasses.fields(CDR))
CALL = "Cdr"
"""The event that a call is."""
TEST = "TestCall"
"""The event that a test call is: in all else it is like a call, and among the PBX's calls nobody counts it."""

OFFSETS = {"start": "start_offset", "answer": "answer_offset", "end": "end_offset"}
"""A time's column -> that of its offset, which is NULL where it is not known how the clock stood."""

_KINDS = {"identity": bytes, "start": float, "answer": float, "end": float, "duration": int, "billsec": int}
"""What a column holds that is no text. SQLite itself keeps anything in any column."""
_WITHOUT_ANSWER = [type(None) if name == "answer" else _KINDS.get(name, str) for name in FIELDS]
_WITH_ANSWER = [_KINDS.get(name, str) for name in FIELDS]
_OF_A_NOTICE = {"identity", "start", "end", "extra"}

COLUMNS = ", ".join((*FIELDS, "event", *OFFSETS.values()))
PLACES = ", ".join("?" * (len(FIELDS) + 1 + len(OFFSETS)))


def each(records: Sequence[Record]) -> Iterator[tuple[object, ...]]:
    """The ``values`` of each."""
    found = records.each if isinstance(records, Calls) else records
    return (one if isinstance(one, tuple) else values(one) for one in found)


def values(record: Record) -> tuple[object, ...]:
    """What ``COLUMNS`` of this record hold, in that order."""
    return _notice(record) if isinstance(record, Notice) else _call(record)


def _notice(notice: Notice) -> tuple[object, ...]:
    said = {
        "identity": notice.identity, "start": notice.at.timestamp(), "end": notice.at.timestamp(), "answer": None,
        "duration": 0, "billsec": 0, "extra": json.dumps(dict(notice.fields), ensure_ascii=False),
    }  # fmt: skip
    return (*(said.get(name, "") for name in FIELDS), notice.event, None, None, None)


def test_values(cdr: CDR) -> tuple[object, ...]:
    """The same of a test call."""
    return _call(cdr, TEST)


def _call(cdr: CDR, event: str = CALL) -> tuple[object, ...]:
    return (
        cdr.identity,
        cdr.src,
        cdr.dst,
        cdr.dcontext,
        cdr.clid,
        cdr.channel,
        cdr.dstchannel,
        cdr.lastapp,
        cdr.lastdata,
        cdr.start.timestamp(),
        None if cdr.answer is None else cdr.answer.timestamp(),
        cdr.end.timestamp(),
        cdr.duration,
        cdr.billsec,
        cdr.disposition.value,
        cdr.direction.value,
        cdr.accountcode,
        cdr.uniqueid,
        cdr.userfield,
        cdr.linkedid,
        json.dumps(dict(cdr.extra), ensure_ascii=False) if cdr.extra else "",
        event,
        _offset(cdr.start),
        None if cdr.answer is None else _offset(cdr.answer),
        _offset(cdr.end),
    )


def as_texts(names: str) -> str:
    """SQL: these columns as texts, and what a damaged file has there, too."""
    return ", ".join(f"CAST({name} AS TEXT) AS {name}" for name in names.split())


class NoText(str):
    """What a damaged file has in the place of a text: its bytes, those that are no UTF-8 shown as ``\\xff``."""

    __slots__ = ()


def stored_text(raw: bytes) -> str:
    """A text of a file that may be damaged."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NoText(raw.decode("utf-8", "backslashreplace"))


def as_text(said: str) -> str:
    """What can be stored of it: a file's name may hold bytes that are no text."""
    return said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()


def leniently(conn: sqlite3.Connection, ask: Callable[[], list[Any]]) -> list[Any]:
    """What ``ask`` finds over ``conn``, whatever bytes stand where a text should: SQLite looks at none of them."""
    try:
        return ask()
    except sqlite3.OperationalError as error:
        # Python's own, of which there is no code.
        if "Could not decode to UTF-8" not in str(error):
            raise
    # From now on, for it is five times slower: most files have no such byte.
    conn.text_factory = stored_text
    return ask()


def record(row: sqlite3.Row | Mapping[str, Any]) -> Record | Damaged:
    """The call or the notice of a row that has ``COLUMNS``; its times show what the PBX's clock showed.

    A time of which that is not known is in UTC, and so is a notice's.
    """
    got: dict[str, Any] = {name: row[name] for name in FIELDS}
    kinds = list(map(type, got.values()))
    try:
        if kinds not in (_WITH_ANSWER, _WITHOUT_ANSWER):
            raise ValueError(_wrong_kind(got))
        return _record(row, got)
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        return Damaged({name: row[name] for name in (*FIELDS, "event", *OFFSETS.values())}, said(error))


def _record(row: sqlite3.Row | Mapping[str, Any], got: dict[str, Any]) -> Record:
    if row["event"] not in (CALL, TEST):
        if said := [name for name, value in got.items() if value and name not in _OF_A_NOTICE]:
            raise ValueError(f"its event is {row['event']!r}, which has no {said[0]}")
        fields = _texts(got["extra"])
        return Notice(identity=got["identity"], event=row["event"], at=_moment(got["start"]), fields=fields)
    for name, offset in OFFSETS.items():
        got[name] = None if got[name] is None else _moment(got[name], _clock(row[offset]))
    got["disposition"] = Disposition(got["disposition"])
    got["direction"] = Direction(got["direction"])
    got["extra"] = _texts(got["extra"]) if got["extra"] else {}
    return CDR(**got)


def _wrong_kind(got: dict[str, Any]) -> str:
    name, value = next(
        (name, value)
        for name, value in got.items()
        if type(value) is not _KINDS.get(name, str) and not (name == "answer" and value is None)
    )
    return f"its {name} is {str(value)[:40]!r}"


def _texts(said: str) -> dict[str, str]:
    """Raises ValueError."""
    found = json.loads(said)
    if not isinstance(found, dict) or {*map(type, found.values())} - {str}:
        raise ValueError(f"its extra is {said[:40]!r}")
    return found


def _moment(seconds: float, clock: tzinfo = UTC) -> datetime:
    return datetime.fromtimestamp(seconds, clock)


def _offset(moment: datetime) -> int | None:
    shift = None if moment.tzinfo is UTC else moment.utcoffset()
    return None if shift is None else round(shift.total_seconds())


@lru_cache(maxsize=64)
def _clock(offset: int | None) -> tzinfo:
    """A clock of so many seconds east of UTC. Of one that showed UTC this is known, other than of ``datetime.UTC``."""
    if offset is None:
        return UTC
    return timezone(timedelta(seconds=offset)) if offset else timezone(timedelta(0), "UTC")
