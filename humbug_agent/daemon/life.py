"""Signs of life of the daemon's threads, so that systemd's watchdog hears of one that hangs."""

import gc
import threading
import time

SILENT_SECONDS = 300.0
"""A thread that shows no life for so long hangs. A busy disk, or a lock that another process has, takes seconds."""


MADE_BEFORE_A_LOOK = 20_000
"""So many objects are made before garbage is looked for: a batch of calls makes several thousand, none of which is any.
By Python's own 700 it took a thirtieth of the time of reading and of sending."""


def spare_what_stays() -> None:
    """Have the collector of garbage look no more at what is there now: nearly all of it stays for a daemon's life."""
    gc.set_threshold(MADE_BEFORE_A_LOOK)
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Stop(threading.Event):
    """Whether one thread is to stop, which it asks at each turn of its loop: by that it shows that it lives.

    While it waits for this with a timeout it is silent with good reason.
    """

    def __init__(self) -> None:
        super().__init__()
        self._until = time.monotonic()

    def is_set(self) -> bool:
        self._until = time.monotonic()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self._until = float("inf") if timeout is None else time.monotonic() + timeout
        try:
            return super().wait(timeout)
        finally:
            self._until = time.monotonic()

    def hangs(self) -> bool:
        """Whether the thread that asks it has shown no life for too long."""
        return time.monotonic() - self._until > SILENT_SECONDS
