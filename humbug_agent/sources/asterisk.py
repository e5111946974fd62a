"""A CDR from the columns that Master.csv and the AMI Cdr event share, and its identity.

Asterisk writes times as wall-clock time without a zone; which of two equal hours is meant, when summer time ends,
follows from the uniqueid, which begins with the second in which the channel was made. What a call is recognised by
are the wall-clock times as they stand: a default Master.csv has no uniqueid, and would guess where the event knows.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from humbug_agent.cdr import CDR, Disposition, digest

UNIQUEID = re.compile(r"(?:.*-)?([0-9]{9,10})\.[0-9]+")

SHARED = (
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
)
"""The columns of every Master.csv, in its order; what a call is recognised by."""


def make_cdr(columns: Mapping[str, str], zone: tzinfo, number: Callable[[bytes], bytes], *, utc: bool = False) -> CDR:
    """The call that ``columns`` (at least SHARED, as text) describe.

    Their times are the PBX's ``zone``'s, or UTC with ``utc``; ``number`` makes an identity of the digest of what the
    call says. Columns without a field of their own go to ``extra``. Raises ValueError with what is wrong.
    """
    disposition = _disposition(columns["disposition"])
    duration, billsec = int(columns["duration"]), int(columns["billsec"])
    start, answer, end = times(columns, UTC if utc else zone, duration, billsec)
    shared = [columns[name] for name in SHARED]
    if utc:
        # The AMI event of the same call has the local time, and neither says which of two equal hours it means.
        shared[9:12] = [_wall_clock(moment, zone) for moment in (start, answer, end)]
    return CDR(
        identity=number(digest(*shared)),
        src=columns["src"],
        dst=columns["dst"],
        dcontext=columns["dcontext"],
        clid=columns["clid"],
        channel=columns["channel"],
        dstchannel=columns["dstchannel"],
        lastapp=columns["lastapp"],
        lastdata=columns["lastdata"],
        start=start,
        answer=answer,
        end=end,
        duration=duration,
        billsec=billsec,
        disposition=disposition,
        accountcode=columns["accountcode"],
        uniqueid=columns.get("uniqueid", ""),
        userfield=columns.get("userfield", ""),
        linkedid=columns.get("linkedid", ""),
        extra={name: columns[name] for name in ("amaflags", "peeraccount", "sequence") if name in columns},
    )


def _disposition(word: str) -> Disposition:
    try:
        return Disposition(word)
    except ValueError:
        raise ValueError(f"disposition {word!r} is none of {', '.join(Disposition)}") from None


def _wall_clock(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else moment.astimezone(zone).isoformat(" ", "seconds")[:19]


def times(
    columns: Mapping[str, str], zone: tzinfo, duration: int, billsec: int
) -> tuple[datetime, datetime | None, datetime]:
    """Start, answer and end, aware, of the columns of these names; all else helps where the clock showed an hour twice.

    Raises ValueError.
    """
    start, ambiguous = _moment(columns["start"], zone)
    ended, unclear = _moment(columns["end"], zone) if columns["end"] else (start, True)
    if ambiguous and not unclear:
        start = _not_before(start, _after(ended, -duration - 1))
    elif ambiguous and (made := UNIQUEID.fullmatch(columns.get("uniqueid", ""))):
        start = _not_before(start, datetime.fromtimestamp(int(made[1]) - 1, UTC))
    end, ambiguous = _moment(columns["end"], zone) if columns["end"] else (_after(start, duration), False)
    if ambiguous:
        end = _not_before(end, _after(start, duration - 1))
    if not columns["answer"]:
        return start, None, end
    answer, ambiguous = _moment(columns["answer"], zone)
    if ambiguous:
        answer = _not_before(answer, _after(end, -billsec - 1))
    return start, answer, end


@lru_cache(maxsize=4096)
def _moment(stamp: str, zone: tzinfo) -> tuple[datetime, bool]:
    """The moment, and whether the clock showed it twice (then it is the first of the two)."""
    try:
        moment = datetime.fromisoformat(stamp).replace(tzinfo=zone)
    except ValueError:
        raise ValueError(f"{stamp!r} is not a time") from None
    if not 1900 <= moment.year < 9000:
        raise ValueError(f"{stamp!r} is no time of a call")
    return moment, moment.utcoffset() > moment.replace(fold=1).utcoffset()  # type: ignore[operator]


def _not_before(moment: datetime, bound: datetime) -> datetime:
    return moment if moment.timestamp() >= bound.timestamp() else moment.replace(fold=1)


def _after(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() + seconds, moment.tzinfo) if seconds else moment
