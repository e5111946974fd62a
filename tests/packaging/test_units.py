"""The units on a clean Debian: several PBXs, secrets that are root's alone, a port below 1024, a reload."""

import re
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.machine import Machine, wait_until
from tests.packaging.pbx import API_KEY, INI, add_asterisk, add_calls, documented, start_receiver

DROP_INS = TOP / "systemd" / "drop-ins"

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def put_beside(machine: Machine, unit: str, drop_in: str) -> None:
    (commands,) = documented("Drop-ins")
    machine.run("sh", "-ec", re.sub(r"humbug-agent(?=\.service|$)", unit, commands.replace("port-80", drop_in)))


def test_several_pbxs_on_a_host_each_with_a_key_that_is_roots_alone(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    machine.install(deb)
    start_receiver(machine)
    machine.write("/etc/humbug-agent/api-key", f"{API_KEY}\n")
    copy, start = documented("Several PBXs on a host")
    (outbox,) = documented("Several PBXs on a host", "ini")
    with_file = INI.replace(f"api_key = {API_KEY}", "api_key_file = /etc/humbug-agent/api-key")
    for name in ("office", "shop"):
        machine.run("sh", "-ec", copy.replace("office", name))
        machine.write(f"/etc/humbug-agent/{name}.ini", outbox.replace("office", name) + with_file)
        put_beside(machine, f"humbug-agent@{name}", "credentials")
        machine.run("sh", "-ec", start.replace("office", name))
    assert machine.run("stat", "-c", "%a %U", "/etc/humbug-agent/api-key").split() == ["600", "root"]
    add_calls(machine)
    # Both read the same file here: it is the receiver that has each call once.
    wait_until(lambda: machine.received() == (126, 126))
    office = ("--config", "/etc/humbug-agent/office.ini")
    assert "agent.ini   /etc/humbug-agent/office.ini" in machine.run("humbug-agent", *office, "status")
    # What an admin is told to do is for this one of them.
    machine.run("sed", "-i", "s/^type = humbug$/&\\nconnections = 2/", "/etc/humbug-agent/office.ini")
    assert "systemctl reload humbug-agent@office" in machine.run("humbug-agent", *office, "status")
    machine.run("systemctl", "reload", "humbug-agent@office")
    assert "systemctl reload" not in machine.run("humbug-agent", *office, "status")
    # An upgrade starts each of them again, and leaves out the one that was never configured.
    before = machine.property("humbug-agent@office", "MainPID")
    machine.install(deb, "--reinstall")
    assert machine.property("humbug-agent@office", "MainPID") != before
    assert machine.property("humbug-agent@shop", "ActiveState") == "active"
    assert machine.property("humbug-agent", "ActiveState") == "inactive"

    machine.run("apt-get", "purge", "--yes", "--quiet", "humbug-agent")
    assert not machine.processes()
    assert machine.run("find", "/etc", "/var/lib", "/run", "-iname", "*humbug*", "-not", "-path", "*/dpkg/*") == ""


def test_a_port_below_1024_takes_one_drop_in_and_no_root(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    machine.install(deb)
    machine.write("/etc/humbug-agent/receiver.env", "LISTEN=127.0.0.1:90\n")
    machine.write("/etc/humbug-agent/agent.ini", INI.replace(":8090", ":90") + "[status]\nlisten = 127.0.0.1:80\n")
    for unit in ("humbug-agent", "humbug-receiver"):
        put_beside(machine, unit, "port-80")
        assert exposure(machine, unit) < 1.6
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1/healthz').status)"
    wait_until(lambda: machine.run("python3", "-c", fetch, code=None) == "200\n")
    add_calls(machine)
    wait_until(lambda: machine.received() == (126, 0))
    daemon = f"/proc/{machine.property('humbug-agent', 'MainPID')}"
    assert machine.run("stat", "-c", "%U", daemon).strip() == "humbug-agent"
    # With all drop-ins at once, too.
    beside = "/etc/systemd/system/humbug-agent.service.d"
    machine.run("sh", "-ec", f"ln -sf /usr/share/humbug-agent/drop-ins/*.conf {beside}/; systemctl daemon-reload")
    assert machine.run("ls", beside).split() == sorted(file.name for file in DROP_INS.glob("*.conf"))
    assert exposure(machine, "humbug-agent") < 1.6
    assert exposure(machine, "humbug-agent@office") < 1.6


def exposure(machine: Machine, unit: str) -> float:
    """0 is locked in best, 10 not at all."""
    said = machine.run("systemd-analyze", "security", "--no-pager", unit)
    return float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0])


@pytest.mark.parametrize("unbooted", ["trixie"], indirect=True)
def test_a_unit_of_type_notify_reload_works_too(machine: Machine, deb: Path) -> None:
    """Ours is none: systemd sends the signal itself then, and no daemon can tell it that a reload failed.

    systemd has it since 253, Debian 12 has 252.
    """
    add_asterisk(machine)
    machine.install(deb)
    machine.write("/etc/humbug-agent/agent.ini", INI)
    machine.run("mkdir", "/etc/systemd/system/humbug-agent.service.d")
    machine.write(
        "/etc/systemd/system/humbug-agent.service.d/reload.conf", "[Service]\nType=notify-reload\nExecReload=\n"
    )
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "humbug-agent")
    machine.write("/etc/humbug-agent/agent.ini", INI + "connections = 2\n")
    machine.run("systemctl", "reload", "humbug-agent")
    assert machine.run("humbug-agent", "status", "--json").count('"state": "taken"') == 1
    machine.write("/etc/humbug-agent/agent.ini", "nonsense = 1\n")
    machine.run("systemctl", "reload", "humbug-agent")
    assert machine.property("humbug-agent", "SubState") == "running"
    assert "not reloaded, going on as before" in machine.run("journalctl", "--unit", "humbug-agent")
