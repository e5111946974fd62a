"""Stored calls in the words of an API, and an API's questions in those of a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from humbug_agent.api.exchange import Request
from humbug_agent.cdr import MOMENTS, Damaged
from humbug_agent.flat import ASKS_WHOLE, WHOLE, Flat, is_call, packed, shown, texts, whole


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call of a store: its id there, its columns, and whatever else the PBX said. ``zone`` is the PBX's."""

    id: int
    flat: Flat
    extra: Mapping[str, str]
    zone: tzinfo

    @property
    def start(self) -> str:
        """When it began, as the PBX's clock showed it: ``YYYY-MM-DD HH:MM:SS``."""
        return shown(self.flat.start, self.flat.start_offset, self.zone)

    @property
    def answer(self) -> str | None:
        """None: nobody answered."""
        flat = self.flat
        return None if flat.answer is None else shown(flat.answer, flat.answer_offset, self.zone)

    @property
    def end(self) -> str:
        return shown(self.flat.end, self.flat.end_offset, self.zone)


def stored(number: int, flat: Flat, zone: tzinfo) -> StoredCall | None:
    """None where it is none any more: a disk, or somebody, has changed it since."""
    if not is_call(flat) and isinstance(whole(flat), Damaged):
        return None
    return StoredCall(number, flat, texts(flat.extra) if flat.extra else {}, zone)


def with_whole(row: Mapping[str, Any], call: StoredCall, request: Request) -> dict[str, Any]:
    """The row, and for another agent the whole call; nobody else is told what the API does not have."""
    name, value = ASKS_WHOLE
    asked = request.headers.get(name.encode()) == value.encode()
    return {**row, WHOLE: packed(call.flat)} if asked else dict(row)


def moment(text: str, zone: tzinfo, *, last: bool = False) -> float:
    """Seconds since the epoch of a time on the PBX's clock; of one that it shows twice the first, or the ``last``.

    One that it skips in spring is on both sides of the skipped hour: what is asked for reaches over all of it, so that
    no call is missed whose hour the PBX itself may have shown. A date is its midnight. Raises ValueError.
    """
    found = datetime.fromisoformat(text.strip())
    each = [found] if found.tzinfo else [found.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    seconds = (max if last else min)(one.timestamp() for one in each)
    if int(seconds) not in MOMENTS:
        raise ValueError(f"{text[:40]!r} is no time of a call")
    return seconds


def hours(seconds: int) -> str:
    """A length in seconds as ``HH:MM:SS``; the hours may have more digits, and a minus before them."""
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{second:02}"
