"""A call as a row of the outbox, and back.

The columns are the CDR's own fields; times are seconds since the epoch, ``extra`` is JSON.
"""

import dataclasses
import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from humbug_agent.cdr import CDR, Direction, Disposition

FIELDS = tuple(field.name for field in dataclasses.fields(CDR))
COLUMNS = ", ".join(FIELDS)
PLACES = ", ".join("?" * len(FIELDS))


def values(cdr: CDR) -> tuple[object, ...]:
    """What ``COLUMNS`` of this call hold, in that order."""
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
    )


def call(row: sqlite3.Row) -> CDR:
    """The call of a row that has ``COLUMNS``; its times are in UTC."""
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
