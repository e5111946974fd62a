"""Whatever happens on a PBX, and whenever its events and lists come: the board ends up with what is true."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.board import asterisk
from tests.kit.board_wire import MOST_DELAY, Wire, own_clock, shown
from tests.kit.small_asterisk import Caller, Chan

NAMES = ["", "Desk 101", 'O\'Neil "Bobby"', "back\\slash\\n", "Jürgen Müller", "Event: Hangup", "<unknown >", "?"]
DEVICES = ["PJSIP/201", "SIP/4003", "IAX2/trunk", "DAHDI/1", "Local/9@agents"]
QUEUES = ["support", "sales"]


class World:
    """A PBX, its wire, and who watches that nobody's time in a queue is told in two ways."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.pbx = wire, wire.pbx
        self.entered: dict[tuple[int, str], float] = {}

    def one(self, chans: Iterable[Chan], at: int) -> list[Chan]:
        found = list(chans)
        return [found[at % len(found)]] if found else []

    def waiting(self, at: int) -> list[Caller]:
        found = [caller for queue in self.pbx.waiting.values() for caller in queue]
        return [found[at % len(found)]] if found else []

    def step(self, what: str, at: int, other: int) -> None:
        """What can't happen now does not."""
        pbx = self.pbx
        chans = list(pbx.channels.values())
        if what == "call":
            pbx.call(DEVICES[at % 5], str(100 + other), NAMES[other % 8])
        for chan in self.one(chans, at):
            if what == "dial":
                pbx.dial(chan, DEVICES[other % 5])
            elif what == "state":
                pbx.state(chan, ("56" if chan.callee else "46")[other % 2])
            elif what == "line":
                pbx.connected_line(chan, str(other), NAMES[other % 8])
            elif what == "account":
                pbx.account(chan, f"acct-{other}")
            elif what == "rename":
                pbx.rename(chan)
            elif what == "hang up":
                pbx.hang_up(chan)
            elif what == "unbridge" and not pbx.talks(chan):
                pbx.unbridge(chan)
        for chan in self.one([chan for chan in chans if pbx.free(chan)], at):
            if what == "join":
                pbx.join(chan, QUEUES[other % 2])
            elif what == "bridge":
                pbx.bridge(chan, *(two for two in self.one(chans, other) if two is not chan and pbx.idle(two)))
        for caller in self.waiting(at):
            if what == "connect":
                pbx.connect(caller, DEVICES[other % 5], "Anna Agent")
            elif what == "leave":
                pbx.gives_up(caller)
        if what == "talk":
            for caller in pbx.half_connected()[:1]:
                pbx.joined_by_bridge(caller)
        elif what == "member":
            pbx.member(QUEUES[at % 2], DEVICES[other % 5], NAMES[1 + at % 5], "1260"[other % 4], "01"[at % 2])
        elif what == "no member":
            pbx.no_member(QUEUES[at % 2], DEVICES[other % 5])
        else:
            self.on_the_wire(what, at)

    def on_the_wire(self, what: str, at: int) -> None:
        wire = self.wire
        if what == "events":
            wire.deliver(at)
        elif what == "time":
            wire.passes(at / 10)
        elif what == "ask" and not wire.asked:
            wire.beat()
        elif what == "channels" and len(wire.asked) == 2:
            wire.list_channels()
        elif what == "queues" and wire.asked:
            wire.list_all()
        elif what == "reconnect":
            self.reconnect()
        elif what == "settle":
            self.settle()

    def reconnect(self) -> None:
        self.wire.lost()
        assert not self.wire.view.live
        assert shown(self.wire.view) == shown(Wire(self.wire.clock).view)
        self.entered.clear()
        # Whose agent has answered and is not heard yet, no list tells; see the test of its own.
        for caller in self.pbx.half_connected():
            self.pbx.joined_by_bridge(caller)
        self.pbx.pending.clear()
        # Nor that one has just gone.
        self.pbx.lingering.clear()
        self.wire.connect()

    def settle(self) -> None:
        """All events arrive, no list is open: the board is the truth."""
        if self.wire.asked:
            self.wire.list_all()
        self.wire.deliver()
        view = self.wire.view
        assert view.live, view.message
        assert shown(view) == self.pbx.truth()
        held = {one.chan.uniqueid: one.held for one in self.pbx.talking.values()}
        for queue in view.queues.values():
            for call in queue.calls:
                assert call.waited in (None, held.get(call.uniqueid))
                assert call.connected == (call.since > 0)

    def times(self) -> None:
        """When somebody who is in a queue entered it is said once, and not again in another way."""
        for queue in self.wire.view.queues.values():
            for call in queue.calls:
                if self.pbx.joins[call.uniqueid] == 1 and call.uniqueid in self.pbx.queued():
                    key = self.wire.connection, call.uniqueid
                    first = self.entered.setdefault(key, call.entered)
                    # A list may know before any event that somebody has answered, who then is in none.
                    assert abs(call.entered - first) <= (1 + MOST_DELAY if call.uniqueid in self.pbx.talking else 0)


STEPS = [
    # What a failing program is cut down to.
    "nothing",
    *("call", "dial", "state", "line", "account", "rename", "hang up", "bridge", "unbridge"),
    *("join", "join", "leave", "connect", "connect", "talk", "member", "no member"),
    *("events", "events", "time", "ask", "channels", "queues", "reconnect", "settle"),
]
# Long ones by themselves are rare.
programs = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9), st.integers(0, 9)), min_size=30, max_size=120)


@given(programs)
@settings(max_examples=250)
def test_once_everything_has_arrived_the_board_is_the_truth(program: list[tuple[str, int, int]]) -> None:
    with own_clock() as clock, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asterisk, "CONFIRM_SECONDS", 0.0)
        world = World(Wire(clock))
        world.wire.connect()
        for what, at, other in program:
            world.step(what, at, other)
            world.wire.passes(0.01)
            world.times()
        world.settle()
        world.wire.beat()
        world.settle()
