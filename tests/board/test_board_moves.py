"""Calls that go on otherwise than events tell, in the order in which Asterisk 16 and 22 were seen to tell them."""

from dataclasses import replace

import pytest

from humbug_agent.board.asterisk import CONFIRM_SECONDS
from humbug_agent.board.asterisk_list import SLACK_SECONDS
from humbug_agent.host.pbx_first import DOUBT_SECONDS
from tests.kit.board_wire import Wire, shown
from tests.kit.small_asterisk import Caller, SmallAsterisk, message


def waiting(wire: Wire, queue: str = "support") -> Caller:
    return wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), queue)


def talking(wire: Wire, queue: str = "support") -> Caller:
    caller = waiting(wire, queue)
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    return caller


def check(wire: Wire) -> None:
    wire.deliver()
    assert wire.view.live, wire.view.message
    assert shown(wire.view) == wire.pbx.truth()


def asks_soon(wire: Wire) -> None:
    """For everything, within seconds, and is answered."""
    wire.deliver()
    began = wire.clock.now
    while not wire.asked:
        assert wire.clock.now - began < DOUBT_SECONDS + 2
        wire.passes(1)
        wire.beat()
    wire.list_all()


# Into a queue.


def test_a_caller_transferred_into_a_queue_is_there_within_seconds(wire: Wire) -> None:
    wire.live()
    first = talking(wire)
    wire.deliver()
    wire.passes(SLACK_SECONDS + 5)
    consulted = wire.pbx.join(wire.pbx.call("PJSIP/201", "201", "Anna"), "sales")
    wire.deliver()
    wire.passes(5)
    assert first.agent
    wire.pbx.talking.clear()
    wire.pbx.hang_up(first.agent)
    wire.pbx.put_in_place(consulted, first.chan)
    asks_soon(wire)
    check(wire)
    assert shown(wire.view)["waiting"] == {"sales": [first.chan.uniqueid]}


def test_who_has_heard_of_one_queue_call_is_not_deaf_to_others(wire: Wire) -> None:
    wire.live()
    waiting(wire)
    wire.deliver()
    wire.passes(15)
    # Whatever way it came there.
    waiting(wire, "sales")
    wire.pbx.pending.clear()
    wire.confirm()
    check(wire)
    # To others that may not see as much it listens anew.
    wire.lost()
    wire.live()
    wire.passes(15)
    waiting(wire, "sales")
    wire.pbx.pending.clear()
    wire.confirm()
    assert "read must have call" in wire.view.message


@pytest.mark.parametrize("also", [0, 40])
def test_many_who_move_have_it_ask_once_in_some_seconds(wire: Wire, also: int) -> None:
    wire.live()
    asked = 0
    for _ in range(100):
        for _ in range(1 + also):
            wire.pbx.put_in_place(waiting(wire), wire.pbx.call("PJSIP/101", "101", "Zoë"))
        wire.deliver()
        wire.passes(0.5)
        wire.beat()
        if wire.asked:
            asked += 1
            wire.list_all()
            check(wire)
    assert 50 / (DOUBT_SECONDS + 1) - 1 < asked <= 50 / DOUBT_SECONDS


def test_who_gives_up_or_is_answered_has_it_ask_nothing(wire: Wire) -> None:
    wire.live()
    for _ in range(int(CONFIRM_SECONDS) - 2):
        wire.pbx.hang_up(waiting(wire).chan)
        wire.pbx.hang_up(talking(wire).chan)
        wire.deliver()
        wire.passes(1)
        wire.beat()
        assert not wire.asked
    check(wire)


def test_who_is_more_important_stands_before_the_others_at_once(wire: Wire) -> None:
    wire.live()
    talking(wire)
    waiting(wire, "sales")
    for position in (1, 2, 1, 3, 5, 2):
        wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), "support", position)
        check(wire)


# While somebody sets the clock.


@pytest.mark.parametrize("step", [3600, -3600])
@pytest.mark.parametrize("here", [True, False])
def test_all_lasts_as_long_as_it_has_when_the_clock_is_set(wire: Wire, step: int, here: bool) -> None:
    """``here`` runs the Asterisk, too, by whose clock it counts how long everybody waits."""
    if not here:
        wire.pbx = SmallAsterisk(wire.clock.monotonic)
    wire.live()
    began = wire.clock.now
    waiting(wire)
    talking(wire)
    wire.deliver()
    wire.passes(10)
    wire.clock.step += step
    wire.beat()
    for _ in range(3):
        lasts, now = wire.clock.now - began, wire.clock.time()
        assert [now - one.since for one in wire.view.channels] == pytest.approx([lasts] * 3)
        calls = wire.view.queues["support"].calls
        assert [now - one.entered for one in calls] == pytest.approx([lasts] * 2)
        assert [now - one.since for one in calls if one.connected] == pytest.approx([lasts])
        wire.confirm()


# Picked up.


def test_a_call_that_is_picked_up_is_one_and_leaves_no_ghost(wire: Wire) -> None:
    wire.live()
    caller = waiting(wire)
    rings = wire.pbx.dial(caller.chan, "PJSIP/211", "AppQueue")
    picks = wire.pbx.call("PJSIP/102", "102", "Zoë")
    picks.application, picks.callee = "AppQueue", True
    wire.pbx.connected_line(picks, "+49151", "Ann")
    wire.pbx.state(picks, "6")
    wire.pbx.hang_up(rings)
    wire.pbx.connected_line(rings, "+49151", "Ann")
    wire.pbx.bridge(picks, caller.chan)
    assert picks.linkedid == caller.chan.linkedid
    wire.hear(message("DialBegin", DestUniqueid=picks.uniqueid))
    wire.deliver()
    assert {one.linkedid for one in wire.view.channels} == {caller.chan.linkedid}
    assert {one.uniqueid for one in wire.view.channels} == {caller.chan.uniqueid, picks.uniqueid}


# By Local channels.


def test_a_caller_whose_local_channel_goes_talks_to_the_agent_all_the_same(wire: Wire) -> None:
    wire.live()
    source = wire.pbx.call("PJSIP/101", "101", "Zoë")
    source.application = "Dial"
    one = wire.pbx.dial(source, "Local/730@from-internal")
    two = wire.pbx.call("Local/730@from-internal", "101", "Zoë", source)
    wire.pbx.bridge(one, source)
    caller = wire.pbx.join(two, "support")
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    wire.deliver()
    (before,) = wire.view.queues["support"].calls
    wire.pbx.optimize(source, one, two)
    for _ in range(3):
        check(wire)
        (call,) = wire.view.queues["support"].calls
        assert call == replace(before, uniqueid=source.uniqueid, channel=source.channel)
        wire.confirm()
    wire.pbx.hang_up(source)
    check(wire)
    assert not wire.view.queues["support"].calls


def test_an_agent_whose_local_channel_goes_is_the_phone_behind_it(wire: Wire) -> None:
    wire.live()
    caller = waiting(wire)
    wire.pbx.connect(caller, "Local/760@from-internal", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    one = caller.agent
    assert one
    two = wire.pbx.call("Local/760@from-internal", "101", "", caller.chan)
    phone = wire.pbx.dial(two, "PJSIP/201")
    wire.pbx.bridge(two, phone)
    # Another one's, with the same agent's device.
    other = waiting(wire)
    wire.pbx.connect(other, "Local/760@from-internal", "Anna Agent")
    wire.pbx.joined_by_bridge(other)
    wire.deliver()
    wire.pbx.optimize(phone, two, one)
    for _ in range(3):
        check(wire)
        wire.confirm()
    assert {call.agent_name for call in wire.view.queues["support"].calls} == {"Anna Agent"}


# Out of it.


def test_a_caller_whom_the_agent_has_passed_on_is_in_no_queue_any_more(wire: Wire) -> None:
    wire.live()
    caller = talking(wire)
    agent = caller.agent
    assert agent
    consulting = wire.pbx.call("PJSIP/201", "201", "Anna")
    other = wire.pbx.dial(consulting, "PJSIP/202")
    wire.pbx.bridge(consulting, other)
    wire.deliver()
    wire.pbx.unbridge(agent)
    # That somebody has called it, and that the caller is in Queue, both stays so.
    done = wire.pbx.talking.pop(caller.chan.uniqueid)
    wire.pbx.bridge(caller.chan, other)
    wire.pbx.hang_up(agent)
    wire.hear(message("AgentComplete", Queue=done.queue, Reason="transfer", Uniqueid=caller.chan.uniqueid))
    wire.pbx.hang_up(consulting)
    check(wire)
    for _ in range(3):
        wire.confirm()
        check(wire)


def test_a_call_whose_local_agent_was_optimised_away_is_one_for_who_starts_then(wire: Wire) -> None:
    caller = talking(wire)
    assert caller.agent
    caller.agent.application = "AppDial"
    wire.pbx.pending.clear()
    wire.live()
    check(wire)
    for _ in range(3):
        wire.confirm()
        check(wire)


def test_a_caller_whom_somebody_takes_out_of_the_queue_is_gone_within_seconds(wire: Wire) -> None:
    wire.live()
    caller = waiting(wire)
    wire.deliver()
    wire.passes(1)
    wire.pbx.taken_out(caller, wire.pbx.call("PJSIP/101", "101", "Zoë"))
    asks_soon(wire)
    check(wire)
    assert not shown(wire.view)["waiting"]
