"""Hours of failures, waits and set clocks, by a simulated clock: what is tried when, and that all of it arrives."""

import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent import backoff
from humbug_agent.cdr import CDR, Batch
from humbug_agent.delivery.delivery import IDLE_SECONDS, Delivery
from humbug_agent.destinations.contract import Answer, Later, Misconfigured, Refused
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.queries import Filter, newest
from tests.kit.simulated import BEGAN, Phase, Receiver, SimulatedClock, Try

pytestmark = pytest.mark.slow

EVER = float("inf")
HOUR = 3600.0
SELDOM = 10.0
"""Seconds between two looks, where many hours go by."""
YEAR = 365 * 86400.0
ROUNDED = 1e-5
"""By so much two moments may differ that are the same: seconds since the epoch are exact to a quarter of that."""

Call = Callable[..., CDR]
Make = Callable[..., AbstractContextManager["Scene"]]


@dataclass
class Scene:
    """A delivery to a receiver, and all that was tried."""

    outbox: Outbox
    clock: SimulatedClock
    receiver: Receiver
    delivery: Delivery

    def __post_init__(self) -> None:
        self.receiver.probing = lambda: self.delivery._pace.probing

    def run(self, seconds: float, idle: float = IDLE_SECONDS) -> None:
        """As the daemon does, for so long; ``idle`` is how often it looks for what became due."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.delivery.step(self.outbox, min(idle, end - self.clock.now))

    def restart(self) -> None:
        self.delivery = Delivery(self.receiver, clock=self.clock)

    @property
    def tries(self) -> list[Try]:
        return self.receiver.tries

    def states(self) -> dict[int, str]:
        return {entry.id: entry.state for entry in newest(self.outbox, Filter(), 10_000)}

    def all_delivered(self) -> bool:
        return set(self.states().values()) <= {"sent"}


@pytest.fixture(autouse=True)
def same_jitter() -> None:
    random.seed(1)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outbox to copy."""
    path = tmp_path_factory.mktemp("blank") / "outbox.db"
    Outbox(path).close()
    return path


@pytest.fixture(scope="session")
def scene(blank: Path, call: Call) -> Make:
    """Makes a scene: the calls that wait, the receiver's phases, its connections, how the clock is set, its batch."""

    @contextmanager
    def make(
        calls: int,
        phases: Sequence[Phase],
        connections: int = 4,
        settings: Sequence[tuple[float, float]] = (),
        batch: int = 1,
    ) -> Iterator[Scene]:
        with TemporaryDirectory() as folder:
            path = Path(shutil.copy(blank, folder))
            with Outbox(path) as outbox:
                # What is in doubt after a power cut is not what this is about.
                outbox.db.conn.execute("PRAGMA synchronous = OFF")
                clock = SimulatedClock(settings)
                receiver = Receiver(clock, phases, connections, batch)
                outbox.accept("test", Batch([call(number) for number in range(1, calls + 1)], [], None), ["humbug"])
                yield Scene(outbox, clock, receiver, Delivery(receiver, clock=clock))

    return make


DOES = st.sampled_from(("ok", "busy", "silent", "refuses", "locked", "odd"))


@st.composite
def receivers(draw: st.DrawFn) -> list[Phase]:
    """The phases of one that fails and flaps for up to some hours, and then is well for ever."""
    made, end = [], 0.0
    for _ in range(draw(st.integers(0, 5))):
        end += draw(st.sampled_from((0.3, 2.0, 20.0, 150.0, 900.0)))
        does = draw(DOES)
        asks = draw(st.none() | st.sampled_from((1.0, 30.0, 700.0, 3600.0))) if does == "busy" else None
        made.append(Phase(end, does, asks, draw(st.integers(1, 5))))
    return [*made, Phase(EVER, "ok")]


HOURS = st.integers(-72 * 3600, 72 * 3600).map(float)
SETTINGS = st.lists(st.tuples(st.integers(0, 3600).map(float), HOURS), max_size=4).map(sorted)


def fails(phases: Sequence[Phase]) -> float:
    """For so long it does."""
    return phases[-2].end if len(phases) > 1 else 0.0


def rests(tries: Sequence[Try]) -> list[tuple[float, float]]:
    """From when to when the receiver has asked to be left alone."""
    return [
        (one.back, one.back + one.outcome.retry_after)
        for one in tries
        if isinstance(one.outcome, Later) and one.outcome.retry_after
    ]


def check_gaps(tries: Sequence[Try]) -> None:
    """No call sooner than its own wait is over, nothing while the receiver asked for rest, and a probe is alone."""
    for begin, end in rests(tries):
        assert not [one for one in tries if begin < one.at < end - ROUNDED]
    for before, one in pairwise(tries):
        if one.probe:
            assert before.back <= one.at
        if before.probe and not isinstance(before.outcome, Answer | Refused):
            pause = isinstance(before.outcome, Misconfigured)
            assert one.at - before.back >= 0.75 * (backoff.PAUSED if pause else backoff.DESTINATION).first - ROUNDED
    of_call: dict[int, list[Try]] = defaultdict(list)
    for one in tries:
        of_call[one.call].append(one)
    for each in of_call.values():
        for failures, (one, other) in enumerate(pairwise(each), 1):
            assert not isinstance(one.outcome, Answer | Refused), "it was sent again"
            if isinstance(one.outcome, Later):
                own = 0.75 * backoff.DELIVERY.after(failures)
                assert other.at - one.back >= max(own, one.outcome.retry_after or 0.0) - ROUNDED


@settings(max_examples=50)
@given(phases=receivers(), connections=st.integers(1, 8), sets=SETTINGS, calls=st.integers(1, 30))
def test_every_call_is_delivered_once_the_receiver_is_well_and_none_is_tried_too_soon(
    scene: Make, phases: list[Phase], connections: int, sets: list[tuple[float, float]], calls: int
) -> None:
    with scene(calls, phases, connections, sets) as there:
        there.run(fails(phases), SELDOM)
        # What it asked for, then at most one pause until the first gets through, and one wait for each of the others.
        asked = max((end for _, end in rests(there.tries)), default=0.0)
        own = 1.25 * (backoff.PAUSED.longest + backoff.DELIVERY.longest)
        there.run(max(asked - there.clock.now, 0.0) + own + calls * there.receiver.latency + 2 * SELDOM, SELDOM)
        refused = {one.call for one in there.tries if isinstance(one.outcome, Refused)}
        assert there.states() == {each: "dead" if each in refused else "sent" for each in range(1, calls + 1)}
        assert there.receiver.most <= connections
        check_gaps(there.tries)


@settings(max_examples=50)
@given(connections=st.integers(1, 4), batch=st.sampled_from((2, 5, 16, 17, 300)), bad=st.sets(st.integers(1, 300)))
def test_of_batches_those_that_are_refused_are_dead_alone_and_all_others_arrive_soon(
    scene: Make, connections: int, batch: int, bad: set[int]
) -> None:
    with scene(300, [Phase(EVER, "refuses", these=frozenset(bad))], connections, batch=batch) as there:
        there.run(30.0)
        assert there.states() == {each: "dead" if each in bad else "sent" for each in range(1, 301)}
        tried = Counter(one.call for one in there.tries)
        # A sixteenth each time: 300, 18, 1.
        assert max(tried.values()) <= 4
        assert there.receiver.most <= connections


@settings(max_examples=50)
@given(connections=st.integers(1, 4), batch=st.sampled_from((2, 16, 100)), bad=st.sets(st.integers(1, 300), max_size=9))
def test_of_batches_those_that_fail_again_and_again_are_alone_in_the_end_and_hold_up_no_other(
    scene: Make, connections: int, batch: int, bad: set[int]
) -> None:
    with scene(300, [Phase(EVER, "odd", these=frozenset(bad))], connections, batch=batch) as there:
        there.run(240.0)
        assert there.states() == {each: "waiting" if each in bad else "sent" for each in range(1, 301)}


@settings(max_examples=50)
@given(phases=receivers(), sets=SETTINGS, calls=st.integers(1, 12), seed=st.integers(0, 1000))
def test_a_clock_that_is_set_by_hours_changes_no_wait(
    scene: Make, phases: list[Phase], sets: list[tuple[float, float]], calls: int, seed: int
) -> None:
    told = []
    for each in ([], sets):
        random.seed(seed)
        with scene(calls, phases, 3, each) as there:
            there.run(fails(phases) + HOUR / 4, SELDOM)
            told.append([(one.call, one.at, one.probe) for one in there.tries])
    assert told[0] == told[1]


@pytest.mark.parametrize("by", [-56 * YEAR, 500.0 - BEGAN, -HOUR, -5.0, 5.0, HOUR, 56 * YEAR])
@pytest.mark.parametrize("restarts", [False, True])
def test_what_waits_when_the_clock_is_set_waits_neither_longer_nor_shorter(
    scene: Make, by: float, restarts: bool
) -> None:
    with scene(1, [Phase(700.0, "busy"), Phase(EVER, "ok")], 1, [(690.0, by)]) as there:
        there.run(689.0)
        (entry,) = newest(there.outbox, Filter(), 1)
        due = entry.due - BEGAN
        assert due > 700.0
        there.run(3.0)
        if restarts:
            there.restart()
        there.run(HOUR)
        assert len(there.tries) == entry.attempts + 1
        assert due <= there.tries[-1].at + ROUNDED
        assert there.tries[-1].at <= due + IDLE_SECONDS + ROUNDED
        assert there.all_delivered()


@pytest.mark.parametrize("by", [-56 * YEAR, -HOUR, -5.0, 5.0, HOUR, 56 * YEAR])
@pytest.mark.parametrize("asks", [None, HOUR])
def test_after_a_restart_with_another_clock_no_call_waits_longer_than_any_wait(
    scene: Make, by: float, asks: float | None
) -> None:
    # How long nobody looked can't be known then.
    with scene(3, [Phase(700.0, "busy", asks), Phase(EVER, "ok")], 1, [(700.0, by)]) as there:
        there.run(699.5)
        there.clock.now = 700.0
        there.restart()
        there.run(backoff.LONGEST_PUT_OFF + 10)
        assert there.all_delivered()


def test_a_destination_that_is_away_for_an_hour_is_probed_less_and_less_often_up_to_once_a_minute(scene: Make) -> None:
    with scene(200, [Phase(HOUR, "silent"), Phase(EVER, "ok")]) as there:
        there.run(HOUR)
        probes = [one for one in there.tries if one.probe]
        assert len(there.tries) == len(probes) + 4
        for failures, (one, other) in enumerate(pairwise(probes), 1):
            wait = backoff.DESTINATION.after(failures)
            assert 0.75 * wait <= other.at - one.back <= 1.25 * wait + 0.01
        assert 45 <= len(probes) <= 90
        # It is noticed by the next probe, and then all go but those that wait on their own account.
        there.run(1.25 * backoff.DESTINATION.longest + 200 * 0.05)
        assert sum(state == "sent" for state in there.states().values()) > 120
        there.run(1.25 * backoff.DELIVERY.longest)
        assert there.all_delivered()


def test_a_paused_destination_is_asked_every_two_minutes_at_last_and_no_call_is_blamed(scene: Make) -> None:
    with scene(200, [Phase(HOUR, "locked"), Phase(EVER, "ok")]) as there:
        there.run(HOUR)
        probes = [one for one in there.tries if one.probe]
        for failures, (one, other) in enumerate(pairwise(probes), 1):
            wait = backoff.PAUSED.after(failures)
            assert 0.75 * wait <= other.at - one.back <= 1.25 * wait + 0.01
        assert 22 <= len(probes) <= 45
        assert {entry.due for entry in newest(there.outbox, Filter(), 200)} == {0.0}
        there.run(1.25 * backoff.PAUSED.longest + 1.25 * backoff.DELIVERY.longest)
        assert there.all_delivered()


@pytest.mark.parametrize("asks", [1.0, 30.0, 700.0, 3600.0])
def test_a_receiver_that_asks_to_be_left_alone_is_left_alone_for_exactly_so_long(scene: Make, asks: float) -> None:
    with scene(50, [Phase(1.0, "busy", asks), Phase(EVER, "ok")]) as there:
        there.run(asks + 4.0)
        first = [one for one in there.tries if isinstance(one.outcome, Later)]
        assert 1 <= len(first) <= 4
        after = there.tries[len(first)]
        last = max(end for _, end in rests(there.tries))
        assert last - ROUNDED <= after.at <= last + 0.01
        there.run(60.0)
        assert there.all_delivered()


def test_a_call_that_always_fails_is_tried_after_the_longest_wait_at_last_and_others_pass(
    scene: Make, call: Call
) -> None:
    with scene(0, [Phase(EVER, "odd", each=1000)]) as there:
        for minute in range(120):
            number = 1000 if minute == 3 else minute + 1
            there.outbox.accept("test", Batch([call(number)], [], None), ["humbug"])
            there.run(60.0)
        of_it = [one for one in there.tries if isinstance(one.outcome, Later)]
        for failures, (one, other) in enumerate(pairwise(of_it), 1):
            wait = backoff.DELIVERY.after(failures)
            # After its first failure it may be the destination's, which the next call shows.
            assert 0.75 * wait <= other.at - one.back <= 1.25 * wait + 1.25 * backoff.DESTINATION.longest + IDLE_SECONDS
        assert len(of_it) > 116 * 60 / (1.25 * (backoff.DELIVERY.longest + backoff.DESTINATION.longest))
        assert sorted(there.states().values()) == ["sent"] * 119 + ["waiting"]
        late = [one.at % 60.0 for one in there.tries if isinstance(one.outcome, Answer)]
        assert sum(seconds > 2.0 for seconds in late) < 8


def test_behind_a_call_that_came_alone_the_outbox_is_asked_for_nothing(scene: Make, call: Call) -> None:
    """To look whether there are more took as long as to find it, with each call that comes now and then."""
    with scene(1, [Phase(EVER, "ok")]) as there:
        asked: list[str] = []
        there.run(0.06)
        assert there.all_delivered()
        there.outbox.db.conn.set_trace_callback(asked.append)
        for _ in range(3):
            there.delivery.step(there.outbox, 0.1)
        assert asked == []
        there.outbox.accept("test", Batch([call(2)], [], None), ["humbug"])
        there.delivery.wake()
        there.run(0.06)
        assert there.all_delivered()
        # Another process may have said replay: it is looked soon all the same.
        asked.clear()
        there.run(2 * IDLE_SECONDS)
        assert asked != []


def test_a_receiver_that_flaps_gets_each_call_once_and_loses_none(scene: Make) -> None:
    phases = [Phase(seconds, ("ok", "silent")[seconds // 10 % 2]) for seconds in range(10, 3600, 10)]
    with scene(2000, [*phases, Phase(EVER, "ok")]) as there:
        there.run(HOUR)
        assert there.all_delivered()
        check_gaps(there.tries)
