"""[queues] and [queue NAME] of agent.ini, and when a figure is beyond them."""

from pathlib import Path

import pytest

from humbug_agent.board.model import Figures, Queue, QueueCall
from humbug_agent.board.settings import Thresholds
from tests.test_config import GOOD, mistakes, read


def test_a_queue_has_its_own_thresholds_and_else_those_of_all(tmp_path: Path) -> None:
    own = "[queue Support Desk]\nwarn_waiting = 5\nwarn_wait = 0\n"
    queues = read(tmp_path, f"{GOOD}[queues]\ntarget = 80\nwarn_wait = 60\n{own}").queues
    assert queues.of("sales") == Thresholds(target=80, warn_wait=60)
    assert queues.of("support desk") == queues.of("Support Desk") == Thresholds(target=80, warn_waiting=5)
    assert read(tmp_path, GOOD).queues.of("sales") == Thresholds()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("[queues]\ntarget = 101", ["[queues] target: '101' is not a whole number from 0 to 100"]),
        ("[queues]\nwarn_wait = 1m", ["[queues] warn_wait: '1m' is not a whole number from 0 to 86400"]),
        ("[queue a]\nwarn_waits = 1", ["[queue a] warn_waits: is not known here; did you mean warn_wait?"]),
        (
            "[queues]\nwarn_wait = 60\ncritical_wait = 20\n[queue a]\ntarget = 9",
            ["[queues] critical_wait: 20 comes before warn_wait, which is 60"],
        ),
        (
            "[queues]\ncritical_waiting = 5\n[queue a]\nwarn_waiting = 6",
            ["[queue a] critical_waiting: 5 comes before warn_waiting, which is 6"],
        ),
        ("[queue a]\n[queue A]", ["[queue a] name: stands there twice", "[queue A] name: stands there twice"]),
        ("[queue]", ["[queue]: is not known; did you mean queues?"]),
    ],
)
def test_mistakes_of_thresholds(tmp_path: Path, lines: str, expected: list[str]) -> None:
    found = [one.partition(": ")[2] for one in mistakes(tmp_path, f"{GOOD}{lines}\n")]
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("thresholds", "waits", "level", "found"),
    [
        ({}, [500.0], 0.0, {}),
        ({"warn_waiting": 2}, [1.0], None, {"waiting": 0}),
        ({"warn_waiting": 2, "critical_waiting": 3}, [1.0, 1.0], None, {"waiting": 1}),
        ({"warn_waiting": 2, "critical_waiting": 3}, [1.0] * 3, None, {"waiting": 2}),
        ({"critical_waiting": 3}, [1.0] * 2, None, {"waiting": 0}),
        ({"warn_wait": 60}, [], None, {"longest_wait": 0}),
        ({"warn_wait": 60, "critical_wait": 90}, [59.9, 3.0], None, {"longest_wait": 0}),
        ({"warn_wait": 60, "critical_wait": 90}, [3.0, 60.0], None, {"longest_wait": 1}),
        ({"warn_wait": 60, "critical_wait": 90}, [90.0], None, {"longest_wait": 2}),
        ({"target": 80}, [], 79.9, {"service_level": 1}),
        ({"target": 80}, [], 80.0, {"service_level": 0}),
        ({"target": 80}, [], None, {}),
    ],
)
def test_when_a_figure_is_beyond_its_threshold(
    thresholds: dict[str, int], waits: list[float], level: float | None, found: dict[str, int]
) -> None:
    calls = [
        QueueCall(uniqueid=str(place), queue="a", channel="", entered=1000.0 - wait) for place, wait in enumerate(waits)
    ]
    # Whoever talks waits no more.
    calls.append(QueueCall(uniqueid="x", queue="a", channel="", entered=1.0, agent="SIP/1", waited=900))
    figures = Figures(
        completed=9, abandoned=0, hold=1, talk=1, level=level or 0.0, target=30 if level is not None else 0
    )
    assert Thresholds(**thresholds).judged(Queue("a", tuple(calls), (), figures), 1000.0) == found
