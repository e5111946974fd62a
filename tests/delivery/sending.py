"""One call at a time over the loop, for tests of what becomes of it. Any thread may send."""

import itertools
import threading

from humbug_agent.cdr import CDR
from humbug_agent.destinations.contract import Answer, DeliveryError, Outcome
from humbug_agent.destinations.humbug.destination import Humbug


class Sending(Humbug):
    """``send`` waits for what becomes of the call. ``warm``: a call that no test counts has opened its connection."""

    warm: CDR | None = None

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._numbers = itertools.count(1)
        self._outcomes: dict[int, Outcome] = {}
        self._one = threading.Lock()

    def send(self, record: CDR) -> Answer:
        if self.warm:
            warm, self.warm = self.warm, None
            self.send(warm)
        with self._one:
            number = next(self._numbers)
            self.begin([(number, record)])
        while number not in self._outcomes:
            with self._one:
                self._outcomes |= dict(self.collect(0.02))
        outcome = self._outcomes.pop(number)
        if isinstance(outcome, DeliveryError):
            raise outcome
        return outcome

    def close(self) -> None:
        with self._one:
            super().close()
