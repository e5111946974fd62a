"""An upgrade while calls end: nothing is lost, nothing comes twice."""

import subprocess
from pathlib import Path

import pytest

from tests.packaging.machine import Machine, end, wait_until
from tests.packaging.pbx import INI, MASTER, WRITER, add_asterisk, start_receiver

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def older(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package by a version that comes before."""
    folder = tmp_path_factory.mktemp("older")
    subprocess.run(["dpkg-deb", "--raw-extract", deb, folder / "tree"], check=True)
    control = folder / "tree" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: ", "Version: 0.0."))
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", folder / "tree", folder], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.deb"))


def test_an_upgrade_under_load_loses_and_doubles_nothing(machine: Machine, deb: Path, older: Path) -> None:
    add_asterisk(machine)
    machine.install(older)
    start_receiver(machine)
    machine.write("/etc/humbug-agent/agent.ini", INI)
    machine.run("systemctl", "start", "humbug-agent")
    before = machine.property("humbug-agent", "MainPID")
    outbox = machine.root / "var/lib/humbug-agent/outbox.db"
    inode = outbox.stat().st_ino
    writer = machine.start("python3", "-c", WRITER)
    try:
        wait_until(lambda: machine.received()[0] > 100)
        machine.install(deb)
        assert machine.property("humbug-agent", "MainPID") != before
        # Calls go on to come, and to be delivered, by the new one.
        after = machine.received()[0]
        wait_until(lambda: machine.received()[0] > after + 100)
    finally:
        end(writer)
    written = len((machine.root / MASTER[1:]).read_bytes().splitlines())
    wait_until(lambda: machine.received()[0] >= written)
    assert machine.received() == (written, 0)
    assert outbox.stat().st_ino == inode
    assert "Traceback" not in machine.run("journalctl", "--unit", "humbug-agent")
