"""What docs/install.md says, done on a clean Debian, word for word."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.machine import Machine, wait_until
from tests.packaging.pbx import INI, add_asterisk, add_calls, documented

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("unbooted", ["trixie"], indirect=True)
def test_what_ended_since_the_back_up_is_sent_again_once_it_is_restored(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    machine.install(deb)
    (receiver,) = documented("A receiver of your own")
    machine.run("sh", "-ec", receiver)
    machine.write("/etc/humbug-agent/agent.ini", INI)
    machine.run("systemctl", "start", "humbug-agent")
    add_calls(machine, "Master-diskfull.csv")
    wait_until(lambda: machine.received() == (23, 0))
    wait_until(lambda: '"waiting": 0' in machine.run("humbug-agent", "status", "--json"))
    back_up, restore = documented("Back up and restore")
    machine.run("sh", "-ec", back_up)
    add_calls(machine)
    wait_until(lambda: machine.received() == (149, 0))
    machine.run("sh", "-ec", restore)
    wait_until(lambda: machine.received() == (149, 126))


@pytest.mark.parametrize("unbooted", ["bookworm"], indirect=True)
def test_the_units_of_a_venv_start_what_is_in_it(machine: Machine, deb: Path) -> None:
    """The package's program stands for the one that pip would fetch packages for."""
    add_asterisk(machine)
    shutil.copytree(TOP / "systemd", machine.root / "root/source/systemd")
    shutil.copy(TOP / "agent.ini.example", machine.root / "root/source")
    _, folders, start = documented("pipx or a venv")
    machine.run("sh", "-ec", f"umask 022; cd /root/source; {folders}")
    program = machine.root / "opt/humbug-agent"
    subprocess.run(["dpkg-deb", "--extract", deb, program], check=True)
    script = (program / "usr/bin/humbug-agent").read_text()
    (program / "bin").mkdir()
    (program / "bin/humbug-agent").write_text(script.replace("/usr/lib", "/opt/humbug-agent/usr/lib"))
    (program / "bin/humbug-agent").chmod(0o755)
    machine.write("/etc/humbug-agent/agent.ini", INI)
    machine.run("sh", "-ec", start)
    assert machine.property("humbug-agent", "ActiveState") == "active"
    (remove,) = documented("Remove")
    machine.run("sh", "-ec", remove)
    assert not machine.processes()
    assert machine.run("find", "/etc", "/var/lib", "/opt", "/run", "-name", "*humbug*") == ""
