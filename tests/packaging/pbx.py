"""What a Debian of the tests has beside humbug-agent: Asterisk, or its user and log alone, and a receiver."""

import re
from pathlib import Path

from tests.kit.cdr_csv import RECORDED
from tests.kit.host_trees import TREES
from tests.kit.paths import TOP
from tests.packaging.machine import Machine, wait_until
from tests.pbx.pbx_host import roots

MASTER = "/var/log/asterisk/cdr-csv/Master.csv"
API_KEY = "an-api-key-of-a-test"
INI = f"""\
[source master-csv]
type = asterisk_csv
[destination humbug]
type = humbug
url = http://127.0.0.1:8090/receiver.php
api_key = {API_KEY}
"""
WRITER = f"""
import itertools, os, signal, sys, time
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
for number in itertools.count(1):
    begin = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1795194393 + number))
    row = ["", str(100 + number % 50), "202", "from-internal", "", f"PJSIP/101-{{number:08x}}", "", "Dial", "", begin]
    row += ["", begin, "3", "0", "NO ANSWER", "DOCUMENTATION", f"{{1795194393 + number}}.{{number}}", ""]
    with open("{MASTER}", "a") as file:
        file.write(",".join(f'"{{cell}}"' for cell in row) + "\\n")
    if stop:
        break
    time.sleep(0.01)
"""
"""Writes about eighty calls a second into Master.csv until SIGTERM, each of them another one."""


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


def documented(heading: str, kind: str = "sh", page: str = "install.md") -> list[str]:
    """The blocks of that kind which stand under a heading of a page of docs."""
    section = (TOP / "docs" / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)


def add_asterisk(machine: Machine) -> None:
    """Before the package is installed, as on most PBXs."""
    machine.run("useradd", "--system", "--user-group", "asterisk")
    folder = MASTER.rpartition("/")[0]
    machine.run("install", "-d", "-m", "0750", "-o", "asterisk", "-g", "asterisk", "/var/log/asterisk", folder)
    machine.run("install", "-m", "0640", "-o", "asterisk", "-g", "asterisk", "/dev/null", MASTER)


def add_calls(machine: Machine, recorded: str = "Master-full.csv") -> None:
    """126 calls, if not said otherwise."""
    with (machine.root / MASTER[1:]).open("ab") as master:
        master.write((RECORDED / recorded).read_bytes())


def start_receiver(machine: Machine) -> None:
    machine.write("/etc/humbug-agent/receiver.env", f"HUMBUG_API_KEY={API_KEY}\n")
    machine.run("systemctl", "start", "humbug-receiver")


def give_asterisk(unbooted: Machine, kind: str) -> None:
    """A real one, with the configuration that hosts of this kind have. It runs once `start_asterisk` was called."""
    etc = unbooted.overlay(roots()["asterisk22"], "/opt/asterisk") / "etc" / "asterisk"
    for path in (TREES[kind] / "etc" / "asterisk").glob("*.conf"):
        if path.name not in ("asterisk.conf", "modules.conf"):
            (etc / path.name).write_bytes(path.read_bytes())
    (etc / "extensions.conf").write_text(DIALPLAN)
    for mark in ("etc/freepbx.conf", "var/www/html/admin/modules/framework/module.xml"):
        if (TREES[kind] / mark).exists():
            (unbooted.root / mark).parent.mkdir(parents=True, exist_ok=True)
            (unbooted.root / mark).write_bytes((TREES[kind] / mark).read_bytes())
    program = unbooted.root / "usr" / "sbin" / "asterisk"
    program.write_text(ASTERISK)
    program.chmod(0o755)


def start_asterisk(machine: Machine) -> None:
    machine.run("sh", "-c", SET_UP)
    wait_until(lambda: "fully booted" in machine.run("asterisk", "-rx", "core waitfullybooted", code=None))


def initialised(machine: Machine, deb: Path) -> str:
    """What `init --apply` says on a host that has its PBX and a receiver."""
    machine.install(deb)
    start_receiver(machine)
    answers = [f"HUMBUG_API_KEY={API_KEY}", "HUMBUG_COUNTRY=CH", "HUMBUG_URL=http://127.0.0.1:8090/receiver.php"]
    return machine.run("env", *answers, "humbug-agent", "init", "--apply")
