"""One agent an outbox: a second daemon is refused."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from humbug_agent import schema


class AgentError(Exception):
    """The agent can't run, or can't go on; the text says why and what to do."""


@contextmanager
def locked(outbox: Path) -> Iterator[None]:
    """Be the only one who reads and delivers for this outbox. Raises AgentError naming the other, OutboxError."""
    path = outbox.with_name(outbox.name + ".lock")
    schema.create(path)
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _take(handle, outbox)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, outbox: Path) -> None:
    # Whoever asks for the pid (`running`) has it for a moment.
    for patience in range(20, -1, -1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if not patience:
                pid = os.pread(handle, 20, 0).decode(errors="replace").strip()
                raise AgentError(f"outbox {outbox}: another humbug-agent is running on it, pid {pid}") from None
            time.sleep(0.05)


def running(outbox: Path) -> int | None:
    """The pid of the agent that has the lock, None when there is none."""
    try:
        with open(outbox.with_name(outbox.name + ".lock"), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read(20) or 0)
    except FileNotFoundError:
        pass
    return None
