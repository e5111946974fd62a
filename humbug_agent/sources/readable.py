"""Whether files may be read, and what would let the user read them that this process runs as."""

import grp
import os
import pwd
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from humbug_agent.host.codes import Code
from humbug_agent.sources.contract import SourceError
from humbug_agent.words import said


def look_whether_readable(files: Sequence[Path]) -> None:
    """Raises SourceError naming the first that is closed to the user that this process runs as."""
    closed = [file for file in files if file.exists() and not os.access(file, os.R_OK)]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise SourceError(
            f"{closed[0]}{more}: can't be read; let logrotate make it with the owner and the mode of the log itself",
            code=Code.CLOSED_TO_DAEMON,
        )


def look_whether_open(path: Path) -> None:
    """Raises SourceError where this file or directory may not be read, with what would help. It may be missing."""
    if helps := what_helps(path):
        raise SourceError(f"{path}: can't be read; {helps}", code=Code.CLOSED_TO_DAEMON)


def in_words(error: Exception) -> str:
    """What kept a source from being read, and what to do where that was a file's mode, or a folder in its place."""
    helps = ""
    if isinstance(error, PermissionError) and error.filename:
        helps = what_helps(Path(error.filename))
    elif isinstance(error, IsADirectoryError) and error.filename:
        helps = f"path names the file in it, such as {Path(error.filename) / 'Master.csv'}"
    return f"{said(error)}; {helps}" if helps else said(error)


def what_helps(path: Path) -> str:
    """What would let this process's user read a file, or list a directory; blank where it may, or there is none.

    Of a path it is the first part that is closed which counts: a file's own group helps nobody who may not get there.
    Blank, too, where the look itself fails: it is asked for when something went wrong already.
    """
    path = Path(os.path.realpath(path))
    with suppress(OSError):
        for part in (*reversed(path.parents), path):
            wanted = os.X_OK if part != path else os.R_OK | (os.X_OK if path.is_dir() else 0)
            if os.access(part, os.F_OK) and not os.access(part, wanted):
                return _lets_in(part, wanted)
    return ""


def _lets_in(closed: Path, wanted: int) -> str:
    status, user = closed.stat(), _user(os.geteuid())
    group, mode = _group(status.st_gid), status.st_mode
    ours = {os.getegid(), *os.getgroups()}
    if status.st_gid and status.st_gid not in ours and mode >> 3 & wanted == wanted:
        return f"add {user} to group {group}: usermod -aG {group} {user}, and restart humbug-agent"
    bits = mode >> 6 if status.st_uid == os.geteuid() else mode >> 3 if status.st_gid in ours else mode
    if bits & wanted == wanted:
        return f"the mode of {closed} lets {user} in: see what else forbids it, such as SELinux or AppArmor"
    rights = "".join(letter for letter, bit in (("r", os.R_OK), ("x", os.X_OK)) if wanted & bit)
    shown = f"{stat.filemode(mode)} {_user(status.st_uid)}:{group}"
    return f"{closed} is {shown}, where no group helps: setfacl -m u:{user}:{rights} {closed}"


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
