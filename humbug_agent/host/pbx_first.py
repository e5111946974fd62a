"""The PBX comes first: the daemon gives way to it when both want the processor, above all while calls flood in."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass

NICE = 10

FLOOD_CALLS = 25
"""So many new calls at once, which is within a twentieth of a second: the PBX is at its busiest."""

FLOOD_REST = 3.0
"""Seconds that a source lets a flood gather. What it does meanwhile the PBX would have to wait for."""

CALM_SECONDS = 3.5
LONGEST_HOLD = 4.0
"""How long after the last flood of calls deliveries begin again, and after the first one at the latest."""

TRUNKS_SECONDS = 60.0
PHONES_SECONDS = 300.0
STIRRED_SECONDS = 5.0
"""How often a PBX is asked at whom it is registered, which is a line each; how often for its phones, of which there may
be a thousand; and how soon again after it told that something is otherwise with the first."""

DOUBT_SECONDS = 5.0
"""How soon a PBX may be asked for all its channels and callers again, where its events were not the whole story."""


def step_back() -> None:
    """For this process and the threads it will start. The unit does the same, and forbids it here."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def step_far_back() -> None:
    """For the thread that calls it: its work has all the time in the world."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


@dataclass(slots=True)
class Flood:
    """Holds deliveries back while calls come in by hundreds a second: the PBX needs its processors. Any one clock."""

    began: float = float("-inf")
    last: float = float("-inf")

    def hold(self, new: int, now: float) -> float:
        """Until when to hold deliveries back, now that ``new`` calls have come in at once."""
        if new >= FLOOD_CALLS:
            if now - self.last > CALM_SECONDS:
                self.began = now
            self.last = now
        return min(self.last + CALM_SECONDS, self.began + LONGEST_HOLD)
