"""The figures of queues and agents against a real Asterisk, while it is busy with every way in which a call can go.

Half a minute; HUMBUG_TEST_FIGURES_SECONDS=600 makes it ten.
"""

import os
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pytest

from tests.kit.host import Host, wait_until
from tests.kit.ports import free_port
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.queue_witness import Ages, Shown, Values, Witness, console
from tests.pbx.test_board_on_pbx import Ipps

SECONDS = int(os.environ.get("HUMBUG_TEST_FIGURES_SECONDS", "30"))
pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(SECONDS + 120)]

QUEUE, TARGET = "figures", 4
BEHIND_SECONDS = 3.0
"""How old a figure may be: an event is put on the board at once, and what is counted is asked for once a second."""

AGENTS = {f"Local/98{number:02}@agents/n": f"Agent {number}" for number in range(1, 18)}
DEAF = {f"Local/97{number:02}@agents/n": f"Deaf {number}" for number in range(1, 4)}
MOST_CALLERS = 60
STEP_SECONDS = 0.2


def board(answer: dict[str, Any]) -> Shown:
    """What /status.json says, in the words of the console."""
    (queue,) = [one for one in answer["queues"] if one["name"] == QUEUE]
    figures = queue["figures"]
    values: Values = {("queue", name): value for name, value in figures.items()}
    values["queue", "waiting"] = len(queue["waiting"])
    ages: Ages = {("queue", "longest_wait_seconds"): queue["longest_wait_seconds"]}
    for one in queue["members"]:
        shown = ["name", "state", "paused", "calls_taken", "penalty", *(["reason"] if one["paused"] else [])]
        values |= {(one["interface"], name): one[name] for name in shown}
        running = ["login_seconds", "last_call_seconds", *(["last_pause_seconds"] if one["paused"] else [])]
        ages |= {(one["interface"], name): one[name] for name in running if one[name] is not None}
    return Shown(values, ages)


class Work:
    """Callers who are patient or not, agents who go on a break, calls that are sent on."""

    def __init__(self, manager: Manager, witness: Witness) -> None:
        self._manager, self._witness = manager, witness
        self._chance = random.Random(20)
        self._paused: list[str] = []

    def staff(self) -> None:
        for number, (interface, name) in enumerate({**AGENTS, **DEAF}.items()):
            self._manager.action(
                "QueueAdd", Queue=QUEUE, Interface=interface, MemberName=name, Penalty=str(number % 2), Paused="false"
            )

    def goes_on(self) -> None:
        """One thing or another; which one is the same in each run, when it happens is not."""
        pick = self._chance.random()
        callers = len(self._witness.counted.waiting) + len(self._witness.counted.talking)
        if pick < 0.5 and callers < MOST_CALLERS:
            # More than the agents can take: some wait, and some give up.
            for patience in self._chance.choices(["2", "4", "8", "15", "40"], k=3):
                self._manager.action(
                    "Originate", Channel="Local/546@from-internal", Application="Wait", Data=patience, Async="true"
                )
        elif pick < 0.62:
            self._pause()
        elif pick < 0.72 and (talking := sorted(self._witness.counted.talking.copy().values())):
            # Its other end may have hung up meanwhile.
            agent = self._chance.choice(talking)
            self._manager.action("BlindTransfer", Channel=agent, Context="from-internal", Exten="500")

    def _pause(self) -> None:
        if len(self._paused) < 5:
            one = self._chance.choice([one for one in AGENTS if one not in self._paused])
            self._paused.append(one)
            reason = self._chance.choice(["lunch", "Zoë's break", ""])
            self._manager.action("QueuePause", Queue=QUEUE, Interface=one, Paused="true", Reason=reason)
        else:
            one = self._paused.pop(0)
            self._manager.action("QueuePause", Queue=QUEUE, Interface=one, Paused="false")


@dataclass(frozen=True)
class Look:
    """What somebody said who was asked at ``began`` and had answered at ``ended`` (monotonic)."""

    began: float
    ended: float
    shown: Shown

    @classmethod
    def of(cls, ask: Callable[[], Shown]) -> "Look":
        began = time.monotonic()
        shown = ask()
        return cls(began, time.monotonic(), shown)


def never_shown(
    samples: Sequence[Look],
    truth: Sequence[Look],
    events: Sequence[tuple[float, tuple[str, ...], object]],
    between: Set[str] = frozenset(),
) -> list[str]:
    """What a board said, and neither the console nor the events did, in the last seconds before, nor right behind.

    Figures ``between`` may also be what is between two of theirs.
    """
    wrong = []
    epoch = time.time() - time.monotonic()
    # All in the order of time: of ten minutes there are thousands of samples, and a hundred thousand events.
    ends, begins, whens = [one.ended for one in truth], [one.began for one in truth], [when for when, _, _ in events]
    for said in samples:
        # On a busy machine whoever reads the raw events may be behind, too.
        first, last = said.began - BEHIND_SECONDS, said.ended + BEHIND_SECONDS
        then = [one.shown for one in truth[bisect_right(ends, first) : bisect_left(begins, last)]]
        told = [(of, value) for _, of, value in events[bisect_right(whens, first) : bisect_left(whens, last)]]
        for figure, value in said.shown.values.items():
            values = [shown.values.get(figure) for shown in then] + [one for of, one in told if of == figure]
            within = figure[-1] in between and isinstance(value, float) and _spans(values, value)
            if value not in values and not within:
                wrong.append(f"{figure}: {value}, where the console and the events have {values}")
        for figure, age in said.shown.ages.items():
            ages = [shown.ages[figure] for shown in then if figure in shown.ages]
            ages += [epoch + said.ended - float(str(since)) for of, since in told if of == figure]
            if not any(abs(age - one) < BEHIND_SECONDS for one in ages):
                wrong.append(f"{figure}: {age} s, where the console and the events have {ages}")
    return wrong


def _spans(values: Sequence[object], value: float) -> bool:
    numbers = [one for one in values if isinstance(one, float)]
    return bool(numbers) and min(numbers) <= value <= max(numbers)


def test_all_figures_are_those_of_the_console_and_of_the_raw_events(pbx: Callable[..., Pbx], host: Host) -> None:
    there, ipps = pbx(), Ipps(free_port())
    samples: list[Look] = []
    truth: list[Look] = []
    with (
        Daemon(host, there, user="board", more=ipps.status) as agent,
        Manager(there.ami_port) as manager,
        Witness(there, QUEUE, TARGET) as witness,
    ):
        wait_until(ipps.ready, 10)
        work = Work(manager, witness)
        work.staff()
        wait_until(lambda: len(console(there, QUEUE).values) == len(board(ipps.board()).values), 10)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            # As busy as a floor of twenty agents is, and no busier.
            time.sleep(STEP_SECONDS)
            work.goes_on()
            truth.append(Look.of(lambda: console(there, QUEUE)))
            samples.append(Look.of(lambda: board(ipps.board())))
        counted = witness.counted
        wait_until(lambda: not manager.channels(), 70, 0.2)
        wait_until(lambda: board(ipps.board()).values == console(there, QUEUE).values, BEHIND_SECONDS)
        final = console(there, QUEUE)
        agent.end()
    # What is counted twice for a moment makes a share that is in no event.
    between = {"service_level_percent"} if there.version.startswith("16.") else frozenset[str]()
    wrong = never_shown(samples, truth, counted.history, between)
    assert not wrong, "\n".join(wrong)
    # Everything that can happen did.
    assert min(counted.completed, counted.abandoned, counted.unanswered, counted.transferred, counted.in_time) > 0
    assert counted.completed > counted.in_time
    assert counted.pauses["0"]
    assert counted.pauses["1"]
    assert max(int(str(one.shown.values["queue", "waiting"])) for one in samples) > 5
    # A second reading of the raw events.
    values = final.values
    assert counted.completed == counted.connected
    assert counted.joined == counted.completed + counted.abandoned
    twice = {one: int(str(values[one, "calls_taken"])) - counted.taken[one] for one in AGENTS}
    assert int(str(values["queue", "completed"])) - counted.completed == sum(twice.values())
    counts_twice = there.version.startswith("16.") and any(twice.values())
    if counts_twice:
        # Its member and its queue have one more call, whose end is told once: more completed than ever joined.
        assert min(twice.values()) == 0
        assert sum(twice.values()) < 0.02 * counted.completed
    left_out = {"completed", "talk_seconds", "service_level_percent"} if counts_twice else set()
    figures = {name: value for name, value in counted.figures().items() if name not in left_out}
    assert {name: values["queue", name] for name in figures} == figures
    assert counts_twice or not any(twice.values())
    print(
        f"{len(samples)} samples; {counted.joined} callers, {counted.completed} answered, {counted.abandoned} "
        f"abandoned, {counted.unanswered} rang out, {counted.transferred} transferred, {counted.pauses['1']} pauses"
    )
