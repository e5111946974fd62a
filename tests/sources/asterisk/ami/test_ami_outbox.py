"""An AMI that goes on while the outbox can't be written, or while agent.ini is read again: nothing lost in silence."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from humbug_agent.receiver import Misbehaviour
from tests.kit.ami_calls import call, event, events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_server import AmiServer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

PIECES = (65536,)


@contextmanager
def locked(pbx: AmiHost) -> Iterator[None]:
    """Another process writes and does not come to an end."""
    with closing(sqlite3.connect(pbx.outbox, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def accepted(pbx: AmiHost) -> int:
    with closing(sqlite3.connect(pbx.outbox)) as outbox:
        return int(outbox.execute("SELECT count(*) FROM calls").fetchone()[0])


def test_what_comes_while_the_outbox_is_locked_is_kept(ami: AmiServer, pbx: AmiHost) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        wait_until(lambda: pbx.status()["sources"]["ami"]["state"] == "ok")
        before = daemon.peak()
        with locked(pbx):
            ami.play(events(*range(10_000)), PIECES)
            pings = ami.pings
            wait_until(lambda: ami.pings > pings + 1)
        wait_until(lambda: accepted(pbx) == 10_000)
        assert daemon.peak() - before < 40_000_000
        assert ami.connections == 1
        assert len(daemon.lines) == 2, daemon.log


def test_a_flood_beyond_all_room_is_bounded_and_what_it_cost_is_said(ami: AmiServer, pbx: AmiHost) -> None:
    total, long = 36_000, b"z" * 500
    flood = b"".join(event(call(number, userfield=long)) for number in range(total))
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        wait_until(lambda: pbx.status()["sources"]["ami"]["state"] == "ok")
        before = daemon.peak()
        with locked(pbx):
            ami.play(flood, PIECES)
            ami.wait_until_read()
        daemon.says("events found no room while the outbox could not be written", 60)
        lost = sum(int(found.replace(",", "")) for found in re.findall(r"([\d,]+) events found no room", daemon.log))
        assert lost > 0
        wait_until(lambda: accepted(pbx) + lost == total, 90)
        assert daemon.peak() - before < 100_000_000
        assert daemon.times("found no room") == 1, daemon.log
        ami.play(events(total))
        wait_until(lambda: accepted(pbx) + lost == total + 1)
        assert ami.connections == 1


def hangs(ami: AmiServer) -> None:
    ami.freeze()


def refuses(ami: AmiServer) -> None:
    ami.allowed = False
    ami.drop()


def vanishes(ami: AmiServer) -> None:
    ami.vanish()


@pytest.mark.parametrize("broken", [hangs, refuses, vanishes])
def test_a_reload_while_the_ami_is_broken_leaves_none_either(ami: AmiServer, pbx: AmiHost, broken: object) -> None:
    assert callable(broken)
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        broken(ami)
        daemon.reload()
        daemon.says("agent.ini: read again")
        if broken is vanishes:
            daemon.says("nobody listens there")
            ami.listen()
        ami.thaw()
        ami.allowed = True
        wait_until(lambda: ami.listeners)
        wait_until(lambda: ami.open == 1)
        ami.play(events(1))
        wait_until(lambda: pbx.dialled() == ["1"])
        assert pbx.store.repeats() == 0


def test_a_reload_while_the_outbox_is_full_leaves_none_either(ami: AmiServer, pbx: AmiHost) -> None:
    pbx.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    pbx.ini.write_text(pbx.ini.read_text().replace("[agent]", "[agent]\nmax_size_mb = 1"))
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        ami.play(events(*range(3000)), PIECES)
        for number in range(3000, 4000):
            ami.play(events(number), apart=True)
            if "max_size_mb = 1 is reached" in daemon.log:
                break
        for _ in range(2):
            ami.play(events(5000), apart=True)
            daemon.reload_and_wait()
        assert ami.logins == 1
        # What is in hand waits for room, from one reading of agent.ini to the next.
        pbx.ini.write_text(pbx.ini.read_text().replace("max_size_mb = 1", "max_size_mb = 100"))
        daemon.reload()
        wait_until(lambda: accepted(pbx) == number + 3)
        assert (ami.logins, ami.open) == (1, 1)
