"""An Asterisk before 12, whose events are others: calls are delivered, and the board says what it needs."""

from collections.abc import Callable

import pytest

from humbug_agent.cdr import CDR
from tests.kit.ami_calls import call as a_call
from tests.kit.ami_calls import event, events
from tests.kit.ami_server import AmiServer
from tests.kit.board_host import Live
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

# Field names as Asterisk 11 has them.
EVENTS = b"".join(
    one.replace(b"\n", b"\r\n")
    for one in (
        b"Event: Newchannel\nPrivilege: call,all\nChannel: SIP/101-00000001\nChannelState: 4\nChannelStateDesc: Ring\n"
        b"CallerIDNum: 101\nCallerIDName: Anna\nAccountCode: \nExten: 531\nContext: from-internal\nUniqueid: 17.1\n\n",
        b"Event: Join\nPrivilege: call,all\nChannel: SIP/103-00000003\nCallerIDNum: 103\nCallerIDName: unknown\n"
        b"ConnectedLineNum: unknown\nQueue: support\nPosition: 1\nCount: 1\nUniqueid: 17.3\n\n",
        b"Event: Dial\nPrivilege: call,all\nSubEvent: Begin\nChannel: SIP/101-00000001\nDestination: SIP/102-00000002\n"
        b"UniqueID: 17.1\nDestUniqueID: 17.2\nDialstring: 102\n\n",
        b"Event: QueueMemberStatus\nPrivilege: agent,all\nQueue: support\nLocation: SIP/102\nMemberName: Bert\n"
        b"Membership: static\nPenalty: 0\nCallsTaken: 0\nLastCall: 0\nStatus: 1\nPaused: 0\n\n",
        b"Event: AgentConnect\nPrivilege: agent,all\nQueue: support\nUniqueid: 17.3\nChannel: SIP/102-00000002\n"
        b"Member: SIP/102\nMemberName: Bert\nHoldtime: 3\nBridgedChannel: 17.2\nRingtime: 1\n\n",
        b"Event: Bridge\nPrivilege: call,all\nBridgestate: Link\nChannel1: SIP/101-00000001\nUniqueid1: 17.1\n\n",
        b"Event: OriginateResponse\nPrivilege: call,all\nActionID: 1\nResponse: Failure\nChannel: SIP/101\n\n",
        b"Event: Leave\nPrivilege: call,all\nChannel: SIP/103-00000003\nQueue: support\nCount: 0\nUniqueid: 17.3\n\n",
    )
)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b""])
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
def test_the_board_says_what_it_needs_and_calls_are_delivered(ami: AmiServer, version: str, end: bytes) -> None:
    ami.banner = f"Asterisk Call Manager/{version}".encode() + end
    with Live(ami) as live:
        wait_until(lambda: ami.listeners)
        wait_until(lambda: live.view.message.startswith("needs"))
        ami.play(EVENTS + events(1) + EVENTS + event(a_call(2)))
        wait_until(lambda: len(live.records) == 2)
        view = live.view
        assert view.message == f"needs Asterisk 12 or later (this is AMI {version}); calls are delivered all the same"
        assert view.trouble == "Asterisk is too old for the board"
        assert (view.live, view.channels, dict(view.queues)) == (False, (), {})
        assert [record.dst for record in live.records if isinstance(record, CDR)] == ["1", "2"]
        assert not ami.asked("CoreShowChannels")
        (login,) = ami.asked("Login")
        # Before Asterisk 1.6 a Cdr event was one of the class call, which the board asks for anyway.
        assert {"call", "cdr"} <= set(login["Events"].split(","))


def says(live: Live, words: str) -> Callable[[], bool]:
    """Without words: it is live."""
    return lambda: live.view.message.startswith(words) if words else live.view.live


def test_after_an_upgrade_and_back_it_is_what_it_is_then(ami: AmiServer) -> None:
    ami.banner = b"Asterisk Call Manager/1.3\r\n"
    with Live(ami) as live:
        for banner, said in (
            (b"Asterisk Call Manager/11.0.0\r\n", ""),
            (b"Asterisk Call Manager/1.1\r\n", "needs Asterisk 12 or later (this is AMI 1.1)"),
            (b"Asterisk Call Manager/2.10.6\r\n", ""),
        ):
            wait_until(lambda: ami.listeners and live.view.message != "not connected yet")
            ami.banner = banner
            ami.drop()
            wait_until(says(live, said))
            assert bool(live.view.trouble) == bool(said)
