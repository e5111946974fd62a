"""One agent an outbox: a second daemon is refused. The lock's file says whose it is: the pid, and its agent.ini.

A daemon locks the outbox itself, too, since nobody misses the lock's file when it is removed.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.outbox import schema


class AgentError(Exception):
    """The agent can't run, or can't go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """An agent that has the lock of this outbox."""

    pid: int
    outbox: Path


class Held:
    """A file that is locked, by this process alone, until it is closed.

    An outbox's own must be closed after the last of this process's connections to it: to close any descriptor of a
    file drops the locks that SQLite has on it.
    """

    def __init__(self, path: Path, outbox: Path) -> None:
        """Raises AgentError naming who has it, PermissionError."""
        self._path = path
        self.handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _take(self.handle, outbox)
        except AgentError:
            self.close()
            raise

    def is_there(self) -> bool:
        """Whether its path still leads to it. Where the disk does not tell, it does as far as anybody knows."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self.handle))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def close(self) -> None:
        os.close(self.handle)


@contextmanager
def locked(outbox: Path, config: Path | None = None) -> Iterator[Held]:
    """Be the only one who reads and delivers for this outbox. Raises AgentError naming the other, OutboxError.

    ``config`` is the agent.ini that says so, by which `daemon_of` finds who has the lock.
    """
    path = outbox.with_name(outbox.name + ".lock")
    schema.create(path)
    held = _ours(path, outbox)
    try:
        if schema.status(outbox):
            # The lock's file may be a new one.
            _ours(outbox, outbox).close()
        # Whoever reads it meanwhile finds no empty file.
        said = b"%d\n%s\n" % (os.getpid(), os.fsencode(config.absolute()) if config else b"")
        try:
            os.pwrite(held.handle, said, 0)
            os.ftruncate(held.handle, len(said))
        except OSError as error:
            raise AgentError(f"{path}: {error.strerror}") from error
        yield held
    finally:
        held.close()


def _ours(path: Path, outbox: Path) -> Held:
    """Raises AgentError, also where it is somebody else's file."""
    try:
        return Held(path, outbox)
    except PermissionError as error:
        hint = "chown it to the user that runs humbug-agent, or run this as that user or as root"
        raise AgentError(f"{path}: {error.strerror}; {hint}") from error


def _take(handle: int, outbox: Path) -> None:
    # Whoever asks for the pid (`running`) has it for a moment.
    for patience in range(20, -1, -1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if not patience:
                pid = running(outbox)
                raise AgentError(
                    f"outbox {outbox}: another humbug-agent is running on it" + (f", pid {pid}" if pid else "")
                ) from None
            time.sleep(0.05)


def running(outbox: Path) -> int | None:
    """The pid of the agent that has the lock, None when there is none."""
    try:
        with open(outbox.with_name(outbox.name + ".lock"), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(lock.readline() or 0)
    except FileNotFoundError:
        pass
    return None


def daemon_of(config: Path) -> Running | None:
    """The agent that was started with this agent.ini, found by the lock that it has open.

    agent.ini itself may name another outbox by now, or none that can be read. What a process has open is shown to its
    own user and to root only.
    """
    path = os.fsencode(config.absolute())
    for process in Path("/proc").iterdir():
        # It ends meanwhile, or is another user's, or no process.
        with suppress(OSError):
            for opened in (process / "fd").iterdir():
                name = opened.readlink()
                if name.suffix == ".lock" and _beginning(name) == b"%s\n%s\n" % (process.name.encode(), path):
                    outbox = name.with_suffix("")
                    if running(outbox) == int(process.name):
                        return Running(int(process.name), outbox)
    return None


def _beginning(path: Path) -> bytes:
    """It may be any program's, and a pipe that keeps us waiting."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(handle, 8192)
    finally:
        os.close(handle)
