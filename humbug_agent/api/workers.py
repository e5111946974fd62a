"""Threads that look into the outbox for those who ask, and for nobody else: delivery has its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError

T = TypeVar("T")
Job = tuple[Callable[[Outbox], Any], "Future[Any]"]

THREADS = 2
"""One may look for long, and the others are answered."""


class Workers:
    """A few threads, each with an outbox of its own from its first job on. `stop` closes them all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stopped = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, name="api", daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def ask(self, job: Callable[[Outbox], T]) -> "Future[T]":
        """Raises OutboxError, in the Future as here, also where it has been stopped."""
        future: Future[T] = Future()
        with self._lock:
            if self._stopped:
                raise OutboxError(f"outbox {self._path}: is let go of")
            self._jobs.put((job, future))
        return future

    def stop(self) -> None:
        """What waits is answered first: by then the time that it may take is over."""
        with self._lock:
            self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with ExitStack() as held:
            outbox: Outbox | None = None
            while job := self._jobs.get():
                asked, future = job
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    outbox = outbox or held.enter_context(Outbox(self._path))
                    future.set_result(asked(outbox))
                except Exception as error:  # noqa: BLE001 # raised where it is waited for
                    future.set_exception(error)
