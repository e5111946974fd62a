"""A recorded Asterisk with calls in every state: at each of its lists the board says what the list says."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.board.model import View
from tests.kit.ami_calls import played
from tests.kit.ami_feed import blocks
from tests.kit.ami_server import AmiServer
from tests.kit.board_host import Live
from tests.kit.board_wire import Wire, own_clock, shown
from tests.kit.host import wait_until
from tests.kit.live_recording import BANNER, Round, recording, said, segments
from tests.kit.pbx_server import pieces
from tests.kit.small_asterisk import Truth

pytestmark = pytest.mark.slow

WHOLE = (2**20,)
QUEUES = {"support", "slow", "empty"}


def told(view: View) -> Truth:
    """Without what no list says in so many words: whom the PBX called."""
    found = shown(view)
    return found | {"channels": {uniqueid: fields[:-1] for uniqueid, fields in found["channels"].items()}}


def check_channels(view: View, at: Round) -> None:
    assert view.live, view.message
    assert told(view)["channels"] == at.truth()["channels"]


def check_queues(view: View, at: Round, seen: set[str]) -> None:
    """``seen`` are those whose agent's answer this board has seen."""
    found, truth = told(view), at.truth()
    for room in ("waiting", "connected", "members"):
        assert found[room] == truth[room]
    waited = {call.uniqueid: call.waited for queue in view.queues.values() for call in queue.calls}
    for uniqueid in truth["connected"]:
        assert waited[uniqueid] == (int(at.held[uniqueid]) if uniqueid in seen else None)


def shows(live: Live, part: Literal["channels", "waiting"], at: Round) -> Callable[[], bool]:
    return lambda: told(live.view)[part] == at.truth()[part]


def replay(confirmed: Sequence[int], sizes: Sequence[int]) -> Wire:
    """A feeder that begins with the first of these rounds, and that asks for these only. Sizes are of reads."""
    data, rounds = recording(tuple(confirmed))
    first = rounds[confirmed[0]]
    with own_clock() as clock:
        wire = Wire(clock)

        def hear(begin: int, end: int) -> None:
            wire.hear(*blocks([BANNER, *pieces(data[begin:end], sizes)]))

        wire.connect()
        at = first.begins
        for number, one in enumerate(rounds):
            if number < confirmed[0]:
                continue
            hear(at, one.begins)
            clock.now += 31
            if number in confirmed[1:]:
                wire.beat()
            hear(one.begins, one.channels_end)
            if one is not first:
                check_channels(wire.view, one)
            hear(one.channels_end, one.queues_end)
            check_queues(wire.view, one, one.held.keys() - first.held.keys())
            at = one.queues_end
    return wire


@pytest.mark.parametrize("confirmed", [(0,), (0, 1, 2, 3), (1,), (1, 2), (2,), (2, 3), (0, 3), (3,)])
def test_at_each_list_the_board_says_what_it_says(confirmed: tuple[int, ...]) -> None:
    wire = replay(confirmed, WHOLE)
    assert wire.view.queues.keys() == QUEUES
    assert wire.view.channels == ()


def test_it_does_so_in_the_pieces_in_which_it_was_recorded() -> None:
    replay((0, 1, 2, 3), segments()[2:])


@given(
    st.sampled_from([(0,), (0, 1, 2, 3), (1,), (2,)]),
    st.lists(st.one_of(st.integers(1, 400), st.integers(1, 40_000)), min_size=1, max_size=20),
)
@settings(max_examples=25)
def test_it_does_so_however_it_is_cut(confirmed: tuple[int, ...], sizes: list[int]) -> None:
    # Very small pieces take long, and are tried once in the next test.
    replay(confirmed, [size + 200 for size in sizes] if sum(sizes) / len(sizes) < 200 else sizes)


def test_it_does_so_cut_into_its_bytes() -> None:
    replay((2,), (1,))


@pytest.mark.parametrize("sizes", [(20_000,), tuple(segments()[2:]), (1, 2, 3, 5, 8, 13, 700)])
def test_it_does_so_over_a_connection(ami: AmiServer, sizes: tuple[int, ...]) -> None:
    data, (first, *others) = recording()
    # What it is answered with is in the recording.
    ami.ignored = ("CoreShowChannels", "QueueStatus")
    with Live(ami) as live:
        wait_until(lambda: ami.asked("QueueStatus"))
        wait_until(lambda: ami.listeners)
        play(ami, data[: first.queues_end], sizes)
        wait_until(lambda: live.view.live)
        check_channels(live.view, first)
        check_queues(live.view, first, set())
        ends = [(one, end) for one in others for end in (one.channels_end, one.queues_end)]
        for (one, end), begin in zip(ends, [first.queues_end, *(end for _, end in ends)], strict=False):
            play(ami, data[begin:end], sizes)
            if end == one.channels_end:
                wait_until(shows(live, "channels", one))
            else:
                wait_until(shows(live, "waiting", one))
                check_queues(live.view, one, set(one.held))
        play(ami, data[others[-1].queues_end :], sizes)
        wait_until(lambda: len(live.records) == data.count(b"Event: Cdr\r\n"))
        assert not live.failures
        assert len(ami.asked("CoreShowChannels")) == 1


def play(ami: AmiServer, data: bytes, sizes: Sequence[int]) -> None:
    """Not all at once: it took seventeen seconds."""
    for some in pieces(data, (20_000,)):
        ami.play(some, sizes)
        ami.wait_until_read()


def test_a_hundred_calls_of_every_kind_leave_nothing_behind() -> None:
    events = [block for block in played("ami-full.rx").split(b"\r\n\r\n") if block.startswith(b"Event: ")]
    found = [said(block) for block in events if b"UserField" not in block]
    born = {one["Uniqueid"] for one in found if one["Event"] == "Newchannel"}
    died = {one["Uniqueid"] for one in found if one["Event"] == "Hangup"}
    with own_clock() as clock:
        wire = Wire(clock)
        wire.connect()
        for action, end in zip(wire.asked, ("CoreShowChannelsComplete", "QueueStatusComplete"), strict=True):
            wire.hear(f"Event: {end}\r\nActionID: {action}".encode())
        seen = set()
        for some, more in pairwise([*range(0, len(events), 7), len(events)]):
            wire.hear(*events[some:more])
            seen |= {one.uniqueid for one in wire.view.channels}
        assert {one.uniqueid for one in wire.view.channels} == born - died
        assert len(seen) > len(born) / 2 > 50
        assert all(not queue.calls for queue in wire.view.queues.values())
        assert wire.view.live, wire.view.message
