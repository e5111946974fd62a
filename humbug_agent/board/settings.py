"""agent.ini's [queues] and [queue NAME]: from which figures on a queue needs somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from humbug_agent.ini import Section

if TYPE_CHECKING:
    from humbug_agent.board.model import Queue

DAY = 86_400


class Severity(IntEnum):
    """How badly. The numbers are those of the metric."""

    NONE = 0
    WARN = 1
    CRITICAL = 2


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Of one queue; 0 is none. ``target`` in percent; ``warn_wait`` and ``critical_wait`` in seconds."""

    target: int = 0
    warn_waiting: int = 0
    critical_waiting: int = 0
    warn_wait: int = 0
    critical_wait: int = 0

    @classmethod
    def read(cls, section: Section, usual: "Thresholds | None" = None) -> Self:
        """What ``section`` does not say is as in ``usual``."""
        usual = usual or cls()
        found = cls(
            target=section.whole("target", usual.target, 0, 100),
            warn_waiting=section.whole("warn_waiting", usual.warn_waiting, 0, 10_000),
            critical_waiting=section.whole("critical_waiting", usual.critical_waiting, 0, 10_000),
            warn_wait=section.whole("warn_wait", usual.warn_wait, 0, DAY),
            critical_wait=section.whole("critical_wait", usual.critical_wait, 0, DAY),
        )
        for what, warn, critical in (
            ("waiting", found.warn_waiting, found.critical_waiting),
            ("wait", found.warn_wait, found.critical_wait),
        ):
            said = section.text(f"warn_{what}") or section.text(f"critical_{what}")
            if said and critical and warn > critical:
                section.wrong(f"critical_{what}", f"{critical} comes before warn_{what}, which is {warn}")
        return found

    def judged(self, queue: "Queue", now: float) -> dict[str, Severity]:
        """How the figures stand at ``now`` that have a threshold. thresholds.js judges by the same rules."""
        waits = [now - call.entered for call in queue.calls if not call.connected]
        found = {}
        if self.warn_waiting or self.critical_waiting:
            found["waiting"] = _severity(len(waits), self.warn_waiting, self.critical_waiting)
        if self.warn_wait or self.critical_wait:
            found["longest_wait"] = _severity(max(waits, default=0.0), self.warn_wait, self.critical_wait)
        if self.target and queue.figures and queue.figures.level_known:
            found["service_level"] = Severity.WARN if queue.figures.level < self.target else Severity.NONE
        return found


def _severity(figure: float, warn: int, critical: int) -> Severity:
    if critical and figure >= critical:
        return Severity.CRITICAL
    return Severity.WARN if warn and figure >= warn else Severity.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesSettings:
    """The thresholds of all queues: ``named`` are those of [queue NAME], by the name in small letters."""

    usual: Thresholds = Thresholds()
    named: Mapping[str, Thresholds] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, queue: str) -> Thresholds:
        return self.named.get(queue.casefold(), self.usual)


NO_THRESHOLDS = QueuesSettings()
