"""A reload while the AMI tells: a connection that has what it needs stays, and nothing that it tells is lost."""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from humbug_agent.outbox.outbox import Outbox
from tests.kit.ami_calls import call, event, events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_server import SECRET, AmiServer
from tests.kit.calls import batch
from tests.kit.host import wait_until
from tests.sources.asterisk.ami.test_ami_outbox import accepted

pytestmark = pytest.mark.slow

SIGHUPS = 8
MOST_IN_HAND = 10_000


@contextmanager
def telling(ami: AmiServer, each: int = 400, behind: AmiHost | None = None) -> Iterator[list[int]]:
    """So many calls at a time, as fast as they are read, until the end of ``with``; how many were told.

    They wait for the outbox of the host that is ``behind``: more than the agent keeps in memory it must drop.
    """
    over, told = threading.Event(), [0]

    def tell() -> None:
        # Nobody may listen any more.
        with suppress(OSError):
            while not over.is_set():
                if not behind or told[0] - accepted(behind) < MOST_IN_HAND:
                    ami.play(events(*range(told[0], told[0] + each)), (2**20,), apart=True)
                    told[0] += each
                over.wait(0.001)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield told
    finally:
        over.set()
        teller.join()


def test_nothing_is_lost_in_eight_reloads_and_there_is_one_login(ami: AmiServer, pbx: AmiHost) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        with telling(ami, behind=pbx) as told:
            for _ in range(SIGHUPS):
                daemon.reload_and_wait()
        # As much as a machine that others use takes, too: what was lost does not come later either.
        wait_until(lambda: accepted(pbx) == told[0], 90)
        assert (ami.connections, ami.logins) == (1, 1)
        assert daemon.times("ERROR") == 0, daemon.log
    assert told[0] > 1000
    wait_until(lambda: not ami.open)


def test_calls_that_look_alike_are_counted_on_across_a_reload(ami: AmiServer, pbx: AmiHost) -> None:
    """Two are two; and what Master.csv has of them is the same two."""
    pbx.listen_to(ami.port, csv=True)
    one = call(1)
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        ami.play(event(one), apart=True)
        wait_until(lambda: accepted(pbx) == 1)
        daemon.reload_and_wait()
        ami.play(event(one), apart=True)
        wait_until(lambda: accepted(pbx) == 2)


@pytest.mark.parametrize(
    ("before", "after", "logins"),
    [
        (SECRET, f"{SECRET}\nevents = cdr, shutdown", 2),
        (SECRET, f"{SECRET}\ncharset = cp1251", 2),
        ("[source ami]", "[source other]", 2),
        ("timezone = UTC", "timezone = Asia/Tokyo", 1),
        ("[agent]", "[agent]\nkeep_days = 3", 1),
        ("[destination humbug]", "[destination other]", 1),
    ],
)
def test_a_connection_ends_when_its_own_settings_change(
    ami: AmiServer, pbx: AmiHost, before: str, after: str, logins: int
) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        pbx.ini.write_text(pbx.ini.read_text().replace(before, after))
        daemon.reload_and_wait()
        wait_until(lambda: ami.logins == logins and ami.open == 1 and ami.listeners)
        ami.play(events(1))
        wait_until(lambda: accepted(pbx) == 1)
        assert ami.logins == logins
        wait_until(lambda: [one["state"] for one in pbx.status()["sources"].values()] == ["ok"])


def test_one_that_is_no_longer_in_agent_ini_hands_over_what_it_was_told(ami: AmiServer, pbx: AmiHost) -> None:
    csv = f"type = asterisk_csv\npath = {pbx.master}\n"
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        with telling(ami, behind=pbx) as told:
            wait_until(lambda: told[0] > 500)
            pbx.ini.write_text(re.sub(r"type = asterisk_ami[^\[]*", csv, pbx.ini.read_text()))
            daemon.reload_and_wait()
            wait_until(lambda: not ami.open)
        # What the kernel had of it is gone with the connection.
        assert accepted(pbx) > 500
        assert not [line for line in daemon.lines if "could not be put" in line]


@pytest.mark.parametrize("mistake", ["[agent]\nnonsense = 1", "[agent]\noutbox = /nowhere/outbox.db"])
def test_a_reload_that_is_refused_disturbs_nothing(ami: AmiServer, pbx: AmiHost, mistake: str) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        good = pbx.ini.read_text()
        pbx.ini.write_text(mistake + re.sub(r"^.*\noutbox.*", "", good))
        with telling(ami, behind=pbx) as told:
            daemon.reload()
            daemon.says("not reloaded")
        wait_until(lambda: accepted(pbx) == told[0])
        assert ami.connections == 1


def test_an_outbox_that_is_put_back_costs_no_connection_either(ami: AmiServer, pbx: AmiHost) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        with telling(ami, 10) as told:
            pbx.outbox.unlink()
            daemon.says("it was deleted or replaced while in use", 20)
        wait_until(lambda: accepted(pbx) == told[0])
        assert ami.connections == 1


def test_nor_does_one_that_is_mended(ami: AmiServer, pbx: AmiHost) -> None:
    with Outbox(pbx.outbox) as outbox:
        outbox.accept("ami", batch(*range(5)), ["humbug"])
    lose_an_index(pbx.outbox)
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        with telling(ami, 10) as told:
            daemon.says("Moved to", 30)
        wait_until(lambda: pbx.store.count() == told[0] + 5, 80)
        assert pbx.store.repeats() == 0
        assert ami.connections == 1


def lose_an_index(path: Path) -> None:
    """It lacks what its table has, which no start sees, and a look through the file some seconds later."""
    for before, after in ((")", ") WHERE id < 0"), (") WHERE id < 0", ")")):
        with closing(sqlite3.connect(path)) as db:
            if after == ")":
                db.execute("REINDEX calls_start")
            db.execute("PRAGMA writable_schema = 1")
            db.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'calls_start'", (before, after))
            db.commit()
