"""Where a campaign is fought: the rude receiver, the agent, and the file it follows."""

import json
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaign.ledger import Doubled, Verdict, judge
from tests.campaign.mortal import API_KEY, CONNECTIONS, ENCRYPTION_KEY, Mortal, humbug
from tests.campaign.oracle import Oracle
from tests.campaign.rude_receiver import EATING, HARSH, KIND, LOCKED_OUT, LOSING, USUAL, RudeReceiver
from tests.campaign.writer import Master, Writer

DRAIN_SECONDS = 60.0
"""Without a single call that arrives: a machine that others use, too, may take its time."""

PATIENCE_SECONDS = 120.0
"""For what takes one or two on a machine of its own."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where a campaign is fought."""

    rng: random.Random
    receiver: RudeReceiver
    agent: Mortal
    master: Master

    def received(self) -> int:
        return len(self.receiver.oracle.calls)

    def judge(self) -> Verdict:
        assert self.receiver.faults == []
        verdict = judge(self.receiver, self.agent.killed, self.master.written)
        assert self.receiver.oracle.arrivals == self.received() + verdict.doubled.repeats
        return verdict


@contextmanager
def field(home: Path, seed: int, *, encoded: bool = False, outbox: Path | None = None) -> Iterator[Field]:
    rng = random.Random(seed)
    oracle = Oracle(API_KEY, ENCRYPTION_KEY if encoded else "")
    with ExitStack() as stack:
        receiver = stack.enter_context(RudeReceiver(oracle, rng.randrange(2**32)))
        master = Master(home / "cdr-csv" / "Master.csv", random.Random(rng.randrange(2**32)), threading.Event())
        master.path.parent.mkdir()
        source = f"[source master-csv]\ntype = asterisk_csv\npath = {master.path}\n"

        def sections(life: int) -> str:
            # A URL of its own for each life: it tells the requests of one apart from those of the next.
            return source + humbug("humbug", receiver.url(life), encoded=encoded)

        agent = stack.enter_context(Mortal(home, sections, outbox=outbox))
        yield Field(rng, receiver, agent, master)


@contextmanager
def written_to(there: Field, rates: tuple[float, float] = (100, 400)) -> Iterator[Writer]:
    writer = Writer(there.master, random.Random(there.rng.randrange(2**32)), rates)
    writer.start()
    try:
        yield writer
    finally:
        writer.finish()


def change_manners(receiver: RudeReceiver, rng: random.Random) -> None:
    mood = rng.choices(("usual", "harsh", "eating", "locked out", "refusing", "kind"), (50, 10, 15, 7, 8, 10))[0]
    receiver.listen(mood != "refusing")
    receiver.be({"harsh": HARSH, "eating": EATING, "locked out": LOCKED_OUT, "kind": KIND}.get(mood, USUAL))


def drain(there: Field) -> None:
    """A kind receiver, and an agent that may live: until nothing waits and nothing is unread."""
    there.receiver.listen(True)
    there.receiver.be(KIND)
    there.agent.start()
    there.receiver.await_request(there.agent.life, 3)
    let_arrive(there.agent, there.received, len(there.master.written))


def let_arrive(agent: Mortal, received: Callable[[], int], calls: int) -> None:
    """An agent that has begun, and that nothing hinders any more: until so many calls have come, or none comes."""
    before, deadline = 0, time.monotonic() + DRAIN_SECONDS
    while (now := received()) < calls and time.monotonic() < deadline:
        if now > before:
            before, deadline = now, time.monotonic() + DRAIN_SECONDS
        # What was put off for its failures need not be waited for.
        agent.ask("outbox", "replay", "--state", "waiting")
        assert agent.live(1.0) is None, agent.tail()
    agent.await_status(agent.nothing_left, PATIENCE_SECONDS)


def tell(receiver: RudeReceiver, agent: Mortal, *, calls: int, lost: int, again: Doubled, **more: object) -> None:
    """Print how it went; seeds.py makes a table of such lines."""
    deeds = receiver.deeds()
    found = {
        "requests": len(receiver.requests),
        "answered badly": sum(deeds.values()) - deeds["take"] - deeds["slow"],
        "repeated": again.repeats,
        "repeated for no reason": len(again.wrong),
        **more,
    }
    tell_of(agent, calls=calls, lost=lost, **found)
    print(dict(deeds), f"connections {len(receiver.connections)}, refusals {receiver.refusals}")


def tell_of(agent: Mortal, **found: object) -> None:
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].partition(" (")[0]
    print(json.dumps({"test": test, "killed": len(agent.killed), "lives": agent.life, **found}))


def check_end(there: Field, verdict: Verdict) -> None:
    """What a campaign must end with, after SIGTERM."""
    agent, calls = there.agent, len(there.master.written)
    files = there.master.rotations + 1
    tell(there.receiver, agent, calls=calls, lost=len(verdict.missing), again=verdict.doubled, files=files)
    check_verdict(there.receiver, agent, verdict)
    check_agent(agent, calls)


def check_verdict(receiver: RudeReceiver, agent: Mortal, verdict: Verdict, batch: int = 1) -> None:
    """With so many calls at most in one request."""
    again, deeds = verdict.doubled, receiver.deeds()
    assert verdict.missing == [], agent.tail()
    assert verdict.surplus == [], agent.tail()
    assert again.wrong == [], "\n".join(again.wrong)
    assert max(again.by_kill.values(), default=0) <= CONNECTIONS * batch
    lost = sum(deeds[did] for did in LOSING)
    assert again.in_doubt <= (lost + len(agent.killed) * CONNECTIONS) * batch


def check_agent(agent: Mortal, calls: int) -> None:
    """What it has of so many calls, all of them sent, once it has ended."""
    found = agent.ask("status")
    states = Counter(entry["state"] for entry in agent.ask("outbox", "list"))
    assert "Traceback" not in agent.log(), agent.tail()
    assert not agent.said("damaged"), agent.tail()
    assert found["rejects"] == 0
    assert found["calls"] == calls
    assert states == {"sent": calls}
    assert agent.integrity() == "ok"


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size, where this user may make one."""
    at.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", at], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with open(ballast, "ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast
