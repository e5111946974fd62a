"""Every type of destination: the agent and the other end are killed at random moments, and each call is there.

At a webhook those alone have come twice whose request was under way, or whose answer was lost; in PostgreSQL's table
and in NATS' stream each is once. What humbug's receiver has of it is in test_kill.py.

A failure is repeated with KILL_SEED=<the number that the test printed>, as far as chance of scheduling allows.
"""

import os
import random
import threading
from pathlib import Path

import pytest

from tests.campaign.battle import PATIENCE_SECONDS, check_agent, let_arrive
from tests.campaign.ends import ENDS, End
from tests.campaign.mortal import Mortal
from tests.campaign.writer import Master, Writer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

LIVES = int(os.environ.get("LIVES", "3"))
"""A few for each run of all tests; seeds.py has more of them."""


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.timeout(180 + 10 * LIVES)
def test_kills_of_both_sides_lose_no_call_to(kind: str, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    master = Master(tmp_path / "cdr-csv" / "Master.csv", random.Random(rng.random()), threading.Event())
    master.path.parent.mkdir()
    source = f"[source master-csv]\ntype = asterisk_csv\npath = {master.path}\n"
    with (
        ENDS[kind](rng.randrange(2**32)) as there,
        Mortal(tmp_path, lambda life: source + there.section(life)) as agent,
    ):
        writer = Writer(master, random.Random(rng.random()))
        writer.start()
        try:
            for _ in range(LIVES):
                live_once(agent, there, rng)
        finally:
            writer.finish()
        there.recover()
        agent.start()
        wait_until(agent.has_begun, PATIENCE_SECONDS)
        let_arrive(agent, there.received, len(master.written))
        assert agent.stop(20) == 0, agent.tail()
        there.check(agent, master.written)
        check_agent(agent, len(master.written))


def live_once(agent: Mortal, there: End, rng: random.Random) -> None:
    agent.start()
    if rng.random() < 0.9:
        wait_until(agent.has_begun, PATIENCE_SECONDS)
    for _ in range(rng.choice((1, 2, 3, 4))):
        assert agent.live(rng.uniform(0.0, 0.8)) is None, agent.tail()
        there.upset(rng)
    assert agent.live(rng.uniform(0.0, 0.8)) is None, agent.tail()
    agent.kill()
