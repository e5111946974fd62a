"""What `status` tells: how the daemon and its outbox stand, whether it uses what agent.ini says, and what is wrong."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import tzinfo
from pathlib import Path

from humbug_agent.config import DEFAULT_PATH, Config, load, system_timezone
from humbug_agent.host import systemd
from humbug_agent.ini import ConfigError
from humbug_agent.outbox import lock
from humbug_agent.status import taken
from humbug_agent.status.document import IniStatus, Status
from humbug_agent.status.gather import gather, gather_from
from humbug_agent.status.taken import Taken
from humbug_agent.status.troubles import Level, Trouble, troubles
from humbug_agent.words import clock, iso


@dataclass(frozen=True, slots=True)
class Overview:
    """The status of an agent, its agent.ini, and what is wrong, the worst first."""

    status: Status
    agent_ini: IniStatus
    wrong: Sequence[Trouble]

    def as_json(self) -> dict[str, object]:
        """The object of `status --json`."""
        wrong = [{"level": one.level.name, "message": one.said, "code": one.code} for one in self.wrong]
        return {**self.status.as_json(), "agent_ini": asdict(self.agent_ini), "troubles": wrong}

    @property
    def exit_code(self) -> int:
        return 2 if self.agent_ini.mistakes else 1 if any(trouble.fails for trouble in self.wrong) else 0


def overview(path: Path) -> Overview:
    """Of the daemon that was started with the agent.ini at ``path``, whatever stands in there now.

    Raises ConfigError where agent.ini has mistakes and no daemon runs with it, OutboxError, OSError.
    """
    config: Config | None = None
    mistakes: list[str] = []
    try:
        config = load(path)
    except ConfigError as error:
        mistakes = error.mistakes
    running = daemon(path, config)
    went = taken.read_back(running.outbox, running.pid) if running else None
    status = _status(config, running, went, mistakes)
    zone = config.agent.timezone if config else system_timezone()
    state, said = compared(path, config, mistakes, went, zone)
    read = iso(went.read, zone) if went else None
    ini = IniStatus(path=str(path), state=state, message=said, mistakes=mistakes, read=read)
    new = [Trouble(Level.WARNING, said, state == "refused")] if said else []
    wrong = sorted([*new, *troubles(status)], key=lambda trouble: trouble.level, reverse=True)
    return Overview(status, ini, wrong)


def _status(config: Config | None, running: lock.Running | None, went: Taken | None, mistakes: list[str]) -> Status:
    """The daemon knows its outbox: agent.ini may name another one by now."""
    now = time.time()
    if config and (running is None or running.outbox == config.agent.outbox):
        return gather(config, config.make_sources(), now, running.pid if running else None)
    if running is None:
        raise ConfigError(mistakes)
    most = went.max_bytes if went else 0
    sources = config.make_sources() if config else []
    zone = config.agent.timezone if config else system_timezone()
    return gather_from(running.outbox, zone, most, sources, [], "", 0.0, now, running.pid)


def daemon(path: Path, config: Config | None) -> lock.Running | None:
    """Who runs on the outbox of ``config``, else who was started with the agent.ini at ``path``."""
    pid = lock.running(config.agent.outbox) if config else None
    return lock.Running(pid, config.agent.outbox) if config and pid else lock.daemon_of(path)


def in_use(config: Config, running: lock.Running | None) -> tuple[str, str]:
    """As `compared`, of an agent.ini without mistakes: whether the daemon that is ``running`` uses it."""
    went = taken.read_back(running.outbox, running.pid) if running else None
    return compared(config.path, config, (), went, config.agent.timezone)


def compared(
    path: Path, config: Config | None, mistakes: Sequence[str], went: Taken | None, zone: tzinfo
) -> tuple[str, str]:
    """Whether the daemon uses what agent.ini says now: "taken", "changed", "refused", "mistakes"; and what of it.

    Blank where all is well, the word where no daemon runs that could tell.
    """
    # What the daemon may not read can say just what it had taken.
    refused = went is not None and path.exists() and path.stat().st_ctime <= went.refused and went.was_unreadable
    if config and (went is None or (went.is_of(config) and not refused)):
        return "taken" if went else "", ""
    if went is None:
        return "mistakes", f"{path} has mistakes: {_listed(path, mistakes)}"
    if Path(went.path) != path.absolute():
        return "changed", f"the agent was started with {went.path}, and not with {path}"
    changed = path.stat().st_mtime if path.exists() else 0.0
    when = f" at {clock(changed, zone)}" if changed else ""
    read = clock(went.read, zone)
    if went.refused and changed <= went.refused and list(mistakes or went.mistakes) == list(went.mistakes):
        at, why = clock(went.refused, zone), _listed(path, went.mistakes)
        return "refused", f"{path} changed{when} and was refused at {at}; going on with the one read at {read}: {why}"
    if mistakes:
        wrong = _listed(path, mistakes)
        return "mistakes", f"{path} changed{when} and has mistakes; going on with the one read at {read}: {wrong}"
    reload = systemd.to_reload(went.unit, options="" if path == DEFAULT_PATH else f"--config {shlex.quote(str(path))} ")
    return "changed", f"{path} changed since it was read at {read}; reload to take it: {reload}"


def _listed(path: Path, mistakes: Sequence[str]) -> str:
    """Without the file, which has been named."""
    return "; ".join(mistake.removeprefix(f"{path.absolute()}: ").removeprefix(f"{path}: ") for mistake in mistakes)
