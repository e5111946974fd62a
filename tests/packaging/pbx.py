"""What a Debian of the tests has beside humbug-agent: Asterisk's user and log, and a receiver, by its own unit."""

import re

from tests.kit.cdr_csv import RECORDED
from tests.kit.paths import TOP
from tests.packaging.machine import Machine

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
