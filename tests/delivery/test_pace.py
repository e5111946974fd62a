"""How fast a destination may be asked: pure rules, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from humbug_agent import backoff
from humbug_agent.backoff import Pace, retry_in

ATTEMPTS = st.integers(1, 10**6)


def test_an_open_destination_has_room_for_all_connections() -> None:
    p = Pace(4)
    assert [p.room(0.0, under_way) for under_way in range(5)] == [4, 3, 2, 1, 0]


def test_after_a_first_failure_another_call_is_tried_at_once_and_alone() -> None:
    p = Pace(4)
    p.failed(100.0, "away", probe=False)
    assert [p.room(100.0, under_way) for under_way in range(4)] == [1, 0, 0, 0]
    assert (p.failures, p.paused, p.reason) == (0, False, "")


@pytest.mark.parametrize(
    ("pause", "first", "longest"),
    [
        (False, backoff.DESTINATION.first, backoff.DESTINATION.longest),
        (True, backoff.PAUSED.first, backoff.PAUSED.longest),
    ],
)
def test_each_failing_probe_doubles_the_wait_up_to_the_longest(pause: bool, first: float, longest: float) -> None:
    p, now = Pace(4), 100.0
    p.failed(now, "away", probe=False, pause=pause)
    for failures in range(12):
        now += 1000
        p.failed(now, "away", probe=True, pause=pause)
        wait = min(first * 2**failures, longest)
        assert 0.75 * wait <= p.not_before - now <= 1.25 * wait
        assert p.room(p.not_before - 0.01, 0) == 0
        assert p.room(p.not_before, 0) == 1
        assert p.room(p.not_before, 1) == 0
        assert (p.paused, p.reason) == (pause, "away")


def test_the_first_success_opens_everything() -> None:
    p = Pace(4)
    for _ in range(50):
        p.failed(100.0, "no", probe=True, pause=True)
    now = p.not_before
    assert p.room(now, 0) == 1
    p.succeeded()
    assert p.room(now, 0) == 4
    assert (p.failures, p.paused, p.reason, p.probing) == (0, False, "", False)
    p.failed(now, "away", probe=False)
    assert p.room(now, 0) == 1


@pytest.mark.parametrize("probe", [False, True])
def test_a_retry_after_holds_for_the_destination(probe: bool) -> None:
    p = Pace(4)
    p.failed(100.0, "busy", probe=probe, asked=30.0)
    assert p.room(129.9, 0) == 0
    assert p.reason == "busy"
    p.failed(101.0, "busy", probe=False, asked=5.0)
    assert p.room(129.9, 0) == 0
    assert p.room(130.0, 0) == 1


def test_a_success_that_was_under_way_does_not_undo_a_retry_after() -> None:
    # With connections side by side a rate limit answers some with 429 and the others with 200.
    p = Pace(4)
    p.failed(100.0, "answered 429", probe=False, asked=30.0)
    p.succeeded()
    assert p.room(100.1, 0) == 0
    assert p.room(130.0, 0) >= 1


def test_a_long_retry_after_is_told_until_it_is_over_and_a_call_got_through() -> None:
    p = Pace(4)
    p.failed(100.0, "answered 429", probe=False, asked=backoff.DESTINATION.longest)
    assert p.spares(100.0) == ""
    p.failed(100.0, "answered 429", probe=False, asked=1800.0)
    said = p.spares(100.0)
    assert said == "answered 429; asks for 30 minutes without a call"
    p.failed(101.0, "answered 429", probe=False, asked=5.0)
    p.succeeded()
    assert p.spares(1899.0) == said
    p.failed(1899.0, "away", probe=False)
    assert p.spares(1901.0) == said
    p.succeeded()
    assert p.spares(1901.0) == ""
    p.failed(1902.0, "away", probe=False)
    assert p.spares(1902.0) == ""


def test_a_short_retry_after_does_not_shorten_the_wait() -> None:
    p = Pace(4)
    for _ in range(20):
        p.failed(100.0, "busy", probe=True, asked=1.0)
    assert p.room(100.0 + 0.74 * backoff.DESTINATION.longest, 0) == 0


@given(ATTEMPTS)
def test_a_calls_wait_doubles_up_to_five_minutes_with_a_quarter_of_jitter(attempts: int) -> None:
    wait = min(backoff.DELIVERY.first * 2 ** min(attempts - 1, 20), backoff.DELIVERY.longest)
    assert 0.75 * wait <= retry_in(attempts) <= 1.25 * wait


@given(ATTEMPTS, st.floats(0, 3600))
def test_a_call_is_not_tried_before_the_retry_after(attempts: int, asked: float) -> None:
    assert asked <= retry_in(attempts, asked) <= max(asked, 1.25 * backoff.DELIVERY.longest)


def test_waits_are_not_all_the_same() -> None:
    assert len({retry_in(3) for _ in range(100)}) > 50
    waits = set()
    for _ in range(100):
        p = Pace(1)
        p.failed(0.0, "away", probe=True)
        waits.add(p.not_before)
    assert len(waits) > 50


class Sender(RuleBasedStateMachine):
    """Whoever sends as much as the pace allows, and what comes back in any order."""

    @initialize(connections=st.integers(1, 8))
    def begin(self, connections: int) -> None:
        self.pace = Pace(connections)
        self.now = 1000.0
        self.under_way: list[bool] = []
        self.asked_until = self.longest_asked = 0.0
        self.in_a_row = 0

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def send(self) -> None:
        room = self.pace.room(self.now, len(self.under_way))
        assert room >= 0
        if self.pace.probing:
            assert room <= 1
            assert not (room and self.under_way)
        if room:
            assert self.now >= self.asked_until
        self.under_way += [self.pace.probing] * room
        assert len(self.under_way) <= self.pace.connections

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 7))
    def succeed(self, which: int) -> None:
        self.under_way.pop(which % len(self.under_way))
        self.pace.succeeded()
        # Whether it undoes a Retry-After that came meanwhile has a test of its own.
        self.asked_until = 0.0
        self.in_a_row = 0

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 7), asked=st.none() | st.integers(0, 3600), pause=st.booleans())
    def fail(self, which: int, asked: int | None, pause: bool) -> None:
        probe = self.under_way.pop(which % len(self.under_way))
        self.pace.failed(self.now, "no", probe=probe, asked=asked, pause=pause)
        self.asked_until = max(self.asked_until, self.now + (asked or 0))
        self.longest_asked = max(self.longest_asked, self.asked_until)
        self.in_a_row += probe
        assert self.pace.room(self.now, 1) == 0
        if probe:
            first = backoff.PAUSED.first if pause else backoff.DESTINATION.first
            assert self.pace.room(self.now + 0.74 * first, 0) == 0

    @invariant()
    def never_waits_for_ever(self) -> None:
        if hasattr(self, "pace"):
            longest = max(1.25 * backoff.PAUSED.longest, self.longest_asked - self.now) + 0.001
            assert self.pace.room(self.now + longest, 0) >= 1

    @invariant()
    def counts_the_probes_that_failed(self) -> None:
        if hasattr(self, "pace"):
            assert self.pace.failures == self.in_a_row


TestSender = Sender.TestCase
