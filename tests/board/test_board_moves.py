"""Calls that go on otherwise than events tell, in the order in which Asterisk 16 and 22 were seen to tell them."""

from tests.kit.board_wire import Wire, shown
from tests.kit.small_asterisk import Caller, message


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


# Out of a queue.


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
