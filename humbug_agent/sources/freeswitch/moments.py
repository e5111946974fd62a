"""When a leg began, was answered and ended, and how long it took, of whatever tells of it.

FreeSWITCH has each moment as microseconds and as seconds since the epoch and as local time, and the lengths besides. A
record need not have all of them: what one does not tell, another one does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from humbug_agent.cdr import YEARS, as_length
from humbug_agent.sources.wall_clock import times as by_clock

MICROSECONDS = 1_000_000
"""Of a second."""

_EPOCHS = {"_uepoch": MICROSECONDS, "_epoch": 1}
"""How the variables end that count since the epoch -> their units of a second."""

_OF_CALLFLOW = {"start": "created_time", "answer": "answered_time", "end": "hangup_time"}
"""The same moment in a callflow's times, in microseconds."""

_LENGTHS = {
    "duration": {"duration": 1, "mduration": 1000, "uduration": MICROSECONDS},
    "billsec": {"billsec": 1, "billmsec": 1000, "billusec": MICROSECONDS},
}
"""The variables that have a length -> their units of a second."""

_USUAL = range(631_152_000, 4_102_444_800)
"""Seconds since the epoch from 1990 to 2100: who counts in another unit than the name says is far from there."""

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Moments:
    """Aware, in the zone; ``answer`` None where nobody answered. Lengths are whole seconds."""

    start: datetime
    answer: datetime | None
    end: datetime
    duration: int
    billsec: int


def moments(variables: Mapping[str, str], zone: tzinfo, times: Mapping[str, str] = {}) -> Moments:
    """``times`` are a callflow's. ``zone`` is FreeSWITCH's, for what has no epochs.

    Raises ValueError where nothing tells when it began or ended, or what tells is no number or no time.
    """
    duration, billsec = (_length(variables, name) for name in _LENGTHS)
    clock = _Clock(variables, times, zone, duration or 0, billsec or 0)
    start, end = clock.at("start"), clock.at("end")
    # A start at 0 there is none of: FreeSWITCH did not have the times when it set the variables.
    amiss = clock.says_never("start") or clock.says_never("end")
    answer = None if clock.says_never("answer") and not amiss else clock.at("answer")
    length = billsec if duration is None else duration
    if length is not None:
        start, end = start or _later(end, -length), end or _later(start, length)
    start = start or clock.at("profile_start") or answer
    if not start or not end:
        raise ValueError(f"has no time of its {'end' if start else 'start'}")
    if billsec and not answer and (amiss or not clock.tells("answer")):
        answer = _later(end, -billsec)
    if duration is None or amiss:
        duration = _seconds(start, end)
    if billsec is None or amiss:
        billsec = _seconds(answer, end) if answer else 0
    return Moments(start, answer, end, duration, billsec)


def shown(stamp: str, zone: tzinfo) -> datetime | None:
    """What FreeSWITCH's clock showed, if that is the zone's; None where it is not said, or not understood."""
    if not _STAMP.fullmatch(stamp):
        return None
    try:
        moment = datetime.fromisoformat(stamp).replace(tzinfo=zone)
    except ValueError:
        return None
    return moment if moment.year in YEARS else None


class _Clock:
    """By what is most exact: a variable since the epoch, a callflow's time, then local time."""

    def __init__(
        self, variables: Mapping[str, str], times: Mapping[str, str], zone: tzinfo, duration: int, billsec: int
    ) -> None:
        self._variables = variables
        self._times = times
        self._zone = zone
        self._lengths = duration, billsec

    def at(self, name: str) -> datetime | None:
        """None: it is not told. Raises ValueError."""
        of_callflow = self._times.get(_OF_CALLFLOW.get(name, ""))
        for count, unit in (*self._epochs(name), (_whole(f"{name} time", of_callflow or "0"), MICROSECONDS)):
            if count > 0:
                return _moment(count, unit, self._zone)
        return self._shown(name) if self._variables.get(f"{name}_stamp") else None

    def says_never(self, name: str) -> bool:
        """By all of the variables that count since the epoch and are there."""
        epochs = self._epochs(name)
        return bool(epochs) and all(count <= 0 for count, _ in epochs)

    def tells(self, name: str) -> bool:
        """Whether there is a place where it would be told."""
        places = (*(f"{name}{ending}" for ending in _EPOCHS), f"{name}_stamp")
        return any(one in self._variables for one in places) or bool(self._times.get(_OF_CALLFLOW[name]))

    def _epochs(self, name: str) -> list[tuple[int, int]]:
        said = [(self._variables.get(f"{name}{ending}"), unit) for ending, unit in _EPOCHS.items()]
        return [(_whole(f"{name} time", one), unit) for one, unit in said if one]

    def _shown(self, name: str) -> datetime | None:
        stamps = {one: self._variables.get(f"{one}_stamp", "") for one in _OF_CALLFLOW}
        stamps["start"] = self._variables[f"{name}_stamp"] if name not in stamps else stamps["start"]
        for stamp in filter(None, stamps.values()):
            if not _STAMP.fullmatch(stamp):
                raise ValueError(f"{stamp[:40]!r} is not a time")
        stamps["start"] = stamps["start"] or stamps["answer"] or stamps["end"]
        start, answer, end = by_clock(stamps, self._zone, *self._lengths)
        return {"answer": answer, "end": end}.get(name, start)


def _moment(count: int, unit: int, zone: tzinfo) -> datetime:
    unit = next((one for one in (unit, 1, 1000, MICROSECONDS) if count // one in _USUAL), unit)
    seconds, rest = divmod(count, unit)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{seconds} seconds since the epoch are no time") from error
    if moment.year not in YEARS:
        raise ValueError(f"{seconds} seconds since the epoch are no time of a call")
    return (moment + timedelta(microseconds=rest * MICROSECONDS // unit)).astimezone(zone)


def _whole(name: str, said: str) -> int:
    if not _WHOLE.fullmatch(said):
        raise ValueError(f"{name} is {said[:40]!r}, which is no whole number")
    return int(said)


def _length(variables: Mapping[str, str], name: str) -> int | None:
    """Whole seconds, which FreeSWITCH subtracts; None where nothing tells."""
    for one, unit in _LENGTHS[name].items():
        if said := variables.get(one):
            return as_length(one, _whole("a duration", said) // unit)
    return None


def _seconds(begin: datetime, end: datetime) -> int:
    return int(end.timestamp()) - int(begin.timestamp())


def _later(moment: datetime | None, seconds: int) -> datetime | None:
    return moment and (moment.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(moment.tzinfo)
