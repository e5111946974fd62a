"""What is killed or hangs at either end while thousands of calls go to where each is once, however often it is sent."""

import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.config import load
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call
from tests.kit.host import PROGRAM
from tests.kit.places import PLACES, Place
from tests.kit.rude import until

pytestmark = pytest.mark.slow

CALLS = 6000


@pytest.fixture(params=[name for name, place in PLACES.items() if place.once])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def uniqueids(place: Place, tmp_path: Path, outbox: Outbox) -> list[str]:
    """Of the calls that wait in the outbox of agent.ini, which delivers to the place."""
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    (tmp_path / "Master.csv").touch()
    ini.write_text(
        f"[agent]\noutbox = {outbox.path}\ntimezone = UTC\n"
        f"[source csv]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
        f"[destination there]\ntype = {place.type}\n{place.lines()}"
    )
    made = [call(number) for number in range(CALLS)]
    outbox.accept("csv", Batch(made, [], None), ["there"])
    return [each.uniqueid for each in made]


def sent(outbox: Outbox) -> int:
    return queries.count(outbox, queries.Filter(state="sent"))


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_killed_in_the_midst_has_each_call_once(
    place: Place, uniqueids: list[str], tmp_path: Path, outbox: Outbox
) -> None:
    (destination,) = load(tmp_path / "agent.ini").make_destinations()
    delivery = Delivery(destination)
    for share in (0.2, 0.5, 0.8):
        while sent(outbox) < share * CALLS:
            delivery.step(outbox, 0.1)
        assert sent(outbox) < CALLS
        place.away()
        while outbox.health()["destination there"].state != "failing":
            delivery.step(outbox, 0.1)
        place.back()
    while sent(outbox) < CALLS:
        delivery.step(outbox, 0.1)
    destination.close()
    assert sorted(place.arrived()) == sorted(uniqueids)


def test_an_agent_that_is_killed_again_and_again_has_each_call_there_once(
    place: Place, uniqueids: list[str], tmp_path: Path, outbox: Outbox
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    chance, kills = random.Random(seed), 0
    while sent(outbox) < CALLS:
        with subprocess.Popen([PROGRAM, "--config", str(tmp_path / "agent.ini"), "run"]) as agent:
            goal = sent(outbox) + chance.randrange(1, CALLS // 3)
            try:
                until(lambda: sent(outbox) >= min(goal, CALLS), 60, "some more are sent")  # noqa: B023
            finally:
                agent.kill()
            kills += 1
    assert kills > 1
    assert sorted(place.arrived()) == sorted(uniqueids)


def test_a_server_that_hangs_holds_up_no_stop_and_has_each_call_once_when_it_goes_on(
    place: Place, uniqueids: list[str], tmp_path: Path, outbox: Outbox
) -> None:
    command = [PROGRAM, "--config", str(tmp_path / "agent.ini"), "run"]
    with subprocess.Popen(command) as agent:
        try:
            until(lambda: sent(outbox) > CALLS // 10, 60, "some are sent")
            place.freeze()
            stuck = outbox.health
            until(lambda: stuck()["destination there"].state == "failing", 30, "its time is over")
            began = time.monotonic()
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(30) == 0
            assert time.monotonic() - began < 10
        finally:
            agent.kill()
            place.thaw()
    with subprocess.Popen(command) as agent:
        try:
            until(lambda: sent(outbox) == CALLS, 90, "all are sent")
        finally:
            agent.terminate()
    assert sorted(place.arrived()) == sorted(uniqueids)


def test_no_thread_is_left_of_one_that_is_closed_while_the_server_hangs(
    place: Place, uniqueids: list[str], tmp_path: Path, outbox: Outbox
) -> None:
    before = set(threading.enumerate())
    (destination,) = load(tmp_path / "agent.ini").make_destinations()
    delivery = Delivery(destination)
    while sent(outbox) < CALLS // 10:
        delivery.step(outbox, 0.1)
    place.freeze()
    try:
        delivery.step(outbox, 0.1)
        began = time.monotonic()
        destination.close()
        assert time.monotonic() - began < 3
        assert set(threading.enumerate()) <= before
    finally:
        place.thaw()
    assert len(uniqueids) == CALLS


def test_a_wait_ends_in_time_or_when_it_is_woken_and_nothing_comes_of_it(place: Place, tmp_path: Path) -> None:
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\ntimezone = UTC\n[source csv]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
        f"[destination there]\ntype = {place.type}\n{place.lines()}"
    )
    (destination,) = load(ini).make_destinations()
    assert destination.preview(call(1)).body
    assert destination.collect(0.05) == []
    destination.wake()
    began = time.monotonic()
    assert destination.collect(30.0) == []
    assert time.monotonic() - began < 10
    assert destination.check()
    assert not place.arrived()
    destination.close()
    destination.close()
    assert destination.collect(0.05) == []
    destination.wake()
