"""Any damage to an outbox ends in a sound one, without a loop, and with every call delivered at least once, or dead.

The same few each time; ``DAMAGES=1000 pytest tests/test_damages.py`` does so many by chance, ``DAMAGE_SEED=`` the one
that a failure printed.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.daemon import housekeeping
from humbug_agent.outbox import dropping, queries, schema
from humbug_agent.outbox.dropping import Piecemeal
from humbug_agent.outbox.outbox import Due, Lost, Mark, Outbox
from humbug_agent.outbox.schema import OutboxDamaged
from tests.kit.calls import batch, call
from tests.outbox.test_salvage import SOURCES, config_for

pytestmark = pytest.mark.slow

TO = ["humbug", "second"]
CALLS = 900
SENT = 400
FORGOTTEN = 100
PAGE = 4096
STARTS = 4
"""How often a daemon may end by damage that it finds until all is well: each start moves one outbox aside."""

ALL = list(range(CALLS))


def made(path: Path) -> None:
    """Calls of every state: forgotten, sent to one or both, dead, tried again, replayed, and never tried."""
    now = time.time()
    with Outbox(path) as outbox:
        for begin in range(0, CALLS, 100):
            outbox.accept("csv-all", batch(*ALL[begin : begin + 100], cursor="here"), TO)
        outbox.mark("humbug", [Mark(number, "sent", now) for number in range(1, SENT + 1)])
        outbox.mark("second", [Mark(number, "sent", now) for number in range(1, SENT // 2 + 1)])
        outbox.mark("humbug", [Mark(SENT + 1, "dead", now, status=400, reply="no")])
        outbox.mark(
            "humbug", [Mark(number, "waiting", now, due=now, status=503) for number in range(SENT + 2, SENT + 90)]
        )
        with outbox.transaction() as conn:
            conn.execute("UPDATE calls SET accepted = 1 WHERE id <= ?", (FORGOTTEN,))
        dropping.forget_delivered(Piecemeal(outbox), 2.0)


def byte(rng: random.Random, data: bytearray) -> str:
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    return f"bit of byte {at}"


def bytes_(rng: random.Random, data: bytearray) -> str:
    at, size = rng.randrange(len(data)), rng.randrange(1, 600)
    data[at : at + size] = rng.randbytes(len(data[at : at + size]))
    return f"{size} bytes at {at}"


def page(rng: random.Random, data: bytearray) -> str:
    number, fill = rng.randrange(len(data) // PAGE), rng.choice((b"\x00", b"\xff"))
    data[number * PAGE : (number + 1) * PAGE] = fill * PAGE
    return f"page {number + 1} is {fill!r}"


def torn(rng: random.Random, data: bytearray) -> str:
    number = rng.randrange(len(data) // PAGE)
    data[number * PAGE + 2048 : (number + 1) * PAGE] = bytes(2048)
    return f"page {number + 1} torn"


def elsewhere(rng: random.Random, data: bytearray) -> str:
    """A page that was written to another one's place."""
    one, other = rng.sample(range(len(data) // PAGE), 2)
    data[other * PAGE : (other + 1) * PAGE] = data[one * PAGE : (one + 1) * PAGE]
    return f"page {one + 1} over {other + 1}"


def swapped(rng: random.Random, data: bytearray) -> str:
    one, other = rng.sample(range(len(data) // PAGE), 2)
    ours, theirs = (bytes(data[n * PAGE : (n + 1) * PAGE]) for n in (one, other))
    data[one * PAGE : (one + 1) * PAGE], data[other * PAGE : (other + 1) * PAGE] = theirs, ours
    return f"pages {one + 1} and {other + 1} swapped"


def shorter(rng: random.Random, data: bytearray) -> str:
    size = rng.randrange(len(data))
    del data[size:]
    return f"cut to {size}"


DAMAGES: list[Callable[[random.Random, bytearray], str]] = [byte, bytes_, page, torn, elsewhere, swapped, shorter]


class Daemon:
    """What the daemon does with an outbox, one step after the other: reads all again, delivers, keeps house."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = config_for(path, {"csv-all": SOURCES["csv-all"]}, TO)
        self.arrived: dict[str, set[bytes]] = {name: set() for name in TO}
        self.dead: dict[str, set[int]] = {name: set() for name in TO}

    def start(self, damage: str) -> None:
        housekeeping.prepare(self.config, damage)
        with Outbox(self.path) as outbox:
            if outbox.cursor("csv-all") != "here":
                for begin in range(0, CALLS, 100):
                    outbox.accept("csv-all", Batch([call(n) for n in ALL[begin : begin + 100]], [], "again"), TO)
            for name in TO:
                self.deliver(outbox, name)
            queries.entries(outbox, queries.Filter())
            queries.totals(outbox)
            work = Piecemeal(outbox)
            dropping.forget_delivered(work, time.time() + 1)
            dropping.shrink(work)
            outbox.accept("csv-all", batch(CALLS + 1, cursor="on"), TO)
        schema.compare_indexes(self.path, threading.Event())

    def deliver(self, outbox: Outbox, name: str) -> None:
        for _ in range(CALLS):
            due = outbox.take(name, 64, time.time() + 86400)
            if not due:
                return
            self.arrived[name] |= {one.flat.identity for one in due if isinstance(one, Due)}
            self.dead[name] |= {one.id for one in due if isinstance(one, Lost)}
            now = time.time()
            outbox.mark(name, [Mark(one.id, "sent" if isinstance(one, Due) else "dead", now) for one in due])
        raise AssertionError(f"{name}: the same calls again and again")


def survives(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    said = [rng.choice(DAMAGES)(rng, data) for _ in range(rng.choice((1, 1, 1, 2, 5))) if len(data) >= 2 * PAGE]
    path.write_bytes(data)
    daemon, damage = Daemon(path), ""
    for start in range(STARTS):
        try:
            daemon.start(damage)
            break
        except OutboxDamaged as error:
            damage = str(error)
            said.append(f"start {start + 1}: {error}")
    else:
        raise AssertionError(f"it never came up: {said}")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], said
        assert db.execute("SELECT count(*) FROM deliveries WHERE call NOT IN (SELECT id FROM calls)").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM calls WHERE id NOT IN (SELECT call FROM deliveries)").fetchone() == (0,)
    done = {"humbug": SENT, "second": SENT // 2}
    for name in TO:
        missing = [n for n in ALL[done[name] :] if call(n).identity not in daemon.arrived[name]]
        # One was dead, and stays so; and what is no call any more is kept as a dead letter.
        gone = set(missing) - ({SENT} if name == "humbug" else set())
        assert len(gone) <= len(daemon.dead[name]), f"{name}: {len(gone)} missing: {said}"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "outbox.db"
    made(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


FOUND = [204961787, 136465755, 545629668, 203563586, 849091690, 359962856]
"""Those that once broke something."""

SEEDS = (
    [int(os.environ["DAMAGE_SEED"])]
    if "DAMAGE_SEED" in os.environ
    else [random.SystemRandom().randrange(10**9) for _ in range(int(os.environ["DAMAGES"]))]
    if "DAMAGES" in os.environ
    else [*range(34), *FOUND]
)


@pytest.mark.timeout(60 + 2 * len(SEEDS))
def test_any_damage_ends_in_a_sound_outbox_and_every_call_delivered(tmp_path: Path, sound: bytes) -> None:
    failed = []
    for seed in SEEDS:
        path = tmp_path / str(seed) / "outbox.db"
        path.parent.mkdir()
        path.write_bytes(sound)
        try:
            survives(path, seed)
        except Exception as error:  # noqa: BLE001
            failed.append(f"DAMAGE_SEED={seed}: {type(error).__name__}: {error}")
        for file in path.parent.iterdir():
            file.unlink()
    assert not failed, f"{len(failed)} of {len(SEEDS)}:\n" + "\n".join(failed[:40])
