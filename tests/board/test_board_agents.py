"""Agents who are reached over a Local channel, as FreePBX has them, are known by their names."""

from collections.abc import Sequence
from datetime import UTC

import pytest

from humbug_agent.board.model import Member, QueueCall
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.web import ipps
from tests.kit.board_wire import Wire
from tests.kit.small_asterisk import message

LOCAL = "Local/1337@from-queue/n"


def listed(interface: str, name: str, state_interface: str) -> bytes:
    return message(
        "QueueMember",
        Queue="support",
        Name=name,
        Location=interface,
        StateInterface=state_interface,
        Membership="static",
        Penalty=0,
        Status=1,
        Paused=0,
    )


def test_a_queue_that_is_called_in_other_letters_is_the_same(wire: Wire) -> None:
    caller = wire.pbx.join(wire.pbx.call("PJSIP/carrier", "1", "Ann"), "support")
    wire.pbx.connect(caller, "Local/1337@from-queue", "")
    wire.pbx.joined_by_bridge(caller)
    caller.chan.data = "SUPPORT,,,,30"
    wire.pbx.pending.clear()
    for see in (wire.live, wire.confirm):
        see()
        assert set(wire.view.queues) == {"support", "sales"}
        assert only_call(wire).uniqueid == caller.chan.uniqueid
    wire.connect()
    wire.list_channels()
    wire.list_queues([*wire.pbx.queue_status(), listed(LOCAL, "Anna", "PJSIP/1")])
    assert only_call(wire).agent_name == "Anna"
    assert caller.agent
    wire.pbx.hang_up(caller.agent)
    wire.deliver()
    assert not wire.view.queues["support"].calls


def only_call(wire: Wire) -> QueueCall:
    (call,) = wire.view.queues["support"].calls
    return call


def only_member(wire: Wire) -> Member:
    (member,) = wire.view.queues["support"].members
    return member


# Name, StateInterface, and how the agent is called then.
MEMBERS = [
    ("Anna Agent", "hint:1337@ext-local", "Anna Agent"),
    ("Anna Agent", "PJSIP/1337", "Anna Agent"),
    ("Anna Agent", LOCAL, "Anna Agent"),
    ("Anna Agent", "", "Anna Agent"),
    (LOCAL, "PJSIP/4242", "PJSIP/4242"),
    (LOCAL, "SIP/1337", "SIP/1337"),
    (LOCAL, "hint:1337@ext-local", "1337"),
    (LOCAL, LOCAL, "1337"),
    (LOCAL, "", "1337"),
    ("Local/1337@from-queue", "Custom:DND1337", "1337"),
    ("", "", "1337"),
]


@pytest.mark.parametrize("interface", [LOCAL, "Local/1337@from-queue", "Local/1337@from-queue/nj"])
@pytest.mark.parametrize(("name", "state_interface", "called"), MEMBERS)
def test_a_member_and_whom_it_talks_to_are_of_that_agent(
    wire: Wire, interface: str, name: str, state_interface: str, called: str
) -> None:
    wire.connect()
    wire.list_channels()
    wire.list_queues([message("QueueParams", Queue="support"), listed(interface, name, state_interface)])
    assert (only_member(wire).name, only_member(wire).interface) == (called, interface)
    told = {"Queue": "support", "MemberName": name, "Interface": interface, "StateInterface": state_interface}
    wire.hear(message("QueueMemberStatus", **told, Status=2, Paused=0))
    assert (only_member(wire).name, only_member(wire).state) == (called, "in use")
    caller = wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), "support")
    wire.deliver()
    wire.hear(
        message(
            "AgentConnect",
            Channel=caller.chan.channel,
            Uniqueid=caller.chan.uniqueid,
            DestChannel="Local/1337@from-queue-0000000a;1",
            Queue="support",
            MemberName=name,
            Interface=interface,
            HoldTime=3,
        )
    )
    assert (only_call(wire).agent, only_call(wire).agent_name) == ("Local/1337@from-queue", called)
    assert asked(wire).endswith(f",{called}\n")
    wire.hear(message("QueueMemberRemoved", **told))
    assert wire.view.queues["support"].members == ()


def asked(wire: Wire) -> str:
    return ipps.queueactive({"queue_name": "support"}, [wire.view], NumbersSettings("", 9, ""), UTC)


@pytest.mark.parametrize("device", ["Local/1337@from-queue", "PJSIP/1337", "SIP/1337", "PJSIP/4242"])
@pytest.mark.parametrize("others", [[], ["PJSIP/carrier", "Local/13370@from-queue/n", "Local/1@from-queue/n"]])
def test_whoever_talked_before_the_agent_started_is_of_that_agent(
    wire: Wire, device: str, others: Sequence[str]
) -> None:
    """A Local channel without ``/n`` has gone by then, and its phone talks itself."""
    caller = wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), "support")
    wire.pbx.connect(caller, device, "")
    wire.pbx.joined_by_bridge(caller)
    wire.pbx.pending.clear()
    wire.connect()
    wire.list_channels()
    members = [listed(other, f"Not {other}", other) for other in others]
    members.append(listed(LOCAL, "Anna Agent", "PJSIP/4242"))
    wire.list_queues([message("QueueParams", Queue="support"), *members])
    assert (only_call(wire).agent, only_call(wire).agent_name) == (device, "Anna Agent")
    assert asked(wire).endswith(",Anna Agent\n" if device.startswith("Local/") else f",{device}\n")


def test_the_name_is_that_of_the_member_in_the_callers_queue(wire: Wire) -> None:
    caller = wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), "sales")
    wire.pbx.connect(caller, "PJSIP/1337", "")
    wire.pbx.joined_by_bridge(caller)
    wire.pbx.pending.clear()
    wire.connect()
    wire.list_channels()
    elsewhere = listed("PJSIP/1337", "Anna in support", "")
    here = listed(LOCAL, "Anna in sales", "PJSIP/1337").replace(b"Queue: support", b"Queue: sales")
    wire.list_queues([elsewhere, here])
    (call,) = wire.view.queues["sales"].calls
    assert call.agent_name == "Anna in sales"
