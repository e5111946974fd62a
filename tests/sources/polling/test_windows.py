"""Which spans of time are asked for: whatever clocks, servers and outages do, each call is asked for in the end."""

import random
import time
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Disposition, digest
from humbug_agent.sources.contract import CursorError, SourceError
from humbug_agent.sources.polling import windowed
from humbug_agent.sources.polling.client import TooMuch, Wrong
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.polling.progress import Progress, account, remembered
from humbug_agent.sources.polling.rows import ApiRow, ApiRows
from humbug_agent.sources.polling.windowed import Windowed
from humbug_agent.sources.polling.windows import (
    APART,
    HOUR,
    NARROWEST,
    OVERLAP,
    SWEEPS,
    WIDEST,
    Now,
    Reached,
    Sweep,
    Width,
    known,
    moved,
    resumed,
    swept,
    to_sweep,
)
from tests.kit.calls import cdrs

T = 1_800_000_000
"""Some time: 2027-01-15 08:00 UTC."""


def at(ours: float, theirs: float | None = None) -> Now:
    return Now(ours, ours if theirs is None else theirs)


SINCE = T - 400 * DAY


def reached(upto: int, latest: int = 0, sweeps: tuple[Sweep, ...] = (Sweep(T), Sweep(T))) -> Reached:
    return Reached(SINCE, upto, latest, sweeps)


# Where it begins, and how far it has come.


@pytest.mark.parametrize(
    ("since", "begin"),
    [
        (None, T - DAY),
        (datetime(2027, 1, 1, tzinfo=UTC), 1798761600),
        (datetime(2027, 1, 1), 1798758000),
        (datetime(2027, 1, 15, 8, 0, 1, tzinfo=UTC), T),
    ],
    ids=["a day before", "aware", "local", "not begun yet"],
)
def test_a_first_start_is_from_since(since: datetime | None, begin: int) -> None:
    start = known(None, since, timezone(timedelta(hours=1)), at(T))
    assert (start.since, start.upto, resumed(start, at(T))) == (begin, begin, begin)


def test_a_round_begins_a_quarter_of_an_hour_before_what_was_reached_but_not_before_since() -> None:
    assert resumed(reached(T), at(T + 60)) == T - OVERLAP
    assert resumed(reached(SINCE + 100), at(T + 60)) == SINCE


def test_nothing_is_reached_beyond_either_clock() -> None:
    for now in (at(T, T + 50), at(T + 50, T)):
        assert moved(reached(T - 100), T + DAY, now, 0).upto == T
    assert moved(reached(T - 1000), T - 500, at(T), 0).upto == T - 500


def test_a_clock_that_is_none_is_left_out() -> None:
    assert moved(reached(T - 100), T + DAY, at(T, 0), 0).upto == T
    assert not at(T, 0).apart
    assert not at(T, T - APART).apart
    assert at(T, T - APART - 1).apart
    assert at(T, T + APART + 1).apart


def test_asking_again_for_what_was_reached_does_not_undo_it() -> None:
    assert moved(reached(T), T - 600, at(T + 60), 0).upto == T


def test_a_clock_that_was_ahead_begins_again_at_the_newest_call_or_where_it_all_began() -> None:
    ahead = reached(T + 5 * DAY, latest=T - 7000)
    assert resumed(ahead, at(T)) == T - 7000 - OVERLAP
    assert resumed(reached(T + 5 * DAY), at(T)) == SINCE
    # And what was reached is corrected with the first answer.
    assert moved(ahead, T - 3600, at(T), 0).upto == T - 3600


def test_a_first_start_by_a_clock_that_was_ahead_was_none() -> None:
    wrong = known(None, None, UTC, at(T + 400 * DAY))
    assert known(wrong, None, UTC, at(T)) == known(None, None, UTC, at(T))


def test_a_clock_of_1970_undoes_nothing_once_the_server_has_told_its_own() -> None:
    before = reached(T - 3600, latest=T - 4000)
    assert moved(before, DAY, at(1000, T), 0) == before


# Asking again.


def test_the_last_day_is_asked_for_again_each_hour_and_the_last_week_each_day() -> None:
    for number, (every, back) in enumerate(SWEEPS):
        assert to_sweep(reached(T), number, T, at(T + every - 1)) == reached(T)
        now = at(T + every)
        due = to_sweep(reached(T), number, T, now).sweeps[number]
        assert due == Sweep(T + every, T - back)
        # A sweep that has begun goes on, whenever that is.
        assert to_sweep(swept(reached(T), number, due), number, T, at(T + 10 * every)).sweeps[number] == due
        # Behind an outage: what ended shortly before it may have come into the list since.
        assert to_sweep(reached(T), number, T, at(T + 30 * DAY)).sweeps[number].at == T - back
        # The clock went back.
        assert to_sweep(reached(T), number, T - HOUR, at(T - 50)) == reached(T)
        assert to_sweep(reached(T), number, T - HOUR, at(T - 500)).sweeps[number] == Sweep(T - 500, T - HOUR - back)
        # Not before since.
        assert to_sweep(reached(T), number, SINCE + 5, now).sweeps[number].at == SINCE


# How much at once.


def test_short_answers_make_the_window_wider_and_long_ones_narrower() -> None:
    width = Width()
    for _ in range(12):
        width.answered(10, width.seconds, 0.1)
    assert width.seconds == WIDEST
    width.answered(1000, WIDEST, 0.1)
    width.answered(10, WIDEST, 30)
    assert width.seconds == WIDEST
    width.answered(5001, WIDEST, 0.1)
    assert width.seconds == WIDEST / 2
    # What was asked for was less than that.
    assert width.narrower(1000)
    assert width.seconds == 500
    # It is not tried at once whether that is still too much.
    width.answered(10, 500, 0.1)
    assert width.seconds == pytest.approx(550)
    for _ in range(120):
        width.answered(10, width.seconds, 0.1)
    assert width.seconds == WIDEST
    while width.narrower(width.seconds):
        pass
    assert width.seconds == NARROWEST


# The cursor.


def test_a_cursor_is_its_servers_and_accounts() -> None:
    of = account("https://PBX.example.org/api/", "me")
    progress = Progress(of, "7|secret", {"a": Reached(1, 2, 3, (Sweep(4), Sweep(5, 6)))})
    assert remembered(progress.dump(), of) == progress
    assert remembered(progress.dump(), account("http://user:password@pbx.example.org/api", "me")) == progress
    for other in (account("https://pbx.example.org/api", "you"), account("https://pbx2.example.org/api", "me")):
        assert remembered(progress.dump(), other) == Progress(other)
    for foreign in (None, "", "{}"):
        assert remembered(foreign, of) == Progress(of)
    for damaged in ("17", "offset:3", "[]"):
        with pytest.raises(CursorError):
            remembered(damaged, of)


# All of it together, in a world whose clocks and servers can be anything.


class World:
    """A server's list of calls, each listed some time after it ended, and the clocks that there are."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.random = random.Random(seed)
        self.true = float(T)
        self.ours_ahead = 0.0
        self.calls: list[dict[str, Any]] = []
        self.by = self.random.choice(["start", "end"])
        self.heaviest = self.random.choice([10, 100, 100_000])
        self.fails = self.random.choice([0.0, 0.1, 0.4])
        self.tells = self.random.random() < 0.7
        self.cursor: str | None = None
        self.got: set[str] = set()
        self.of_this_life: set[str] = set()
        self.asked = 0
        monkeypatch.setattr(windowed, "time", SimpleNamespace(time=self.ours, monotonic=time.monotonic))
        self.source = self.started()

    def ours(self) -> float:
        return self.true + self.ours_ahead

    def started(self) -> Windowed:
        asker: Any = SimpleNamespace(where="there", now=lambda: self.true if self.tells else self.ours())
        return Windowed(("one", "two"), None, UTC, asker, ApiRows("world", _call), self.ask)

    def ask(self, place: str, begin: float, end: float, stop: Event) -> list[Any]:
        self.asked += 1
        found = [
            call
            for call in self.calls
            if call["place"] == place and begin <= call[self.by] <= end and call["listed"] <= self.true
        ]
        if self.random.random() < self.fails:
            raise self.random.choice([Wrong("wrong", 200), Wrong("oh", 500), TooMuch("slow"), SourceError("gone")])
        if len(found) > self.heaviest and end - begin > 2 * NARROWEST + DAY:
            raise TooMuch("long")
        return found

    def pass_by(self, seconds: float) -> None:
        for _ in range(self.random.randrange(4)):
            end = self.true + self.random.random() * seconds
            length = self.random.choice([3, 60, 7000, 100_000])
            late = self.random.choice([0, 0, 0, 30, 1000, 50_000])
            call = {"place": self.random.choice(["one", "two"]), "start": end - length, "end": end}
            self.calls.append(call | {"id": str(len(self.calls)), "listed": end + late})
        self.true += seconds

    def round(self, follow: bool = True) -> bool:
        progress = remembered(self.cursor, "world")
        try:
            for batches in (
                self.source.begin(progress),
                self.source.round(progress, 60, Event(), follow=follow),
            ):
                for batch in batches:
                    for record in cdrs(batch.records):
                        assert record.uniqueid not in self.of_this_life
                        self.of_this_life.add(record.uniqueid)
                    self.got |= self.of_this_life
                    self.cursor = batch.cursor or self.cursor
        except SourceError:
            return False
        return True


def _call(row: ApiRow) -> CDR:
    start, end = (datetime.fromtimestamp(float(row.text(name)), UTC) for name in ("start", "end"))
    return CDR(
        identity=digest(row.text("id")), uniqueid=row.text("id"), start=start, answer=None, end=end, duration=0,
        billsec=0, disposition=Disposition.FAILED, src="", dst="", dcontext="", clid="", channel="", dstchannel="",
        lastapp="", lastdata="",
    )  # fmt: skip


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_each_call_comes_whatever_the_world_is_like(seed: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(seed, monkeypatch)
        world.round()
        for _ in range(40):
            world.pass_by(world.random.choice([60, 60, 600, 7200, 3 * DAY]))
            if world.random.random() < 0.1:
                # By days only where the server tells its own: nobody could know what was asked for in a future else.
                world.ours_ahead = world.random.choice([0, 0, -7200, 7200, 20 * DAY if world.tells else 7200])
            if world.random.random() < 0.1:
                # Killed, and started again: what was delivered is known to the outbox alone.
                world.source, world.of_this_life = world.started(), set()
            world.round(follow=world.random.random() < 0.7)
        world.ours_ahead, world.fails = 0.0, 0.0
        world.true += 50_000
        for _ in range(40):
            world.round()
            world.true += HOUR
        since = {place: reached.since for place, reached in remembered(world.cursor, "world").reached.items()}
        assert world.got >= {call["id"] for call in world.calls if call[world.by] >= since[call["place"]]}
        assert since == {"one": T - DAY, "two": T - DAY}


def test_a_window_that_is_too_heavy_is_halved_until_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for follow in (True, False):
        world = World(1, monkeypatch)
        world.fails, world.heaviest, world.by = 0.0, 10, "end"
        world.calls = [
            {"place": "one", "id": str(n), "start": T - n, "end": T - n, "listed": 0} for n in range(0, 6000, 10)
        ]
        rounds = 1
        while not world.round(follow):
            rounds += 1
        assert len(world.got) == 600
        assert rounds == 1 or follow
        # Asking for a day must not become asking for each minute of it.
        assert world.asked < 400


def test_progress_adds_up_to_what_was_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(2, monkeypatch)
    world.fails = 0.0
    progress = remembered(None, "world")
    assert world.source.unread(progress) == 2 * DAY
    took = sum(batch.size for batch in world.source.round(progress, 60, Event(), follow=False))
    # The clock goes on meanwhile.
    assert 2 * DAY - 10 <= took <= 2 * DAY
    assert world.source.unread(progress) == 0
    world.true += OVERLAP - 10
    assert world.source.unread(progress) == 0
    world.true += 20
    assert 2 * OVERLAP < world.source.unread(progress) < 2 * OVERLAP + 50
