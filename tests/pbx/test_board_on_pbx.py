"""The live board against a real Asterisk: what IPPS says is what its console says, at rest and soon after a change."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from humbug_agent.board.asterisk import CONFIRM_SECONDS
from humbug_agent.board.asterisk_list import SLACK_SECONDS
from humbug_agent.host.pbx_first import DOUBT_SECONDS
from tests.kit.host import Host, wait_until
from tests.kit.paths import TOP
from tests.kit.ports import free_port
from tests.pbx.pbx_daemon import Daemon, OnPath, host_check
from tests.pbx.pbx_host import MANAGER_USERS, Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.phones import Sipp, burst, call

SOON = 0.3
"""Seconds within which the board shows a change."""

PAGE = TOP / "docs" / "board.md"
USERS = """
[seeing]
secret = humbug-secret
read = cdr,call,agent
write =

[queueless]
secret = humbug-secret
read = cdr,call
write = reporting

[listing]
secret = humbug-secret
read = cdr
write = reporting
"""

STATES = {"Down": "down", "Ring": "ring", "Ringing": "ringing", "Up": "up"}


@dataclass(frozen=True)
class Busy:
    """Channels as (device, state, account, uniqueid); waiting and connected callers, by their uniqueids, in order."""

    channels: tuple[tuple[str, str, str, str], ...]
    waiting: tuple[str, ...]
    connected: tuple[str, ...]


def console(pbx: Pbx) -> Busy:
    """``core show channels concise`` and ``queue show``. Asked twice over: between the two something may happen."""
    while True:
        rows = concise(pbx)
        shown = pbx.cli("queue show")
        if concise(pbx) == rows:
            break
    ids = {row[0]: row[13] for row in rows}
    waiting = [ids[name] for name in re.findall(r"^ +\d+\. (\S+) \(wait", shown, re.MULTILINE) if name in ids]
    joined = [row[13] for row in rows if row[5] == "Queue" and row[12] and row[13] not in waiting]
    channels = [(device(row[0]), STATES[row[4]], row[8], row[13]) for row in rows if row[4] != "Down"]
    return Busy(tuple(sorted(channels)), tuple(waiting), tuple(sorted(joined)))


def concise(pbx: Pbx) -> list[list[str]]:
    """Without a conference's own, which Asterisk shows on its console and never over AMI."""
    rows = [line.split("!") for line in pbx.cli("core show channels concise").splitlines() if "!" in line]
    return sorted(row for row in rows if not row[0].startswith("CBAnn/"))


def device(channel: str) -> str:
    return re.sub(r"-[0-9a-f]{8}(;[12])?$", "", channel)


class Ipps:
    def __init__(self, port: int) -> None:
        self.port = port
        self.status = f"[status]\nlisten = 127.0.0.1:{port}\n"
        self._session = requests.Session()

    def get(self, path: str, **query: str) -> str:
        answer = self._session.get(f"http://127.0.0.1:{self.port}{path}", params=query, timeout=5)
        answer.raise_for_status()
        return answer.text

    def message(self) -> str:
        """Why the board is not live; "no answer" before there is one."""
        try:
            return str(self.board()["message"])
        except requests.ConnectionError:
            return "no answer"

    def board(self) -> dict[str, Any]:
        """What /status.json says of it."""
        answer = self._session.get(f"http://127.0.0.1:{self.port}/status.json", timeout=10)
        return dict(answer.json()["boards"][0])

    def asked(self, path: str) -> int:
        """With which status it is answered."""
        return self._session.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).status_code

    def ready(self) -> bool:
        return not self.message()

    def channels(self, devices: set[str]) -> tuple[tuple[str, str, str, str], ...]:
        lines = self.get("/ipps/channelinfo.php", channel=",".join(sorted(devices)), useid="1").splitlines()
        rows = [line.split(",") for line in lines]
        assert all(len(row) == 6 for row in rows)
        return tuple(sorted((row[0], row[1], row[4], row[5]) for row in rows if row[1] != "down"))

    def queues(self) -> list[list[str]]:
        lines = self.get("/ipps/queueactive.php", queue_name="support,sales,slow,empty").splitlines()
        return [line.split(",") for line in lines]

    def busy(self, devices: set[str]) -> Busy:
        queues = self.queues()
        waiting = tuple(row[0] for row in queues if row[3] == "WAITING")
        return Busy(self.channels(devices), waiting, tuple(sorted(row[0] for row in queues if row[3] == "CONNECTED")))


ALL = {f"PJSIP/{number}" for number in (101, 102, 103, 104, 105, 106, 201, 202, 203, 204, 205, 211, "carrier")}


@pytest.fixture
def ipps() -> Ipps:
    return Ipps(free_port())


def agree(pbx: Pbx, ipps: Ipps) -> Busy | None:
    """What both say; None unless the console says the same before and after, that long apart."""
    before = console(pbx)
    # The promise itself: so long a change may take.
    time.sleep(SOON)
    shown = ipps.busy(ALL)
    if console(pbx) != before:
        return None
    assert set(shown.channels) ^ set(before.channels) == set()
    assert shown == before
    return shown


def at_rest(pbx: Pbx, ipps: Ipps, seconds: float = 15) -> Busy:
    deadline = time.monotonic() + seconds
    while not (found := agree(pbx, ipps)):
        assert time.monotonic() < deadline, "Asterisk never comes to rest"
    return found


def gone(uniqueid: str, shown: Callable[[], list[str]]) -> Callable[[], bool]:
    return lambda: uniqueid not in shown()


@pytest.mark.alone
def test_both_interfaces_say_what_the_console_says(pbx: Callable[..., Pbx], host: Host, ipps: Ipps) -> None:
    there = pbx()
    with Daemon(host, there, user="board", more=ipps.status) as agent, Sipp(there) as phones:
        wait_until(ipps.ready, 10)
        assert at_rest(there, ipps) == Busy((), (), ())
        phones.call([call("101", "534", how="stay"), call("102", "534", how="stay"), call("104", "203", how="stay")])
        phones.call([call("105", "211", how="stay"), call("103", "509", how="stay")])
        phones.call([call(f"+4915100{number}", "+4930541", b"Queue, Caller", how="stay") for number in range(3)])
        phones.call([call("+49151009", "+4930544", b"Waits", how="stay")])

        states: set[str] = set()

        def in_every_state() -> bool:
            found = console(there)
            states.update(state for _, state, _, _ in found.channels)
            return {"ring", "ringing", "up"} <= states and bool(found.waiting) and len(found.connected) >= 2

        wait_until(in_every_state, 20)
        found = [at_rest(there, ipps) for _ in range(3)]
        assert found[0].waiting
        assert len([one for one in found[0].channels if one[0] in ("PJSIP/101", "PJSIP/102")]) == 2
        for row in ipps.queues():
            assert row[1].startswith("+4915100")
            assert (row[3] == "CONNECTED") == bool(row[5]) == (row[6] in ("PJSIP/201", "PJSIP/202"))
        # The callee shows who calls it.
        (line,) = ipps.get("/ipps/channelinfo.php", channel="PJSIP/203").splitlines()
        assert line.startswith("up,104,Desk 104,,")

        # As it is for whoever starts in the midst of it.
        agent.end()
        agent.start()
        wait_until(ipps.ready, 10)
        again = at_rest(there, ipps)
        assert again.connected == found[-1].connected

        with Manager(there.ami_port) as manager:
            for _, _, _, uniqueid in again.channels[:6]:
                (name,) = [row[0] for row in concise(there) if row[13] == uniqueid] or [""]
                if not name:
                    # It went with the one before.
                    continue
                manager.action("Hangup", Channel=name)
                wait_until(gone(uniqueid, lambda: [row[13] for row in concise(there)]), 5)
                hung_up = time.monotonic()
                wait_until(gone(uniqueid, lambda: [row[3] for row in ipps.channels(ALL)]), 5)
                assert time.monotonic() - hung_up < SOON
        there.cli("channel request hangup all")
        wait_until(lambda: not concise(there), 10)
        assert at_rest(there, ipps) == Busy((), (), ())
        agent.end()


def test_a_caller_whom_ami_takes_out_of_the_queue_is_soon_gone(pbx: Callable[..., Pbx], host: Host, ipps: Ipps) -> None:
    there = pbx()
    with Daemon(host, there, user="board", more=ipps.status) as agent, Sipp(there) as phones:
        wait_until(ipps.ready, 10)
        phones.call([call("+49151009", "+4930544", b"Waits", how="stay"), call("101", "509", how="stay")])
        wait_until(lambda: len(ipps.queues()) == 1 and len(ipps.channels({"PJSIP/101"})) == 1, 15)
        (taken,) = [row[0] for row in concise(there) if row[5] == "Queue"]
        (other,) = [row[0] for row in concise(there) if row[0].startswith("PJSIP/101")]
        with Manager(there.ami_port) as manager:
            manager.action("Bridge", Channel1=taken, Channel2=other)
        wait_until(lambda: not ipps.queues(), DOUBT_SECONDS + 3)
        assert len(ipps.board()["calls"]) == 1
        agent.end()


@pytest.mark.alone
def test_a_burst_of_calls_leaves_no_ghost(pbx: Callable[..., Pbx], host: Host, ipps: Ipps) -> None:
    there = pbx()
    with Daemon(host, there, user="board", more=ipps.status) as agent:
        wait_until(ipps.ready, 10)
        burst(there, 1500)
        # In a flood it reads in large pieces. A ghost would stay until everything is asked for again.
        wait_until(lambda: '"channels":0' in ipps.get("/status.json").replace(" ", ""), CONFIRM_SECONDS / 10)
        agent.end()
    assert "ERROR" not in agent.log.read_text()


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("board", "may see cdr and all channels and queues"),
        ("humbug", "may not list channels for [status] (Permission denied): in manager.conf, section [humbug], write"),
        ("seeing", "may not list channels for [status]"),
        ("listing", "section [listing], write read = agent,call,cdr, then asterisk -rx 'manager reload'"),
    ],
)
def test_check_says_which_right_the_board_lacks(
    pbx: Callable[..., Pbx], host: Host, ipps: Ipps, user: str, said: str
) -> None:
    there = pbx(manager_users=MANAGER_USERS + USERS)
    with OnPath(there):
        assert said in host_check(host, there, user=user, more=ipps.status)


def test_a_board_that_may_not_list_channels_says_so(pbx: Callable[..., Pbx], host: Host, ipps: Ipps) -> None:
    there = pbx()
    with Daemon(host, there, more=ipps.status) as agent:
        wait_until(lambda: "may not list channels (Permission denied)" in ipps.message(), 10)
        agent.end()


@pytest.mark.parametrize(
    ("user", "dialled", "said"),
    [
        ("humbug", "", "section [humbug], write must have reporting, such as: write = reporting; then asterisk -rx"),
        ("seeing", "", "section [seeing], write must have reporting, such as: write = reporting; then asterisk -rx"),
        ("listing", "509", "section [listing], read must have call, such as: read = cdr,call,agent; then asterisk -rx"),
        (
            "queueless",
            "544",
            "section [queueless], read must have agent, such as: read = cdr,call,agent; then asterisk",
        ),
    ],
)
def test_the_page_says_which_right_is_missing_and_which_line_to_write(
    pbx: Callable[..., Pbx], host: Host, ipps: Ipps, user: str, dialled: str, said: str
) -> None:
    there = pbx(manager_users=MANAGER_USERS + USERS)
    with Daemon(host, there, user=user, more=ipps.status) as agent, Manager(there.ami_port) as manager:
        if dialled:
            wait_until(ipps.ready, 10)
            # What begins within seconds of a list may be in it before its event comes.
            began = time.monotonic()
            wait_until(lambda: time.monotonic() > began + SLACK_SECONDS + 2, 20)
            manager.action("Originate", Channel=f"Local/{dialled}@from-internal", Application="Wait", Data="90",
                           Async="true")  # fmt: skip
        wait_until(lambda: said in ipps.message(), 2 * CONFIRM_SECONDS + 10)
        assert ipps.board()["trouble"] == "The AMI user lacks a right"
        assert ipps.asked("/ipps/channelinfo.php?channel=SIP/1") == 503
        agent.end()


def test_agents_behind_local_channels_have_names(pbx: Callable[..., Pbx], host: Host, ipps: Ipps) -> None:
    there = pbx()
    with Daemon(host, there, user="board", more=ipps.status) as agent, Manager(there.ami_port) as manager:
        wait_until(ipps.ready, 10)
        assert names(ipps, "sales") == ["Local Agent"]
        manager.action("QueueAdd", Queue="empty", Interface="Local/9902@agents/n", StateInterface="PJSIP/202")
        wait_until(lambda: names(ipps, "empty") == ["PJSIP/202"], 5)
        manager.action("QueueRemove", Queue="empty", Interface="Local/9902@agents/n")
        manager.action("QueueAdd", Queue="empty", Interface="Local/9903@agents/n", MemberName="Zoë Meier",
                       StateInterface="hint:9903@agents")  # fmt: skip
        wait_until(lambda: names(ipps, "empty") == ["Zoë Meier"], 5)
        manager.action("Originate", Channel="Local/542@from-internal", Application="Wait", Data="60", Async="true")

        def connected() -> list[str]:
            rows = [line.split(",") for line in ipps.get("/ipps/queueactive.php", queue_name="sales").splitlines()]
            return [row[6] for row in rows if row[3] == "CONNECTED"]

        wait_until(lambda: connected() == ["Local Agent"], 15)
        agent.end()


def names(ipps: Ipps, queue: str) -> list[str]:
    (found,) = [one for one in ipps.board()["queues"] if one["name"] == queue]
    return [one["name"] for one in found["members"]]


def test_the_page_names_the_rights_of_the_user_that_is_tested_here() -> None:
    (rights,) = re.findall(r"\[board\]\nsecret = humbug-secret\n(read = .*)\n(write = .*)\n", MANAGER_USERS)
    assert f"`{rights[0]}` and `{rights[1]}`" in PAGE.read_text().replace("\n", " ")
