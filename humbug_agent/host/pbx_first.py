"""The PBX comes first: the daemon gives way to it when both want the processor."""

import os
import threading
from contextlib import suppress

NICE = 10


def step_back() -> None:
    """For this process and the threads it will start. The unit does the same, and forbids it here."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def step_far_back() -> None:
    """For the thread that calls it: its work has all the time in the world."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
