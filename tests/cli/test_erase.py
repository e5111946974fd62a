"""`outbox erase`, as a process of its own, beside the daemon that goes on."""

import shutil
from pathlib import Path

import pytest

from humbug_agent.receiver import Misbehaviour
from tests.kit.host import Host, wait_until

pytestmark = pytest.mark.slow

NUMBER = "+41448450043"
FORMS = (b"41448450043", b"0448450043")
COUNTRY = "[numbers]\ncountry = CH\n"


def line(number: int, caller: str, called: str = "101") -> str:
    return (
        f'"acct","{caller}","{called}","from-trunk","""Zoe"" <{caller}>","SIP/{caller}-0000000e","PJSIP/101-0000000f",'
        f'"Dial","PJSIP/101,30","2026-01-15 12:00:{number:02}","2026-01-15 12:00:{number:02}",'
        f'"2026-01-15 12:01:{number:02}",60,60,"ANSWERED","DOCUMENTATION","1768478400.{number}",""\n'
    )


CALLERS = ("0448450043", NUMBER, "0041448450043", "0449999999", "102")
LINES = "".join(line(number, caller) for number, caller in enumerate(CALLERS))


@pytest.fixture
def host(host: Host) -> Host:
    host.configure(destination=COUNTRY)
    host.master.write_text(LINES + f'"acct","{NUMBER}"\n')
    return host


def holding(host: Host) -> list[str]:
    """The daemon's files in which the number stands."""
    found = [path for path in host.folder.glob("outbox.db*") if any(form in path.read_bytes() for form in FORMS)]
    return [path.name for path in found]


def test_beside_the_daemon_all_of_it_goes_and_stays_away(host: Host) -> None:
    daemon = host.daemon()
    try:
        wait_until(lambda: host.store.count() == len(CALLERS))
        wait_until(lambda: host.status()["deliveries"]["sent"] == len(CALLERS))
        assert holding(host)
        said = host.run("outbox", "erase", NUMBER, "--dry-run")
        assert "3 calls (0 not delivered), 1 reject, 0 spilled records, 0 answers and errors would be erased" in said
        assert [row.split()[3:5] for row in said.splitlines()[1:4]] == [[caller, "101"] for caller in CALLERS[:3]]
        assert "looked for 41448450043 and 0448450043" in host.errors
        assert holding(host)
        assert "3 calls (0 not delivered), 1 reject" in host.run("outbox", "erase", NUMBER, "--yes")
        assert f"Not reached: the PBX's own records ({host.master}, and what was rotated), what was sent to humbug" in (
            host.errors
        )
        assert not holding(host)
        with host.master.open("a") as master:
            master.write(line(20, "103"))
        wait_until(lambda: host.store.count() == len(CALLERS) + 1)
        assert daemon.poll() is None
    finally:
        daemon.terminate()
        _, errors = daemon.communicate(timeout=30)
    assert b"ERROR" not in errors
    assert [one["src"] for one in host.json("outbox", "list")] == ["0449999999", "102", "103"]
    # From the beginning once more: the log's copy, as after a move.
    host.master = Path(shutil.copy(host.master, host.folder / "copy.csv"))
    host.configure(destination=COUNTRY)
    host.run("run", "--once")
    assert len(host.json("outbox", "list")) == 3
    assert host.store.count() == len(CALLERS) + 1
    assert not holding(host)
    again = host.json("outbox", "erase", "0448450043", "--yes")
    assert again.pop("forms") == ["41448450043", "0448450043"]
    assert f"({host.master}, and what was rotated)" in again.pop("not_reached")
    assert not any(again.values()), again


def test_what_was_not_delivered_goes_only_where_that_is_said(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400)
    host.run("run", "--once", code=1)
    host.run("outbox", "erase", NUMBER, "--yes", code=1)
    assert "3 calls have not reached every destination yet, and never would" in host.errors
    assert "say --also-unsent" in host.errors
    assert len(host.json("outbox", "list")) == len(CALLERS)
    assert host.json("outbox", "erase", NUMBER, "--yes", "--also-unsent")["not_delivered"] == 3
    assert [one["src"] for one in host.json("outbox", "list")] == ["0449999999", "102"]
    assert not holding(host)


def test_it_asks_and_names_files_beside_it_in_which_the_number_stands(host: Host) -> None:
    host.run("run", "--once", code=None)
    # The second is what is left where an erasing was cut while it wrote such a file anew.
    names = ("outbox.db.damaged-20261120T170000", ".outbox.db.spilled-1-ami")
    copies = [Path(shutil.copy(host.folder / "outbox.db", host.folder / name)) for name in names]
    host.run("outbox", "erase", NUMBER, code=1)
    assert "Erase 3 calls (0 not delivered), 1 reject" in host.errors
    assert len(host.json("outbox", "list")) == len(CALLERS)
    host.run("outbox", "erase", NUMBER, "--yes", code=1)
    for one in copies:
        assert f"{one}: the number still stands in it; delete it where nobody needs it any more" in host.errors
        one.unlink()
    host.run("outbox", "erase", NUMBER, "--yes")


def test_without_a_country_it_is_said_that_other_forms_are_not_known(host: Host) -> None:
    host.configure()
    host.run("run", "--once", code=None)
    assert "2 calls" in host.run("outbox", "erase", NUMBER, "--dry-run")
    assert "not known without [numbers] country" in host.errors
    host.run("outbox", "erase", "101", "--dry-run", code=2)
    assert "is no outside number" in host.errors
