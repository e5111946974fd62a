"""The canonical call record, what identifies it, and what a source hands over.

Names are Asterisk's, the field's common tongue. Everything else in the package speaks in these types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from hashlib import blake2b

YEARS = range(1900, 9000)
"""Of every time that is taken for a call's: so far from where Python's end, any zone's clock can show it."""

MOMENTS = range(-2_208_988_800, 221_845_392_000)
"""The same in seconds since the epoch."""

LONGEST = 10_000_000_000
"""Seconds. More is no length of a call, not even with a clock that was set wrongly; any file can hold less."""


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
    """Which way a call went, where the PBX says so."""

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

    Whatever is made can be stored, read back, shown and sent: of what can't, making it raises ValueError.
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

    def __post_init__(self) -> None:
        # Every record of every source passes here, and again when it is read back: no loops where none is needed.
        if self.start.year not in YEARS or self.end.year not in YEARS:
            raise ValueError(f"it is said to be from {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}, which no call is")
        if self.answer and self.answer.year not in YEARS:
            raise ValueError(f"it is said to have been answered on {self.answer:%Y-%m-%d}, which no call is")
        as_length("duration", self.duration)
        as_length("billsec", self.billsec)
        texts = (
            self.src, self.dst, self.dcontext, self.clid, self.channel, self.dstchannel, self.lastapp, self.lastdata,
            self.accountcode, self.uniqueid, self.userfield, self.linkedid,
        )  # fmt: skip
        _be_text("".join(texts))
        if self.extra:
            _be_text("".join(self.extra), "".join(self.extra.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something other than a call that the PBX reported, such as AMI's Shutdown or Alarm.

    ``event`` is its AMI name, ``fields`` what it says, in its order; ``at``, aware, is when it came.
    """

    identity: bytes
    event: str
    at: datetime
    fields: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _be_text(self.event, *self.fields, *self.fields.values())


Record = CDR | Notice


@dataclass(frozen=True, slots=True)
class Damaged:
    """What stands in the outbox where a call or a notice stood: a disk, or somebody, has changed it since.

    ``values`` are those that are there, by their columns; ``reason`` is what can't be.
    """

    values: Mapping[str, object]
    reason: str


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


class Form(StrEnum):
    """A way in which one Asterisk tells its calls, from which it can't be told which call of another way this is.

    What is told in one way has identities of its own; a call told in both is recognised by what they share.
    """

    WHOLE = "whole"
    """Lines of Master.csv and AMI's events: all that there is to know of the call."""

    ROW = "row"
    """Rows of a database's table: texts are cut, and there may be no answer and no end."""


LACKS = "lacks"
"""The name in ``extra`` under which a row's call has the columns that its table lacks, parted by blanks."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source hands over at once.

    ``cursor`` is where it goes on reading once this is on disk; None leaves it where it is. ``size`` is how much
    of what the source had unread this took, for whoever shows progress. ``told`` is None where the same call has the
    same identity whoever tells it.
    """

    records: Sequence[Record]
    rejects: Sequence[Reject]
    cursor: str | None
    size: int = 0
    told: Form | None = None


class OneRecord:
    """A block in which a record is made: whatever is raised there is a ValueError, which makes a reject of it.

    One record that nobody expected must not stop the others. A parser's own words are a ValueError from the beginning.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ValueError):
            raise ValueError(f"can't be understood ({type(error).__name__}: {error})") from error


def as_length(name: str, seconds: int) -> int:
    """``seconds``, if a call can be so long. Raises ValueError."""
    if not -LONGEST < seconds < LONGEST:
        raise ValueError(f"{name} {str(seconds)[:20]} is no length of a call")
    return seconds


def _be_text(*texts: str) -> None:
    for said in texts:
        if not said.isascii():
            try:
                said.encode()
            except UnicodeEncodeError:
                raise ValueError("holds half of a character, which is no text") from None


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
