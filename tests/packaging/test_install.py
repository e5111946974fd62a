"""The package on a clean Debian with systemd: from `apt install` to the first call, and to nothing again."""

import hashlib
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.machine import Machine, wait_until
from tests.packaging.pbx import API_KEY, INI, add_asterisk, add_calls, start_receiver
from tests.test_example import SECTIONS

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

AGENT_INI = "/etc/humbug-agent/agent.ini"
NOT_OURS = ["/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/var/lib/systemd", "/root", "/tmp", "/var/tmp"]


def left(machine: Machine) -> set[str]:
    """All files, users and groups, but for what dpkg, the journal and systemd note for themselves."""
    pruned = [word for folder in NOT_OURS for word in ("-path", folder, "-o")]
    found = machine.run("find", "/", "-xdev", "(", *pruned[:-1], ")", "-prune", "-o", "-print").splitlines()
    known = machine.run("cat", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow").splitlines()
    return {*found, *known, *machine.run("find", "/run", "/var/lib/systemd", "-iname", "*humbug*").splitlines()}


def test_from_the_package_to_the_first_call_and_to_nothing_again(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    before = left(machine)
    said = machine.install(deb)
    assert "humbug-agent is not configured yet, and not started." in said
    assert machine.run("stat", "-c", "%a %U:%G", "/etc/humbug-agent", AGENT_INI, "/var/lib/humbug-agent").split() == [
        *("750", "root:humbug-agent", "640", "root:humbug-agent", "700", "humbug-agent:humbug-agent")
    ]
    assert machine.run("id", "-nG", "humbug-agent").split() == ["humbug-agent", "asterisk"]
    assert machine.run("systemctl", "is-enabled", "humbug-agent").strip() == "enabled"
    assert machine.property("humbug-agent", "ActiveState") == "inactive"
    # Started all the same it says what is missing, once.
    machine.run("systemctl", "start", "humbug-agent", code=1)
    assert machine.property("humbug-agent", "NRestarts") == "0"
    log = machine.run("journalctl", "--unit", "humbug-agent", "--output", "cat")
    assert log.count("api_key: is still the example's; put your own there") == 1

    start_receiver(machine)
    machine.write(AGENT_INI, INI)
    assert "Error" not in machine.run("humbug-agent", "check")
    add_calls(machine)
    machine.run("systemctl", "start", "humbug-agent")
    wait_until(lambda: machine.received() == (126, 0))
    wait_until(lambda: "126 calls, 0 waiting, 126 sent" in machine.property("humbug-agent", "StatusText"))
    machine.run("humbug-agent", "status")

    machine.write(AGENT_INI, "nonsense = 1\n")
    machine.run("systemctl", "reload", "humbug-agent", code=1)
    assert machine.property("humbug-agent", "ActiveState") == "active"
    machine.write(AGENT_INI, INI)
    machine.run("systemctl", "reload", "humbug-agent")

    machine.run("apt-get", "purge", "--yes", "--quiet", "humbug-agent")
    assert left(machine) - before == set()
    assert before - left(machine) == set()
    assert not machine.processes()
    assert machine.run("systemctl", "list-unit-files", "humbug*", "--no-legend", code=None) == ""


def test_what_is_read_and_typed_is_there(machine: Machine, deb: Path) -> None:
    machine.install(deb)
    assert "Send again, with today's settings" in machine.run("man", "humbug-agent-outbox-replay")
    shown = machine.run("env", "MANWIDTH=200", "LC_ALL=C.UTF-8", "man", "humbug-agent.ini")
    assert not [key for one in SECTIONS for key in one.settings if key != "type" and key not in shown]
    # As bash does it, for `humbug-agent outbox re` and the tabulator.
    completed = machine.run(
        "bash",
        "-c",
        ". /usr/share/bash-completion/bash_completion; _comp_load humbug-agent 2>/dev/null || "
        "__load_completion humbug-agent; COMP_WORDS=(humbug-agent outbox re) COMP_CWORD=2; "
        "$(complete -p humbug-agent | sed 's/.*-F \\([^ ]*\\) .*/\\1/') humbug-agent; echo ${COMPREPLY[@]}",
    )
    assert completed.split() == ["replay"]
    for shell in ("zsh/vendor-completions/_humbug-agent", "fish/vendor_completions.d/humbug-agent.fish"):
        assert "_HUMBUG_AGENT_COMPLETE" in (machine.root / "usr/share" / shell).read_text()


@pytest.mark.parametrize("unbooted", ["bookworm"], indirect=True)
def test_a_package_that_was_removed_comes_back_with_its_calls(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    machine.install(deb)
    start_receiver(machine)
    machine.write(AGENT_INI, INI)
    machine.run("systemctl", "start", "humbug-agent")
    add_calls(machine, "Master-diskfull.csv")
    wait_until(lambda: machine.received()[0] == 23)
    machine.run("apt-get", "remove", "--yes", "--quiet", "humbug-agent")
    assert not machine.processes()
    machine.install(deb)
    assert machine.property("humbug-agent", "ActiveState") == "active"
    machine.run("systemctl", "start", "humbug-receiver")
    add_calls(machine)
    wait_until(lambda: machine.received() == (149, 0))
    assert API_KEY in machine.run("cat", AGENT_INI)


def test_agent_ini_of_the_package_never_changes() -> None:
    """Where it did, dpkg would ask each admin at the next upgrade what to do with theirs, or hold the package."""
    digest = hashlib.sha256((TOP / "packaging" / "deb" / "agent.ini").read_bytes()).hexdigest()
    assert digest == "a83338db7ffd5ee24ccd1d4b0f3d52cdd785f72a42a6144e1c27f9420cbdd863"
