"""An afternoon of deliveries in milliseconds: a clock that is moved by waiting, and a receiver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from humbug_agent.cdr import Record
from humbug_agent.delivery.clock import Clock
from humbug_agent.destinations.contract import (
    Answer,
    Batch,
    DeliveryError,
    Later,
    Misconfigured,
    Outcome,
    Preview,
    Refused,
)
from humbug_agent.flat import Flat

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

    ``asks`` is the Retry-After of a busy one. An odd one is busy for every ``each``-th call only, one that
    refuses does so for these; where there are ``these``, for them.
    """

    end: float
    does: str
    asks: float | None = None
    each: int = 1
    these: frozenset[int] | None = None

    def is_of(self, number: int) -> bool:
        return number in self.these if self.these is not None else number % self.each == 0


@dataclass
class Try:
    """A call that was sent, and came back."""

    call: int
    at: float
    back: float
    outcome: Outcome
    probe: bool = False
    """It was the only one, after a failure."""


@dataclass
class Receiver:
    """A destination that answers as its ``phases`` say, the last of which never ends, after ``latency`` seconds.

    It decides when a call comes, and says so when the answer's time has come; waiting for that moves the clock.
    """

    clock: SimulatedClock
    phases: Sequence[Phase]
    connections: int = 4
    batch: int = 1
    name: str = "humbug"
    where: str = "here"
    latency: float = 0.05
    tries: list[Try] = field(default_factory=list)
    most: int = 0
    """So many were under way at once."""
    probing: Callable[[], bool] = lambda: False
    """Whether what is sent now is a probe: only the delivery knows."""
    _under_way: list[list[Try]] = field(default_factory=list)

    def phase(self) -> Phase:
        return next(phase for phase in self.phases if self.clock.now < phase.end)

    def answer(self, call: Flat) -> Outcome:
        phase, number = self.phase(), int.from_bytes(call.identity, "big")
        if phase.does == "busy" or (phase.does == "odd" and phase.is_of(number)):
            return Later("answered 503", Answer(503), phase.asks)
        if phase.does == "silent":
            return Later("timed out")
        if phase.does == "locked":
            return Misconfigured("answered 401", Answer(401))
        if phase.does == "refuses" and phase.is_of(number):
            return Refused("answered 400", Answer(400))
        return Answer(200)

    def begin(self, batches: Sequence[Batch]) -> None:
        now = self.clock.now
        for batch in batches:
            assert 0 < len(batch) <= self.batch
            outcomes = [self.answer(flat) for _, flat in batch]
            outcome = next((one for one in outcomes if isinstance(one, DeliveryError)), outcomes[0])
            begun = [Try(each, now, now + self.latency, outcome, self.probing()) for each, _ in batch]
            self.tries += begun
            self._under_way.append(begun)
        self.most = max(self.most, len(self._under_way))

    def collect(self, wait: float) -> list[tuple[int, Outcome]]:
        until = min([self.clock.now + wait, *(one.back for one, *_ in self._under_way)])
        self.clock.now = until
        came = [one for batch in self._under_way for one in batch if one.back <= until]
        self._under_way = [batch for batch in self._under_way if batch[0].back > until]
        return [(one.call, one.outcome) for one in came]

    def doubted(self) -> list[int]:
        return []

    def wake(self) -> None:
        pass

    def preview(self, record: Record) -> Preview:
        return Preview({}, "")

    def check(self) -> str:
        return ""

    def clock_off(self) -> float | None:
        return None

    def close(self) -> None:
        pass
