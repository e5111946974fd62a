"""Every type of source at the same time, two destinations, and all that can go wrong with them, by chance.

Each call that was told is at both receivers, once; those alone may have come twice whose request was under way when
the agent was killed, or whose answer was lost. A failure is repeated with KILL_SEED=<the number that the test printed>,
as far as chance of scheduling allows.
"""

import os
import random
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.campaign.all_pbxs import AllPbxs
from tests.campaign.battle import PATIENCE_SECONDS, change_manners, fill, let_arrive, small_disk, tell
from tests.campaign.faults import let_fail
from tests.campaign.ledger import doubled
from tests.campaign.mortal import API_KEY, CONNECTIONS, ENCRYPTION_KEY, Mortal, humbug
from tests.campaign.oracle import Oracle
from tests.campaign.power import Supply
from tests.campaign.rude_receiver import KIND, LOSING, RudeReceiver
from tests.campaign.shim import Shim
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

LIVES = int(os.environ.get("LIVES", "10"))
"""A few for each run of all tests; seeds.py has more of them."""

STOP_SECONDS = 20.0
"""As systemd gives it."""

DISK_MEGABYTES = 60
"""The outbox's file system."""


@pytest.mark.timeout(240 + 20 * LIVES)
# PyMySQL leaves its socket to whoever collects the garbage, where nobody answers.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_types_of_source_at_once_lose_no_call_and_double_only_what_was_under_way(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with ExitStack() as stack:
        pbxs = stack.enter_context(AllPbxs(tmp_path, rng))
        receivers = {
            name: stack.enter_context(RudeReceiver(Oracle(API_KEY, key), rng.randrange(2**32)))
            for name, key in (("plain", ""), ("encoded", ENCRYPTION_KEY))
        }

        def sections(life: int) -> str:
            sent = (humbug(name, one.url(life), encoded=name == "encoded") for name, one in receivers.items())
            return pbxs.ini() + "\n".join(sent)

        disk = stack.enter_context(small_disk(tmp_path / "disk", DISK_MEGABYTES))
        outbox = disk / "outbox.db"
        shim = Shim(tmp_path, outbox, tmp_path / "asterisk_csv", rng.randrange(2**64))
        stack.callback(shim.close)
        agent = stack.enter_context(Mortal(tmp_path, sections, outbox=outbox, shim=shim))
        agent.zone = "UTC"
        supply = Supply(outbox, shim.record)
        pbxs.begin()
        for _ in range(LIVES):
            supply.on()
            live_once(agent, shim, pbxs, receivers, rng)
            end(agent, supply, receivers, rng)
        pbxs.recover()
        for one in receivers.values():
            one.listen(True)
            one.be(KIND)
        agent.start()
        pbxs.finish()
        pbxs.fresh()
        let_arrive(agent, lambda: everywhere(receivers, pbxs.told), len(pbxs.told))
        assert agent.stop(STOP_SECONDS) == 0, agent.tail()
        for name, one in receivers.items():
            check(agent, one, pbxs.told, supply.forgotten[name], shim.failed("socket"))


def live_once(agent: Mortal, shim: Shim, pbxs: AllPbxs, receivers: dict[str, RudeReceiver], rng: random.Random) -> None:
    """One life of the agent, while something goes wrong."""
    agent.start()
    if rng.random() < 0.9:
        wait_until(agent.has_begun, PATIENCE_SECONDS)
    for _ in range(rng.choice((0, 1, 2, 4, 8))):
        what = rng.choice(("PBX", "PBX", "receiver", "receiver", "busy", "reload", "frozen", "full", "failing"))
        if what == "PBX":
            pbxs.break_down()
        elif what == "receiver":
            change_manners(rng.choice([*receivers.values()]), rng)
        elif what == "busy":
            busy(agent, rng)
        elif what == "frozen":
            agent.freeze(rng.uniform(0.0, 3.0))
        elif what == "full" and agent.has_begun():
            ballast = fill(agent.outbox.parent)
            agent.live(rng.uniform(0.0, 2.0))
            ballast.unlink()
        elif what == "failing" and agent.has_begun():
            let_fail(shim, rng)
            agent.live(rng.uniform(0.0, 2.0))
            shim.heal()
        elif agent.has_begun():
            agent.reload()
        assert agent.live(rng.uniform(0.0, 1.0)) is None, agent.tail()


def end(agent: Mortal, supply: Supply, receivers: dict[str, RudeReceiver], rng: random.Random) -> None:
    """Of a life: stopped, killed, or with the power."""
    if agent.has_begun() and rng.random() < 0.4:
        assert agent.stop(STOP_SECONDS) == 0, agent.tail()
        return
    agent.kill()
    if rng.random() < 0.4:
        supply.cut(rng, {key for one in receivers.values() for key in one.oracle.calls})


def busy(agent: Mortal, rng: random.Random) -> None:
    """Somebody else has the outbox to himself for a while."""
    if agent.outbox.exists():
        with closing(sqlite3.connect(agent.outbox, timeout=5)) as db:
            db.execute("BEGIN IMMEDIATE")
            agent.live(rng.uniform(0.0, 0.7))


def everywhere(receivers: dict[str, RudeReceiver], told: set[str]) -> int:
    """How many of these calls all receivers have."""
    return len(
        told.intersection(*({named(call) for call in [*one.oracle.calls.values()]} for one in receivers.values()))
    )


def named(call: dict[str, str]) -> str:
    """As AllPbxs.told has it."""
    return call["UniqueID"].rpartition(".")[2]


def check(agent: Mortal, receiver: RudeReceiver, told: set[str], forgotten: Counter[str], sockets: int) -> None:
    came = Counter(map(named, receiver.oracle.calls.values()))
    again, deeds = doubled(receiver, agent.killed, forgotten, sockets_fail=sockets > 0), receiver.deeds()
    lost = told - came.keys()
    tell(receiver, agent, calls=len(told), lost=len(lost), again=again)
    assert receiver.faults == []
    assert "Traceback" not in agent.log(), agent.tail()
    assert not agent.said("damaged"), agent.tail()
    assert lost == set(), agent.ask("status")
    assert set(came) - told == set()
    assert [name for name, times in came.items() if times > 1] == []
    assert again.wrong == [], "\n".join(again.wrong)
    unanswered = sum(deeds[did] for did in LOSING)
    assert again.in_doubt <= unanswered + len(agent.killed) * CONNECTIONS + forgotten.total() + sockets
    assert agent.ask("status")["rejects"] == 0, agent.ask("outbox", "list", "--state", "rejected")
    assert {entry["state"] for entry in agent.ask("outbox", "list")} == {"sent"}
    assert agent.integrity() == "ok"
