"""A CDR from the columns that Master.csv and the AMI Cdr event share, and its identity.

Asterisk writes times as wall-clock time without a zone; which of two equal hours is meant, when summer time ends,
follows from the uniqueid, which begins with the second in which the channel was made. What a call is recognised by
are the wall-clock times as they stand: a default Master.csv has no uniqueid, and would guess where the event knows.
So are its texts: the bytes, whatever charset they are said to be in.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo

from humbug_agent.cdr import CDR, Disposition, as_length, digest
from humbug_agent.sources.wall_clock import times
from humbug_agent.text import AUTO, mended

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

_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")


def make_cdr(
    columns: Mapping[str, str],
    zone: tzinfo,
    number: Callable[[bytes], bytes],
    *,
    utc: bool = False,
    charset: str = AUTO,
) -> CDR:
    """The call that ``columns`` (at least SHARED, `carried` as text.py has it) describe.

    Their times are the PBX's ``zone``'s, or UTC with ``utc``; ``number`` makes an identity of the digest of what the
    call says. Columns without a field of their own go to ``extra``. Raises ValueError with what is wrong.
    """
    shared = [_recognised(columns[name]) for name in SHARED]
    columns = {name: mended(value, charset) for name, value in columns.items()}
    disposition = Disposition(columns["disposition"])
    duration, billsec = (_whole(name, columns[name]) for name in ("duration", "billsec"))
    start, answer, end = times(columns, UTC if utc else zone, duration, billsec)
    if utc:
        start, end = start.astimezone(zone), end.astimezone(zone)
        answer = answer.astimezone(zone) if answer else None
        # The AMI event of the same call has the local time, and neither says which of two equal hours it means.
        shared[9:12] = [moment.isoformat(" ", "seconds")[:19] if moment else "" for moment in (start, answer, end)]
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


def _whole(name: str, said: str) -> int:
    if not _WHOLE.fullmatch(said):
        raise ValueError(f"{name} is {said[:40]!r}, which is no whole number that a call has")
    return as_length(name, int(said))


def _recognised(carried: str) -> str:
    """UTF-8, else Latin-1, whatever the charset: a text may be another one tomorrow, the call must be the same."""
    if carried.isascii():
        return carried
    raw = carried.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
