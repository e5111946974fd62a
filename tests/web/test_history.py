"""/history.json and /journey.json: what was called, and what belongs to one story."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import CDR, Batch, Disposition
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.web.history import history
from tests.kit.calls import call
from tests.kit.ipps_host import board, serving

ZURICH = ZoneInfo("Europe/Zurich")
NUMBERS = NumbersSettings(None, 9, "Switzerland")


def called(number: int, start: datetime, dst: str, minutes: int = 0) -> CDR:
    return call(
        number, start=start, end=start + timedelta(minutes=minutes, seconds=9), dst=dst, billsec=60 * minutes,
        disposition=Disposition.ANSWERED if minutes else Disposition.NO_ANSWER,
    )  # fmt: skip


def test_days_hours_and_countries_are_the_pbxs(tmp_path: Path) -> None:
    now = datetime.now(ZURICH).replace(hour=12, minute=20, second=0, microsecond=0)
    week_ago = now - timedelta(days=7)
    told = [
        called(1, now.replace(hour=0, minute=0), "+4915112345", 3),
        called(2, now.replace(hour=0, minute=14), "004915112345"),
        called(3, now - timedelta(minutes=5), "044333445", 2),
        called(4, week_ago.replace(hour=0, minute=1), "0443334455667"),
        called(5, week_ago, "204", 50),
        called(6, now - timedelta(days=30), "+33155667788", 100),
    ]
    with Outbox(tmp_path / "outbox.db") as outbox:
        outbox.accept("a", Batch(told, [], "c"), [])
        found = history(outbox, NUMBERS, ZURICH, now.timestamp())
    today, before = found["today"]["quarters"], found["week_ago"]["quarters"]
    assert today[0] == {"time": "00:00", "answered": 1, "missed": 1}
    assert today[-1]["time"] == "12:15"
    assert sum(one["answered"] + one["missed"] for one in today) == 3
    assert before[0] == {"time": "00:00", "answered": 0, "missed": 1}
    assert (before[49]["time"], before[49]["answered"], len(before)) in (("12:15", 1, 96), ("12:15", 1, 97))
    assert found["week_ago"]["date"] == week_ago.date().isoformat()
    hours = found["hours"]
    assert (hours[now.weekday()][0], hours[now.weekday()][12], sum(map(sum, hours))) == (1, 1, 2)
    assert found["countries"] == [
        {"country": "Germany", "calls": 2, "answered": 1, "minutes": 3},
        {"country": "Switzerland", "calls": 1, "answered": 1, "minutes": 2},
        {"country": "", "calls": 1, "answered": 0, "minutes": 0},
    ]


@pytest.mark.parametrize(("day", "quarters"), [("2026-10-25", 100), ("2026-03-29", 92), ("2026-06-01", 96)])
def test_a_day_has_as_many_quarters_as_the_clock_shows(tmp_path: Path, day: str, quarters: int) -> None:
    now = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZURICH) + timedelta(days=7)
    with Outbox(tmp_path / "outbox.db") as outbox:
        found = history(outbox, NUMBERS, ZURICH, now.timestamp())
    assert len(found["week_ago"]["quarters"]) == quarters


def test_they_are_served_from_the_outbox(tmp_path: Path) -> None:
    with serving(tmp_path, [board()]) as served:
        with Outbox(tmp_path / "outbox.db") as outbox:
            start = datetime.now(UTC)
            told = [call(number, start=start, end=start, uniqueid=f"1.{number}", linkedid="1.1") for number in (1, 2)]
            outbox.accept("a", Batch(told, [], "c"), [])
        assert [one["id"] for one in json.loads(served.ask("/journey.json?id=1.2"))["calls"]] == [1, 2]
        assert json.loads(served.ask("/journey.json?id=7"))["calls"] == []
        assert json.loads(served.ask("/journey.json"))["calls"] == []
        assert json.loads(served.ask("/history.json"))["countries"][0]["calls"] == 2
