"""A call, or a notice, as a flat tuple: what the outbox keeps of it, and what destinations make their requests of.

The CDR object costs more than all else that is done to a call on its way: it is made only for who asks for one. What
the PBX's clock showed is kept as it was written, and moves with no setting.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from math import floor
from types import NoneType
from typing import Any, NamedTuple, overload

from humbug_agent.cdr import CDR, MOMENTS, Damaged, Direction, Disposition, Notice, Record
from humbug_agent.words import said

IDENTITY_BYTES = 16

CALL = "Cdr"
"""The event that a call is."""

TEST = "TestCall"
"""The event that a test call is: in all else it is like a call, and among the PBX's calls nobody counts it."""


class Flat(NamedTuple):
    """The CDR's own fields, which event it is, and how far the PBX's clock was from UTC then.

    Times are seconds since the epoch, offsets seconds east of UTC, None where it is not known how the clock stood;
    ``extra`` is JSON, or blank. A notice has its time as start and end, its fields as ``extra``, and blanks where only
    a call says something.
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
    start: float
    answer: float | None
    end: float
    duration: int
    billsec: int
    disposition: str
    direction: str
    accountcode: str
    uniqueid: str
    userfield: str
    linkedid: str
    extra: str
    event: str
    start_offset: int | None
    answer_offset: int | None
    end_offset: int | None

    def is_notice(self) -> bool:
        return self.event not in (CALL, TEST)


OF_THE_RECORD = Flat._fields[: Flat._fields.index("event")]
"""Those that a CDR has, too."""

_OF_A_NOTICE = {"identity", "start", "end", "extra"}
_KINDS = {
    "identity": bytes, "start": float, "answer": float, "end": float, "duration": int, "billsec": int,
    "start_offset": int, "answer_offset": int, "end_offset": int,
}  # fmt: skip
"""What a field holds that is no text. SQLite itself keeps anything in any column."""

_MAY_BE_NONE = {"answer", "start_offset", "answer_offset", "end_offset"}
_WITH_ANSWER = tuple(_KINDS.get(name, str) for name in Flat._fields[:-3])
_WITHOUT_ANSWER = tuple(NoneType if name == "answer" else _KINDS.get(name, str) for name in Flat._fields[:-3])
_OFFSETS = frozenset((int, NoneType))
_DISPOSITIONS = {one.value: one for one in Disposition}
_DIRECTIONS = {one.value: one for one in Direction}
_DAY = 86400
_PLAIN_EXTRA = re.compile(r'\{"[^"\\]*": "[^"\\]*"(?:, "[^"\\]*": "[^"\\]*")*\}')
"""JSON of texts alone, without an escape, as json.dumps writes it."""


def flatten(record: Record) -> Flat:
    return _notice(record) if isinstance(record, Notice) else _call(record)


def whole(flat: Flat) -> Record | Damaged:
    """The call or the notice; its times show what the PBX's clock showed.

    A time of which that is not known is in UTC, and so is a notice's.
    """
    try:
        return made(flat)
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        return Damaged(flat._asdict(), said(error))


def is_call(flat: Flat) -> bool:
    """Whether it surely is a call as it should be. False: ask `whole`."""
    kinds = tuple(map(type, flat))
    shortest, longest = MOMENTS.start + _DAY, MOMENTS.stop - _DAY
    return (
        kinds[:-3] in (_WITH_ANSWER, _WITHOUT_ANSWER)
        and not flat.is_notice()
        and _OFFSETS.issuperset(kinds[-3:])
        and flat.disposition in _DISPOSITIONS
        and flat.direction in _DIRECTIONS
        and shortest < flat.start < longest
        and shortest < flat.end < longest
        and (flat.answer is None or shortest < flat.answer < longest)
        and -_DAY < (flat.start_offset or 0) < _DAY
        and -_DAY < (flat.answer_offset or 0) < _DAY
        and -_DAY < (flat.end_offset or 0) < _DAY
        and 0 <= flat.duration < _DAY
        and 0 <= flat.billsec < _DAY
        and (not flat.extra or _PLAIN_EXTRA.fullmatch(flat.extra) is not None)
    )


def made(flat: Flat) -> Record:
    """As `whole`. Raises ValueError, TypeError, OverflowError, OSError, RecursionError where it is none."""
    kinds = tuple(map(type, flat))
    if kinds[:-3] not in (_WITH_ANSWER, _WITHOUT_ANSWER) or not _OFFSETS.issuperset(kinds[-3:]):
        raise ValueError(_wrong_kind(flat))
    if flat.is_notice():
        if blank := [name for name in OF_THE_RECORD if getattr(flat, name) and name not in _OF_A_NOTICE]:
            raise ValueError(f"its event is {flat.event!r}, which has no {blank[0]}")
        moment = datetime.fromtimestamp(flat.start, UTC)
        return Notice(identity=flat.identity, event=flat.event, at=moment, fields=texts(flat.extra))
    return _cdr(flat)


WHOLE = "humbug_call"
"""What an API's row has beside its own fields where another agent asks: all that there is of the call, `packed`."""

ASKS_WHOLE = ("x-humbug-calls", "whole")
"""The header by which another agent asks for it."""


def packed(flat: Flat) -> str:
    """All of it, its identity included, in a text that another agent can read."""
    return json.dumps([flat.identity.hex(), *flat[1:]])


def unpacked(text: str) -> Record:
    """The call, or the notice, that was `packed`. Raises ValueError."""
    said = json.loads(text)
    if not isinstance(said, list) or len(said) != len(Flat._fields) or not isinstance(said[0], str):
        raise ValueError("is no whole call")
    identity = bytes.fromhex(said[0])
    found = whole(Flat(identity, *said[1:]))
    if len(identity) != IDENTITY_BYTES:
        raise ValueError("is no whole call: its identity is none")
    if isinstance(found, Damaged):
        raise ValueError(f"is no whole call: {found.reason}")
    return found


def texts(json_of_them: str) -> dict[str, str]:
    """What ``extra`` says. Raises ValueError."""
    found = json.loads(json_of_them)
    if not isinstance(found, dict) or {*map(type, found.values())} - {str}:
        raise ValueError(f"its extra is {json_of_them[:40]!r}")
    return found


def shown(seconds: float, offset: int | None, zone: tzinfo) -> str:
    """The time as the PBX's clock showed it, ``YYYY-MM-DD HH:MM:SS``; in ``zone`` where that is not known."""
    if offset is None:
        return datetime.fromtimestamp(seconds, UTC).astimezone(zone).isoformat(" ")[:19]
    day, second = divmod(floor(seconds) + offset, _DAY)
    minute, second = divmod(second, 60)
    return _day(day) + _MINUTES[minute] + _SECONDS[second]


class Calls(Sequence[CDR]):
    """Calls that were read by the thousand: most of them are flat, and become CDRs only for who asks for one."""

    def __init__(self, each: Sequence[Flat | CDR]) -> None:
        self.each = each

    def __len__(self) -> int:
        return len(self.each)

    @overload
    def __getitem__(self, at: int) -> CDR: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[CDR]: ...
    def __getitem__(self, at: int | slice) -> CDR | Sequence[CDR]:
        if isinstance(at, slice):
            return Calls(self.each[at])
        one = self.each[at]
        return _cdr(one) if isinstance(one, Flat) else one

    def last_ended(self) -> float:
        """When the last of them ended, in seconds since the epoch; 0 where there is none."""
        last = self.each[-1] if self.each else None
        return 0.0 if last is None else last.end if isinstance(last, Flat) else last.end.timestamp()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _cdr(flat: Flat) -> CDR:
    """The call that this is, where it is no notice. Raises as `made` does."""
    return CDR(
        identity=flat.identity,
        src=flat.src,
        dst=flat.dst,
        dcontext=flat.dcontext,
        clid=flat.clid,
        channel=flat.channel,
        dstchannel=flat.dstchannel,
        lastapp=flat.lastapp,
        lastdata=flat.lastdata,
        start=datetime.fromtimestamp(flat.start, _clock(flat.start_offset)),
        answer=None if flat.answer is None else datetime.fromtimestamp(flat.answer, _clock(flat.answer_offset)),
        end=datetime.fromtimestamp(flat.end, _clock(flat.end_offset)),
        duration=flat.duration,
        billsec=flat.billsec,
        disposition=_DISPOSITIONS.get(flat.disposition) or Disposition(flat.disposition),
        direction=_DIRECTIONS.get(flat.direction) or Direction(flat.direction),
        accountcode=flat.accountcode,
        uniqueid=flat.uniqueid,
        userfield=flat.userfield,
        linkedid=flat.linkedid,
        extra=texts(flat.extra) if flat.extra else {},
    )


def _notice(notice: Notice) -> Flat:
    moment = notice.at.timestamp()
    blank = dict.fromkeys(OF_THE_RECORD, "")
    said: dict[str, Any] = blank | {
        "identity": notice.identity, "start": moment, "end": moment, "answer": None, "duration": 0, "billsec": 0,
        "extra": json.dumps(dict(notice.fields), ensure_ascii=False),
    }  # fmt: skip
    return Flat(**said, event=notice.event, start_offset=None, answer_offset=None, end_offset=None)


def _call(cdr: CDR) -> Flat:
    return Flat(
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


def _wrong_kind(flat: Flat) -> str:
    name, value = next(
        (name, value)
        for name, value in flat._asdict().items()
        if type(value) is not _KINDS.get(name, str) and not (value is None and name in _MAY_BE_NONE)
    )
    return f"its {name} is {str(value)[:40]!r}"


def _offset(moment: datetime) -> int | None:
    shift = None if moment.tzinfo is UTC else moment.utcoffset()
    return None if shift is None else round(shift.total_seconds())


@lru_cache(maxsize=64)
def _clock(offset: int | None) -> tzinfo:
    """A clock of so many seconds east of UTC. Of one that showed UTC this is known, other than of ``datetime.UTC``."""
    if offset is None:
        return UTC
    return timezone(timedelta(seconds=offset)) if offset else timezone(timedelta(0), "UTC")


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    """The day so many days after 1970-01-01, with a blank."""
    return f"{date(1970, 1, 1) + timedelta(days=number)} "


_MINUTES = [f"{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60)]
_SECONDS = [f"{second:02}" for second in range(60)]
