"""A real Asterisk on a booted Debian, as its package or FreePBX leaves it: two commands, and its calls arrive."""

import json
from pathlib import Path

import pytest

from tests.kit.host import wait_until
from tests.kit.host_trees import TREES
from tests.packaging.conftest import not_here
from tests.packaging.machine import BootError, Machine
from tests.packaging.pbx import API_KEY, start_receiver
from tests.packaging.test_install import AGENT_INI
from tests.pbx.pbx_host import roots, why_not

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BESIDE = "/etc/systemd/system/humbug-agent.service.d"
DIALPLAN = "[load]\nexten => _X.,1,Answer()\n same => n,Hangup()\n"
ASTERISK = """\
#!/bin/sh
exec chroot /opt/asterisk /usr/sbin/asterisk "$@"
"""
"""It lives among its own libraries, which are another Debian's."""

SET_UP = """
set -e
useradd --system --user-group asterisk
user=$(id -u asterisk) group=$(id -g asterisk)
cd /opt/asterisk
sed -i "s/^asterisk:x:[0-9]*:[0-9]*:/asterisk:x:$user:$group:/" etc/passwd
sed -i "s/^asterisk:x:[0-9]*:/asterisk:x:$group:/" etc/group
mkdir -p run/asterisk
chown -R "$user:$group" etc/asterisk var/log/asterisk var/lib/asterisk var/spool/asterisk run/asterisk
for place in /etc/asterisk /var/log/asterisk; do
    ln -s "/opt/asterisk$place" "$place"
done
systemd-run --quiet --unit asterisk /usr/sbin/asterisk -f -U asterisk -G asterisk
"""


ROTATED = "/etc/logrotate.d/humbug-agent"
USER = "$(grep -ls '^.humbug.$' /etc/asterisk/manager_custom.conf /etc/asterisk/manager.d/*)"
PLANT = f"""
[ ! -e {ROTATED} ] || mv {ROTATED} /root/
printf '/var/log/asterisk/cdr-csv/*.csv {{\\nrotate 9\\ncopytruncate\\n}}\\n' >/etc/logrotate.d/theirs
sed -i 's/^read = cdr$/read = call/' {USER}
asterisk -rx 'manager reload'
chmod 0644 /etc/humbug-agent/ami-secret
"""
MEND = f"""
rm /etc/logrotate.d/theirs
[ ! -e /root/humbug-agent ] || mv /root/humbug-agent {ROTATED}
sed -i 's/^read = call$/read = cdr/' {USER}
asterisk -rx 'manager reload'
chmod 0640 /etc/humbug-agent/ami-secret
"""


def codes(pbx: Machine) -> set[str]:
    """What doctor finds."""
    return {one["code"] for one in json.loads(pbx.run("humbug-agent", "doctor", "--json", code=None))}


@pytest.fixture(params=["asterisk", "freepbx-17"])
def pbx(request: pytest.FixtureRequest, unbooted: Machine) -> Machine:
    """A Debian on which the PBX runs."""
    if reason := why_not():
        not_here(reason)
    etc = unbooted.overlay(roots()["asterisk22"], "/opt/asterisk") / "etc" / "asterisk"
    for path in (TREES[request.param] / "etc" / "asterisk").glob("*.conf"):
        if path.name not in ("asterisk.conf", "modules.conf"):
            (etc / path.name).write_bytes(path.read_bytes())
    (etc / "extensions.conf").write_text(DIALPLAN)
    if request.param == "freepbx-17":
        (unbooted.root / "etc" / "freepbx.conf").touch()
    program = unbooted.root / "usr" / "sbin" / "asterisk"
    program.write_text(ASTERISK)
    program.chmod(0o755)
    try:
        unbooted.boot()
    except BootError as error:
        not_here(f"systemd-nspawn boots no Debian here: {error}")
    unbooted.run("sh", "-c", SET_UP)
    wait_until(lambda: "fully booted" in unbooted.run("asterisk", "-rx", "core waitfullybooted", code=None), 60)
    return unbooted


def test_two_commands_and_the_calls_of_a_real_asterisk_arrive(pbx: Machine, deb: Path) -> None:
    pbx.install(deb)
    start_receiver(pbx)
    answers = [f"HUMBUG_API_KEY={API_KEY}", "HUMBUG_COUNTRY=CH", "HUMBUG_URL=http://127.0.0.1:8090/receiver.php"]
    said = pbx.run("env", *answers, "humbug-agent", "init", "--apply")
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
    pbx.run("sh", "-ec", PLANT)
    assert codes(pbx) == {"HA-0007", "HA-0009", "HA-0018"}
    pbx.run("sh", "-ec", MEND)
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

    pbx.run("apt-get", "purge", "--yes", "--quiet", "humbug-agent")
    kept = ["-not", "-name", "*.before-humbug-agent-*", "-not", "-path", "*/dpkg/*"]
    assert pbx.run("find", "/etc", "/etc/asterisk/", "/usr", "/var/lib", "/run", "-name", "*humbug*", *kept) == ""
    if there := pbx.run("grep", "-ls", "humbug", "-r", "/etc/asterisk/", code=None).split():
        # A file of FreePBX's admin, and the PBX goes on with it.
        assert there == ["/etc/asterisk/manager_custom.conf"]
    else:
        assert "username: humbug" not in pbx.run("asterisk", "-rx", "manager show user humbug")
