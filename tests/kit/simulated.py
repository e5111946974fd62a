"""An afternoon of deliveries in milliseconds: a clock that is moved by waiting, a crew without threads, a receiver."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from humbug_agent.cdr import Record
from humbug_agent.delivery.clock import Clock
from humbug_agent.delivery.crew import Crew, Sent
from humbug_agent.destinations.contract import Answer, DeliveryError, Later, Misconfigured, Preview, Refused
from humbug_agent.outbox.outbox import Due

BEGAN = 1_800_000_000.0


class SimulatedClock(Clock):
    """Stands still until somebody waits by it. ``settings``: after so many seconds it is set by so many."""

    def __init__(self, settings: Sequence[tuple[float, float]] = ()) -> None:
        self.now = 0.0
        self._settings = settings

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return BEGAN + self.now + sum(by for at, by in self._settings if at <= self.now)


@dataclass(frozen=True)
class Phase:
    """What the receiver does until ``end``: ``does`` is ok, busy, silent, refuses, locked or odd.

    ``asks`` is the Retry-After of a busy one. An odd one is busy for every ``each``-th call only.
    """

    end: float
    does: str
    asks: float | None = None
    each: int = 1


@dataclass
class Try:
    """A call that was sent; ``probe``: as the only one, after a failure."""

    call: int
    at: float
    back: float
    probe: bool
    outcome: Answer | DeliveryError


@dataclass
class Receiver:
    """A destination that answers as its ``phases`` say, the last of which never ends, after ``latency`` seconds."""

    clock: SimulatedClock
    phases: Sequence[Phase]
    connections: int = 4
    name: str = "humbug"
    latency: float = 0.05

    def phase(self) -> Phase:
        return next(phase for phase in self.phases if self.clock.now < phase.end)

    def send(self, record: Record) -> Answer:
        phase, number = self.phase(), int.from_bytes(record.identity, "big")
        if phase.does == "busy" or (phase.does == "odd" and number % phase.each == 0):
            raise Later("answered 503", Answer(503), phase.asks)
        if phase.does == "silent":
            raise Later("timed out")
        if phase.does == "locked":
            raise Misconfigured("answered 401", Answer(401))
        if phase.does == "refuses" and number % phase.each == 0:
            raise Refused("answered 400", Answer(400))
        return Answer(200)

    def doubted(self) -> int:
        return 0

    def preview(self, record: Record) -> Preview:
        return Preview({}, "")

    def check(self) -> str:
        return ""

    def close(self) -> None:
        pass


@dataclass
class SimulatedCrew(Crew):
    """Sends in the thread that asks it to, and has the answer when its time has come."""

    receiver: Receiver
    tries: list[Try] = field(default_factory=list)
    most: int = 0
    """So many were under way at once."""

    def __post_init__(self) -> None:
        super().__init__(self.receiver)
        self._clock = self.receiver.clock
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, Sent]] = []

    def send(self, due: Due, probe: bool) -> None:
        outcome, now = self.attempt(due), self._clock.now
        back = now + self.receiver.latency
        self.tries.append(Try(due.id, now, back, probe, outcome))
        heapq.heappush(self._under_way, (back, next(self._order), Sent(due, probe, outcome)))
        self.most = max(self.most, len(self._under_way))

    def collect(self, wait: float) -> list[Sent]:
        until = self._clock.now + wait
        if self._under_way:
            until = min(until, self._under_way[0][0])
        self._clock.now = until
        came = []
        while self._under_way and self._under_way[0][0] <= until:
            came.append(heapq.heappop(self._under_way)[2])
        return came
