"""Where a campaign is fought: the rude receiver, the agent, and the file it follows."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger import Verdict, judge
from mortal import API_KEY, CONNECTIONS, ENCRYPTION_KEY, Mortal, humbug
from oracle import Oracle
from rude_receiver import EATING, HARSH, KIND, LOCKED_OUT, USUAL, RudeReceiver
from writer import Master

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


def change_manners(receiver: RudeReceiver, rng: random.Random) -> None:
    mood = rng.choices(("usual", "harsh", "eating", "locked out", "refusing", "kind"), (50, 10, 15, 7, 8, 10))[0]
    receiver.listen(mood != "refusing")
    receiver.be({"harsh": HARSH, "eating": EATING, "locked out": LOCKED_OUT, "kind": KIND}.get(mood, USUAL))


def drain(there: Field) -> None:
    """A kind receiver, and an agent that may live: until nothing waits and nothing is unread."""
    there.receiver.listen(True)
    there.receiver.be(KIND)
    agent = there.agent
    agent.start()
    there.receiver.await_request(agent.life, 3)
    received, deadline = 0, time.monotonic() + DRAIN_SECONDS
    while (now := there.received()) < len(there.master.written) and time.monotonic() < deadline:
        if now > received:
            received, deadline = now, time.monotonic() + DRAIN_SECONDS
        # What was put off for its failures need not be waited for.
        agent.ask("outbox", "replay", "--state", "waiting")
        assert agent.live(1.0) is None, agent.tail()
    agent.await_status(agent.nothing_left, PATIENCE_SECONDS)


def check_end(there: Field, verdict: Verdict) -> None:
    """What a campaign must end with, after SIGTERM."""
    agent, receiver = there.agent, there.receiver
    found = agent.ask("status")
    states = Counter(entry["state"] for entry in agent.ask("outbox", "list"))
    deeds = receiver.deeds()
    bad = sum(deeds.values()) - deeds["take"] - deeds["slow"]
    print(f"killed {len(agent.killed)} times")
    print(f"written {len(there.master.written)} calls, in {there.master.rotations + 1} files")
    print(
        f"requests {len(receiver.requests)} on {len(receiver.connections)} connections, {bad} answered badly:", end=" "
    )
    print(", ".join(f"{did} {number}" for did, number in sorted(deeds.items())), f"; refusals {receiver.refusals}")
    print(f"missing {len(verdict.missing)}, with something else in them {len(verdict.surplus)}")
    again = verdict.doubled
    print(f"doubled {again.repeats}: {again.in_doubt} in doubt (of these {sum(again.by_kill.values())} by kills),")
    print(f"  {len(again.wrong)} for no reason; at most {max(again.by_kill.values(), default=0)} by one kill")
    assert "Traceback" not in agent.log(), agent.tail()
    assert "damaged" not in agent.log(), agent.tail()
    assert verdict.missing == [], agent.tail()
    assert verdict.surplus == [], agent.tail()
    assert again.wrong == [], "\n".join(again.wrong)
    assert max(again.by_kill.values(), default=0) <= CONNECTIONS
    lost = sum(deeds[did] for did in ("eaten", "half", "stall"))
    assert again.in_doubt <= lost + len(agent.killed) * CONNECTIONS
    assert found["rejects"] == 0
    assert found["calls"] == len(there.master.written)
    assert states == {"sent": len(there.master.written)}
    assert agent.integrity() == "ok"
