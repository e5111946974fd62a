"""The back-up of docs/install.md, taken of an outbox in use and brought back: what then is sent again."""

import subprocess
from pathlib import Path

import pytest

from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.receiver.app import Misbehaviour
from tests.kit.host import Host, wait_until
from tests.packaging.pbx import documented

pytestmark = pytest.mark.slow

BEFORE, WAITED, SINCE = 23, 126, 126
"""Calls that had been delivered when it was taken, that waited then, and that ended later."""


def as_documented(lines: str, host: Host) -> None:
    """Word for word, but for this host's folders and user; systemd starts and stops nothing here."""
    lines = lines.replace("/var/lib/humbug-agent", str(host.folder)).replace("/root", str(host.folder / "root"))
    lines = lines.replace("-o humbug-agent -g humbug-agent ", "")
    lines = "".join(line for line in lines.splitlines(keepends=True) if not line.startswith("systemctl "))
    subprocess.run(["sh", "-ec", lines], check=True)


def sent(host: Host) -> int:
    return int(host.status()["deliveries"]["sent"])


def sent_by(outbox: Path) -> int:
    with Outbox(outbox) as box:
        return sum(states["sent"] for states in queries.totals(box).deliveries.values())


def test_what_the_copy_does_not_know_as_sent_comes_again_and_nothing_else(host: Host) -> None:
    (host.folder / "root").mkdir()
    back_up, restore = documented("Back up and restore")
    assert restore.splitlines()[0] == "systemctl stop humbug-agent"
    with host.daemon() as daemon:
        try:
            host.write("Master-diskfull.csv")
            wait_until(lambda: sent(host) == BEFORE)
            host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
            host.write()
            wait_until(lambda: host.status()["deliveries"]["waiting"] == WAITED)
            for _ in ("first", "again"):
                as_documented(back_up, host)
            host.receiver.receiver.misbehaviour = Misbehaviour()
            host.write()
            wait_until(lambda: sent(host) == BEFORE + WAITED + SINCE)
            daemon.terminate()
            assert daemon.wait(20) == 0
        finally:
            daemon.kill()
    assert (host.store.count(), host.store.repeats()) == (BEFORE + WAITED + SINCE, 0)
    as_documented(restore, host)
    assert sent_by(host.folder / "outbox.db") == BEFORE
    with host.daemon() as daemon:
        try:
            wait_until(lambda: sent(host) == BEFORE + WAITED + SINCE)
            daemon.terminate()
            assert daemon.wait(20) == 0
        finally:
            daemon.kill()
    assert (host.store.count(), host.store.repeats()) == (BEFORE + WAITED + SINCE, WAITED + SINCE)
