"""Asks again and again, and not at the same second as everybody else."""

from collections.abc import Callable, Iterator
from threading import Event

from humbug_agent.cdr import Batch
from humbug_agent.pace import jittered
from humbug_agent.sources.pull.asking import Stopped


def poll(rounds: Callable[[], Iterator[Batch]], every: float, stop: Event, *, follow: bool) -> Iterator[Batch]:
    """The batches of one round after another, ``every`` so many seconds; of a single one unless ``follow``."""
    try:
        while not stop.is_set():
            yield from rounds()
            if not follow:
                return
            stop.wait(jittered(every))
    except Stopped:
        return
