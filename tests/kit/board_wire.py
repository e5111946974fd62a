"""An AsteriskFeeder in this process, with a clock of its own, at the wire of a `SmallAsterisk`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from humbug_agent.board import asterisk, asterisk_list, model
from humbug_agent.board.asterisk import AsteriskFeeder
from humbug_agent.board.model import Board, View
from humbug_agent.listening.ami.headers import Headers
from tests.kit.small_asterisk import SmallAsterisk, Truth, message

A_READ = 50
"""Messages."""

MOST_DELAY = 2.0
"""Seconds that an event is under way at the most."""


class Clock:
    """Stands for the module time: it goes on when a test says so, and both its clocks alike.

    ``step`` is by how much somebody has set the one that can be set.
    """

    def __init__(self) -> None:
        self.now = 1795194317.25
        self.step = 0.0

    def time(self) -> float:
        return self.now + self.step

    def monotonic(self) -> float:
        return self.now


@contextmanager
def own_clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (asterisk, asterisk_list, model):
            patch.setattr(module, "time", clock)
        yield clock


def shown(view: View) -> Truth:
    """What a view says, in the words of `SmallAsterisk.truth`."""
    calls = [call for queue in view.queues.values() for call in queue.calls]
    waiting = [(one.queue, one.uniqueid) for one in calls if not one.connected]
    return {
        "channels": {
            one.uniqueid: (
                *(one.channel, str(one.state), one.number, one.name, one.with_number, one.with_name),
                *(one.account, one.exten, one.bridge, one.linkedid, one.callee),
            )
            for one in view.channels
        },
        "waiting": {queue: [who for at, who in waiting if at == queue] for queue, _ in waiting},
        "connected": {one.uniqueid: (one.queue, one.agent) for one in calls if one.connected},
        "members": {
            (one.queue, one.interface): (one.name, _STATUS[one.state], one.paused)
            for queue in view.queues.values()
            for one in queue.members
        },
    }


_STATUS = {
    "unknown": "0",
    "idle": "1",
    "in use": "2",
    "busy": "3",
    "invalid": "4",
    "unavailable": "5",
    "ringing": "6",
    "in use, ringing": "7",
    "on hold": "8",
}


class Wire:
    def __init__(self, clock: Clock, board: Board | None = None) -> None:
        self.clock = clock
        self.pbx = SmallAsterisk(clock.time)
        self.board = board or Board("ami")
        self.feeder = AsteriskFeeder(self.board, "humbug")
        self.connection = 0
        self.asked: list[str] = []
        """The ActionIDs of what is not answered yet: of the channels, of the queues."""
        self.lines: list[str] = []
        """What was asked last of trunks and phones."""

    @property
    def view(self) -> View:
        return self.board.view()

    def connect(self) -> None:
        self.connection += 1
        self.feeder.stands("")
        self.beat()

    def lost(self) -> None:
        self.feeder.stands("AMI 127.0.0.1:5038: has closed the connection")
        self.pbx.pending.clear()
        self.asked = []

    def beat(self) -> None:
        said: list[bytes] = []
        self.feeder.beat(self.connection, said.append)
        if said:
            actions = [Headers(block) for block in b"".join(said).split(b"\r\n\r\n") if block]
            self.lines = [one("Action") for one in actions if one("ActionID").startswith("told-lines-")] or self.lines
            actions = [one for one in actions if not one("ActionID").startswith("told-lines-")]
            if all(one("Queue") for one in actions):
                # For figures of some queues, which nobody here answers.
                return
            assert [one("Action") for one in actions] == ["CoreShowChannels", "QueueStatus"]
            self.asked = [one("ActionID") for one in actions]

    def hear(self, *blocks: bytes) -> None:
        """In as many reads as it takes when nothing is in a hurry."""
        for begin in range(0, len(blocks), A_READ):
            self.feeder.heard(self.connection, blocks[begin : begin + A_READ])

    def deliver(self, most: int = 2**31) -> None:
        """Events that are under way arrive."""
        blocks = [self.pbx.pending.popleft()[1] for _ in range(min(most, len(self.pbx.pending)))]
        if blocks:
            self.hear(*blocks)

    def passes(self, seconds: float) -> None:
        """Time; no event takes longer than `MOST_DELAY`."""
        pending = self.pbx.pending
        while pending and self.clock.now + seconds - pending[0][0] > MOST_DELAY:
            self.deliver(1)
        self.clock.now += seconds

    def list_channels(self, items: Sequence[bytes] | None = None) -> None:
        found = self.pbx.core_show_channels() if items is None else items
        self.hear(*answer(self.asked.pop(0), found, "CoreShowChannelsComplete"))

    def list_queues(self, items: Sequence[bytes] | None = None) -> None:
        found = self.pbx.queue_status() if items is None else items
        self.hear(*answer(self.asked.pop(0), found, "QueueStatusComplete"))

    def list_all(self) -> None:
        if len(self.asked) == 2:
            self.list_channels()
        self.list_queues()

    def confirm(self) -> None:
        """The next list, with what is true now."""
        self.passes(asterisk.CONFIRM_SECONDS + 1)
        self.beat()
        self.list_all()

    def live(self) -> View:
        """A connection, a list, and what it shows then."""
        self.connect()
        self.list_all()
        assert self.view.live, self.view.message
        return self.view


def answer(action: str, items: Iterable[bytes], end: str) -> list[bytes]:
    """A list to which an action of that ActionID is answered."""
    own = f"\r\nActionID: {action}".encode()
    begin = b"Response: Success" + own + b"\r\nEventList: start\r\nMessage: will follow"
    return [begin, *(item + own for item in items), message(end) + own + b"\r\nEventList: Complete"]


def refusal(action: str, words: str) -> bytes:
    return f"Response: Error\r\nActionID: {action}\r\nMessage: {words}".encode()
