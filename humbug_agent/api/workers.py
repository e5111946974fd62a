"""Threads that look into the store for those who ask, and for nobody else: who brings calls and delivers has others."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import Any, TypeVar

from humbug_agent.call_store.contract import Store
from humbug_agent.call_store.failures import CantAnswer

T = TypeVar("T")
Job = tuple[Callable[[Store], Any], "Future[Any]"]

THREADS = 2
"""One may look for long, and the others are answered."""


class Workers:
    """A few threads, each with a store of its own, which ``opening`` makes, from its first job on.

    `stop` closes them all.
    """

    def __init__(self, opening: Callable[[], Store]) -> None:
        self._opening = opening
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stopped = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, name="api", daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    async def look(self, job: Callable[[Store], T]) -> T:
        """What the job returns. It raises what the job raises, and CantAnswer where all has been stopped."""
        future: Future[T] = Future()
        with self._lock:
            if self._stopped:
                raise CantAnswer("the calls are let go of: this program is stopping, or starting anew")
            self._jobs.put((job, future))
        return await asyncio.wrap_future(future)

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
            store: Store | None = None
            while job := self._jobs.get():
                asked, future = job
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    store = store or held.enter_context(closing(self._opening()))
                    future.set_result(asked(store))
                except Exception as error:  # noqa: BLE001 # raised where it is waited for
                    future.set_exception(error)
