"""What waits is told by an index. Where a disk has damaged it, or its table, no call is sent again and again."""

import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from humbug_agent.delivery.delivery import Delivery
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.schema import check
from tests.kit.damage import unguarded
from tests.kit.rude import Act, Rude
from tests.kit.sending import Ask, Filled, Make


def damage(outbox: Path, state: bytes) -> None:
    """In the table, three that wait have another state than in the index; SQLite's quick check sees nothing."""
    with closing(sqlite3.connect(outbox)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with outbox.open("r+b") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
        file.seek((root - 1) * size)
        file.write(page.replace(b"waiting", state, 3))
    assert check(outbox) is None


@pytest.mark.parametrize("state", [b"waitinX", b"wai\xffing"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_what_can_not_be_marked_is_sent_once(
    filled: Filled,
    humbug: Make,
    outbox: Outbox,
    tmp_path: Path,
    ask: Ask,
    hasty: None,
    caplog: pytest.LogCaptureFixture,
    state: bytes,
    status: int,
) -> None:
    keys = filled(8)
    damage(outbox.path, state)
    with Rude(lambda request: Act(status=status if request.key in keys else 200)) as server:
        delivery, stop = Delivery(humbug(server.url, connections=4)), threading.Event()
        with Outbox(tmp_path / "outbox.db") as own:
            while len(server.requests) < len(keys):
                delivery.step(own, 1.0)
            for _ in range(3):
                delivery.step(own, 0.05)
        stop.set()
        delivery.run(partial(Outbox, tmp_path / "outbox.db"), stop)
        arrived = server.arrived()
    became = {200: "sent", 400: "dead", 500: "waiting"}[status]
    assert set(ask("SELECT state FROM deliveries")) == {became}
    if status != 500:
        assert sorted(arrived) == sorted(keys)
    assert caplog.text.count("its list of what waits named calls that did not") == 1
    assert ask("PRAGMA integrity_check") == ["ok"]


def test_what_was_purged_meanwhile_is_no_damage(filled: Filled, outbox: Outbox, ask: Ask) -> None:
    filled(3)
    with outbox.transaction() as conn:
        conn.execute("DELETE FROM deliveries WHERE call = 2")
    assert outbox.mark("humbug", [Mark(n, "sent", 1.0) for n in (1, 2, 3)])
    assert ask("SELECT call FROM deliveries WHERE state = 'sent'") == [1, 3]


def test_a_delivery_in_no_state_is_dead_from_the_next_start_on(filled: Filled, outbox: Outbox, ask: Ask) -> None:
    filled(4)
    outbox.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "dead", 1.0, error="as it was")])
    with outbox.transaction() as conn, unguarded(conn):
        conn.execute("UPDATE deliveries SET state = CAST(X'77FF' AS TEXT) WHERE call = 3")
    assert outbox.bury_damaged() == 1
    assert outbox.bury_damaged() == 0
    assert ask("SELECT state FROM deliveries ORDER BY call") == ["sent", "dead", "dead", "waiting"]
