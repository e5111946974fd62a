"""What was counted: of each day and source, and of each source on the whole."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from math import floor

STATES = ("sent", "waiting", "dead")
_DAY = 86400


@dataclass(slots=True)
class DayCounts:
    """The calls of one source that began on one day.

    ``pbx`` has those that the source told now, None where it can't be asked again; of them ``outbox`` are there,
    ``dropped`` were, and the others are ``left_out``, ``unread`` or ``missing``. ``brought`` of those in the outbox
    came by this. ``not_told`` are there besides. ``deliveries`` of those in the outbox: (destination, state) -> number.
    """

    pbx: int | None = 0
    outbox: int = 0
    dropped: int = 0
    left_out: int = 0
    unread: int = 0
    missing: int = 0
    brought: int = 0
    not_told: int = 0
    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: "DayCounts") -> None:
        self.pbx = None if other.pbx is None else (self.pbx or 0) + other.pbx
        for name in ("outbox", "dropped", "left_out", "unread", "missing", "brought", "not_told"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.deliveries += other.deliveries

    def as_json(self, destinations: list[str]) -> dict[str, object]:
        said = {name: getattr(self, name) for name in DayCounts.__slots__ if name != "deliveries"}
        stand = {name: {state: self.deliveries[name, state] for state in STATES} for name in destinations}
        return said | {"destinations": stand}


@dataclass(slots=True)
class SourceCounts:
    """All of one source. ``days`` are by the number of the day from 1970-01-01 on.

    ``rejects`` were told and are kept as rejects, ``rejects_missing`` are not kept either. ``reasons`` say why calls
    stand as they do, but for those that are listed one by one: (state, reason) -> number. ``notes`` are what to know of
    it; ``error`` is why not all of it could be compared, or blank.
    """

    days: dict[int, DayCounts] = field(default_factory=dict)
    rejects: int = 0
    rejects_missing: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    error: str = ""

    def day(self, number: int) -> DayCounts:
        return self.days.setdefault(number, DayCounts())

    def total(self) -> DayCounts:
        found = DayCounts()
        for one in self.days.values():
            found.add(one)
        return found


def day_in(zone: tzinfo) -> Callable[[float, int | None], int]:
    """Finds the number of the day, from 1970-01-01 on, on which a call began by the PBX's clock.

    Of one of which is not known how far that was from UTC, it is in ``zone``.
    """

    @lru_cache(maxsize=4096)
    def offset(quarter: int) -> int:
        # No zone changes its clock within one of these.
        return _offset(datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone))

    def day(seconds: float, known: int | None) -> int:
        return floor(seconds + (offset(int(seconds // 900)) if known is None else known)) // _DAY

    return day


def shown(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _offset(moment: datetime) -> int:
    shift = moment.utcoffset()
    return round(shift.total_seconds()) if shift else 0
