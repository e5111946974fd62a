"""The last lines of the daemon's log, from wherever this host has them: systemd's journal, or a file."""

import json
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ASK_SECONDS = 15.0
TAIL_BYTES = 256 * 1024
UNIT = "humbug-agent.service"

LEVELS = {"2": "CRITICAL", "3": "ERROR", "4": "WARNING", "5": "NOTICE", "6": "INFO", "7": "DEBUG"}


@dataclass(frozen=True, slots=True)
class LastLines:
    """The end of a log; ``where`` says in words what it was read from, or why there are no lines."""

    where: str
    lines: Sequence[str]


def last_lines(pid: int | None, most: int) -> LastLines:
    """Up to ``most`` lines. ``pid`` is the running daemon's; what another one wrote into a file nobody finds."""
    if pid and (file := _stderr(pid)):
        return _of_file(file, most)
    return _of_journal(_unit(pid) if pid else UNIT, most)


def _stderr(pid: int) -> Path | None:
    """The file that its standard error goes to, if it is one."""
    opened = Path(f"/proc/{pid}/fd/2")
    try:
        return opened if stat.S_ISREG(opened.stat().st_mode) else None
    except OSError:
        return None


def _of_file(file: Path, most: int) -> LastLines:
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return LastLines(f"its standard error can't be read: {error.strerror}", [])
    # The first one may have lost its beginning.
    return LastLines("a file, its standard error", lines[1 if size > TAIL_BYTES else 0 :][-most:])


def _unit(pid: int) -> str:
    """The unit that it runs in; of several on one host each has its own."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text().split("/")
    except OSError:
        return UNIT
    return next((part.strip() for part in reversed(groups) if part.strip().endswith(".service")), UNIT)


def _of_journal(unit: str, most: int) -> LastLines:
    journalctl = shutil.which("journalctl")
    if not journalctl:
        return LastLines("this host has no journalctl", [])
    command = [journalctl, "--unit", unit, "--lines", str(most), "--no-pager", "--output=json"]
    try:
        # journalctl, without a shell; the unit is the kernel's word for where the daemon runs.
        done = subprocess.run(command, capture_output=True, timeout=ASK_SECONDS, check=False)  # nosec B603
    except (OSError, subprocess.TimeoutExpired):
        return LastLines("journalctl does not answer", [])
    lines = [_entry(json.loads(line)) for line in done.stdout.splitlines() if line.startswith(b"{")]
    if not lines:
        return LastLines(f"the journal has nothing of {unit}, or nothing that this user may see", [])
    return LastLines(f"the journal of {unit}", lines)


def _entry(entry: dict[str, object]) -> str:
    """As a log in a file has it. A message that is no text comes as numbers, one for each byte."""
    message = entry.get("MESSAGE")
    if isinstance(message, list):
        message = bytes(message).decode("utf-8", "replace")
    at = datetime.fromtimestamp(int(str(entry.get("__REALTIME_TIMESTAMP", 0))) / 1e6).astimezone()
    level = LEVELS.get(str(entry.get("PRIORITY")), "")
    return f"{at.strftime('%Y-%m-%d %H:%M:%S%z')} {level} {message}"
