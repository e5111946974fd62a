"""The threads that send the calls of one destination, as many as it has connections; they decide nothing."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from humbug_agent.destinations.contract import Answer, DeliveryError, Destination, Later
from humbug_agent.outbox.outbox import Due

log = logging.getLogger(__name__)

MOST_DOUBTFUL = 100
"""So many accepted calls that were followed by one that failed are remembered for each connection."""

Jobs = SimpleQueue[tuple[Due, bool] | None]


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that came back: what was answered, or the error. ``probe`` as in Pace.failed.

    ``doubted``: calls before it, of which it is doubtful by now whether the answer was to them.
    """

    due: Due
    probe: bool
    outcome: Answer | DeliveryError
    doubted: list[int] = field(default_factory=list)


class Crew:
    """For the one thread that has things sent; `wake` any thread may call."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        # One for each worker: from a common one a quick worker would take two.
        self._jobs: list[Jobs] = []
        self._idle: list[Jobs] = []
        self._done: SimpleQueue[tuple[Sent, Jobs] | None] = SimpleQueue()
        self._workers: list[threading.Thread] = []

    def send(self, due: Due, probe: bool) -> None:
        """Have it sent; `collect` brings it back."""
        jobs = self._idle.pop() if self._idle else self._hire()
        jobs.put((due, probe))

    def collect(self, wait: float) -> list[Sent]:
        """What came back by now; if nothing has, what comes within ``wait`` seconds, or until it is woken."""
        came: list[Sent] = []
        try:
            first = self._done.get(timeout=wait)
            if first:
                came.append(self._took(*first))
            while True:
                if more := self._done.get_nowait():
                    came.append(self._took(*more))
        except Empty:
            return came

    def wake(self) -> None:
        self._done.put(None)

    def close(self) -> None:
        """Cut what is under way, and send everybody home. What came back even so can be collected."""
        for jobs in self._jobs:
            jobs.put(None)
        self.destination.close()
        deadline = time.monotonic() + 1.0
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def attempt(self, due: Due) -> Answer | DeliveryError:
        """What becomes of sending it, whatever that is."""
        try:
            return self.destination.send(due.record)
        except DeliveryError as error:
            return error
        except Exception as error:
            log.exception("call %d: could not be sent to %s", due.id, self.destination.name)
            return Later(f"{type(error).__name__}: {error}")

    def _took(self, sent: Sent, by: Jobs) -> Sent:
        self._idle.append(by)
        return sent

    def _hire(self) -> Jobs:
        jobs: Jobs = SimpleQueue()
        name = f"{self.destination.name}-{len(self._workers)}"
        worker = threading.Thread(target=self._work, args=(jobs,), name=name, daemon=True)
        self._jobs.append(jobs)
        self._workers.append(worker)
        worker.start()
        return jobs

    def _work(self, jobs: Jobs) -> None:
        asked, taken, doubtful = 0, list[int](), deque[tuple[int, int]](maxlen=MOST_DOUBTFUL)
        while job := jobs.get():
            due, probe = job
            outcome = self.attempt(due)
            doubted: list[int] = []
            if count := self.destination.doubted():
                doubted = [number for at, number in doubtful if at > asked - count] + taken
            self._done.put((Sent(due, probe, outcome, doubted), jobs))
            if not isinstance(outcome, Answer):
                # Were the answers late by one, it is this one that was to the call before.
                doubtful.extend((asked, number) for number in taken)
            asked, taken = asked + 1, [due.id] if isinstance(outcome, Answer) else []
