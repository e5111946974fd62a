"""Whatever fails around the agent, alone or together: no call is lost, and none comes twice without a reason.

After it a call is at the receiver, or the command line names it with the reason why not; all drains when the faults
end, and a fresh call passes. A failure is repeated with KILL_SEED=<the number that the test printed>, as far as chance
of scheduling allows.
"""

import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.campaign.battle import PATIENCE_SECONDS, tell, written_to
from tests.campaign.faults import DAY, FAULTS, POWER_CUT, Fault, Front, front
from tests.campaign.ledger import judge
from tests.campaign.mortal import CONNECTIONS, Mortal
from tests.campaign.power import everything, nothing
from tests.campaign.rude_receiver import KIND, LOSING
from tests.campaign.writer import Call
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

LIVES = int(os.environ.get("LIVES", "3"))
"""A few for each run of all tests; seeds.py says how many."""

RATES = (20.0, 100.0)
"""Calls a second, that the agent can keep up with on half a processor."""

FRESH_SECONDS = 30.0
"""In which a call that ends when all is well must come."""

STOP_SECONDS = 20.0
"""As systemd gives it."""

AT_UNIQUEID = -2
"""In a Call."""


def drawn(seed: int) -> list[str]:
    """The faults of a battle: one of them alone, or several together; FAULTS names others."""
    if chosen := os.environ.get("FAULTS"):
        return chosen.split(",")
    rng, names = random.Random(~seed), [POWER_CUT, *FAULTS]
    return sorted(rng.sample(names, rng.choice((1, 2, 2, 3, 3, 4, len(names)))))


@pytest.mark.parametrize("name", [POWER_CUT, *FAULTS])
def test_each_fault_alone_loses_and_doubles_nothing(tmp_path: Path, seed: int, name: str) -> None:
    fight(tmp_path, seed, [name], 2)


@pytest.mark.timeout(600)
def test_faults_together_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    fight(tmp_path, seed, drawn(seed), LIVES)


def fight(home: Path, seed: int, names: list[str], lives: int) -> None:
    print(f"FAULTS={','.join(names)}")
    with front(home, seed, names) as there:
        faults: list[Fault] = [FAULTS[name](there) for name in names if name != POWER_CUT]
        goes_on = there.rng.random() < 0.25
        with written_to(there.field, RATES):
            for life in range(1, lives + 1):
                live_once(there, faults)
                if life < lives or not goes_on:
                    end(there, power=POWER_CUT in names)
        for fault in faults:
            fault.end()
        there.shim.heal()
        settle(there, goes_on=goes_on and is_up(there.field.agent))
        assert there.field.agent.stop(STOP_SECONDS) == 0, there.field.agent.tail()
        check(there, names)


def live_once(there: Front, faults: list[Fault]) -> None:
    """A life of the agent, in which something goes wrong for a while."""
    rng, agent = there.rng, there.field.agent
    there.supply.on()
    agent.start()
    if rng.random() < 0.8:
        wait_until(lambda: agent.has_begun() or agent.live(0) is not None, PATIENCE_SECONDS)
    for _ in range(rng.choice((1, 2))):
        if faults:
            fault = rng.choice(faults)
            fault.begin()
            agent.live(rng.uniform(0.1, 1.0))
            if rng.random() < 0.7:
                fault.end()
        agent.live(rng.uniform(0.0, 0.5))


def is_up(agent: Mortal) -> bool:
    """Whether the life that began while things failed came that far. One that ended by itself is started again."""
    wait_until(lambda: agent.has_begun() or agent.live(0) is not None, PATIENCE_SECONDS)
    if agent.live(0) is None:
        return True
    agent.killed.add(agent.life)
    return False


def end(there: Front, *, power: bool) -> None:
    """Killed, with the power or without; or stopped. One that can't go on may end by itself, and is started again."""
    rng, agent = there.rng, there.field.agent
    how = rng.choice(("power cut", "power cut", "killed", "stopped") if power else ("killed", "killed", "stopped"))
    status = agent.live(0)
    if status is None and how == "stopped" and agent.has_begun():
        # What takes longer is killed, as systemd does it.
        status = agent.terminate(STOP_SECONDS)
    if status is None:
        agent.kill()
    else:
        # What was answered may not have been written down.
        agent.killed.add(agent.life)
        assert status in (0, 1), agent.tail()
    if power and how == "power cut":
        there.supply.cut(rng, set(there.field.receiver.oracle.calls))


def settle(there: Front, *, goes_on: bool) -> None:
    """Nothing fails any more: until all that is to come has come, and a call that ends now comes soon."""
    field = there.field
    field.receiver.listen(True)
    field.receiver.be(KIND)
    agent = field.agent
    if not goes_on:
        agent.start()
        # Where no life came that far, there is no outbox before.
        wait_until(agent.has_begun, PATIENCE_SECONDS)
        field.receiver.await_request(agent.life, 3)
    # What is behind a torn record may be one with it.
    for _ in range(3):
        field.master.add()
    received, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    while not agent.nothing_left(found := agent.ask("status")):
        if (now := field.received()) > received:
            received, deadline = now, time.monotonic() + PATIENCE_SECONDS
        assert time.monotonic() < deadline, f"{found}\n{agent.tail()}"
        # What was put off for its failures need not be waited for.
        agent.ask("outbox", "replay", "--state", "waiting")
        assert agent.live(0.3) is None, agent.tail()
    before = field.received()
    field.master.add()
    wait_until(lambda: field.received() > before, FRESH_SECONDS)
    agent.await_status(agent.nothing_left, PATIENCE_SECONDS)


def check(there: Front, names: list[str]) -> None:
    """What a battle must end with, after SIGTERM."""
    agent, receiver, master = there.field.agent, there.field.receiver, there.field.master
    sockets = there.shim.failed("socket")
    verdict = judge(receiver, agent.killed, master.written, there.supply.forgotten["humbug"], sockets_fail=sockets > 0)
    rejected = [entry["text"] for entry in agent.ask("outbox", "list", "--state", "rejected")]
    lost = [call for call in verdict.missing if not is_named(call, rejected)]
    again, deeds = verdict.doubled, receiver.deeds()
    told = {"faults": names, "failed": there.shim.failed(), "cuts": there.supply.cuts, "torn": len(master.torn)}
    told |= {"rejected": len(rejected)}
    tell(receiver, agent, calls=len(master.written), lost=len(lost), again=again, **told)
    assert receiver.faults == []
    assert "Traceback" not in agent.log(), agent.tail()
    assert not agent.lines_with("damaged"), agent.tail()
    assert lost == [], f"{lost}\n{agent.tail()}"
    made_up = [call for call in verdict.surplus if not any(may_be(call, torn) for torn in master.torn)]
    assert made_up == [], f"{made_up}\n{agent.tail()}"
    assert again.wrong == [], "\n".join(again.wrong)
    # Where there are several reasons, the last request of a connection does not show which one it was.
    cut = there.supply.forgotten["humbug"].total()
    assert sockets or cut or max(again.by_kill.values(), default=0) <= CONNECTIONS
    reasons = sockets + cut + len(agent.killed) * CONNECTIONS
    assert again.by_socket + again.by_cut + sum(again.by_kill.values()) <= reasons
    assert again.in_doubt <= sum(deeds[did] for did in LOSING) + reasons
    assert master.torn or not rejected, rejected
    assert {entry["state"] for entry in agent.ask("outbox", "list")} == {"sent"}
    assert agent.integrity() == "ok"


def may_be(call: Call, torn: Call) -> bool:
    """Whether it is this one, or all of it but the end of what stands last.

    One without a uniqueid gets one that begins as the PBX's own does, with when it began.
    """
    uniqueid, userfield = call[AT_UNIQUEID:]
    return (
        call[:AT_UNIQUEID] == torn[:AT_UNIQUEID]
        and uniqueid.partition(".")[0] == torn[AT_UNIQUEID].partition(".")[0]
        and torn[-1].startswith(userfield.rstrip('"'))
    )


def is_named(call: Call, rejected: list[str]) -> bool:
    """Whether a reject holds it: it stood behind a torn record, on the same line."""
    return any(f'"{call[AT_UNIQUEID]}"' in text for text in rejected)


def test_the_record_of_changes_is_what_is_on_the_disk(tmp_path: Path, seed: int) -> None:
    """Without that no power cut of a battle is one."""
    with front(tmp_path, seed, [POWER_CUT]) as there:
        agent, master = there.field.agent, there.field.master
        there.supply.on()
        agent.start()
        for _ in range(100):
            master.add()
        agent.await_status(lambda found: found["deliveries"]["sent"] == len(master.written), PATIENCE_SECONDS)
        agent.kill()
        files = there.supply.files()
        assert there.supply.after(everything) == files
        # What merely says that a call was sent is not synced; that there is one was, before it was sent.
        least = there.supply.found(there.supply.after(nothing))
        assert least != there.supply.found(files)
        assert set(there.field.receiver.oracle.calls) <= least.keys()


def test_each_fault_happens(tmp_path: Path, seed: int) -> None:
    """A battle without any would be won, too."""
    with front(tmp_path, seed, ["full disk", "read-only", "clock"]) as there:
        agent, shim = there.field.agent, there.shim
        agent.start()
        agent.await_status(agent.nothing_left, PATIENCE_SECONDS)
        shim.set_clock(40 * DAY)
        shim.be_unreadable("pbx")
        there.field.master.add()
        wait_until(lambda: "Permission denied" in agent.log())
        assert f"{datetime.now(UTC) + timedelta(days=40):%Y-%m-%d}" in agent.log()
        shim.heal()
        shim.be_full("outbox")
        there.field.master.add()
        wait_until(lambda: "its disk is full" in agent.log())
        shim.heal()
        shim.be_read_only("outbox")
        there.field.master.add()
        wait_until(lambda: "can't be written" in agent.log())
