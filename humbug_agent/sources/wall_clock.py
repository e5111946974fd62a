"""Times as a PBX's clock on the wall showed them, without a zone: which moments they were."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from humbug_agent.cdr import YEARS

UNIQUEID = re.compile(r"(?:.*-)?([0-9]{9,10})\.[0-9]+(?:;[12])?")
"""Asterisk's, which begins with the second in which the channel was made.

The halves of a Local channel have ``;1`` or ``;2`` behind it, where who originated it gave its name."""


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
    if moment.year not in YEARS:
        raise ValueError(f"{stamp!r} is no time of a call")
    return moment, moment.utcoffset() > moment.replace(fold=1).utcoffset()  # type: ignore[operator]


def is_left_out(stamp: str, zone: tzinfo) -> bool:
    """Whether clocks in ``zone`` never showed this, since they were put forward over it. False of what is no stamp."""
    try:
        moment, twice = _moment(stamp, zone)
    except ValueError:
        return False
    return not twice and moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None)


def _not_before(moment: datetime, bound: datetime) -> datetime:
    return moment if moment.timestamp() >= bound.timestamp() else moment.replace(fold=1)


def _after(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() + seconds, moment.tzinfo) if seconds else moment
