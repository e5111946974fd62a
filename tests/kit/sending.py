"""One call at a time over the loop, for tests of what becomes of it; and what the fixtures of delivery make."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from humbug_agent.cdr import CDR
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.contract import Answer, DeliveryError, Outcome
from humbug_agent.destinations.humbug.destination import Humbug
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.flat import flatten
from humbug_agent.numbers.settings import NumbersSettings


class Sending(Humbug):
    """``send`` waits for what becomes of the call; any thread may. Before the first one, ``warm`` is sent."""

    warm: CDR | None = None

    def __init__(self, settings: HumbugSettings, zone: tzinfo, numbers: NumbersSettings) -> None:
        super().__init__(settings, zone, numbers)
        self._numbers: dict[bytes, int] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._one = threading.Lock()
        self._next = threading.Lock()

    def send(self, record: CDR) -> Answer:
        if self.warm:
            warm, self.warm = self.warm, None
            with suppress(DeliveryError):
                self.send(warm)
        with self._turn():
            number = self._numbers[record.identity] = len(self._numbers)
            self.begin([[(number, flatten(record))]])
        while number not in self._outcomes:
            with self._turn():
                self._outcomes |= dict(self.collect(0.02))
        outcome = self._outcomes.pop(number)
        if isinstance(outcome, DeliveryError):
            raise outcome
        return outcome

    def numbered(self, record: CDR) -> int:
        """The number under which the call was sent."""
        return self._numbers[record.identity]

    def close(self) -> None:
        with self._turn():
            super().close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread at a time, and who waits is next: who has just had it would take a lone lock again at once."""
        with self._next:
            self._one.acquire()
        try:
            yield
        finally:
            self._one.release()


@dataclass(frozen=True)
class Running:
    delivery: Delivery
    stop: threading.Event
    thread: threading.Thread


Call = Callable[..., CDR]
Make = Callable[..., Sending]
Run = Callable[[Humbug], AbstractContextManager[Running]]
Filled = Callable[[int], list[str]]
Ask = Callable[..., list[Any]]
Failure = Callable[[Sending, CDR], DeliveryError]
