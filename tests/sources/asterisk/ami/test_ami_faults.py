"""An AMI that goes wrong in every way there is: said once in words that help, never hammered, healed within seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.kit.ami_calls import call, event, events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_server import SECRET, AmiServer, garbage
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

HEALED_SECONDS = 5.0
GARBAGE_BYTES = 50_000_000
MOST_MORE_MEMORY = 30_000_000


@dataclass(frozen=True)
class Fault:
    """``words`` is what the log must say. It is looked at until so many ``tries`` to connect have been made."""

    begins: Callable[[AmiServer], object]
    ends: Callable[[AmiServer], object]
    words: str
    tries: int = 3


def nothing(_: AmiServer) -> None:
    """It is over as soon as it began."""


def breaks_off(ami: AmiServer) -> None:
    ami.play(event(call(666))[:200], apart=True)
    ami.drop()


def crashes(ami: AmiServer) -> None:
    ami.drop(reset=True)


def is_http(ami: AmiServer) -> None:
    ami.banner = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\r\n"
    ami.drop()


def closes_after_login(ami: AmiServer) -> None:
    ami.closes_after_login = True
    ami.drop()


def answers_oddly(ami: AmiServer) -> None:
    ami.login_answer = b"Response: Perhaps\r\nActionID: %s\r\n\r\n"
    ami.drop()


def answers_nothing_known(ami: AmiServer) -> None:
    ami.login_answer = b"Response: Follows\r\n\r\n"
    ami.drop()


def raves(where: str, blank_lines: bool, ami: AmiServer) -> None:
    setattr(ami, where, partial(garbage, GARBAGE_BYTES, blank_lines))
    ami.drop()


def echoes(ami: AmiServer) -> None:
    # However it is cut, sixty bytes of it have the secret in them.
    ami.after_login = lambda: [(SECRET.encode() + b"\r\n") * 2000] * 1000
    ami.drop()


FAULTS = {
    "breaks-off": Fault(breaks_off, nothing, "has closed the connection in the midst of a message", 1),
    "crashes": Fault(crashes, nothing, "has closed the connection (Connection reset by peer)", 1),
    "vanishes": Fault(AmiServer.vanish, AmiServer.listen, "nobody listens there; does Asterisk run, and has", 0),
    "hangs": Fault(AmiServer.freeze, AmiServer.thaw, "nothing comes any more, not even an answer to a ping", 1),
    "is-http": Fault(is_http, AmiServer.behave, "is no AMI: it begins with 'HTTP/1.1 400 Bad Request'"),
    "closes-after-login": Fault(closes_after_login, AmiServer.behave, "has closed the connection; calls"),
    "answers-oddly": Fault(answers_oddly, AmiServer.behave, "refuses the login of humbug", 2),
    "answers-nothing": Fault(answers_nothing_known, AmiServer.behave, "does not answer within 3 s", 1),
    "echoes": Fault(echoes, AmiServer.behave, "sends what is no AMI"),
    "raves-first": Fault(partial(raves, "after_banner", False), AmiServer.behave, "sends what is no AMI"),
    "raves-in-pieces-first": Fault(partial(raves, "after_banner", True), AmiServer.behave, "sends what is no AMI"),
    "raves-later": Fault(partial(raves, "after_login", False), AmiServer.behave, "sends what is no AMI"),
    "raves-in-pieces-later": Fault(partial(raves, "after_login", True), AmiServer.behave, "sends what is no AMI"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_said_once_and_healed_within_seconds(ami: AmiServer, pbx: AmiHost, kind: str) -> None:
    fault = FAULTS[kind]
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        ami.play(events(1))
        wait_until(lambda: pbx.dialled() == ["1"])
        memory, before = daemon.peak(), len(daemon.lines)
        began, connections = time.monotonic(), ami.connections
        fault.begins(ami)
        daemon.says(fault.words)
        wait_until(lambda: ami.connections >= connections + fault.tries, 20)
        tries, lasted = ami.connections - connections, time.monotonic() - began
        # 0.1, 0.2, 0.4 … seconds between them, less a quarter: twice as long for each.
        assert tries == 0 or lasted >= 0.075 * (2 ** (tries - 1) - 1), f"{tries} tries in {lasted} s"
        healed = time.monotonic()
        fault.ends(ami)
        # Not only the server: a login that was answered too late is none.
        daemon.says("source ami: reading again", 20)
        wait_until(lambda: ami.listeners, 20)
        ami.play(events(2))
        wait_until(lambda: pbx.dialled() == ["1", "2"])
        assert time.monotonic() - healed < HEALED_SECONDS
        daemon.says("source ami: reading again")
        assert daemon.times(fault.words) == 1, daemon.log
        # What happened, what it led to, and of each that it is over.
        assert len(daemon.lines) - before <= 4, daemon.log
        wait_until(lambda: ami.open == 1)
        assert daemon.peak() - memory < MOST_MORE_MEMORY
        # Broken again, it ends as quickly as ever: the end of this block looks at that.
        fault.begins(ami)


def test_refused_logins_are_tried_at_leisure(ami: AmiServer, pbx: AmiHost) -> None:
    ami.allowed = False
    with Daemon(pbx) as daemon:
        daemon.says("refuses the login of humbug (Authentication failed)")
        wait_until(lambda: ami.refusals == 3, 20)
        pauses = [later - earlier for earlier, later in zip(ami.login_times, ami.login_times[1:], strict=False)]
        # A second of Asterisk's own, and one of ours at least.
        assert min(pauses) > 1.7, pauses
        assert daemon.times("refuses the login") == 1, daemon.log
        healed = time.monotonic()
        ami.allowed = True
        wait_until(lambda: ami.listeners)
        ami.play(events(1))
        wait_until(lambda: pbx.dialled() == ["1"])
        assert time.monotonic() - healed < HEALED_SECONDS


def test_a_connection_that_never_lasts_is_not_hammered_nor_said_for_ever(ami: AmiServer, pbx: AmiHost) -> None:
    ami.closes_after_login = True
    ami.after_login = lambda: [events(1)]
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.logins >= 6, 20)
        pauses = [later - earlier for earlier, later in zip(ami.login_times, ami.login_times[1:], strict=False)]
        assert all(pause > min(0.075 * 2**number, 2) for number, pause in enumerate(pauses)), pauses
        # What it tells in between counts all the same.
        wait_until(lambda: pbx.store.count() >= 1)
        assert len(daemon.lines) <= 6, daemon.log


def test_a_pause_of_the_whole_host_is_no_fault(ami: AmiServer, pbx: AmiHost) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.pings)
        daemon.pause()
        try:
            pings, until = ami.pings, time.monotonic() + 3.5
            ami.play(events(*range(100)))
            wait_until(lambda: time.monotonic() > until)
            assert ami.pings == pings
        finally:
            daemon.resume()
        wait_until(lambda: ami.pings > pings + 1)
        wait_until(lambda: pbx.store.count() == 100)
        assert ami.connections == 1
        assert len(daemon.lines) == 2, daemon.log


def test_a_slow_greeting_is_waited_for(ami: AmiServer, pbx: AmiHost) -> None:
    ami.greet_after = 1.5
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        ami.play(events(1))
        wait_until(lambda: pbx.dialled() == ["1"])
        assert ami.connections == 1
        assert len(daemon.lines) == 2, daemon.log
