"""The canonical call record, what identifies it, and what a source hands over.

Names are Asterisk's, the field's common tongue. Everything else in the package speaks in these types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from hashlib import blake2b


class Disposition(StrEnum):
    """How a call ended, in the words of Asterisk and of Humbug's page (its CONGENSTION spelt right).

    Made of a word; of another one it raises ValueError.
    """

    ANSWERED = "ANSWERED"
    NO_ANSWER = "NO ANSWER"
    BUSY = "BUSY"
    FAILED = "FAILED"
    CANCEL = "CANCEL"
    ERROR = "ERROR"
    CONGESTION = "CONGESTION"

    @classmethod
    def _missing_(cls, value: object) -> "Disposition":
        raise ValueError(f"disposition {value!r} is none of {', '.join(cls)}")


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CDR:
    """One call record.

    ``identity`` is 16 bytes that are the same whenever and wherever this call is read again, and different for
    any other call, even one that looks alike. ``start``, ``answer`` and ``end`` are aware and in the zone of the PBX's
    clock, so that they show what it showed (see `wall_clock`); ``answer`` is None for a call nobody answered.
    ``duration`` and ``billsec`` are whole seconds. ``extra`` holds whatever else the PBX said, by its own names.
    """

    identity: bytes
    src: str
    dst: str
    dcontext: str
    clid: str
    channel: str
    dstchannel: str
    lastapp: str
    lastdata: str
    start: datetime
    answer: datetime | None
    end: datetime
    duration: int
    billsec: int
    disposition: Disposition
    direction: Direction = Direction.UNKNOWN
    accountcode: str = ""
    uniqueid: str = ""
    userfield: str = ""
    linkedid: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something other than a call that the PBX reported, such as AMI's Shutdown or Alarm.

    ``event`` is its AMI name, ``fields`` what it says, in its order; ``at``, aware, is when it came.
    """

    identity: bytes
    event: str
    at: datetime
    fields: Mapping[str, str] = field(default_factory=dict)


Record = CDR | Notice


@dataclass(frozen=True, slots=True)
class Reject:
    """Text that could not be understood, kept with the reason until somebody replays it.

    ``key`` plays the part that ``identity`` plays for a call: read twice, it is kept once. ``where`` names the
    file and the byte offset, or the connection.
    """

    key: bytes
    text: bytes
    reason: str
    where: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source hands over at once.

    ``cursor`` is where it goes on reading once this is on disk; None leaves it where it is. ``size`` is how much
    of what the source had unread this took, for whoever shows progress.
    """

    records: Sequence[Record]
    rejects: Sequence[Reject]
    cursor: str | None
    size: int = 0


def wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    """The moment as the PBX's clock showed it, which is what is sent and what people are shown.

    A call's times have the offset that the clock had then, whatever the zone is said to be today. A moment in UTC does
    not say how the clock stood; it is shown in ``zone``.
    """
    return moment.astimezone(zone) if moment.tzinfo is UTC else moment


def digest(*values: str) -> bytes:
    """16 bytes of BLAKE2b over the values. NUL parts them: no text of a PBX written in C holds one."""
    return blake2b("\0".join(values).encode("utf-8", "surrogateescape"), digest_size=16).digest()


def occurrence(of: bytes, number: int) -> bytes:
    """The identity of the ``number``-th (from 1) record that has the digest ``of``."""
    if number == 1:
        return of
    return blake2b(of + number.to_bytes(8, "big"), digest_size=16).digest()
