"""The daemon is killed again and again while it reads 10,000 calls page by page, and more are being written."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from humbug_agent.outbox.outbox import Outbox
from tests.kit.host import Host, wait_until
from tests.kit.paths import KIT
from tests.kit.pull_server import Asked
from tests.kit.while1_agent import configure
from tests.kit.while1_server import While1Server, parameters_of, row

pytestmark = pytest.mark.slow

COUNT = 10_000
ADDED = 100
KILLS = 5
DAY = 86400
CONNECTIONS = 4
PROGRAM = KIT / "while1_daemon.py"


@pytest.fixture
def rng() -> random.Random:
    number = random.SystemRandom().randrange(10**6)
    print(f"\nseed {number}")
    return random.Random(number)


@contextmanager
def daemon(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, PROGRAM, "--config", host.ini, "run"]) as process:
        try:
            yield process
        finally:
            process.kill()


def killed_at_a_random_page(host: Host, server: While1Server, rng: random.Random, last: int) -> None:
    until = len(server.asked) + rng.randrange(2, last)
    with daemon(host):
        wait_until(lambda: len(server.asked) >= until, 60)
        time.sleep(rng.uniform(0, 0.05))


def added(server: While1Server, rng: random.Random) -> None:
    if len(server.rows) < COUNT + ADDED:
        server.add(rng.choice((0, 1, 3)))


@pytest.mark.parametrize("descending", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.timeout(300)
def test_by_ids_each_row_is_a_call_once_whichever_page_it_is_killed_on(
    host: Host, rng: random.Random, descending: bool
) -> None:
    with While1Server() as server:
        server.descending = descending
        server.spread(60, time.time() - 3600, time.time() - 600)
        configure(host, server, "poll_seconds = 1")
        assert "60 sent" in host.run("run", "--once")
        # From now on all of them wait.
        host.ini.write_text(host.ini.read_text().replace(host.receiver.url, "http://127.0.0.1:9/"))
        server.spread(COUNT, time.time() - 600, time.time())
        begun = len(server.asked)
        server.before = lambda _: added(server, rng)
        for _ in range(KILLS):
            killed_at_a_random_page(host, server, rng, 80 if descending else 20)
        with daemon(host), Outbox(host.folder / "outbox.db") as outbox:
            wait_until(lambda: len(server.rows) >= COUNT + ADDED, 60)
            wait_until(lambda: outbox.select("SELECT count(*) FROM calls")[0][0] >= len(server.rows), 60)
            found = Counter(one["uniqueid"] for one in outbox.select("SELECT uniqueid FROM calls"))
            assert outbox.select("SELECT count(*) FROM deliveries")[0][0] == len(server.rows)
            assert outbox.select("SELECT count(*) FROM rejects")[0][0] == 0
        assert found == Counter(one["uniqueid"] for one in server.rows)
        assert len(server.asked) - begun >= COUNT // server.page_size
        assert server.peak == 1
        from_ids = {int(parameters_of(asked)["filters"]["from_id"]) for asked in server.asked[begun:]}
        # Where ids only grow, a life goes on where the one before it was killed.
        assert any(60 < number < COUNT - 100 for number in from_ids) is not descending


@pytest.mark.timeout(420)
def test_by_days_each_row_is_delivered_once_whichever_page_it_is_killed_on(host: Host, rng: random.Random) -> None:
    since = int(time.time()) - 20 * DAY
    with While1Server() as server:
        server.rows = [row(number, since + number * 20 * DAY / COUNT) for number in range(1, COUNT + 1)]
        for number in range(1, 20):
            # It began at the very second in which a window ends, and the next one begins.
            server.rows[number * COUNT // 20 - 1] = row(number * COUNT // 20, since + number * DAY + 25)
        began = Counter(one["time"] for one in server.rows)
        configure(host, server, f"poll_seconds = 1\nsince = {datetime.fromtimestamp(since, UTC).isoformat()}")
        edges: set[str] = set()

        def more(asked: Asked) -> None:
            added(server, rng)
            if span := parameters_of(asked)["filters"].get("date_between"):
                edges.update(moment for moment in span.values() if moment in began)

        server.before = more
        for _ in range(KILLS):
            killed_at_a_random_page(host, server, rng, 25)
        with daemon(host):
            wait_until(lambda: len(server.rows) >= COUNT + ADDED, 60)
            wait_until(lambda: host.store.count() >= len(server.rows), 300)
        assert Counter(one["UniqueID"] for one in host.store.rows()) == Counter(one["uniqueid"] for one in server.rows)
        # What was under way when the daemon was killed.
        assert host.store.repeats() <= (KILLS + 1) * CONNECTIONS
        found = host.status()
        assert (found["calls"], found["rejects"]) == (len(server.rows), 0)
        assert server.peak == 1
        assert len(edges) >= 15
