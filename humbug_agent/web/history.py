"""What was called, told by charts: /history.json."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from humbug_agent.numbers.countries import country_name
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.quarters import QUARTER, Counted, by_place, by_quarter
from humbug_agent.words import iso

WEEKS = 4
"""Over so many the hours and the countries are summed up."""

MOST_COUNTRIES = 15

NONE = Counted()


def history(outbox: Outbox, numbers: NumbersSettings, zone: tzinfo, now: float) -> dict[str, Any]:
    """As JSON; days and hours are those of ``zone``, ``now`` is in seconds since the epoch.

    ``today`` and ``week_ago`` have each quarter of an hour of that day, today's up to the one that runs; a day on which
    the clock is set may have more or fewer than 96. ``hours`` are the calls of each hour of each weekday, Monday's
    first, in the four weeks before today; ``countries`` where calls went in these weeks and today, for how many
    minutes.
    """
    today = datetime.fromtimestamp(now, zone).date()
    first = _begin(today - timedelta(weeks=WEEKS), zone)
    quarters = by_quarter(outbox.select, first)
    begin = _begin(today, zone)
    week_ago = today - timedelta(weeks=1)
    return {
        "now": iso(now, zone),
        "today": {"date": today.isoformat(), "quarters": _day(quarters, begin, int(now // QUARTER) + 1, zone)},
        "week_ago": {
            "date": week_ago.isoformat(),
            "quarters": _day(quarters, _begin(week_ago, zone), _begin(week_ago + timedelta(days=1), zone), zone),
        },
        "weeks": WEEKS,
        "hours": _hours({at: one for at, one in quarters.items() if at < begin}, zone),
        "countries": _countries(by_place(outbox.select, first), numbers),
    }


def _begin(day: date, zone: tzinfo) -> int:
    """The quarter with which the day begins."""
    return int(datetime.combine(day, time(), zone).timestamp() // QUARTER)


def _day(quarters: Mapping[int, Counted], begin: int, end: int, zone: tzinfo) -> list[dict[str, Any]]:
    return [
        {
            "time": datetime.fromtimestamp(at * QUARTER, zone).strftime("%H:%M"),
            "answered": quarters.get(at, NONE).answered,
            "missed": quarters.get(at, NONE).missed,
        }
        for at in range(begin, end)
    ]


def _hours(quarters: Mapping[int, Counted], zone: tzinfo) -> list[list[int]]:
    found = [[0] * 24 for _ in range(7)]
    for at, one in quarters.items():
        moment = datetime.fromtimestamp(at * QUARTER, zone)
        found[moment.weekday()][moment.hour] += one.answered + one.missed
    return found


def _countries(places: Mapping[str, Counted], numbers: NumbersSettings) -> list[dict[str, Any]]:
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for place, one in places.items():
        if place:
            for number, value in enumerate((one.answered + one.missed, one.answered, one.seconds)):
                sums[_country(place, numbers)][number] += value
    most = sorted(sums.items(), key=lambda item: (-item[1][2], -item[1][0], item[0]))[:MOST_COUNTRIES]
    return [
        {"country": country, "calls": calls, "answered": answered, "minutes": round(seconds / 60)}
        for country, (calls, answered, seconds) in most
    ]


def _country(place: str, numbers: NumbersSettings) -> str:
    """As `country_name` of the numbers that are there, of which it looks at the length and the first three digits."""
    length, _, digits = place.rpartition(":")
    number = digits.ljust(int(length), "0") if length else place
    return country_name(number, numbers.domestic_max_length, numbers.default_country)
