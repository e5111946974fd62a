"""Whatever stands in a header: no value stops a board, and none stops a call on its way to the outbox."""

from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.board import asterisk
from humbug_agent.board.model import Board, Channel, State
from humbug_agent.cdr import CDR
from tests.kit.ami_calls import call, event, events
from tests.kit.ami_server import AmiServer
from tests.kit.board_host import Live
from tests.kit.board_wire import Wire, own_clock, shown
from tests.kit.host import wait_until
from tests.kit.small_asterisk import escaped

pytestmark = pytest.mark.slow

NEW = (
    b"Event: Newchannel\r\nPrivilege: call,all\r\nChannel: SIP/1-00000001\r\nChannelState: %s\r\nCallerIDNum: %s\r\n"
    b"CallerIDName: %s\r\nUniqueid: 1.1\r\nLinkedid: 1.1"
)
ENTRY = (
    b"Event: QueueEntry\r\nQueue: support\r\nPosition: 1\r\nChannel: SIP/1-00000001\r\nUniqueid: 1.1\r\n"
    b"CallerIDNum: 101\r\nCallerIDName: %s\r\nWait: %s\r\nPriority: 0"
)
LISTED = b"Event: CoreShowChannel\r\nChannel: SIP/1-00000001\r\nUniqueid: 1.1\r\nDuration: %s\r\nBridgeId: "


def only(wire: Wire) -> Channel:
    assert wire.view.live, wire.view.message
    (found,) = wire.view.channels
    return found


# What one of them is.


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Jürgen Müller",
        'O\'Neil, "Bobby"?',
        "ends with a \\",
        "\\\\n is no line",
        "two\r\nlines\r\nEvent: Hangup\r\nUniqueid: 1.1",
        "tab\there",
        "\u202egnal eht thgir morf",
        "<script>alert(1)</script>",
        " spaces ",
        "Uniqueid: 9",
        "x" * 10_000,
        "é" * 5_000,
    ],
)
def test_a_name_comes_out_as_it_was_set(wire: Wire, name: str) -> None:
    chan = wire.pbx.call("SIP/4003", "4003", name)
    wire.pbx.state(wire.pbx.dial(chan, "SIP/2"), "5")
    wire.live()
    wire.deliver()
    assert shown(wire.view) == wire.pbx.truth()
    assert wire.view.channels[0].name == name
    wire.confirm()
    assert shown(wire.view) == wire.pbx.truth()
    assert escaped(name).count("\n") == 0


def test_bytes_that_are_no_utf_8_are_latin_1(wire: Wire) -> None:
    wire.live()
    wire.hear(NEW % (b"4", b"101", b"J\xfcrgen"))
    assert only(wire).name == "Jürgen"
    wire.hear(NEW % (b"4", b"101", b"J\xc3\xbcrgen"))
    assert only(wire).name == "Jürgen"


def test_the_first_of_equal_headers_counts(wire: Wire) -> None:
    wire.live()
    wire.hear(NEW % (b"6", b"101", b"x\r\nUniqueid: 2.2\r\nCallerIDNum: 999\r\nChannelState: 0\r\nEvent: Hangup"))
    found = only(wire)
    # Whose name can hold a line break can name its own channel; it does not become another one's state.
    assert (found.uniqueid, found.number, found.state) == ("2.2", "101", State.UP)


@pytest.mark.parametrize("unknown", ["<unknown>", "unknown", ""])
def test_what_asterisk_does_not_know_is_empty(wire: Wire, unknown: str) -> None:
    wire.live()
    wire.hear(NEW % (b"4", unknown.encode(), unknown.encode()))
    assert (only(wire).number, only(wire).name) == ("", "")


ODD_NUMBERS = [
    *("²", "٣", "1²", "-1", "+1", "1.5", "1e9", "0x10", " 7", "7 ", "", "NaN", "inf", "1_000", "１２"),
    *("9" * 9, "9" * 20, "9" * 400, "9" * 5000, "-" + "9" * 400),
]


@pytest.mark.parametrize("odd", ODD_NUMBERS)
def test_a_number_that_is_none_stops_nothing(wire: Wire, odd: str) -> None:
    number = odd.encode()
    wire.live()
    wire.hear(NEW % (number, number, b"Ann"))
    wire.hear(
        b"Event: QueueCallerJoin\r\nUniqueid: 1.1\r\nQueue: support\r\nPosition: %s\r\nCount: %s" % (number, number)
    )
    wire.hear(b"Event: AgentConnect\r\nUniqueid: 1.1\r\nQueue: support\r\nInterface: SIP/2\r\nHoldTime: %s" % number)
    wire.hear(
        b"Event: QueueMemberStatus\r\nQueue: support\r\nInterface: SIP/2\r\nStatus: %s\r\nPaused: %s" % ((number,) * 2)
    )
    check_times(wire)
    assert only(wire).number == odd
    for duration in (number, b"00:00:%s" % number, b"%s:%s:%s" % (number, number, number), b":::", b"1:2"):
        wire.passes(31)
        wire.beat()
        wire.list_channels([LISTED % duration])
        wire.list_queues([b"Event: QueueParams\r\nQueue: support", ENTRY % (b"Ann", number)])
        check_times(wire)
    # On another connection it has heard nothing before.
    wire.lost()
    wire.connect()
    wire.list_channels([LISTED % b"00:00:%s" % number])
    wire.list_queues([ENTRY % (b"Ann", number)])
    check_times(wire)
    assert [one.state for one in wire.view.channels] == [State.DOWN]


def check_times(wire: Wire) -> None:
    """Whoever shows them makes dates of them."""
    assert wire.view.live, wire.view.message
    now = wire.clock.time()
    queued = [call for queue in wire.view.queues.values() for call in queue.calls]
    for at in [one.since for one in wire.view.channels] + [at for one in queued for at in (one.entered, one.since)]:
        assert at <= now
        datetime.fromtimestamp(at, UTC)


@pytest.mark.parametrize(
    "state", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "-1", "", "Up", "x" * 10_000]
)
def test_every_state_is_one_of_four(wire: Wire, state: str) -> None:
    wire.live()
    wire.hear(NEW % (state.encode(), b"1", b"x"))
    known = {"2": "ring", "3": "ring", "4": "ring", "5": "ringing", "6": "up", "7": "up", "8": "ring", "9": "ringing"}
    assert only(wire).state == known.get(state, "down")


@pytest.mark.parametrize(
    ("channel", "device"),
    [
        ("SIP/4003-0000001a", "SIP/4003"),
        ("PJSIP/my-trunk-0000001a", "PJSIP/my-trunk"),
        ("Local/9@from-internal-00000002;1", "Local/9@from-internal"),
        ("DAHDI/i1/5551234-3", "DAHDI/i1/5551234"),
        ("Message/ast_msg_queue", "Message/ast_msg_queue"),
        ("", ""),
        ("-", "-"),
        ("-00000001", "-00000001"),
    ],
)
def test_a_device_is_its_channel_without_what_counts_them(wire: Wire, channel: str, device: str) -> None:
    wire.live()
    wire.hear(b"Event: Newchannel\r\nUniqueid: 1.1\r\nChannel: " + channel.encode())
    assert only(wire).device == device
    assert list(wire.view.devices) == [device.casefold()]


# What none of them may do.


def test_an_answer_within_a_value_is_none(wire: Wire) -> None:
    """A call's userfield may hold lines."""
    wire.pbx.call("SIP/1", "1", "")
    wire.connect()
    channels, queues = wire.asked
    for action in (channels, queues):
        wire.hear(f"Event: Cdr\r\nUserField: x\r\nActionID: {action}\r\nResponse: Error\r\nMessage: no".encode())
        wire.hear(f"Event: Cdr\r\nUserField: x\r\nActionID: {action}\r\nEvent: QueueStatusComplete".encode())
    assert not wire.view.live
    wire.list_all()
    assert shown(wire.view)["channels"].keys() == wire.pbx.truth()["channels"].keys()


def test_an_event_with_an_answers_line_in_a_name_is_still_told_apart(wire: Wire) -> None:
    wire.live()
    wire.hear(NEW % (b"4", b"101", b"x"))
    hidden = b"Event: Hangup\r\nChannel: SIP/1\r\nCallerIDNum: 1\r\nActionID: told-1-x\r\nUniqueid: 1.1"
    # Nothing that Asterisk writes looks so: what it escapes it can't be. It is heard at the next list at the latest.
    wire.hear(hidden)
    wire.confirm()
    assert wire.view.channels == ()


HEADERS = [
    *("Uniqueid", "DestUniqueid", "Channel", "DestChannel", "ChannelState", "CallerIDNum", "CallerIDName", "Linkedid"),
    *("ConnectedLineNum", "AccountCode", "Exten", "BridgeUniqueid", "BridgeId", "Newname", "Queue", "Interface"),
    *("MemberName", "Name", "Location", "Status", "Paused", "HoldTime", "Wait", "Duration", "Application", "Response"),
    *("ApplicationData", "ActionID", "Message", "Position", "LocalOneUniqueid", "LocalTwoUniqueid", "BridgeType"),
]
EVENTS = [
    *("Newchannel", "Newstate", "NewCallerid", "NewConnectedLine", "NewAccountCode", "BridgeEnter", "BridgeLeave"),
    *("DialBegin", "Rename", "Hangup", "QueueCallerJoin", "QueueCallerLeave", "QueueCallerAbandon", "AgentConnect"),
    *("AgentComplete", "QueueMemberAdded", "QueueMemberStatus", "QueueMemberPause", "QueueMemberRemoved"),
    *("CoreShowChannel", "QueueEntry", "QueueMember", "QueueParams", "", " ", "LocalOptimizationBegin"),
]
values = st.one_of(
    st.sampled_from(
        ["1.1", "1.2", "support", "SIP/1-1", "SIP/1", "Queue", "Queue,support", "AppQueue", "", "6", "basic"]
    ),
    st.sampled_from(ODD_NUMBERS),
    st.text(max_size=20),
).map(str.encode) | st.binary(max_size=20)
lines = st.tuples(st.sampled_from(HEADERS).map(str.encode), st.sampled_from([b": ", b":", b"", b" : "]), values)
blocks = st.tuples(
    st.sampled_from(EVENTS),
    st.lists(lines.map(b"".join), max_size=8),
    st.sampled_from(["", "", "-channels", "-queues"]),
)


@given(st.lists(blocks, max_size=25))
@settings(max_examples=250)
def test_no_message_stops_it_and_the_next_list_heals_it(
    told: list[tuple[str, list[bytes], str]],
) -> None:
    with own_clock() as clock, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asterisk, "CONFIRM_SECONDS", 0.0)
        wire = Wire(clock)
        chan = wire.pbx.call("SIP/1", "1", "One")
        wire.pbx.join(chan, "support")
        wire.live()
        for event_name, headers, part in told:
            clock.now += 0.001
            if not wire.asked:
                wire.beat()
            action = [f"ActionID: {wire.asked[0].rpartition('-')[0]}{part}".encode()] if part else []
            wire.hear(b"\r\n".join([f"Event: {event_name}".encode(), *headers, *action]))
            assert "fault" not in wire.view.message
            for one in wire.view.channels:
                assert isinstance(one.state, State)
        # Garbage may have taken the list apart, and anything may have come of it.
        wire.asked = []
        wire.clock.now += 11
        wire.beat()
        wire.list_all()
        wire.deliver()
        assert wire.view.live
        assert shown(wire.view)["channels"] == wire.pbx.truth()["channels"]
        assert shown(wire.view)["waiting"] == wire.pbx.truth()["waiting"]
        check_times(wire)


# Calls go on.


def test_a_call_whose_userfield_looks_like_an_answer_is_delivered(ami: AmiServer) -> None:
    with Live(ami) as live:
        wait_until(lambda: live.view.live)
        wait_until(lambda: ami.listeners)
        action = ami.asked("QueueStatus")[0]["ActionID"].encode()
        ami.play(event(call(1, userfield=b"x"), after=b"ActionID: " + action + b"\r\n") + events(2))
        wait_until(lambda: len(live.records) == 2)
        assert live.view.live
        assert not live.failures


class Faulty(Board):
    """As if this program had a fault with every third channel."""

    def __init__(self) -> None:
        super().__init__("ami")
        self.fails = True
        self._puts = count()

    def put(self, channel: Channel) -> None:
        if self.fails and next(self._puts) % 3 == 0:
            raise RuntimeError("a fault")
        super().put(channel)


@pytest.mark.usefixtures("hurried")
def test_a_fault_of_the_board_keeps_no_call_from_the_outbox(ami: AmiServer) -> None:
    board = Faulty()
    with Live(ami, board) as live:
        wait_until(lambda: live.view.live)
        wait_until(lambda: ami.listeners)
        numbers = range(200)
        told = b"".join(NEW % (b"6", b"101", b"Ann") + b"\r\n\r\n" + events(number) for number in numbers)
        ami.play(told)
        wait_until(lambda: len(live.records) == 200)
        assert [int(one.dst) for one in live.records if isinstance(one, CDR)] == list(numbers)
        assert not live.failures
        assert ami.connections == 1
        board.fails = False
        ami.lists = {"CoreShowChannels": [LISTED % b"00:00:01"], "QueueStatus": []}
        wait_until(lambda: live.view.live and len(live.view.channels) == 1)
