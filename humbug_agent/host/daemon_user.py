"""Whose files the daemon may read: root may read all, which says nothing about the daemon's user."""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ASK_SECONDS = 5.0

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Source: systemd.exec(5)."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of this host, with the groups that decide which files it may read."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


def daemons_user(outbox: Path, pid: int | None) -> User | None:
    """As whom the running daemon (``pid``) runs, else as whom it will: whom the outbox's directory belongs to.

    None where this process has no other rights than that user, or can't take them on.
    """
    if os.geteuid() != 0:
        return None
    found = _of_process(pid) if pid else _of_directory(outbox.parent)
    return found if found and found.uid != 0 else None


def is_daemons_user(outbox: Path) -> bool:
    """Whether this process is of the user as whom the daemon runs, or will: whom the outbox's directory belongs to."""
    with suppress(OSError):
        return outbox.parent.stat().st_uid == os.geteuid()
    return False


def _of_process(pid: int) -> User | None:
    """With the groups that systemd gave it, too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    said = {name: values.split() for name, _, values in (line.partition(":") for line in lines)}
    uid = int(said["Uid"][1])
    return User(name_of(uid), uid, int(said["Gid"][1]), tuple(map(int, said["Groups"])))


def lacks_groups(pid: int) -> bool:
    """Whether the user of the process has come into a group since that was started: it has it only once it is anew."""
    user = _of_process(pid)
    return user is not None and not {*os.getgrouplist(user.name, user.gid)} <= {user.gid, *user.groups}


def _of_directory(directory: Path) -> User | None:
    try:
        uid = directory.stat().st_uid
    except OSError:
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(str(uid), uid, directory.stat().st_gid, ())
    groups = {*os.getgrouplist(entry.pw_name, entry.pw_gid), *_of_unit(entry.pw_name)}
    return User(entry.pw_name, uid, entry.pw_gid, tuple(sorted(groups)))


def _of_unit(name: str) -> set[int]:
    """The groups that systemd will give the daemon beyond those in /etc/group, if its unit is for this user."""
    systemctl = shutil.which("systemctl")
    if not systemctl:
        return set()
    command = [systemctl, "show", "humbug-agent", "--property=User", "--property=SupplementaryGroups"]
    try:
        # systemctl, without a shell; nothing of it was said by others.
        done = subprocess.run(command, capture_output=True, timeout=ASK_SECONDS, check=False, text=True)  # nosec B603
    except (OSError, subprocess.TimeoutExpired):
        return set()
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    found: set[int] = set()
    if said.get("User") == name:
        for group in said.get("SupplementaryGroups", "").split():
            with suppress(KeyError):
                found.add(int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid)
    return found


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextmanager
def acting_as(user: User | None) -> Iterator[None]:
    """Be ``user`` for a while, this whole process, and root again afterwards. None: nothing changes."""
    if user is None:
        yield
        return
    groups, gid = os.getgroups(), os.getgid()
    os.setgroups(user.groups)
    # The real user too, whom access(2) asks about; the saved one stays root, who may come back.
    os.setresgid(user.gid, user.gid, 0)
    os.setresuid(user.uid, user.uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(gid, gid, gid)
        os.setgroups(groups)


@contextmanager
def with_credentials(pid: int | None) -> Iterator[None]:
    """Have for a while what systemd hands to the process ``pid`` (LoadCredential): files that are root's alone.

    Nothing changes where that is not to be seen, or there is none.
    """
    said = b""
    with suppress(OSError):
        said = Path(f"/proc/{pid}/environ").read_bytes() if pid else b""
    values = dict(one.split(b"=", 1) for one in said.split(b"\0") if b"=" in one)
    before = os.environ.get(CREDENTIALS)
    if handed := values.get(CREDENTIALS.encode()):
        os.environ[CREDENTIALS] = os.fsdecode(handed)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(CREDENTIALS, None)
        else:
            os.environ[CREDENTIALS] = before
