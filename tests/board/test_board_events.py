"""What a feeder makes of events and lists that come at awkward moments, second by second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from humbug_agent.board.asterisk import ANSWER_SECONDS, CONFIRM_SECONDS, AsteriskFeeder
from humbug_agent.board.model import Board, Channel, QueueCall, View
from tests.kit.board_wire import MOST_DELAY, Clock, Wire, answer, refusal, shown
from tests.kit.small_asterisk import Caller, Chan, message

ASKS = "connected; asks which calls there are"


def talking(wire: Wire, queue: str = "support") -> Caller:
    """Somebody whom Anna has answered, and their bridge is there."""
    caller = wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), queue)
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    return caller


def waiting(wire: Wire, queue: str = "support") -> Caller:
    return wire.pbx.join(wire.pbx.call("PJSIP/carrier", "+49151", "Ann"), queue)


def calls(wire: Wire) -> list[QueueCall]:
    assert wire.view.live, wire.view.message
    return [call for queue in wire.view.queues.values() for call in queue.calls]


def only(wire: Wire) -> QueueCall:
    (call,) = calls(wire)
    return call


def channel(wire: Wire, chan: Chan) -> Channel:
    (found,) = [one for one in wire.view.channels if one.uniqueid == chan.uniqueid]
    return found


def check(wire: Wire) -> None:
    wire.deliver()
    assert wire.view.live, wire.view.message
    assert shown(wire.view) == wire.pbx.truth()


# The first list.


@pytest.mark.parametrize("when", ["before", "between"])
def test_what_only_a_list_tells_is_not_lost_when_its_channel_speaks_meanwhile(wire: Wire, when: str) -> None:
    caller = talking(wire)
    wire.pbx.pending.clear()
    wire.clock.now += 100
    wire.connect()
    if when == "between":
        wire.list_channels()
    assert caller.agent
    wire.pbx.connected_line(caller.chan, "201", "Anna")
    wire.pbx.connected_line(caller.agent, "+49151", "Ann Smith")
    wire.deliver()
    wire.list_all()
    check(wire)
    found = channel(wire, caller.chan)
    assert 100 <= wire.clock.now - found.since <= 101


def test_a_callee_that_spoke_before_the_first_list_is_one(wire: Wire) -> None:
    callee = wire.pbx.dial(wire.pbx.call("SIP/1", "1", "One"), "SIP/2")
    wire.pbx.state(callee, "5")
    wire.pbx.state(callee, "6")
    wire.pbx.pending.clear()
    wire.connect()
    wire.pbx.account(callee, "ACME")
    wire.deliver()
    wire.list_all()
    check(wire)
    assert channel(wire, callee).calling == ("1", "One")


def test_who_left_a_bridge_between_the_lists_has_left_it(wire: Wire) -> None:
    chans = [wire.pbx.call("SIP/1", "1", ""), wire.pbx.call("SIP/2", "2", "")]
    wire.pbx.bridge(*chans)
    wire.pbx.pending.clear()
    wire.connect()
    wire.list_channels()
    wire.pbx.unbridge(chans[0])
    wire.deliver()
    wire.list_queues()
    check(wire)


def test_an_agent_who_answered_just_before_the_start_is_known_by_the_second_list(wire: Wire) -> None:
    caller = waiting(wire)
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.pending.clear()
    wire.live()
    wire.pbx.joined_by_bridge(caller)
    wire.confirm()
    check(wire)


# Queues.


def test_an_agent_who_answers_in_another_queue_is_told_of_that_queue(wire: Wire) -> None:
    wire.live()
    caller = waiting(wire, "support")
    wire.pbx.gives_up(caller)
    again = wire.pbx.join(caller.chan, "sales")
    wire.passes(CONFIRM_SECONDS + 1)
    wire.beat()
    # The list is before the events of that.
    wire.pbx.connect(again, "PJSIP/201", "Anna Agent")
    wire.list_all()
    wire.deliver()
    assert only(wire).queue == "sales"
    wire.pbx.joined_by_bridge(again)
    check(wire)


def test_who_is_sent_back_into_the_same_queue_waits_there(wire: Wire) -> None:
    """The agent transfers the caller: that the agent is done comes when the caller is in the queue again."""
    caller = talking(wire)
    wire.live()
    wire.deliver()
    assert caller.agent
    wire.pbx.hang_up(caller.agent)
    (done,) = [one for one in wire.pbx.pending if one[1].startswith(b"Event: AgentComplete")]
    wire.pbx.pending.remove(done)
    again = wire.pbx.join(caller.chan, "support")
    wire.pbx.pending.append(done)
    wire.deliver()
    assert (only(wire).uniqueid, only(wire).connected) == (again.chan.uniqueid, False)
    check(wire)


def test_callers_stand_as_asterisk_has_them_in_the_queue(wire: Wire) -> None:
    """Whoever is more important is before the others, and whole seconds tell nobody apart."""
    first, second = waiting(wire), waiting(wire)
    wire.passes(5)
    third = waiting(wire)
    wire.pbx.waiting["support"] = [third, first, second]
    wire.live()
    order = [third, first, second]
    assert [call.uniqueid for call in calls(wire)] == [caller.chan.uniqueid for caller in order]
    wire.pbx.pending.clear()
    order.append(waiting(wire))
    wire.deliver()
    assert [call.uniqueid for call in calls(wire)] == [caller.chan.uniqueid for caller in order]
    wire.confirm()
    assert [call.uniqueid for call in calls(wire)] == [caller.chan.uniqueid for caller in order]


def test_who_came_before_the_agent_stands_before_who_came_while_it_asked(wire: Wire) -> None:
    wire.clock.now = 1795194317.1
    waiting(wire)
    wire.pbx.pending.clear()
    wire.clock.now += 0.2
    wire.connect()
    waiting(wire)
    wire.deliver()
    wire.clock.now += 0.2
    wire.list_all()
    check(wire)


# Times.


def test_when_somebody_entered_stays_over_lists(wire: Wire) -> None:
    wire.live()
    caller = waiting(wire)
    wire.deliver()
    entered = only(wire).entered
    assert entered == wire.clock.now
    for seconds in (0.3, 0.9, 7.5):
        wire.passes(seconds)
        wire.confirm()
        assert only(wire).entered == entered
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.deliver()
    connected = only(wire)
    assert (connected.entered, connected.since, connected.waited) == (entered, wire.clock.now, caller.held)
    wire.pbx.joined_by_bridge(caller)
    for _ in range(3):
        wire.confirm()
        assert only(wire) == connected


def test_when_somebody_entered_is_what_asterisk_says_and_stays(wire: Wire) -> None:
    wire.clock.now = 1795194317.9
    caller = waiting(wire)
    wire.pbx.pending.clear()
    wire.passes(65.2)
    wire.live()
    # Asterisk counts the seconds of its clock, not those that have passed.
    assert int(only(wire).entered) == 1795194317
    entered = only(wire).entered
    wire.confirm()
    assert only(wire).entered == entered
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    wire.confirm()
    assert only(wire).entered == entered


def test_an_event_behind_the_list_that_knew_it_already_changes_no_time(wire: Wire) -> None:
    wire.connect()
    waiting(wire)
    wire.list_all()
    entered = only(wire).entered
    wire.clock.now += MOST_DELAY
    wire.deliver()
    assert only(wire).entered == entered
    check(wire)


def test_a_list_that_knows_before_the_events_that_somebody_talks_changes_no_time(wire: Wire) -> None:
    chan = wire.pbx.call("PJSIP/carrier", "+49151", "Ann")
    wire.live()
    # In an announcement, say.
    wire.passes(120)
    caller = wire.pbx.join(chan, "support")
    wire.deliver()
    entered = only(wire).entered
    wire.passes(CONFIRM_SECONDS + 1)
    wire.pbx.connect(caller, "PJSIP/201", "Anna Agent")
    wire.pbx.joined_by_bridge(caller)
    wire.beat()
    wire.list_all()
    assert only(wire).connected
    assert only(wire).entered == entered
    wire.deliver()
    assert only(wire).entered == entered
    check(wire)


# How often it asks, and how long it waits.


def test_it_asks_every_thirty_seconds_and_not_more(wire: Wire) -> None:
    wire.connect()
    asked = []
    for _ in range(600):
        if wire.asked:
            asked.append(wire.clock.now)
            wire.list_all()
        talking(wire)
        wire.passes(1)
        wire.deliver()
        wire.beat()
    assert 600 / (CONFIRM_SECONDS + 1) - 1 < len(asked) < 600 / CONFIRM_SECONDS + 1


def test_an_answer_may_take_its_time_and_not_for_ever(wire: Wire) -> None:
    caller = talking(wire)
    wire.live()
    wire.passes(CONFIRM_SECONDS + 1)
    wire.beat()
    first = list(wire.asked)
    for _ in range(int(ANSWER_SECONDS)):
        wire.passes(0.9)
        wire.beat()
        assert wire.view.live
        assert wire.asked == first
    wire.passes(ANSWER_SECONDS)
    wire.beat()
    assert wire.view.message == "does not tell its channels and queues within 10 s"
    assert wire.view.channels == ()
    assert wire.asked != first
    # Now the first one is answered, with what was true then.
    old = wire.pbx.core_show_channels(), wire.pbx.queue_status()
    wire.pbx.hang_up(caller.chan)
    wire.deliver()
    wire.hear(*answer(first[0], old[0], "CoreShowChannelsComplete"))
    wire.hear(*answer(first[1], old[1], "QueueStatusComplete"))
    assert not wire.view.live
    wire.list_all()
    check(wire)


def test_it_is_not_live_by_half_an_answer(wire: Wire) -> None:
    talking(wire)
    wire.connect()
    channels, queues = wire.asked
    wire.hear(*answer(queues, wire.pbx.queue_status(), "QueueStatusComplete"))
    assert wire.view.message == ASKS
    wire.hear(*answer(channels, wire.pbx.core_show_channels(), "CoreShowChannelsComplete"))
    assert wire.view.live


# Rights.


def deaf_to(wire: Wire) -> Caller:
    """Twenty seconds after a list somebody joins a queue, and no event tells of it."""
    wire.live()
    wire.passes(20)
    caller = waiting(wire)
    wire.pbx.pending.clear()
    return caller


def test_calls_without_events_are_noticed_and_events_heal_it(wire: Wire) -> None:
    deaf_to(wire)
    wire.confirm()
    assert "in manager.conf, section [humbug], read must have call" in wire.view.message
    with never_live(wire):
        # It does not get better by itself.
        for _ in range(5):
            wire.passes(20)
            wire.pbx.call("SIP/1", "1", "")
            wire.pbx.pending.clear()
            wire.confirm()
            assert "read must have call" in wire.view.message
    # Those before it have never been told of, and nothing more may come for hours.
    wire.pbx.call("SIP/2", "2", "")
    wire.deliver()
    wire.beat()
    assert wire.asked
    wire.list_all()
    check(wire)


def test_queue_calls_without_events_are_noticed_and_events_heal_it(wire: Wire) -> None:
    wire.live()
    wire.passes(20)
    chan = wire.pbx.call("PJSIP/carrier", "1", "")
    wire.deliver()
    wire.pbx.join(chan, "support")
    wire.pbx.pending.clear()
    wire.confirm()
    assert "in manager.conf, section [humbug], read must have agent" in wire.view.message
    with never_live(wire):
        wire.pbx.account(chan, "ACME")
        wire.deliver()
        wire.confirm()
        assert "read must have agent" in wire.view.message
    wire.pbx.join(wire.pbx.call("SIP/2", "2", ""), "support")
    wire.deliver()
    wire.beat()
    wire.list_all()
    check(wire)


@contextmanager
def never_live(wire: Wire) -> Iterator[None]:
    """Whoever looks at any moment sees nothing live."""
    seen: list[View] = []

    def watched(change: Callable[..., None]) -> Callable[..., None]:
        def changes(*all_of: object) -> None:
            change(*all_of)
            seen.append(wire.view)

        return changes

    with pytest.MonkeyPatch.context() as patch:
        for name in vars(Board):
            if name.startswith("replace"):
                patch.setattr(wire.board, name, watched(getattr(wire.board, name)))
        yield
    assert not any(view.live for view in [*seen, wire.view])


def test_what_came_just_before_or_just_after_a_list_is_no_reason(wire: Wire) -> None:
    wire.live()
    for _ in range(20):
        wire.passes(1)
        waiting(wire)
        wire.passes(CONFIRM_SECONDS)
        waiting(wire)
        # Only now that the list is answered come the events of the last seconds.
        wire.beat()
        wire.list_all()
        check(wire)


def test_a_refused_list_that_is_granted_later_is_believed(wire: Wire) -> None:
    wire.live()
    wire.passes(20)
    waiting(wire)
    wire.deliver()
    wire.passes(CONFIRM_SECONDS + 1)
    wire.beat()
    wire.hear(refusal(wire.asked[0], "Permission denied"))
    wire.list_queues()
    assert "write must have reporting" in wire.view.message
    wire.asked = []
    wire.confirm()
    check(wire)


def test_without_the_module_of_queues_there_are_channels(wire: Wire) -> None:
    chan = wire.pbx.call("SIP/1", "1", "")
    wire.connect()
    queues = wire.asked[1]
    wire.list_channels()
    wire.hear(refusal(queues, "Invalid/unknown command"))
    assert wire.view.live
    assert channel(wire, chan).number == "1"
    assert wire.view.queues == {}


# Faults.


class Faulty(Board):
    """As if this program had a fault."""

    fails = False

    def put(self, channel: Channel) -> None:
        if self.fails:
            raise RuntimeError("a fault")
        super().put(channel)


def test_after_a_fault_of_its_own_it_begins_anew(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    board = Faulty("ami")
    wire = Wire(clock, board)
    wire.live()
    board.fails = True
    talking(wire)
    wire.deliver()
    assert wire.view.message == "stopped by a fault of this program: RuntimeError('a fault')"
    assert wire.view.channels == ()
    board.fails = False
    wire.beat()
    wire.list_all()
    check(wire)
    assert "a fault" in caplog.text


def test_a_fault_that_stays_fills_no_log(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    board = Faulty("ami")
    wire = Wire(clock, board)
    board.fails = True
    wire.connect()
    for _ in range(100):
        wire.pbx.call("SIP/1", "1", "")
        wire.deliver()
    assert len(caplog.records) < 10


def test_its_clocks_are_those_of_the_machine() -> None:
    board = Board("ami")
    feeder = AsteriskFeeder(board, "humbug")
    said: list[bytes] = []
    feeder.beat(1, said.append)
    before = time.monotonic()
    for line in b"".join(said).split(b"\r\n"):
        if line.startswith(b"ActionID: "):
            end = "QueueStatusComplete" if line.endswith(b"queues") else "CoreShowChannelsComplete"
            feeder.heard(1, [message(end).replace(b"\r\n", b"") + b"\r\n" + line])
    assert before <= board.view().confirmed <= time.monotonic()
