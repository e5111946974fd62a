"""What is wrong, of all that `status` tells: in sentences, with how bad it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from humbug_agent.status.document import Part, Status
from humbug_agent.words import count

NEAR_FULL = 0.9
"""Of max_size_mb. From there on delivered calls are dropped early: what is still there are calls that wait."""


class Level(IntEnum):
    """Nagios's, which are also exit codes. Critical is what keeps calls from being read or delivered."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong, in a sentence.

    ``fails``: something can't do its work, for which `status` ends with 1. Else somebody should look after it.
    ``code`` is what `doctor` calls it; blank where it has no name for it, or before it has been so for minutes.
    """

    level: Level
    said: str
    fails: bool
    code: str = ""

    @property
    def shown(self) -> str:
        return f"{self.code} {self.said}" if self.code else self.said


def troubles(status: Status) -> list[Trouble]:
    """What is wrong, the worst first."""
    parts = list(_of_outbox(status))
    for name, source in status.sources.items():
        parts += _of_part(f"source {name}", source, Level.CRITICAL)
    for name, destination in status.destinations.items():
        parts += _of_part(f"destination {name}", destination, Level.CRITICAL, destination.waiting)
    for name, board in status.boards.items():
        parts += _of_part(f"board {name}", board, Level.WARNING)
    if status.page:
        parts += _of_part("page", status.page, Level.WARNING)
    if status.api:
        parts += _of_part("api", status.api, Level.WARNING)
    parts += [Trouble(Level.WARNING, one.message, False, one.code) for one in status.findings]
    return sorted(parts, key=lambda trouble: (trouble.level, trouble.fails), reverse=True)


def _of_outbox(status: Status) -> Iterator[Trouble]:
    if not status.running:
        yield Trouble(Level.CRITICAL, "the agent is not running", True)
    used, most = status.outbox.used_bytes, status.outbox.max_bytes
    if used >= most:
        yield Trouble(Level.CRITICAL, "the outbox is full: reading pauses until calls are delivered or purged", True)
    elif used >= NEAR_FULL * most:
        yield Trouble(Level.WARNING, f"the outbox is near max_size_mb, {used / most:.0%} of it are used", False)
    if dead := status.deliveries["dead"]:
        deliveries = count(dead, "dead delivery", "dead deliveries")
        yield Trouble(Level.WARNING, f"{deliveries}: humbug-agent outbox list --state dead", False)
    if rejects := status.rejects:
        yield Trouble(Level.WARNING, f"{count(rejects, 'reject')}: humbug-agent outbox list --state rejected", False)


def _of_part(name: str, one: Part, failing: Level, waiting: int = 0) -> Iterator[Trouble]:
    said = f": {one.message}" if one.message else ""
    if one.state in ("failing", "paused"):
        yield Trouble(failing, f"{name} is {one.state}{said}", True, one.code)
    elif one.state == "removed" and waiting:
        wait = count(waiting, "call waits", "calls wait")
        yield Trouble(Level.WARNING, f"{wait} for {name}, which is not in agent.ini", False)
    elif said:
        yield Trouble(Level.WARNING, f"{name}{said}", False, one.code)
