"""A call, or a notice, as a row of the outbox, and back.

The columns are the CDR's own fields, which event it is, and how far the PBX's clock was from UTC then: what the clock
showed is kept as it was written, and moves with no setting. Times are seconds since the epoch, offsets seconds east of
UTC, ``extra`` is JSON. A notice has its time as start and end, its fields as ``extra``, and blanks where only a call
says something.
"""

import dataclasses
import json
import sqlite3
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

from humbug_agent.cdr import CDR, Direction, Disposition, Notice, Record

FIELDS = tuple(field.name for field in dataclasses.fields(CDR))
CALL = "Cdr"
"""The event that a call is."""

OFFSETS = {"start": "start_offset", "answer": "answer_offset", "end": "end_offset"}
"""A time's column -> that of its offset, which is NULL where it is not known how the clock stood."""

COLUMNS = ", ".join((*FIELDS, "event", *OFFSETS.values()))
PLACES = ", ".join("?" * (len(FIELDS) + 1 + len(OFFSETS)))


def values(record: Record) -> tuple[object, ...]:
    """What ``COLUMNS`` of this record hold, in that order."""
    return _notice(record) if isinstance(record, Notice) else _call(record)


def _notice(notice: Notice) -> tuple[object, ...]:
    said = {
        "identity": notice.identity, "start": notice.at.timestamp(), "end": notice.at.timestamp(), "answer": None,
        "duration": 0, "billsec": 0, "extra": json.dumps(dict(notice.fields), ensure_ascii=False),
    }  # fmt: skip
    return (*(said.get(name, "") for name in FIELDS), notice.event, None, None, None)


def _call(cdr: CDR) -> tuple[object, ...]:
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
        CALL,
        _offset(cdr.start),
        None if cdr.answer is None else _offset(cdr.answer),
        _offset(cdr.end),
    )


def record(row: sqlite3.Row) -> Record:
    """The call or the notice of a row that has ``COLUMNS``; its times show what the PBX's clock showed.

    A time of which that is not known is in UTC, and so is a notice's.
    """
    if row["event"] != CALL:
        fields = json.loads(row["extra"])
        return Notice(identity=row["identity"], event=row["event"], at=_moment(row["start"]), fields=fields)
    got: dict[str, Any] = {name: row[name] for name in FIELDS}
    for name, offset in OFFSETS.items():
        got[name] = None if got[name] is None else _moment(got[name], _clock(row[offset]))
    got["disposition"] = Disposition(got["disposition"])
    got["direction"] = Direction(got["direction"])
    got["extra"] = json.loads(got["extra"]) if got["extra"] else {}
    return CDR(**got)


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
