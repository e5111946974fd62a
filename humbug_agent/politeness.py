"""The PBX comes first: the daemon takes the processor when nobody else wants it."""

import os
from contextlib import suppress


def step_back() -> None:
    """For this process and the threads it will start. systemd does the same by the unit, and forbids it here."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
