"""Reads a source in this process batch by batch, for tests that look at what it hands over, and hands over again."""

import threading
from collections.abc import Generator
from typing import Generic, Self, TypeVar

from humbug_agent.cdr import Batch, Record
from humbug_agent.sources.contract import Holding, Source, SourceError

CONNECTED = Batch([], [], None)

PATIENCE = 60.0
"""Seconds after which it is stopped: a test that waits in vain fails by itself and leaves nothing behind."""


Of = TypeVar("Of", bound=Source)


class Consumer(Generic[Of]):
    """Reads within ``with``, as the pump does, and begins again where the source or a test made it fail.

    How what was told is parted into batches is the source's affair: no test may count on it. ``found`` is all that
    was handed over, ``last`` the batch that is not acknowledged yet: asking for the next one acknowledges it.
    """

    def __init__(self, of: Of) -> None:
        self.source = of
        self.stop = threading.Event()
        self.failures: list[str] = []
        self.found: list[Record] = []
        self.last = CONNECTED
        self._late = threading.Timer(PATIENCE, self.stop.set)
        self._begin()

    def _begin(self) -> None:
        self._reading: Generator[Batch] = self.source.read(None, self.stop, follow=True)

    def __enter__(self) -> Self:
        self._late.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._late.cancel()
        self._late.join()
        try:
            self.rest()
        finally:
            # Also after a failure that ended the reading itself: its connection would go on for ever.
            if isinstance(self.source, Holding):
                self.source.let_go()

    def next(self) -> Batch:
        """The next batch; a failure is raised and forgotten."""
        try:
            self.last = next(self._reading)
        except SourceError as failure:
            self.failures.append(str(failure))
            self._begin()
            raise
        except StopIteration:
            raise AssertionError("waited in vain for the source") from None
        self.found += self.last.records
        return self.last

    def fails(self) -> None:
        """What was handed over last does not come onto the disk."""
        self._reading.close()
        self._begin()

    def take(self, number: int) -> list[Record]:
        """Whatever goes wrong meanwhile."""
        found: list[Record] = []
        while len(found) < number:
            try:
                found += self.next().records
            except SourceError:
                continue
        assert len(found) == number
        return found

    def until_failure(self) -> str:
        while True:
            try:
                self.next()
            except SourceError as failure:
                return str(failure)

    def rest(self) -> list[Record]:
        """What is handed over between the stop and the end."""
        self.stop.set()
        found: list[Record] = []
        while True:
            try:
                return found + [record for batch in self._reading for record in batch.records]
            except SourceError:
                self._begin()
