"""Where a campaign is fought: the receiver, the rude proxy before it, the agent, and the file it follows."""

import random
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger import Verdict, judge
from mortal import API_KEY, CONNECTIONS, ENCRYPTION_KEY, PROGRAM, Mortal
from rude_proxy import KIND, RudeProxy
from writer import Master

from humbug_agent.receiver import Store

DRAIN_SECONDS = 60.0
"""Without a single call that arrives: a machine that others use, too, may take its time."""

PATIENCE_SECONDS = 120.0
"""For what takes one or two on a machine of its own."""


@contextmanager
def receiver(store: Path) -> Iterator[str]:
    """The embedded receiver as a process; its URL."""
    keys = ["--api-key", API_KEY, "--encryption-key", ENCRYPTION_KEY]
    command = [PROGRAM, "receiver", "--listen", "127.0.0.1:0", "--store", store, *keys]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[3].rstrip(",")
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Field:
    """Where a campaign is fought."""

    rng: random.Random
    store: Path
    proxy: RudeProxy
    agent: Mortal
    master: Master

    def received(self) -> int:
        with closing(sqlite3.connect(self.store)) as db:
            return int(db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def judge(self) -> Verdict:
        assert self.proxy.faults == []
        with closing(Store(self.store)) as store:
            verdict = judge(self.proxy, self.agent.killed, self.master.written, store.rows())
            assert store.repeats() == verdict.repeats
        return verdict


@contextmanager
def field(home: Path, seed: int, *, encoded: bool = False, outbox: Path | None = None) -> Iterator[Field]:
    rng = random.Random(seed)
    with ExitStack() as stack:
        url = stack.enter_context(receiver(home / "received.db"))
        proxy = stack.enter_context(RudeProxy(url, rng.randrange(2**32)))
        agent = stack.enter_context(Mortal(home, proxy.url, encoded=encoded, outbox=outbox))
        master = Master(agent.master, random.Random(rng.randrange(2**32)), threading.Event())
        yield Field(rng, home / "received.db", proxy, agent, master)


def drain(there: Field) -> None:
    """A kind receiver, and an agent that may live: until nothing waits and nothing is unread."""
    there.proxy.listen(True)
    there.proxy.be(KIND)
    agent = there.agent
    agent.start()
    there.proxy.await_request(agent.life, 3)
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
    agent, proxy = there.agent, there.proxy
    found = agent.ask("status")
    states = Counter(entry["state"] for entry in agent.ask("outbox", "list"))
    deeds = proxy.deeds()
    bad = sum(deeds.values()) - deeds["forward"] - deeds["slow"]
    print(f"killed {len(agent.killed)} times")
    print(f"written {len(there.master.written)} calls, in {there.master.rotations + 1} files")
    print(f"requests {len(proxy.requests)} on {len(proxy.connections)} connections, {bad} answered badly:", end=" ")
    print(", ".join(f"{did} {number}" for did, number in sorted(deeds.items())), f"; refusals {proxy.refusals}")
    print(f"missing {len(verdict.missing)}, with something else in them {len(verdict.surplus)}")
    print(
        f"doubled {verdict.repeats}: {verdict.in_doubt} in doubt (of these {sum(verdict.by_kill.values())} by kills),"
    )
    print(f"  {len(verdict.wrong)} for no reason; at most {max(verdict.by_kill.values(), default=0)} by one kill")
    assert "Traceback" not in agent.log(), agent.tail()
    assert "damaged" not in agent.log(), agent.tail()
    assert verdict.missing == [], agent.tail()
    assert verdict.surplus == [], agent.tail()
    assert verdict.wrong == [], "\n".join(verdict.wrong)
    assert max(verdict.by_kill.values(), default=0) <= CONNECTIONS
    lost = sum(deeds[did] for did in ("eaten", "half", "stall"))
    assert verdict.in_doubt <= lost + len(agent.killed) * CONNECTIONS
    assert found["rejects"] == 0
    assert found["calls"] == len(there.master.written)
    assert states == {"sent": len(there.master.written)}
    assert agent.integrity() == "ok"
