"""The board of a FreeSWITCH: what recorded events and lists make of it, moment by moment."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.board import freeswitch, model
from humbug_agent.board.freeswitch import EVENTS, FreeswitchFeeder
from humbug_agent.board.model import Board, State
from humbug_agent.listening.esl.event import Event
from tests.kit.board_feed import CHANNELS, Fed, changed, listing, rows, table
from tests.kit.board_wire import Clock
from tests.kit.esl_calls import reading, source
from tests.kit.esl_server import NOTHING, EslServer, Recording, event
from tests.kit.host import wait_until

A, B = "sofia/internal/4004@127.0.0.1", "sofia/internal/8202@127.0.0.1:25071"


# One call, state by state.


def test_a_calls_states_are_those_of_ipps(fed: Fed) -> None:
    fed.lists()
    seen: list[dict[str, State]] = []
    for body in Recording("plain_states_one_call").events():
        fed.hears(body)
        if not seen or seen[-1] != fed.states():
            seen.append(fed.states())
    down, ring, ringing, up = State.DOWN, State.RING, State.RINGING, State.UP
    assert seen == [
        {A: down}, {A: ring}, {A: ring, B: down}, {A: ring, B: ringing}, {A: ring, B: up}, {A: up, B: up}, {A: up}, {},
    ]  # fmt: skip


def test_who_calls_whom_is_told_as_on_an_asterisk(fed: Fed) -> None:
    fed.lists()
    for body in Recording("plain_states_one_call").events()[:9]:
        fed.hears(body)
    caller, callee = sorted(fed.view.channels, key=lambda one: one.callee)
    assert (caller.channel, caller.calling, caller.exten, caller.callee) == (A, ("4004", "States"), "8202", False)
    assert (callee.channel, callee.calling, callee.number, callee.name) == (B, ("4004", "States"), "8202", "")
    assert callee.callee
    assert callee.linkedid == caller.linkedid == caller.uniqueid
    assert (caller.since, callee.since) == (1795194092.08472, 1795194092.08472)


@pytest.mark.parametrize("recorded", ["json_calls", "plain_calls"])
def test_the_events_of_a_call_that_is_answered_suffice(fed: Fed, recorded: str) -> None:
    fed.lists()
    most = 0
    seen: dict[str, list[State]] = {}
    for body in Recording(recorded).events():
        fed.hears(body)
        most = max(most, len(fed.view.channels))
        for channel, state in fed.states().items():
            if seen.setdefault(channel, [])[-1:] != [state]:
                seen[channel].append(state)
        if Event(body)("Event-Name") == "CHANNEL_BRIDGE":
            (bridge,) = {one.bridge for one in fed.view.channels}
            assert bridge == fed.view.channels[0].linkedid
    assert most == 2
    assert fed.view.live
    assert fed.view.channels == ()
    assert [states for channel, states in seen.items() if "8201" in channel] == [[State.DOWN, State.UP]]


def test_a_call_lasts_as_long_as_it_has_when_the_clock_is_set(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    before = {one.uniqueid: one.since for one in fed.view.channels}
    clock = Clock()
    clock.step = time.time() - time.monotonic() + 3600
    clock.now = time.monotonic()
    monkeypatch.setattr(model, "time", clock)
    fed.asks_again()
    fed.lists()
    assert {one.uniqueid: round(one.since - before[one.uniqueid]) for one in fed.view.channels} == dict.fromkeys(
        before, 3600
    )


# The list.


def test_a_recorded_list_is_on_the_board(fed: Fed) -> None:
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    view = fed.view
    assert view.live
    assert len(view.channels) == 14
    states = {(one.channel, one.calling[0]): one.state for one in view.channels}
    assert states["sofia/internal/7002@127.0.0.1", "7002"] == State.UP
    assert states["sofia/internal/7003@127.0.0.1", "7003"] == State.RING
    assert states["sofia/internal/7001@127.0.0.1", "7001"] == State.RING
    assert states["sofia/internal/8180@127.0.0.1:25071", "7001"] == State.RINGING
    assert states["sofia/internal/8486@127.0.0.1:25071", "7007"] == State.RINGING
    by = {one.channel: one for one in view.channels}
    assert by["sofia/internal/7005@127.0.0.1"].account == "ACME"
    # Seven calls: a loopback's halves belong to the one that dialled it.
    assert len({one.linkedid for one in view.channels}) == 7
    assert (
        by["loopback/9664-b"].linkedid == by["loopback/9664-a"].linkedid == by["sofia/internal/7004@127.0.0.1"].uniqueid
    )
    assert {one.since for one in view.channels} == {1795194566.0}
    fed.asks_again()
    fed.answers = {CHANNELS: listing("show_channels_states", 1)}
    fed.lists()
    assert len(fed.view.channels) == 8
    group = [one for one in fed.view.channels if one.linkedid == by["sofia/internal/7007@127.0.0.1"].uniqueid]
    assert [one.state for one in group] == [State.UP, State.UP]
    assert len({one.bridge for one in group}) == 1


def test_an_empty_list_is_one(fed: Fed) -> None:
    fed.lists()
    assert fed.view.live
    assert fed.view.channels == ()


def test_a_channel_that_only_waits_for_its_record_is_no_call(fed: Fed) -> None:
    found = rows(listing("show_channels_states"))
    found[0]["callstate"] = "HANGUP"
    fed.answers = {CHANNELS: json.dumps({"row_count": 14, "rows": found}).encode()}
    fed.lists()
    assert len(fed.view.channels) == 13


@pytest.mark.parametrize(
    "body",
    [b"-ERR show Command not found!\n", b"", b"[]", b'{"row_count":1,"rows":7}', b"6 total.\n", b"\xff", b"[" * 99999],
)
def test_what_is_no_list_is_said(fed: Fed, body: bytes) -> None:
    fed.answers = {CHANNELS: body}
    fed.lists()
    assert not fed.view.live
    assert fed.view.message.startswith("answers 'show channels as json' with ")
    assert fed.view.trouble == "FreeSWITCH does not tell its calls"


def test_a_list_whose_names_are_no_utf_8(fed: Fed) -> None:
    fed.answers = {CHANNELS: listing("show_channels_states").replace(b"Echo Up", b"Jos\xe9 \xfc")}
    fed.lists()
    assert {one.name for one in fed.view.channels} >= {"José ü", "Acct"}


# List and events.


def test_a_list_that_is_behind_the_events_undoes_nothing(fed: Fed) -> None:
    """What came and went while, or shortly before, the list was made."""
    events = Recording("plain_states_one_call").events()
    fed.lists()
    fed.hears(*events[:13])
    up = fed.view.channels
    old = {"direction": "inbound", "callstate": "RINGING", "application": "bridge", "accountcode": "ACME"}
    stale = [{"uuid": one.uniqueid, "name": one.channel, **old} for one in up]
    fed.asks_again()
    fed.answers = {CHANNELS: json.dumps({"row_count": 2, "rows": stale}).encode()}
    fed.lists()
    assert [(one.state, one.account, one.application) for one in fed.view.channels] == [
        (State.UP, "ACME", "bridge")
    ] * 2
    fed.asks_again()
    fed.hears(*events[13:])
    fed.lists()
    assert fed.view.channels == ()
    fed.asks_again()
    fed.lists()
    assert fed.view.channels == ()
    # Late ones of a channel that is gone bring it back no more.
    fed.hears(events[10])
    assert fed.view.channels == ()


MOMENTS = Recording("plain_states_one_call").events()


@given(st.lists(st.tuples(st.sampled_from(["events", "ask", "answer"]), st.integers(0, 4)), max_size=40))
def test_whenever_lists_come_and_however_late_they_are_events_have_the_last_word(steps: list[tuple[str, int]]) -> None:
    """``lag`` is by how many events the table of channels is behind when the list is made."""
    fed, alone = Fed(), Fed()
    fed.lists()
    alone.lists()
    at, open_question = 0, False
    for what, lag in [*steps, ("events", len(MOMENTS))]:
        if what == "events":
            for one in (fed, alone):
                one.hears(*MOMENTS[at : at + lag])
            at += lag
        elif what == "ask":
            fed.asks_again()
            open_question = True
        elif open_question:
            fed.answers = {CHANNELS: table(MOMENTS[: max(at - lag, 0)])}
            fed.lists()
            open_question = False
        assert fed.states() == alone.states()
    assert fed.view.live
    assert fed.states() == {}


def test_a_list_does_not_yet_have_a_channel_that_just_came(fed: Fed) -> None:
    fed.hears(*Recording("plain_states_one_call").events()[:3])
    fed.lists()
    assert fed.states() == {A: State.RING}


def test_a_list_ends_ghosts_and_brings_what_was_missed(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeswitch, "SLACK_SECONDS", -1.0)
    fed.lists()
    fed.hears(*Recording("plain_states_one_call").events()[:13])
    assert len(fed.view.channels) == 2
    fed.asks_again()
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    assert len(fed.view.channels) == 14
    assert A not in fed.states()


# Connections.


def test_while_nothing_is_known_nothing_is_shown(fed: Fed) -> None:
    assert (fed.view.live, fed.view.message) == (False, "connected; asks which calls there are")
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    assert fed.view.live
    fed.feeder.stands("gone")
    assert (fed.view.live, fed.view.message, fed.view.channels) == (False, "gone", ())
    assert fed.view.trouble == ""
    fed.connect(2)
    # An answer to the question of before, and events of the connection before.
    first, last = fed.asked[0], fed.asked.pop()
    fed.asked.append(first)
    fed.lists()
    first[1]("too late")
    fed.feeder.heard(1, Recording("plain_states_one_call").events()[:3])
    assert fed.view.message == "connected; asks which calls there are"
    fed.asked.append(last)
    fed.lists()
    assert len(fed.view.channels) == 14


def test_the_first_list_is_confirmed_soon(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have what ended shortly before there was a connection to be told of it."""
    monkeypatch.setattr(freeswitch, "SETTLED_SECONDS", 0.0)
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    assert len(fed.view.channels) == 14
    fed.connect(1)
    assert len(fed.asked) == 2
    fed.answers = {CHANNELS: NOTHING}
    fed.lists()
    assert fed.view.channels == ()
    fed.connect(1)
    assert len(fed.asked) == 2


def test_an_answer_that_does_not_come_is_asked_for_again(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeswitch, "AGAIN_SECONDS", 0.0)
    fed.asked[-1][1]("event socket h:1: does not answer within 10 s")
    assert fed.view.message == "event socket h:1: does not answer within 10 s"
    fed.connect(1)
    fed.lists()
    assert fed.view.live


def test_odd_events_do_no_harm(fed: Fed) -> None:
    fed.lists()
    body = Recording("callcenter").events()[0]
    fed.hears(
        b"", b"{", b'{"Event-Name":"CHANNEL_CREATE"}', b'{"Event-Name":"CHANNEL_CREATE",', changed(body, CC_Action="x")
    )
    fed.hears(b'{"Event-Name":"CHANNEL_CREATE","Unique-ID":"u","Channel-Name":"c"}')
    assert fed.view.live
    assert {one.channel for one in fed.view.channels} >= {"c"}


def test_a_fault_of_this_program_leaves_the_calls_alone(
    fed: Fed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fed.lists()
    monkeypatch.setattr(FreeswitchFeeder, "_channel", None)
    for body in Recording("json_calls").events():
        fed.hears(body)
        assert fed.view.message.startswith("stopped by a fault of this program")
    assert caplog.text.count("board: stopped") == 1


def test_over_a_real_connection(esl: EslServer) -> None:
    """Questions go over one of their own, as an answer holds up the events of its own connection."""
    recorded = Recording("plain_states_one_call")
    of = source(esl.port)
    board = Board("esl")
    of.listen_also(FreeswitchFeeder(board), EVENTS)
    esl.answers[CHANNELS] = listing("show_channels_states")
    with reading(esl, of):
        wait_until(lambda: board.view().live)
        assert len(board.view().channels) == 14
        wait_until(lambda: esl.open == 1)
        assert esl.connections == 2
        assert esl.said[1] == (
            "event json CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_CALLSTATE CHANNEL_CREATE CHANNEL_HANGUP_COMPLETE "
            "CHANNEL_UNBRIDGE HEARTBEAT CUSTOM callcenter::info"
        )
        for body in recorded.events():
            esl.play(event(body, "plain"))
        wait_until(lambda: len(board.view().channels) == 14)
        esl.vanish()
        wait_until(lambda: not board.view().live)
        assert board.view().channels == ()
        esl.listen()
        wait_until(lambda: board.view().live)


def test_a_recording_over_a_real_connection(esl: EslServer) -> None:
    esl.recording, esl.speed, esl.sizes = Recording("plain_states_one_call"), 2.0, (5,)
    of, board = source(esl.port), Board("esl")
    of.listen_also(FreeswitchFeeder(board), EVENTS)
    seen: list[dict[str, State]] = []

    def ended() -> bool:
        view = board.view()
        if view.live:
            seen.append({one.channel: one.state for one in view.channels})
        return bool(seen) and not seen[-1] and len(seen) > 1 and any(seen)

    with reading(esl, of) as consumer:
        consumer.next()
        wait_until(ended)
    assert {A: State.UP, B: State.UP} in seen


def test_a_question_that_is_not_answered_is_said(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humbug_agent.listening.esl.link.ASK_SECONDS", 0.3)
    esl.answers_api = False
    of, board = source(esl.port), Board("esl")
    of.listen_also(FreeswitchFeeder(board), EVENTS)
    with reading(esl, of) as consumer:
        wait_until(lambda: "does not answer within" in board.view().message)
        assert not consumer.failures
