"""What is wrong, of all that `status` tells: in sentences, with how bad it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

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
    """``fails``: something can't do its work, for which `status` ends with 1. Else somebody should look after it."""

    level: Level
    said: str
    fails: bool


def troubles(found: Mapping[str, Any]) -> list[Trouble]:
    """Of the object of `status --json`, the worst first."""
    parts = list(_of_outbox(found))
    for kind in ("source", "destination"):
        for name, one in found[f"{kind}s"].items():
            parts += _of_part(f"{kind} {name}", one, Level.CRITICAL)
    for name, one in found["boards"].items():
        parts += _of_part(f"board {name}", one, Level.WARNING)
    if found["page"]:
        parts += _of_part("page", found["page"], Level.WARNING)
    return sorted(parts, key=lambda trouble: (trouble.level, trouble.fails), reverse=True)


def _of_outbox(found: Mapping[str, Any]) -> Iterator[Trouble]:
    if not found["running"]:
        yield Trouble(Level.CRITICAL, "the agent is not running", True)
    used, most = found["outbox"]["used_bytes"], found["outbox"]["max_bytes"]
    if used >= most:
        yield Trouble(Level.CRITICAL, "the outbox is full: reading pauses until calls are delivered or purged", True)
    elif used >= NEAR_FULL * most:
        yield Trouble(Level.WARNING, f"the outbox is near max_size_mb, {used / most:.0%} of it are used", False)
    if dead := found["deliveries"]["dead"]:
        deliveries = count(dead, "dead delivery", "dead deliveries")
        yield Trouble(Level.WARNING, f"{deliveries}: humbug-agent outbox list --state dead", False)
    if rejects := found["rejects"]:
        yield Trouble(Level.WARNING, f"{count(rejects, 'reject')}: humbug-agent outbox list --state rejected", False)


def _of_part(name: str, one: Mapping[str, Any], failing: Level) -> Iterator[Trouble]:
    said = f": {one['message']}" if one["message"] else ""
    if one["state"] in ("failing", "paused"):
        yield Trouble(failing, f"{name} is {one['state']}{said}", True)
    elif one["state"] == "removed" and one["waiting"]:
        waiting = count(one["waiting"], "call waits", "calls wait")
        yield Trouble(Level.WARNING, f"{waiting} for {name}, which is not in agent.ini", False)
    elif said:
        yield Trouble(Level.WARNING, f"{name}{said}", False)
