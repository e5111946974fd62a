"""Years of history in a database, read in by a daemon that is killed again and again, while calls go on."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from humbug_agent.outbox.outbox import Outbox
from tests.kit.host import API_KEY, Host, wait_until

KILLS = 5


def configure(host: Host, source: str) -> None:
    """``source`` are the lines of the database's section. All calls wait."""
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
        f"[source database]\n{source}\n"
        f"[destination humbug]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = {API_KEY}\n"
    )


@contextmanager
def daemon(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    with host.daemon(subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def calls(outbox: Outbox) -> int:
    number: int = outbox.select("SELECT count(*) FROM calls")[0][0]
    return number


def read_between_kills(host: Host, history: int, add: Callable[[int], None]) -> Counter[str]:
    """How often each uniqueid came of so many rows, and of those that ``add`` adds meanwhile, numbered from 1."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # To count a million calls is work that is taken from who brings them.
    patience, every = 60 + history / 500, history / 2_000_000
    began = time.monotonic()
    with Outbox(host.folder / "outbox.db") as outbox:
        reached = 0
        for kill in range(1, KILLS + 1):
            at = reached + rng.randrange(1, history // (2 * KILLS))
            with daemon(host):
                wait_until(lambda at=at: calls(outbox) >= at, patience, every)  # type: ignore[misc]
                time.sleep(rng.uniform(0, 0.05))
            reached = calls(outbox)
            add(kill)
        assert reached < history + KILLS
        with daemon(host):
            wait_until(lambda: calls(outbox) >= history + KILLS, patience, every)
            add(KILLS + 1)
            wait_until(lambda: calls(outbox) >= history + KILLS + 1, 30)
            print(f"{history:,} rows in {time.monotonic() - began:.1f} s")
        assert outbox.select("SELECT count(*) FROM deliveries")[0][0] == history + KILLS + 1
        assert outbox.select("SELECT count(*) FROM rejects")[0][0] == 0
        return Counter(row["uniqueid"] for row in outbox.select("SELECT uniqueid FROM calls"))
