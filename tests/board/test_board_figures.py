"""The figures of queues and agents: asked for when a call has changed them, and told with the moments they are of."""

import pytest

from humbug_agent.board.asterisk import MOST_RECOUNTS, SETTLED_SECONDS
from humbug_agent.board.model import Figures, Member
from humbug_agent.listening.ami.headers import Headers
from tests.kit.board_wire import Clock, Wire, answer
from tests.kit.small_asterisk import message

NOW = 1795194317


def params(queue: str = "support", **more: object) -> bytes:
    usual = {"Max": 0, "Strategy": "ringall", "Calls": 0, "Holdtime": 17, "TalkTime": 184, "Completed": 20,
             "Abandoned": 3, "ServiceLevel": 30, "ServicelevelPerf": "82.5", "ServicelevelPerf2": "80.0"}  # fmt: skip
    return message("QueueParams", Queue=queue, **{**usual, **more})


def member(event: str = "QueueMemberStatus", **more: object) -> bytes:
    usual = {"Queue": "support", "MemberName": "Anna", "Interface": "SIP/1", "StateInterface": "SIP/1", "Penalty": 2,
             "CallsTaken": 7, "LastCall": NOW - 60, "LastPause": 0, "LoginTime": NOW - 3600, "InCall": 0, "Status": 1,
             "Paused": 0, "PausedReason": ""}  # fmt: skip
    return message(event, **{**usual, **more})


def only_member(wire: Wire) -> Member:
    (found,) = wire.view.queues["support"].members
    return found


def asks(wire: Wire) -> list[Headers]:
    """What a beat asks for of queues."""
    said: list[bytes] = []
    wire.feeder.beat(wire.connection, said.append)
    asked = [Headers(block) for block in b"".join(said).split(b"\r\n\r\n") if block]
    return [one for one in asked if one("Action") == "QueueStatus"]


@pytest.fixture
def live(wire: Wire) -> Wire:
    wire.connect()
    wire.list_channels([])
    listed = member("QueueMember").replace(b"Interface: ", b"Location: ").replace(b"MemberName: ", b"Name: ")
    wire.list_queues([params(), listed, params("sales", ServiceLevel=0)])
    return wire


def test_a_list_has_them(live: Wire) -> None:
    figures = {name: queue.figures for name, queue in live.view.queues.items()}
    told = Figures(completed=20, abandoned=3, hold=17, talk=184, level=82.5, target=30)
    assert figures["support"] == told
    assert figures["sales"]
    assert figures["sales"].target == 0
    one = only_member(live)
    assert (one.penalty, one.taken, one.last_call, one.last_pause, one.login) == (2, 7, NOW - 60, 0, NOW - 3600)


@pytest.mark.parametrize("event", ["AgentConnect", "AgentComplete", "QueueCallerAbandon"])
def test_they_are_asked_for_when_a_call_changed_them(live: Wire, clock: Clock, event: str) -> None:
    assert asks(live) == []
    live.hear(message(event, Queue="support", Uniqueid="1.1", Channel="SIP/9-1"))
    clock.now += 2 * SETTLED_SECONDS
    (question,) = asks(live)
    assert (question("Action"), question("Queue")) == ("QueueStatus", "support")
    live.hear(*answer(question("ActionID"), [params(Completed=21, Holdtime=20)], "QueueStatusComplete"))
    figures = live.view.queues["support"].figures
    assert figures
    assert (figures.completed, figures.hold) == (21, 20)
    assert asks(live) == []


def test_they_are_asked_for_while_calls_never_cease(live: Wire, clock: Clock) -> None:
    """What has only just happened may not be counted yet, and is asked for once more."""
    for _ in range(3):
        live.hear(message("AgentComplete", Queue="support", Uniqueid="1.1"))
        assert len(asks(live)) == 1
    clock.now += 1
    assert len(asks(live)) == 1
    assert asks(live) == []


def test_of_many_queues_each_has_its_turn(live: Wire, clock: Clock) -> None:
    queues = [f"q{number}" for number in range(2 * MOST_RECOUNTS + 1)]
    for queue in queues:
        live.hear(message("AgentComplete", Queue=queue, Uniqueid="1.1"))
    clock.now += 1
    asked = [asks(live) for _ in range(4)]
    assert [len(one) for one in asked] == [MOST_RECOUNTS, MOST_RECOUNTS, 1, 0]
    assert [one("Queue") for some in asked for one in some] == queues


def test_what_another_connection_was_asked_counts_for_nothing(live: Wire, clock: Clock) -> None:
    live.hear(message("AgentComplete", Queue="support", Uniqueid="1.1"))
    clock.now += 1
    (question,) = asks(live)
    live.lost()
    live.live()
    live.hear(*answer(question("ActionID"), [params("support", Completed=99)], "QueueStatusComplete"))
    figures = live.view.queues["support"].figures
    assert figures
    assert figures.completed != 99


def test_how_long_an_agent_is_as_it_is(live: Wire, clock: Clock) -> None:
    # It was so before anybody listened.
    assert only_member(live).since == 0
    clock.now += 5
    live.hear(member(Status=2))
    began = clock.now
    assert only_member(live).since == began
    clock.now += 5
    live.hear(member(Status=2, CallsTaken=8))
    assert (only_member(live).since, only_member(live).taken) == (began, 8)
    # A pause is of when Asterisk says, and whatever the phone does then is no other state.
    live.hear(member("QueueMemberPause", Paused=1, LastPause=NOW + 9, PausedReason="lunch"))
    live.hear(member(Status=6, Paused=1, LastPause=NOW + 9, PausedReason="lunch"))
    assert (only_member(live).shown, only_member(live).since) == ("paused", NOW + 9)
    clock.now += 5
    live.hear(member(LastPause=NOW + 9))
    assert (only_member(live).shown, only_member(live).since) == ("idle", clock.now)
    live.hear(member("QueueMemberRemoved"))
    clock.now += 5
    live.hear(member("QueueMemberAdded"))
    assert only_member(live).since == clock.now


@pytest.mark.parametrize("step", [3600, -3600])
def test_an_agent_is_so_as_long_as_it_was_when_the_clock_is_set(live: Wire, clock: Clock, step: int) -> None:
    live.hear(member("QueueMemberPause", Paused=1, LastPause=NOW, PausedReason="lunch"))
    live.hear(member(Interface="SIP/2", Status=1), member(Interface="SIP/2", Status=2))
    clock.now += 10
    lasts = {one.interface: clock.time() - one.since for one in live.view.queues["support"].members}
    clock.step += step
    live.hear(member("QueueMemberStatus", Paused=1, LastPause=NOW, PausedReason="lunch"))
    live.hear(member(Interface="SIP/2", Status=2, CallsTaken=9))
    assert {one.interface: clock.time() - one.since for one in live.view.queues["support"].members} == lasts


@pytest.mark.parametrize("event", ["QueueMemberPenalty", "QueueMemberRinginuse"])
def test_a_member_that_is_changed_is_shown_so_at_once(live: Wire, event: str) -> None:
    live.hear(member(event, Penalty=9))
    assert only_member(live).penalty == 9


@pytest.mark.parametrize("odd", ["", "-1", "NaN", "9" * 400, "²", "1e9"])
def test_what_is_no_number_is_none(live: Wire, odd: str) -> None:
    live.hear(member(LastCall=odd, LoginTime=odd, Penalty=odd, CallsTaken=odd))
    one = only_member(live)
    assert (one.last_call, one.login, one.penalty, one.taken or 0) == (0, 0, 0, 0)
