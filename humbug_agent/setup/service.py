"""Commands on the host: those of a plan, and those that start the daemon."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from humbug_agent.setup.plan import Proof
from humbug_agent.words import said

UNIT = "humbug-agent.service"
CONFIG, INSTANCES = Path("/etc/humbug-agent/agent.ini"), "humbug-agent@{}.service"
"""The unit's agent.ini; /etc/humbug-agent/NAME.ini is that of an instance."""

SECONDS = 120.0
"""A daemon with a large outbox takes its time to be ready."""

BOOTED = Path("/run/systemd/system")
"""There where systemd is the host's first process."""


def shown(command: tuple[str, ...]) -> str:
    return shlex.join(command)


def run(command: tuple[str, ...]) -> str:
    """Run it; returns why it did not work, blank where it did."""
    try:
        done = _run(command)
    except FileNotFoundError:
        return f"there is no program {command[0]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return said(error)
    return "" if done.returncode == 0 else _last_line(done) or f"it ended with exit code {done.returncode}"


def fails(proof: Proof) -> bool:
    """Whether the PBX runs, and has not taken the change."""
    try:
        done = _run(proof.command)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and not re.search(rf"^{proof.pattern}$", done.stdout, re.MULTILINE)


def starting(config: Path, *, changed: bool) -> list[tuple[str, ...]]:
    """What has systemd run the daemon of the agent.ini ``config`` as that is now.

    Nothing where it does, or where there is no systemd. ``changed``: agent.ini, or what the daemon may read, is another
    than it began with.
    """
    if not has_unit(config):
        return []
    unit = unit_of(config)
    commands: list[tuple[str, ...]] = []
    if run(("systemctl", "is-enabled", "--quiet", unit)):
        commands.append(("systemctl", "enable", "--quiet", unit))
    if changed or run(("systemctl", "is-active", "--quiet", unit)):
        commands.append(("systemctl", "restart", unit))
    return commands


def unit_of(config: Path) -> str:
    """The unit whose daemon works by the agent.ini ``config``."""
    instance = config.parent == CONFIG.parent and config != CONFIG and config.suffix == ".ini"
    return INSTANCES.format(config.stem) if instance else UNIT


def has_unit(config: Path) -> bool:
    return BOOTED.is_dir() and not run(("systemctl", "cat", unit_of(config)))


def _run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    # Found in a shell's path for root, too, without which one may be logged in.
    program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/usr/local/sbin:/sbin") or command[0]
    # Programs of the host, without a shell; of what others wrote, a command has the name of a group at most.
    return subprocess.run(  # nosec B603
        [program, *command[1:]],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False, text=True, errors="replace",
    )  # fmt: skip


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
    return lines[-1].strip() if lines else ""
