"""How a source that is told each call once brings them to the outbox: what came stays here until it is on disk."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from threading import Event
from typing import Generic, Protocol, Self, TypeVar

from humbug_agent.cdr import Batch
from humbug_agent.host.pbx_first import FLOOD_REST
from humbug_agent.listening.inbox import Heard, Inbox
from humbug_agent.sources.contract import Anew, SourceError, ToldOnce
from humbug_agent.words import count

REST_SECONDS = 0.05
"""Between two commits: what comes meanwhile is committed at once, which costs the PBX less."""

FLOOD_EVENTS = 500
"""A second."""

LOOK_SECONDS = 0.5
"""How long at most a stop goes unnoticed."""

TOLD_ONCE = "is told each call once, when it ends, and can't ask for it again"

Listener = TypeVar("Listener")
"""What hears of a connection's events: AMI's, or the event socket's."""


class Connection(Protocol):
    """What fills the inbox."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def is_alive(self) -> bool: ...


class PushReader:
    """The way of calls that a PBX tells once, from the inbox of a connection to whoever reads the source.

    ``batch`` makes calls of what was heard, ``most`` events at a time. ``meanwhile`` says what a trouble costs.
    """

    def __init__(self, inbox: Inbox, batch: Callable[[list[Heard]], Batch], most: int, meanwhile: str) -> None:
        self._inbox = inbox
        self._batch = batch
        self._most = most
        self._meanwhile = meanwhile
        self._connection: Connection | None = None
        self._unacknowledged: Batch | None = None
        self._trouble: str | None = None
        self._told: str | None = None
        # When nothing was left to take. None: there may be more.
        self._emptied: float | None = None
        self._stays = False

    def read(self, connect: Callable[[], Connection], stop: Event) -> Iterator[Batch]:
        """As `Source.read`. What has come stays here also when a reading is given up and another one begun.

        ``connect`` makes the connection, which outlives a reading that is given up.
        """
        if self._connection is None and not stop.is_set():
            connection = connect()
            connection.start()
            self._connection = connection
        # Whoever begins anew does not know that all is well.
        self._told = self._told or None
        if self._unacknowledged:
            yield from self._hand_over(self._unacknowledged)
        while not stop.is_set():
            yield from self._next(stop)
        if not self._stays:
            # From here on nothing more comes.
            self._close()
            yield from self._rest()

    def stay(self) -> bool:
        """As `Holding.stay`."""
        self._stays = self._connection is None or self._connection.is_alive()
        return self._stays

    def take_over(self, other: "PushReader") -> None:
        """Go on with the connection of ``other``, and with what has come over it."""
        self._inbox, self._connection = other._inbox, other._connection
        self._unacknowledged, self._trouble = other._unacknowledged, other._trouble

    def let_go(self) -> Iterable[Batch]:
        """Close the connection. Returns what has come and is not on disk."""
        self._close()
        held, self._unacknowledged = self._unacknowledged, None
        return chain([held] if held else [], self._all_of_inbox())

    def _close(self) -> None:
        if self._connection:
            self._connection.stop()
            self._connection = None

    def _next(self, stop: Event) -> Iterator[Batch]:
        if self._emptied is not None:
            self._await(self._emptied, stop)
        heard, state = self._inbox.take(self._most)
        self._emptied = None if state or len(heard) == self._most else time.monotonic()
        if state:
            self._trouble = state.trouble
        if heard:
            yield from self._hand_over(self._batch(heard))
            if self._emptied is not None:
                stop.wait(REST_SECONDS)
        if lost := self._inbox.lost():
            why = f"{count(lost, 'event')} found no room while the outbox could not be written"
            raise SourceError(f"{why}; {self._meanwhile}", 0)
        if self._trouble != self._told:
            self._told = self._trouble
            if self._trouble:
                raise SourceError(f"{self._trouble}; {self._meanwhile}", 0)
            yield Batch([], [], None)

    def _await(self, since: float, stop: Event) -> None:
        """Until something has come; of a flood, until a good deal has.

        ``since`` is when nothing was left: a connection that itself rests in a flood shows nothing of it for a while.
        """
        waiting = self._inbox.waiting(LOOK_SECONDS)
        now = time.monotonic()
        if waiting <= FLOOD_EVENTS * max(REST_SECONDS, now - since):
            return
        until = now + FLOOD_REST
        while (left := until - time.monotonic()) > 0 and not self._inbox.filling():
            if stop.wait(min(left, 0.1)):
                return

    def _rest(self) -> Iterator[Batch]:
        for batch in self._all_of_inbox():
            yield from self._hand_over(batch)

    def _all_of_inbox(self) -> Iterator[Batch]:
        while any(taken := self._inbox.take(self._most)):
            if heard := taken[0]:
                yield self._batch(heard)

    def _hand_over(self, batch: Batch) -> Iterator[Batch]:
        self._unacknowledged = batch
        yield batch
        self._unacknowledged = None


class PushSource(ABC, Generic[Listener]):
    """A source over whose connection a PBX tells each call once, and what its board needs as well.

    What it is told goes through ``inbox``, ``most`` events at a time; ``meanwhile`` says what a trouble costs, and
    ``asked`` are the kinds of events that the PBX is asked for.
    """

    unread_in = "bytes"
    leaves_out = ""

    def __init__(self, name: str, inbox: Inbox, listener: Listener, asked: set[str], most: int, meanwhile: str) -> None:
        self.name = name
        self._inbox = inbox
        self._listeners = [listener]
        self._asked = asked
        self._push = PushReader(inbox, self._batch, most, meanwhile)

    @abstractmethod
    def _batch(self, heard: list[Heard]) -> Batch:
        """What was heard as calls and rejects."""

    @abstractmethod
    def _connect(self) -> Connection:
        """A new connection, which tells the listeners."""

    def listen_also(self, listener: Listener, asked: Iterable[str]) -> None:
        """Let ``listener`` hear what comes over this source's connection, these kinds of events included."""
        self._listeners.append(listener)
        self._asked |= set(asked)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        if follow:
            yield from self._push.read(self._connect, stop)

    def stay(self) -> bool:
        return self._push.stay()

    def take_over(self, other: Self) -> None:
        self._push.take_over(other._push)
        self._inbox = other._inbox
        # The connection tells those that it told before.
        self._listeners, self._asked = other._listeners, other._asked

    def let_go(self) -> Iterable[Batch]:
        return self._push.let_go()

    def again(self, cursor: str) -> str:
        # Each call is told once.
        return cursor

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        raise ToldOnce(TOLD_ONCE)

    def unread(self, cursor: str | None) -> None:
        return None

    def trouble(self) -> str:
        return ""
