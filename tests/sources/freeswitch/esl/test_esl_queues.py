"""The queues of mod_callcenter on the board, as recorded events and lists tell them."""

import pytest

from humbug_agent.board.model import Member
from tests.kit.board_feed import AGENTS, CHANNELS, MEMBERS, QUEUES, TIERS, Fed, listing
from tests.kit.esl_server import Recording

ONE, TWO, THREE, FOUR, FIVE = "Caller One", 'Two, "quoted"', "Caller Three é", "Four Abandons", "Five"


def test_a_recorded_queue_is_right_at_each_moment(fed: Fed) -> None:
    recorded = Recording("callcenter")
    first = {one: recorded.answers(one)[0] for one in (QUEUES, AGENTS, TIERS)}
    fed.answers |= first | {MEMBERS: b"+OK\n"}
    fed.lists()
    assert list(fed.view.queues) == ["sales@default", "support@default"]
    assert fed.view.queues["support@default"].members == (
        Member(queue="support@default", interface="SIP/9001", name="9001@default", state="idle", taken=0),
        Member(queue="support@default", interface="SIP/9002", name="9002@default", state="idle", taken=0),
    )
    seen: list[object] = []
    states: list[list[str]] = []
    for body in recorded.events():
        fed.hears(body)
        state = fed.waiting(), fed.connected(), fed.waiting("sales@default")
        if not seen or seen[-1] != state:
            seen.append(state)
        members = [one.state for one in fed.view.queues["support@default"].members]
        if not states or states[-1] != members:
            states.append(members)
    one, three, five = (ONE, "SIP/9001", 2), (THREE, "SIP/9001", 10), (FIVE, "SIP/9001", 19)
    sales = ["Sales No Agent"]
    assert seen == [
        ([ONE], [], []),
        ([ONE, TWO], [], []),
        ([TWO], [one], []),
        ([TWO, THREE], [one], []),
        ([TWO, THREE, FOUR], [one], []),
        ([TWO, THREE, FOUR, FIVE], [one], []),
        ([TWO, THREE, FOUR, FIVE], [one], sales),
        ([TWO, THREE, FIVE], [one], sales),
        ([TWO, THREE, FIVE], [], sales),
        ([TWO, FIVE], [three], sales),
        ([TWO, FIVE], [three], []),
        ([TWO, FIVE], [], []),
        ([TWO], [five], []),
        ([TWO], [], []),
        ([], [], []),
    ]
    assert states[:5] == [
        ["idle", "idle"], ["ringing", "idle"], ["ringing", "ringing"], ["in use", "ringing"], ["in use", "idle"],
    ]  # fmt: skip


def test_recorded_lists_of_a_queue_say_the_same_as_its_events(fed: Fed) -> None:
    recorded = Recording("callcenter")
    support, sales = (
        recorded.answers(f"callcenter_config queue list members {one}@default") for one in ("support", "sales")
    )
    fed.answers = {
        CHANNELS: recorded.answers(CHANNELS)[0],
        QUEUES: recorded.answers(QUEUES)[0],
        AGENTS: recorded.answers(AGENTS)[1],
        TIERS: recorded.answers(TIERS)[0],
        MEMBERS: support[1],
        "callcenter_config queue list members sales@default": sales[0],
    }
    fed.lists()
    assert fed.waiting() == [TWO, THREE, FOUR, FIVE]
    assert fed.connected() == [(ONE, "SIP/9001", 2)]
    assert fed.waiting("sales@default") == ["Sales No Agent"]
    assert [(one.interface, one.state) for one in fed.view.queues["support@default"].members] == [
        ("SIP/9001", "in use"),
        ("SIP/9002", "ringing"),
    ]
    (call,) = (call for call in fed.queue("support@default") if call.connected)
    assert (call.agent_name, call.entered, call.since, call.number) == ("9001@default", 1795194198, 1795194200, "5001")
    # Who gave up stays listed.
    fed.asks_again()
    fed.answers[MEMBERS] = support[-1]
    fed.lists()
    assert fed.waiting() == []
    assert fed.connected() == []


def test_names_that_hold_what_parts_a_list(fed: Fed) -> None:
    recorded = Recording("callcenter")
    members = recorded.answers(MEMBERS)[1].replace(b"Five", b"a|b\n|c").replace(b"Caller One", b"Jos\xe9")
    forged = b"x\nsupport@default|single_box|u|94906e38-31fe-4736-84c4-6848b5af9d8c|1|Two|1|1|0|0|0|0|0|||Waiting|1"
    fed.answers = {
        CHANNELS: recorded.answers(CHANNELS)[0],
        QUEUES: recorded.answers(QUEUES)[0],
        MEMBERS: members.replace(b"Four Abandons", forged),
    }
    fed.lists()
    assert fed.waiting() == [TWO, THREE, forged.decode(), "a|b\n|c"]
    assert fed.connected() == [("José", "9001@default", 2)]


def test_a_freeswitch_without_callcenter_is_live(fed: Fed) -> None:
    fed.answers = {CHANNELS: listing("show_channels_states")}
    fed.lists()
    assert fed.view.live
    assert fed.view.queues == {}


@pytest.mark.parametrize(
    ("status", "state", "other", "expected"),
    [
        ("Available", "Waiting", "0", ("idle", False)),
        ("Available", "Waiting", "1", ("in use", False)),
        ("Available (On Demand)", "Receiving", "0", ("ringing", False)),
        ("Available", "In a queue call", "0", ("in use", False)),
        ("On Break", "Waiting", "0", ("idle", True)),
        ("Logged Out", "Waiting", "0", ("unavailable", False)),
        ("Available", "Idle", "0", ("unavailable", False)),
    ],
)
@pytest.mark.parametrize("contact", ["user/9001@example.com", "{a=b,c=d}[x=y]sofia/internal/9001@10.0.0.5,loopback/7"])
def test_agents_states_in_words(fed: Fed, status: str, state: str, other: str, expected: object, contact: str) -> None:
    header = "name|contact|status|state|external_calls_count\n"
    fed.answers |= {
        QUEUES: b"name|strategy\nq|x\n+OK\n",
        AGENTS: f"{header}anna|{contact}|{status}|{state}|{other}\n+OK\n".encode(),
        TIERS: b"queue|agent|state|level|position\nq|anna|Ready|1|1\nq|nobody|Ready|1|1\n+OK\n",
    }
    fed.lists()
    (member,) = fed.view.queues["q"].members
    assert (member.state, member.paused) == expected
    assert (member.interface, member.name) == ("SIP/9001", "anna")
    assert member.reason == ("On Break" if status == "On Break" else "")
