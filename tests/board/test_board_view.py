"""What a board gives to those who look at it: views that stay as they are, whatever it costs, and nothing kept."""

import gc
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError
from types import BuiltinFunctionType, FunctionType, ModuleType

import pytest

from humbug_agent.board.model import View
from tests.kit.ami_calls import played
from tests.kit.board_wire import Wire, shown

pytestmark = pytest.mark.slow


def busy(wire: Wire, most: int = 1000, device: Callable[[int], str] = lambda at: f"SIP/{at % 500}") -> None:
    """So many channels, and half as many queue calls in 50 queues."""
    wire.pbx.waiting = {f"queue-{at}": [] for at in range(50)}
    for at in range(most):
        chan = wire.pbx.call(device(at), f"+4930{at}", f"Caller {at}")
        if at % 2:
            wire.pbx.join(chan, f"queue-{at % 50}")
    wire.pbx.pending.clear()
    wire.live()
    assert len(wire.view.channels) == most
    assert sum(len(queue.calls) for queue in wire.view.queues.values()) == most // 2


# What a view is.


def test_a_view_can_not_be_changed(wire: Wire) -> None:
    wire.pbx.member("support", "SIP/1", "Anna", "1", "0")
    wire.pbx.join(wire.pbx.call("SIP/1", "1", "One"), "support")
    view = wire.live()
    queue = view.queues["support"]
    for of, name in (
        (view, "live"),
        (view.channels[0], "state"),
        (queue, "calls"),
        (queue.calls[0], "agent"),
        (queue.members[0], "paused"),
    ):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(of, name, "x")
    assert isinstance(view.channels, tuple)
    assert isinstance(queue.calls, tuple)
    assert isinstance(queue.members, tuple)
    for several in (view.queues, view.devices):
        with pytest.raises(TypeError):
            several["x"] = ()  # type: ignore[index]
    assert isinstance(view.devices["sip/1"], tuple)


def test_a_view_stays_as_it_was(wire: Wire) -> None:
    chan = wire.pbx.call("SIP/1", "1", "One")
    wire.pbx.join(chan, "support")
    view = wire.live()
    before = shown(view)
    wire.deliver()
    wire.pbx.hang_up(chan)
    wire.deliver()
    assert wire.view.channels == ()
    assert shown(view) == before
    wire.lost()
    assert not wire.view.live
    assert view.live


def test_who_is_content_with_an_older_view_gets_it(wire: Wire) -> None:
    view = wire.live()
    assert wire.board.view(10) is wire.board.view() is view
    wire.pbx.call("SIP/1", "1", "")
    wire.deliver()
    assert wire.board.view(10) is view
    wire.passes(11)
    assert len(wire.board.view(10).channels) == 1
    # Without a change it is the same one.
    assert wire.board.view() is wire.board.view()


def consistent(view: View) -> None:
    """All that is in a view is of one moment, in which channels come and go by twos."""
    assert view.live == (not view.message)
    if not view.live:
        assert (view.channels, view.queues, view.devices) == ((), {}, {})
        return
    assert [one for of in view.devices.values() for one in of] or not view.channels
    assert Counter(one.uniqueid for of in view.devices.values() for one in of) == Counter(
        one.uniqueid for one in view.channels
    )
    pairs = Counter(one.linkedid for one in view.channels)
    assert set(pairs.values()) <= {2}
    for queue in view.queues.values():
        assert all(call.queue == queue.name for call in queue.calls)


def test_views_are_of_one_moment_while_it_changes(wire: Wire) -> None:
    wire.connect()
    ended, wrong = threading.Event(), deque[BaseException](maxlen=3)
    looked = Counter[str]()

    def look(name: str) -> None:
        while not ended.is_set():
            try:
                consistent(wire.board.view(0.001 if name == "late" else 0))
            except BaseException as error:  # noqa: BLE001
                wrong.append(error)
            looked[name] += 1

    lookers = [threading.Thread(target=look, args=(name,)) for name in ("late", "one", "two")]
    for looker in lookers:
        looker.start()
    try:
        numbers = random.Random(7)
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            # A list is taken as a whole.
            pairs = numbers.randrange(50)
            wire.pbx.channels.clear()
            for _ in range(pairs):
                first = wire.pbx.call("SIP/1", "1", "")
                wire.pbx.call("SIP/2", "2", "", first)
            wire.pbx.pending.clear()
            wire.passes(31)
            wire.beat()
            wire.list_all()
            if pairs % 7 == 0:
                wire.lost()
                wire.connect()
                wire.list_all()
    finally:
        ended.set()
        for looker in lookers:
            looker.join()
    assert not wrong, wrong[0]
    assert min(looked.values()) > 100


# What it costs.


def seconds(do: Callable[[], object], times: int) -> float:
    """The best of some."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        found.append(time.perf_counter() - began)
    return min(found)


@pytest.mark.alone
def test_what_a_view_costs(wire: Wire) -> None:
    busy(wire)
    chan = next(iter(wire.pbx.channels.values()))

    def changed() -> None:
        wire.pbx.account(chan, "x")
        wire.deliver()
        wire.board.view()

    fresh, same = seconds(changed, 20), seconds(wire.board.view, 100)
    print(f"1,000 channels, 500 queue calls: a new view {fresh * 1e3:.2f} ms, the same one {same * 1e6:.2f} us")
    assert same < fresh / 20


@pytest.mark.alone
def test_a_trunk_with_all_channels_costs_no_more_than_many_devices(wire: Wire) -> None:
    many, one = Wire(wire.clock), Wire(wire.clock)
    busy(many, 4000)
    busy(one, 4000, lambda at: "PJSIP/trunk")

    def costs(of: Wire) -> float:
        chan = next(iter(of.pbx.channels.values()))

        def changed() -> None:
            of.pbx.account(chan, "x")
            of.deliver()
            of.board.view()

        return seconds(changed, 5)

    assert costs(one) < 3 * costs(many)


@pytest.mark.alone
def test_what_an_event_costs(wire: Wire) -> None:
    events = [block for block in played("ami-full.rx").split(b"\r\n\r\n") if block.startswith(b"Event: ")]
    busy(wire)
    took = seconds(lambda: wire.hear(*events), 5) / len(events)
    put = [block for block in events if block.startswith(b"Event: Newstate")]
    each = seconds(lambda: wire.hear(*put), 5) / len(put)
    queues, rows = wire.pbx.queue_status(), wire.pbx.core_show_channels()
    listed = seconds(lambda: ask_and_hear(wire, rows, queues), 5)
    print(f"an event {took * 1e6:.1f} us of all kinds, {each * 1e6:.1f} us a Newstate; a list {listed * 1e3:.1f} ms")
    # A PBX that saturates two processors tells some ten thousand a second.
    assert took < 1e-3
    assert wire.view.live


def ask_and_hear(wire: Wire, rows: list[bytes], queues: list[bytes]) -> None:
    wire.clock.now += 31
    wire.beat()
    wire.list_channels(rows)
    wire.list_queues(queues)


# What it keeps.


def kept(root: object, of: str) -> set[str]:
    """The texts that begin so, wherever in ``root`` they are."""
    seen: set[int] = set()
    found: set[str] = set()
    todo: list[object] = [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            text = one if isinstance(one, str) else one.decode("latin-1")
            found |= {text} if text.startswith((of, " " + of)) else set()
        todo += gc.get_referents(one)
    return found


def flood(numbers: random.Random, calls: Iterable[int], lost: float = 0.0) -> list[bytes]:
    """Calls from beginning to end: a channel alone, one that waits in vain, one that an agent takes."""
    told = []
    for at in calls:
        own = b"Uniqueid: gone.%d\r\nLinkedid: gone.%d\r\nChannel: SIP/1-%08x\r\nChannelState: 6" % (at, at, at)
        queue = b"%s\r\nQueue: support" % own
        told.append(b"Event: Newchannel\r\n" + own)
        kind = numbers.randrange(3)
        if kind:
            told.append(b"Event: QueueCallerJoin\r\n" + queue)
            told.append(b"Event: QueueCallerLeave\r\n" + queue)
        if kind == 2:
            told.append(b"Event: AgentConnect\r\n%s\r\nDestChannel: SIP/2-1\r\nHoldTime: 3" % queue)
            told.append(b"Event: AgentComplete\r\n" + queue)
        if numbers.random() >= lost:
            told.append(b"Event: Hangup\r\n" + own)
    return told


def test_of_calls_that_have_ended_nothing_is_kept(wire: Wire) -> None:
    numbers = random.Random(1)
    wire.live()
    most = 0
    for begin in range(0, 100_000, 500):
        wire.hear(*flood(numbers, range(begin, begin + 500)))
        wire.clock.now += 0.1
        wire.beat()
        if begin in (0, 99_500):
            most = max(most, len(kept(wire.feeder, "gone.")))
    print(f"of 100,000 calls between two lists it keeps {most:,} ids at most")
    assert wire.view.channels == ()
    # Of the last moments it may, for a list that was on its way.
    assert most <= 1000
    wire.confirm()
    wire.beat()
    assert kept(wire.feeder, "gone.") == set()


def test_of_calls_whose_end_was_never_told_nothing_is_kept_after_the_next_list(wire: Wire) -> None:
    wire.live()
    wire.hear(*flood(random.Random(2), range(2000), lost=0.5))
    assert wire.view.channels
    wire.confirm()
    assert wire.view.channels == ()
    assert not any(queue.calls for queue in wire.view.queues.values())
    wire.confirm()
    wire.beat()
    assert kept(wire.feeder, "gone.") == set()


def test_a_connection_that_is_lost_leaves_nothing(wire: Wire) -> None:
    wire.live()
    wire.hear(*flood(random.Random(3), range(2000), lost=0.5))
    wire.lost()
    wire.live()
    for _ in range(2):
        wire.beat()
    assert kept(wire.feeder, "gone.") == set()


def test_a_board_that_may_not_be_shown_keeps_no_calls_that_have_ended(wire: Wire) -> None:
    """Refused, it still hears events."""
    wire.connect()
    wire.hear(*flood(random.Random(4), range(2000)))
    assert not wire.view.live
    wire.list_all()
    wire.confirm()
    wire.beat()
    assert kept(wire.feeder, "gone.") == set()
