"""A reader of a source that goes on in a thread of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from threading import Condition, Event, Thread
from typing import Self


class InThread(ABC):
    """Follows in a thread of its own, as the pump does, until the `with` ends. What it reads by is ``batches``."""

    @abstractmethod
    def batches(self, *, follow: bool = False, stop: Event | None = None) -> Generator[int]:
        """Read and keep batch after batch; yields how much was in each."""

    @abstractmethod
    def have(self) -> str:
        """What came, for the message of a test that waited in vain."""

    def __enter__(self) -> Self:
        self.stop = Event()
        self._news = Condition()
        self.failure: Exception | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            for _ in self.batches(follow=True, stop=self.stop):
                with self._news:
                    self._news.notify_all()
        except Exception as error:  # noqa: BLE001  # handed to the test
            self.failure = error
        with self._news:
            self._news.notify_all()

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        with self._news:
            self._news.wait_for(lambda: condition() or not self._thread.is_alive() or self.failure, seconds)
        assert condition(), f"waited {seconds} s; have {self.have()}, {self.failure!r}"

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        assert self.ended(10)
