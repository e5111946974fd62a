"""An upgrade while calls end: nothing is lost, nothing comes twice."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.conftest import not_here
from tests.packaging.machine import Machine, end, wait_until
from tests.packaging.pbx import INI, MASTER, WRITER, add_asterisk, start_receiver

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


TABLES = "humbug_agent/outbox/migrations.py"
MIGRATIONS = """
import sqlite3
db = sqlite3.connect("file:/var/lib/humbug-agent/outbox.db?mode=ro", uri=True)
print(db.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])
"""


@pytest.fixture
def older(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it was before the outbox's tables changed last, with the dependencies of now."""
    folder = tmp_path_factory.mktemp("older")
    changes = git("log", "--format=%H", "-2", "--", TABLES).decode().split()
    if len(changes) < 2:
        not_here("the history of this folder is not here")
    (folder / "was").mkdir()
    was = git("archive", f"{changes[0]}^", "humbug_agent", "packaging/deb", "systemd")
    subprocess.run(["tar", "--extract", "--directory", folder / "was"], input=was, check=True)
    subprocess.run(["dpkg-deb", "--raw-extract", deb, folder / "tree"], check=True)
    program = folder / "tree/usr/lib/humbug-agent/humbug_agent"
    shutil.rmtree(program)
    (folder / "was/humbug_agent").rename(program)
    units = folder / "tree/usr/lib/systemd/system"
    shutil.rmtree(units)
    units.mkdir()
    subprocess.run([folder / "was/systemd/units", units, "/usr/bin/humbug-agent"], check=True)
    for script in ("postinst", "prerm", "postrm"):
        shutil.copy(folder / "was/packaging/deb" / script, folder / "tree/DEBIAN" / script)
        (folder / "tree/DEBIAN" / script).chmod(0o755)
    control = folder / "tree/DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 0.0."))
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", folder / "tree", folder], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.deb"))


def changes_of_tables(machine: Machine) -> int:
    return int(machine.run("python3", "-c", MIGRATIONS))


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", TOP, *arguments], capture_output=True, check=True).stdout


def test_an_upgrade_under_load_loses_and_doubles_nothing(machine: Machine, deb: Path, older: Path) -> None:
    add_asterisk(machine)
    machine.install(older)
    start_receiver(machine)
    machine.write("/etc/humbug-agent/agent.ini", INI)
    machine.run("systemctl", "start", "humbug-agent")
    before = machine.property("humbug-agent", "MainPID")
    outbox = machine.root / "var/lib/humbug-agent/outbox.db"
    inode, tables = outbox.stat().st_ino, changes_of_tables(machine)
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
    assert changes_of_tables(machine) > tables
    assert "Traceback" not in machine.run("journalctl", "--unit", "humbug-agent")
