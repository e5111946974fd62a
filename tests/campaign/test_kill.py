"""SIGKILL at random moments: no call is missing, none is doubled but those whose request was under way.

A failure is repeated with KILL_SEED=<the number that the test printed>, as far as chance of scheduling allows.
"""

import os
import time
from pathlib import Path

import pytest

from humbug_agent import backoff
from tests.campaign.battle import (
    PATIENCE_SECONDS,
    Field,
    change_manners,
    check_end,
    drain,
    field,
    fill,
    small_disk,
    written_to,
)
from tests.campaign.mortal import CONNECTIONS, Mortal
from tests.campaign.rude_receiver import EATING, KIND, REFUSED

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "100"))
"""Of the longest test; seeds.py may have fewer of them, for more seeds."""


def kill_once(there: Field) -> None:
    """Start the agent, and kill it: right away, while it starts, in the midst of its work, or later."""
    rng, agent = there.rng, there.agent
    agent.start()
    when = rng.choices(("at once", "starting", "busy", "any"), (12, 15, 58, 15))[0]
    if when == "busy":
        there.receiver.await_request(agent.life, 1.2)
    seconds = {"at once": (0.0, 0.02), "starting": (0.05, 0.5), "busy": (0.0, 0.7), "any": (0.05, 1.2)}[when]
    assert agent.live(rng.uniform(*seconds)) is None, agent.tail()
    agent.kill()


def kill(there: Field, times: int) -> None:
    while len(there.agent.killed) < times:
        if there.rng.random() < 0.3:
            change_manners(there.receiver, there.rng)
        kill_once(there)


def refuse_for_good(there: Field, number: int) -> None:
    """What is answered with 400 is dead, and is sent by a replay."""
    there.receiver.be(REFUSED)
    for _ in range(number):
        there.master.add()
    there.agent.await_status(lambda found: len(there.master.written) == found["calls"], PATIENCE_SECONDS)
    found = there.agent.await_status(there.agent.nothing_left, PATIENCE_SECONDS)
    new = len(there.master.written) - there.received()
    assert new >= number
    assert found["deliveries"]["dead"] == new
    there.receiver.be(KIND)
    assert there.agent.ask("outbox", "replay")["count"] == new
    there.agent.await_status(there.agent.nothing_left, PATIENCE_SECONDS)


@pytest.mark.timeout(600)
def test_a_hundred_kills_lose_no_call_and_double_only_what_was_under_way(tmp_path: Path, seed: int) -> None:
    with field(tmp_path, seed) as there:
        with written_to(there):
            kill(there, KILLS // 2)
            there.master.dateext = True
            kill(there, KILLS)
        drain(there)
        refuse_for_good(there, 20)
        assert there.agent.stop() == 0
        check_end(there, there.judge())


@pytest.mark.timeout(600)
def test_the_same_holds_for_encoded_calls(tmp_path: Path, seed: int) -> None:
    with field(tmp_path, seed, encoded=True) as there:
        with written_to(there):
            kill(there, 10)
        drain(there)
        assert there.agent.stop() == 0
        check_end(there, there.judge())


@pytest.mark.timeout(300)
def test_a_backlog_is_sent_once_by_run_once_however_often_that_is_killed(tmp_path: Path, seed: int) -> None:
    with field(tmp_path, seed) as there:
        for number in range(3000):
            there.master.add()
            if number % 600 == 599:
                there.master.rotate()
        there.receiver.be(EATING)
        for _ in range(25):
            there.agent.start("run", "--once")
            there.receiver.await_request(there.agent.life, 2)
            there.agent.live(there.rng.uniform(0, 0.4))
            there.agent.kill()
        there.receiver.be(KIND)
        there.agent.ask("outbox", "replay", "--state", "waiting")
        there.agent.start("run", "--once")
        assert there.agent.live(120) == 0, there.agent.tail()
        check_end(there, there.judge())


@pytest.mark.timeout(300)
def test_an_outbox_may_be_killed_at_any_moment_of_its_making(tmp_path: Path, seed: int) -> None:
    with field(tmp_path, seed) as there:
        for _ in range(20):
            there.master.add()
        for _ in range(25):
            for path in tmp_path.glob("outbox.db*"):
                path.unlink()
            there.agent.start()
            deadline = time.monotonic() + 10
            while not there.agent.outbox.exists() and time.monotonic() < deadline:
                assert there.agent.live(0.001) is None, there.agent.tail()
            there.agent.live(there.rng.uniform(0, 0.06))
            there.agent.kill()
            assert there.agent.integrity() == "ok"
            assert there.agent.ask("status")["calls"] <= len(there.master.written)
        drain(there)
        assert there.agent.stop() == 0
        assert there.agent.ask("status")["calls"] == len(there.master.written)
        assert there.received() == len(there.master.written)
        assert "Traceback" not in there.agent.log(), there.agent.tail()


@pytest.mark.timeout(300)
def test_looking_at_the_outbox_takes_nothing_from_the_running_agent(tmp_path: Path, seed: int) -> None:
    """Two processes with one SQLite file: whoever closes last removes its log, and nobody else may."""
    with field(tmp_path, seed) as there:
        there.agent.start()
        for _ in range(5):
            for _ in range(100):
                there.master.add()
            there.agent.await_status(there.agent.nothing_left, 10)
            assert there.agent.deleted_files() == [], there.agent.deleted_files()
        there.agent.kill()
        check_end(there, there.judge())


@pytest.mark.timeout(300)
def test_a_backlog_that_rotates_while_it_is_read_is_read_wholly(tmp_path: Path, seed: int) -> None:
    with field(tmp_path, seed) as there:
        for _ in range(5):
            for _ in range(1200):
                there.master.add()
            there.master.rotate()
        for _ in range(3):
            there.agent.start()
            while there.agent.ask("status")["calls"] == 0:
                assert there.agent.live(0.01) is None, there.agent.tail()
            for _ in range(4):
                there.master.add()
                there.master.rotate()
                there.agent.live(there.rng.uniform(0.02, 0.2))
            there.agent.kill()
        drain(there)
        assert there.agent.stop() == 0
        check_end(there, there.judge())


FULL = ("source master-csv: outbox", "its disk is full")


def is_full(agent: Mortal) -> bool:
    said = agent.log()
    stuck = "nothing is sent to humbug meanwhile" in said or not agent.ask("status")["deliveries"]["waiting"]
    return stuck and all(part in said for part in FULL)


@pytest.mark.timeout(300)
def test_a_full_disk_loses_and_doubles_nothing_and_is_recovered_from(tmp_path: Path, seed: int) -> None:
    with small_disk(tmp_path / "disk", 6) as disk, field(tmp_path, seed, outbox=disk / "outbox.db") as there:
        agent, master = there.agent, there.master
        agent.start()
        for number in (200, 500):
            there.receiver.listen(number == 200)
            while len(master.written) < number:
                master.add()
            agent.await_status(lambda found: found["calls"] == len(master.written), 20)
        ballast = fill(disk)
        there.receiver.listen(True)
        for _ in range(4):
            for _ in range(300):
                master.add()
            master.rotate()
            assert agent.live(0.3) is None, agent.tail()
        # A destination that was away is probed once a minute at least. What waits is sent then, or can't be written
        # down; where its log has room left, all of it is.
        deadline = time.monotonic() + backoff.MOST_JITTER * backoff.DESTINATION.longest + 15
        while not is_full(agent) and time.monotonic() < deadline:
            # The room that its log has had takes more calls at one time than at another.
            for _ in range(50 * (FULL[1] not in agent.log())):
                master.add()
            assert agent.live(0.1) is None, agent.tail()
        assert is_full(agent), agent.tail()
        asked = len(there.receiver.requests)
        assert agent.live(3) is None, agent.tail()
        assert len(there.receiver.requests) - asked <= CONNECTIONS, (
            "it sends on although it can't write down what was sent"
        )
        # Killed in this state and started again, as systemd does.
        for _ in range(5):
            agent.kill()
            agent.start()
            agent.live(there.rng.uniform(0.3, 1.0))
        agent.kill()
        ballast.unlink()
        agent.start()
        agent.await_status(lambda found: found["calls"] == len(master.written) and agent.nothing_left(found), 60)
        assert agent.stop() == 0
        check_end(there, there.judge())


@pytest.mark.timeout(60)
def test_a_record_that_ends_after_the_rename_is_read_also_when_the_agent_starts_just_then(
    tmp_path: Path, seed: int
) -> None:
    with field(tmp_path, seed) as there:
        agent, master = there.agent, there.master
        for _ in range(20):
            master.add()
        agent.start()
        agent.await_status(agent.nothing_left, 10)
        agent.kill()
        before = len(master.written)

        def while_it_is_open() -> None:
            master.rotate()
            master.add()
            agent.start()
            deadline = time.monotonic() + 0.7
            while there.received() == before and time.monotonic() < deadline:
                assert agent.live(0.01) is None, agent.tail()

        master.add_while(while_it_is_open)
        agent.await_status(lambda found: found["calls"] == len(master.written) and agent.nothing_left(found), 5)
        assert agent.stop() == 0
        check_end(there, there.judge())
