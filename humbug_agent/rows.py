"""A call, or a notice, as a row of the outbox, and back.

The columns are the CDR's own fields, and which event it is; times are seconds since the epoch, ``extra`` is JSON. A
notice has its time as start and end, its fields as ``extra``, and blanks where only a call says something.
"""

import dataclasses
import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from humbug_agent.cdr import CDR, Direction, Disposition, Notice, Record

FIELDS = tuple(field.name for field in dataclasses.fields(CDR))
CALL = "Cdr"
"""The event that a call is."""

COLUMNS = ", ".join((*FIELDS, "event"))
PLACES = ", ".join("?" * (len(FIELDS) + 1))


def values(record: Record) -> tuple[object, ...]:
    """What ``COLUMNS`` of this record hold, in that order."""
    return _notice(record) if isinstance(record, Notice) else _call(record)


def _notice(notice: Notice) -> tuple[object, ...]:
    said = {
        "identity": notice.identity, "start": notice.at.timestamp(), "end": notice.at.timestamp(), "answer": None,
        "duration": 0, "billsec": 0, "extra": json.dumps(dict(notice.fields), ensure_ascii=False),
    }  # fmt: skip
    return (*(said.get(name, "") for name in FIELDS), notice.event)


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
    )


def record(row: sqlite3.Row) -> Record:
    """The call or the notice of a row that has ``COLUMNS``; its times are in UTC."""
    if row["event"] != CALL:
        fields = json.loads(row["extra"])
        return Notice(identity=row["identity"], event=row["event"], at=_moment(row["start"]), fields=fields)
    got: dict[str, Any] = {name: row[name] for name in FIELDS}
    for name in ("start", "end"):
        got[name] = _moment(got[name])
    got["answer"] = None if got["answer"] is None else _moment(got["answer"])
    got["disposition"] = Disposition(got["disposition"])
    got["direction"] = Direction(got["direction"])
    got["extra"] = json.loads(got["extra"]) if got["extra"] else {}
    return CDR(**got)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
