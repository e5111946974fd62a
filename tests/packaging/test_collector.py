"""What docs/collector.md says, done on a clean Debian: a collector over HTTPS, with a key for each PBX."""

from pathlib import Path

import pytest
import trustme

from tests.packaging.machine import Machine, wait_until
from tests.packaging.pbx import API_KEY, INI, add_asterisk, add_calls, documented

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FOLDER = "/etc/humbug-receiver"


@pytest.mark.parametrize("unbooted", ["trixie"], indirect=True)
def test_a_collector_is_set_up_in_a_few_commands(machine: Machine, deb: Path) -> None:
    add_asterisk(machine)
    machine.install(deb)
    assert machine.property("humbug-receiver", "ActiveState") == "inactive"
    # A clean Debian has no openssl, by which the page makes the certificate.
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    machine.run("install", "-d", "-m", "0750", "-o", "humbug-receiver", "-g", "humbug-receiver", FOLDER)
    machine.write(f"{FOLDER}/certificate.pem", issued.cert_chain_pems[0].bytes())
    machine.write(f"{FOLDER}/private-key.pem", issued.private_key_pem.bytes())
    machine.run("chown", "humbug-receiver:", f"{FOLDER}/certificate.pem", f"{FOLDER}/private-key.pem")
    (keys,) = documented("2. A key for each PBX", page="collector.md")
    machine.run("sh", "-ec", keys)
    assert machine.run("stat", "-c", "%a %U", f"{FOLDER}/keys").split() == ["600", "humbug-receiver"]
    (start,) = documented("3. Start it", page="collector.md")
    machine.run("sh", "-ec", start)
    key = dict(line.split() for line in machine.run("cat", f"{FOLDER}/keys").splitlines())["office"]
    machine.write("/etc/humbug-agent/collector.pem", authority.cert_pem.bytes())
    machine.run("chmod", "0644", "/etc/humbug-agent/collector.pem")
    ini = INI.replace("http://127.0.0.1:8090", "https://localhost:8443").replace(API_KEY, key)
    machine.write("/etc/humbug-agent/agent.ini", f"{ini}ca_file = /etc/humbug-agent/collector.pem\n")
    machine.run("systemctl", "start", "humbug-agent")
    add_calls(machine)
    wait_until(lambda: machine.received() == (126, 0))
    listed = ("humbug-agent", "receiver", "list", "--store", "/var/lib/humbug-receiver/calls.db", "--pbx", "office")
    assert "126" in machine.run(*listed)
    machine.write(f"{FOLDER}/keys", "one-word\n")
    machine.run("systemctl", "reload", "humbug-receiver")
    said = "the keys of before stay: keys file /etc/humbug-receiver/keys, line 1: is not NAME KEY"
    wait_until(lambda: said in machine.run("journalctl", "--unit", "humbug-receiver"))
    assert key not in machine.run("journalctl")
    machine.run("apt-get", "purge", "--yes", "--quiet", "humbug-agent")
    assert machine.run("find", "/etc", "/var/lib", "/run", "-iname", "*humbug*", "-not", "-path", "*/dpkg/*") == ""
    assert machine.run("getent", "passwd", "humbug-receiver", code=None) == ""
