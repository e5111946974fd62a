"""What the AMI said, until a source has put it on disk.

The connection's thread puts, the source's takes. Putting never waits: an Asterisk whose reader is slow cuts it off.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

MOST_BYTES = 32 * 2**20
"""About fifty thousand calls."""

OWN_BYTES = 200
"""What an event takes beside its text."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it came; ``connection`` counts the connections, ``at`` is seconds since the epoch."""

    connection: int
    at: float
    block: bytes


@dataclass(frozen=True, slots=True)
class State:
    """How the connection stands from now on: the ``trouble`` in words, or none."""

    trouble: str


class Inbox:
    """A listener that keeps the events that begin so, and those that ``also`` says it of."""

    def __init__(self, beginnings: Iterable[bytes], also: Callable[[bytes], bool] = lambda _: False) -> None:
        self._wanted = tuple(beginnings)
        self._also = also
        self._items: deque[Heard | State] = deque()
        self._bytes = 0
        self._lost = 0
        self._news = threading.Condition()

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        now = time.time()
        wanted = [block for block in blocks if block.startswith(self._wanted) or self._also(block)]
        if not wanted:
            return
        with self._news:
            for block in wanted:
                if self._bytes > MOST_BYTES:
                    self._lost += 1
                    continue
                self._bytes += len(block) + OWN_BYTES
                self._items.append(Heard(connection, now, block))
            self._news.notify_all()

    def beat(self, connection: int, tell: object) -> None:
        pass

    def stands(self, trouble: str) -> None:
        with self._news:
            self._items.append(State(trouble))
            self._news.notify_all()

    def take(self, most: int) -> tuple[list[Heard], State | None]:
        """Up to ``most`` events, in order, and the change of state that comes right behind them, if one does."""
        events: list[Heard] = []
        with self._news:
            while self._items and len(events) < most:
                item = self._items.popleft()
                if isinstance(item, State):
                    return events, item
                self._bytes -= len(item.block) + OWN_BYTES
                events.append(item)
        return events, None

    def waiting(self, seconds: float = 0.0) -> int:
        """How many events there are to take. Waits up to ``seconds`` for something to come."""
        with self._news:
            self._news.wait_for(lambda: bool(self._items), seconds)
            return sum(isinstance(item, Heard) for item in self._items)

    def filling(self) -> bool:
        """Whether it is time to take something out."""
        return self._bytes > MOST_BYTES // 4

    def full(self) -> bool:
        """Whether it is time to let a PBX wait that can."""
        return self._bytes > MOST_BYTES // 2

    def lost(self) -> int:
        """How many events found no room since this was asked last."""
        with self._news:
            lost, self._lost = self._lost, 0
            return lost
