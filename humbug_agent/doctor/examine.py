"""Looks at everything, and says what is wrong, the worst first."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from humbug_agent.config import Config
from humbug_agent.doctor import asterisk_ami, asterisk_cdr, calls, freeswitch, host
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.conf import ConfError
from humbug_agent.pbx_host.freeswitch import Freeswitch
from humbug_agent.words import said

GENERAL = {Code.SOURCE, Code.PAGE, Code.OUTBOX}
"""What says only that a part does not work; where it is known why, that is said instead."""


@dataclass(slots=True)
class Report:
    """What was found, the worst first, and which files could not be looked at, and why."""

    findings: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 nothing, 1 warnings, 2 errors."""
        return max((one.kind.severity for one in self.findings), default=0)


def examine(config: Config, tried: Iterable[Finding], root: Path = Path("/")) -> Report:
    """``tried`` is what came of trying each part of the agent for real, as `check` does; the host is below ``root``."""
    report, asterisk, pbx = Report(), Asterisk(root), Freeswitch(root)

    def look(what: Callable[[], Iterator[Finding]], refused: Code = Code.REFUSED_CONF) -> None:
        try:
            report.findings += what()
        except ConfError as error:
            report.findings.append(Finding(code=refused, said=_as_host_says(str(error), root)))
        except OSError as error:
            report.unread.append(f"{said(error)}; run it as root to have it looked at")
        except OutboxError as error:
            report.unread.append(str(error))

    # Some hosts have both.
    if asterisk.there:
        for of_asterisk in (asterisk_cdr.findings, asterisk_ami.findings, asterisk_ami.of_ports):
            look(partial(of_asterisk, config, asterisk))
    if pbx.there:
        look(partial(freeswitch.findings, config, pbx), Code.REFUSED_XML)
    look(partial(host.of_rotation, config, root))
    of_files = (host.of_modes, host.of_disks, host.of_files)
    for of_host in (*of_files, host.of_servers, host.of_destinations, calls.findings):
        look(partial(of_host, config))
    report.findings = _each_once(report.findings, tried)
    return report


def _each_once(found: Sequence[Finding], tried: Iterable[Finding]) -> list[Finding]:
    """What was found by looking is more exact than what trying it came to."""
    exact = {(one.code, one.part) for one in found}
    explained = {one.part for one in found if one.kind.severity.name == "error"}
    times = {one.part for one in found if one.code is Code.UTC}
    more = [
        one
        for one in tried
        if (one.code, one.part) not in exact
        and not (one.code in GENERAL and one.part in explained)
        and not (one.code is Code.ZONE and one.part in times)
    ]
    unique = {(one.code, one.part, one.said): one for one in [*found, *more]}
    return sorted(unique.values(), key=lambda one: (-one.kind.severity, one.code))


def _as_host_says(text: str, root: Path) -> str:
    return text if root == Path("/") else re.sub(re.escape(str(root)), "", text)
