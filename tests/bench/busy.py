"""A board that changes as a busy PBX's does: three queues, 20 agents, 60 callers, and calls between phones."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from humbug_agent.board.model import Board, Channel, Figures, Member, QueueCall, State

QUEUES, AGENTS, CALLERS, CALLS = ("support", "sales", "billing"), 20, 60, 40
CHANGES = 10
"""A second: a channel that comes, rings, is answered or hangs up, or an agent who does something else."""


class Floor:
    """The board, and the thread that changes it."""

    def __init__(self) -> None:
        self.board = Board("ami")
        self.changes = 0
        self._rng = random.Random(20)
        self._number = 0
        channels = [self._channel() for _ in range(CALLERS + CALLS)]
        calls = [self._queued(one) for one in channels[:CALLERS]]
        members = [self._member(number) for number in range(AGENTS)]
        figures = {queue: _figures(400) for queue in QUEUES}
        self.board.replace(channels, QUEUES, calls, members, figures)

    @contextmanager
    def busy(self) -> Iterator[None]:
        over = threading.Event()

        def run() -> None:
            while not over.wait(1 / CHANGES):
                self._change()
                self.changes += 1

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _change(self) -> None:
        match self.changes % 4:
            case 0:
                self.board.hang_up(self._rng.choice(self.board.channels()).uniqueid)
            case 1:
                channel = self._channel()
                self.board.put(channel)
                if self._rng.random() < CALLERS / (CALLERS + CALLS):
                    self.board.put_call(self._queued(channel))
            case 2:
                self.board.put_member(self._member(self._rng.randrange(AGENTS)))
            case _:
                call = self._rng.choice(self.board.calls())
                self.board.put_figures(call.queue, _figures(400 + self.changes))

    def _channel(self) -> Channel:
        self._number += 1
        name = f"PJSIP/trunk-{self._number:08x}"
        return Channel(
            uniqueid=f"1795194317.{self._number}", channel=name, state=State.UP, number=f"+4144{self._number:07}",
            name=f"Caller {self._number}", exten="204", linkedid=f"1795194317.{self._number}", since=time.time(),
        )  # fmt: skip

    def _queued(self, channel: Channel) -> QueueCall:
        return QueueCall(
            uniqueid=channel.uniqueid, queue=self._rng.choice(QUEUES), channel=channel.channel, number=channel.number,
            name=channel.name, entered=channel.since,
        )  # fmt: skip

    def _member(self, number: int) -> Member:
        return Member(
            queue=QUEUES[number % 3], interface=f"PJSIP/{200 + number}", name=f"Agent {number}",
            state=self._rng.choice(("idle", "in use", "ringing")), taken=self._rng.randrange(40), last_call=time.time(),
        )  # fmt: skip


def _figures(completed: int) -> Figures:
    return Figures(completed=completed, abandoned=30, hold=20, talk=180, level=80.0, target=30)
