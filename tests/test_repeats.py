"""What happens again and again: how often it is in the log, by a clock that is set by hand."""

import logging
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.repeats import FIRST_SPAN, MOST_KINDS, SPAN, Sayings

DAY = 86400


class Spoken:
    """A Sayings, its clock, and what it said."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[str] = []
        self.sayings = Sayings(lambda _, text: self.lines.append(text), lambda: self.now)

    def new(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    def wait(self, seconds: float) -> list[str]:
        self.now += seconds
        self.sayings.tick()
        return self.new()


@pytest.fixture
def spoken() -> Spoken:
    return Spoken()


def refuse(spoken: Spoken, number: int, kind: str = "400") -> list[str]:
    spoken.sayings.say("refused", logging.ERROR, f"call {number}: refused", kind=kind)
    return spoken.new()


def test_the_first_is_said_at_once_and_the_others_are_counted(spoken: Spoken) -> None:
    assert refuse(spoken, 1) == ["call 1: refused"]
    assert [refuse(spoken, number) for number in range(2, 1236)] == [[]] * 1234
    assert spoken.wait(FIRST_SPAN - 1) == []
    assert spoken.wait(1) == ["call 1235: refused (1,234 more within 1 min)"]
    for number in range(59):
        assert spoken.wait(60) == []
        assert refuse(spoken, number) == []
    assert spoken.wait(60) == ["call 58: refused (59 more within 60 min)"]


def test_another_kind_is_said_at_once(spoken: Spoken) -> None:
    assert refuse(spoken, 1) == ["call 1: refused"]
    assert refuse(spoken, 2, "413") == ["call 2: refused"]
    assert refuse(spoken, 3, "413") == refuse(spoken, 4) == []
    said = [refuse(spoken, number, str(number)) for number in range(5, 50)]
    assert sum(map(len, said)) == MOST_KINDS - 2


def test_what_was_quiet_for_long_is_said_anew(spoken: Spoken) -> None:
    refuse(spoken, 1)
    assert refuse(spoken, 2) == []
    assert spoken.wait(SPAN) == ["call 2: refused (one more within 60 min)"]
    assert refuse(spoken, 3) == ["call 3: refused"]
    assert spoken.wait(SPAN) == []


def test_how_things_are_is_said_once_they_stay_so(spoken: Spoken) -> None:
    def is_now(state: str) -> list[str]:
        spoken.sayings.say("state", logging.INFO, state, kind=state, calm=60.0)
        return spoken.new()

    assert is_now("away") == ["away"]
    assert is_now("here") == ["here"]
    for _ in range(10):
        assert spoken.wait(2) == is_now("away") == []
        assert spoken.wait(2) == is_now("here") == []
    assert is_now("away") == []
    assert spoken.wait(59) == ["away (21 more within 2 min)"]
    assert spoken.wait(1) == []
    assert is_now("here") == ["here"]


def test_the_end_says_what_was_only_counted(spoken: Spoken) -> None:
    refuse(spoken, 1)
    refuse(spoken, 2)
    spoken.sayings.say("rejects", logging.WARNING, "rejects", number=3)
    spoken.sayings.say("rejects", logging.WARNING, "more rejects", number=4)
    spoken.new()
    spoken.sayings.end()
    assert spoken.new() == ["call 2: refused (one more within 1 min)", "more rejects (4 more within 1 min)"]
    spoken.sayings.end()
    assert spoken.new() == []


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from([0.0, 1.0, 59.0, 90.0, 4000.0]))),
    st.sampled_from([60.0, SPAN]),
)
def test_nothing_is_left_out(events: list[tuple[str, str, float]], calm: float) -> None:
    spoken = Spoken()
    for subject, kind, wait in events:
        spoken.sayings.say(subject, logging.INFO, subject + kind, kind=kind, calm=calm)
        spoken.now += wait
        spoken.sayings.tick()
    spoken.sayings.end()
    found = [re.search(r" \(([\d,]+|one) more", line) for line in spoken.lines]
    counted = sum(1 if one[1] == "one" else int(one[1].replace(",", "")) for one in found if one)
    assert counted + found.count(None) == len(events)


@pytest.mark.parametrize("every", [1.0, 5.0, 61.0, 600.0])
def test_of_a_day_of_it_few_lines_are_left(spoken: Spoken, every: float) -> None:
    say: Callable[[], None] = lambda: spoken.sayings.say("refused", logging.ERROR, "refused", kind="400")  # noqa: E731
    for _ in range(int(DAY / every)):
        say()
        spoken.now += every
        spoken.sayings.tick()
    assert len(spoken.lines) <= 27
