"""A real Asterisk on a booted Debian, as its package or FreePBX leaves it: two commands, and its calls arrive."""

import json
from pathlib import Path

import pytest

from tests.kit.host import wait_until
from tests.packaging.machine import Machine
from tests.packaging.mistakes import MEND, MISTAKES, PREPARE, WORDS
from tests.packaging.pbx import API_KEY, initialised
from tests.packaging.test_install import AGENT_INI

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BESIDE = "/etc/systemd/system/humbug-agent.service.d"


def codes(pbx: Machine) -> set[str]:
    """What doctor finds."""
    return {one["code"] for one in json.loads(pbx.run("humbug-agent", "doctor", "--json", code=None))}


def test_two_commands_and_the_calls_of_a_real_asterisk_arrive(pbx: Machine, deb: Path) -> None:
    said = initialised(pbx, deb)
    assert "A test call reached the receiver of destination humbug." in said
    assert "fail" not in said.lower()
    assert API_KEY not in said
    assert pbx.property("humbug-agent", "ActiveState") == "active"
    assert pbx.run("systemctl", "is-enabled", "humbug-agent").strip() == "enabled"

    pbx.run("asterisk", "-rx", "channel originate Local/1000@load/n application NoOp")
    # Two records: the call's two halves. And the test call before them.
    wait_until(lambda: pbx.received() == (3, 0))
    wait_until(lambda: "2 calls" in pbx.property("humbug-agent", "StatusText"))

    pid = pbx.property("humbug-agent", "MainPID")
    assert "Nothing to change" in pbx.run("humbug-agent", "init", "--apply")
    assert pbx.property("humbug-agent", "MainPID") == pid

    assert pbx.run("humbug-agent", "doctor") == "nothing found\n"
    # All others are planted by test_doctor.py, which takes minutes.
    few = {"HA-0007", "HA-0009", "HA-0018"}
    for script in (PREPARE, *(mistake for code, mistake in MISTAKES if code in few)):
        pbx.run("sh", "-ec", WORDS + script)
    assert codes(pbx) == few
    pbx.run("sh", "-ec", WORDS + MEND)
    assert codes(pbx) == set()

    # What somebody has changed, or a run that was interrupted has, and no daemon has taken.
    pbx.run("sed", "-i", "s/^type = humbug$/&\\nconnections = 2/", AGENT_INI)
    assert "ran      systemctl restart humbug-agent.service" in pbx.run("humbug-agent", "init", "--apply")
    pid, before = pbx.property("humbug-agent", "MainPID"), pid
    assert pid != before
    # With mistakes no daemon could begin: the one that runs goes on.
    pbx.run("sed", "-i", "s/^connections = 2$/connections = many/", AGENT_INI)
    assert "'many' is not a whole number" in pbx.run("humbug-agent", "init", "--apply", "--country", "DE", code=2)
    assert pbx.property("humbug-agent", "MainPID") == pid
    # Whatever else keeps it from beginning: the test call that a command sent is not the last word.
    pbx.run("sed", "-i", "s/^connections = many$/connections = 3/", AGENT_INI)
    pbx.run("mkdir", BESIDE)
    pbx.write(f"{BESIDE}/broken.conf", "[Service]\nExecStart=\nExecStart=/bin/false\n")
    pbx.run("systemctl", "daemon-reload")
    said = pbx.run("humbug-agent", "init", "--apply", code=1)
    assert said.splitlines()[-1].startswith("The daemon does not run, and no call is read: journalctl -u humbug-agent")

    purged = pbx.run("apt-get", "purge", "--yes", "--quiet", "humbug-agent")
    kept = ["-not", "-name", "*.before-humbug-agent-*", "-not", "-path", "*/dpkg/*"]
    assert pbx.run("find", "/etc", "/etc/asterisk/", "/usr", "/var/lib", "/run", "-name", "*humbug*", *kept) == ""
    if there := pbx.run("grep", "-ls", "humbug", "-r", "/etc/asterisk/", code=None).split():
        # A file of FreePBX's admin, and the PBX goes on with it.
        assert there == ["/etc/asterisk/manager_custom.conf"]
        assert "manager_custom.conf still has the AMI user [humbug]: take it out" in purged
    else:
        assert "still has" not in purged
        assert "username: humbug" not in pbx.run("asterisk", "-rx", "manager show user humbug")
