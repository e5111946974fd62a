"""What a row of /api/cdr means."""

import re
from datetime import datetime, tzinfo

from humbug_agent.cdr import CDR, Direction, Disposition, digest
from humbug_agent.sources.polling.rows import ApiRow
from humbug_agent.sources.wall_clock import times

_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_NEVER = "0000-00-00"
_ID = re.compile(r"[1-9][0-9]{0,17}")

_DIRECTIONS = {"IN": Direction.INBOUND, "OUT": Direction.OUTBOUND}

_OF_ITS_OWN = frozenset(
    (
        "uniqueid", "linkedid", "time", "time_end", "caller_id", "source", "destination", "direction",
        "channel_formatted", "dstchannel_formatted", "code", "call_status", "bill_duration", "duration",
        "accounting_code",
    )
)  # fmt: skip
"""What has a field in a CDR."""


def row_id(row: ApiRow) -> int:
    """Raises ValueError."""
    value = row.required("id")
    if not _ID.fullmatch(value):
        raise ValueError(f"id {value[:40]!r} is not a whole number from 1")
    return int(value)


def when(row: ApiRow, name: str, zone: tzinfo) -> float | None:
    """``time`` or ``time_end`` in seconds since the epoch; None for none. Raises ValueError."""
    stamp = _stamp(row, name)
    return times({"start": stamp, "answer": "", "end": stamp}, zone, 0, 0)[0].timestamp() if stamp else None


def call(row: ApiRow, host: str, zone: tzinfo) -> CDR:
    """``host`` is the server, ``zone`` that of the row's times. Raises ValueError.

    Its identity has the uniqueid in it: a PBX that is set up anew begins its ids anew.
    """
    number, uniqueid = row_id(row), row.text("uniqueid")
    billsec = row.seconds("bill_duration")
    start, answer, end = _times(row, zone, billsec)
    direction = row.text("direction").strip().upper()
    return CDR(
        identity=digest("while1", host, str(number), uniqueid),
        src=row.text("source"),
        dst=row.text("destination"),
        dcontext=row.text("code"),
        clid=row.text("caller_id"),
        channel=row.text("channel_formatted"),
        dstchannel=row.text("dstchannel_formatted"),
        lastapp="",
        lastdata="",
        start=start,
        answer=answer,
        end=end,
        duration=row.seconds("duration") if "duration" in row else max(0, round((end - start).total_seconds())),
        billsec=billsec,
        disposition=_disposition(row),
        direction=_DIRECTIONS.get(direction, Direction.UNKNOWN),
        accountcode=row.text("accounting_code"),
        uniqueid=uniqueid,
        linkedid=row.text("linkedid"),
        extra=row.rest(_OF_ITS_OWN if direction in _DIRECTIONS else _OF_ITS_OWN - {"direction"}),
    )


def _times(row: ApiRow, zone: tzinfo, billsec: int) -> tuple[datetime, datetime | None, datetime]:
    """It does not say when a call was answered."""
    columns = {"start": _stamp(row, "time"), "answer": "", "end": _stamp(row, "time_end")}
    for name, stamp in (("time", columns["start"]), ("time_end", columns["end"])):
        if not stamp:
            raise ValueError(f"has no {name}")
    start, _, end = times(columns | {"uniqueid": row.text("uniqueid")}, zone, row.seconds("duration"), billsec)
    return start, datetime.fromtimestamp(end.timestamp() - billsec, end.tzinfo) if billsec else None, end


def _stamp(row: ApiRow, name: str) -> str:
    """Blank for none. Raises ValueError."""
    value = row.text(name).strip()
    if value.startswith(_NEVER):
        return ""
    if value and not _STAMP.fullmatch(value):
        raise ValueError(f"{name} {value[:40]!r} is not a time")
    return value


def _disposition(row: ApiRow) -> Disposition:
    word = row.required("call_status")
    try:
        return Disposition(word.upper())
    except ValueError:
        raise ValueError(f"call_status {word[:40]!r} is not known") from None
