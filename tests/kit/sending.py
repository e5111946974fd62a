"""One call at a time over the loop, for tests of what becomes of it. Any thread may send."""

import threading
from contextlib import suppress

from humbug_agent.cdr import CDR
from humbug_agent.destinations.contract import Answer, DeliveryError, Outcome
from humbug_agent.destinations.humbug.destination import Humbug
from humbug_agent.flat import flatten


class Sending(Humbug):
    """``send`` waits for what becomes of the call. Before the first one, ``warm`` is sent, if that can be."""

    warm: CDR | None = None

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._numbers: dict[bytes, int] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._one = threading.Lock()

    def send(self, record: CDR) -> Answer:
        if self.warm:
            warm, self.warm = self.warm, None
            with suppress(DeliveryError):
                self.send(warm)
        with self._one:
            number = self._numbers[record.identity] = len(self._numbers)
            self.begin([(number, flatten(record))])
        while number not in self._outcomes:
            with self._one:
                self._outcomes |= dict(self.collect(0.02))
        outcome = self._outcomes.pop(number)
        if isinstance(outcome, DeliveryError):
            raise outcome
        return outcome

    def numbered(self, record: CDR) -> int:
        """The number under which the call was sent."""
        return self._numbers[record.identity]

    def close(self) -> None:
        with self._one:
            super().close()
