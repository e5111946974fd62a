"""That the real Asterisk of these tests is one: it starts, calls, writes, speaks, and takes what tests do to it."""

import csv
import os
import ssl
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager, Message
from tests.pbx.pbx_ports import until
from tests.pbx.phones import burst, hundred_calls

Start = Callable[..., Pbx]


def one_call(pbx: Pbx, user: str = "humbug") -> Message:
    """A call that is over at once, as ``user`` hears of it. It has two records."""
    expected = pbx.lines() + 2
    with Manager(pbx.ami_port) as lab, Manager(pbx.ami_port, user, "humbug-secret", events=True) as listener:
        asked = lab.action("Originate", Channel="Local/1000@load/n", Application="NoOp", CallerID="Alice <7>")
        assert asked["Response"] == "Success"
        event = listener.event("Cdr")
    until(lambda: pbx.lines() == expected, "the call's records")
    return event


def records(pbx: Pbx) -> list[list[str]]:
    with pbx.master_csv.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def state(pbx: Pbx) -> str:
    return Path(f"/proc/{pbx.pid}/stat").read_text().rsplit(")")[1].split()[0]


def test_a_call_is_written_and_told(pbx: Start, asterisk_root: Path) -> None:
    host = pbx()
    event = one_call(host)
    assert f"asterisk{host.version.split('.')[0]}" == asterisk_root.name
    first = records(host)[0]
    assert len(first) == 18
    assert event["CallerID"] == first[4] == '"Alice" <7>'
    assert event["UniqueID"] == first[16]


@pytest.mark.parametrize(("layout", "columns"), [("default", 16), ("full", 18), ("new", 21), ("debian", 18)])
def test_every_layout(pbx: Start, layout: str, columns: int) -> None:
    host = pbx(csv=layout, unanswered=False, congestion=False)
    one_call(host)
    assert {len(record) for record in records(host)} == {columns}


def test_a_batch_is_written_at_the_end(pbx: Start) -> None:
    host = pbx(batch=(1000, 3600))
    with Manager(host.ami_port) as lab:
        lab.action("Originate", Channel="Local/1000@load/n", Application="NoOp")
        until(lambda: "2 records" in host.cli("cdr show status"), "the batch")
        assert not host.master_csv.exists()
    host.stop()
    assert host.lines() == 2


def test_it_lives_through_what_tests_do_to_it(pbx: Start) -> None:
    host = pbx()
    first = host.pid
    one_call(host)
    host.restart_now()
    assert host.pid == first
    one_call(host)
    host.freeze()
    until(lambda: state(host) == "T", "it to freeze")
    host.thaw()
    one_call(host)
    host.kill()
    assert not host.running
    with pytest.raises(ConnectionRefusedError):
        Manager(host.ami_port)
    host.start()
    assert host.pid != first
    one_call(host)
    assert host.lines() == 8
    host.stop()
    assert not host.running


def test_each_lives_in_its_own_zone(pbx: Start) -> None:
    here, there = pbx(), pbx(timezone="Asia/Kolkata", gmt=True)
    one_call(here)
    event = one_call(there)
    local = datetime.fromisoformat(event["StartTime"])
    assert local - datetime.fromisoformat(records(there)[0][9]) == timedelta(hours=5, minutes=30)
    assert abs(local - datetime.fromisoformat(records(here)[0][9])) > timedelta(hours=5)
    assert here.lines() == there.lines() == 2


def test_users_may_what_they_may(pbx: Start) -> None:
    host = pbx()
    with closing(Manager(host.ami_port, "denied", "humbug-secret")) as denied:
        assert denied.login["Response"] == "Error"
    for user, reads in {"humbugsys": True, "board": True, "callonly": False, "noperm": False}.items():
        with Manager(host.ami_port, user, "humbug-secret") as session:
            assert session.login["Response"] == "Success"
        assert ("cdr" in host.cli(f"manager show user {user}").split("read perm:")[1].splitlines()[0]) == reads


def test_ami_speaks_tls(pbx: Start) -> None:
    authority = trustme.CA()
    host = pbx(tls=authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Manager(host.ami_tls_port, "humbug", "humbug-secret", tls=context) as session:
        assert session.login["Response"] == "Success"


def test_a_program_on_the_host_finds_its_console(pbx: Start) -> None:
    host, mute = pbx(), pbx(cdr_manager=False)

    def says(of: Pbx, command: str) -> str:
        environment = {"PATH": f"{of.console}:{os.environ['PATH']}"}
        return subprocess.run(
            ["asterisk", "-rx", command], env=environment, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    assert "read perm: cdr" in says(host, "manager show user humbug")
    assert "    cdr_manager\n" in says(host, "cdr show status")
    assert "    cdr_manager (suspended) \n" in says(mute, "cdr show status")


def test_a_hundred_calls_of_every_kind(pbx: Start) -> None:
    host = pbx()
    begun: list[int] = []
    hundred_calls(host, begun.append)
    assert begun == sorted(begun)
    assert begun[-1] >= 100
    found = records(host)
    assert len(found) >= 100
    assert {record[14] for record in found} == {"ANSWERED", "NO ANSWER", "BUSY", "CONGESTION", "FAILED"}
    assert {record[7] for record in found} >= {"Dial", "Queue", "ConfBridge", "Park", "ForkCDR"}
    assert host.lines() > len(found)
    assert "CDR not recorded" in host.log()


def test_the_hundred_go_on_after_a_restart(pbx: Start) -> None:
    host = pbx()
    restarted: list[int] = []

    def restart(begun: int) -> None:
        if begun > 50 and not restarted:
            restarted.append(host.lines())
            host.restart_now()

    hundred_calls(host, restart)
    assert 20 < restarted[0] < host.lines() - 20


def test_a_burst_writes_all_its_records(pbx: Start) -> None:
    host = pbx()
    assert burst(host, 300) > 50
    assert len(records(host)) == 600
