"""One document's file: reading it, waiting for one that is not whole yet, and putting it away afterwards."""

import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.cdr import CDR, OneRecord, Reject, digest
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.forms import MOST_BYTES

PATIENCE_SECONDS = 10.0
"""How long a document that can't be understood must stay unchanged to be a reject."""

OLD_SECONDS = 60.0
"""Unchanged for so long when it is first seen, it is a reject at once."""

KEPT_BYTES = 64 * 1024
"""Of a reject that is larger than any document."""

GONE = errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO
"""What comes of a name that is no file any more."""

DONE, REJECTED = "done", "rejected"

Parse = Callable[[bytes], CDR | None]
"""The call that a document is, None for one that is not wanted. Raises ValueError."""

_State = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Read:
    """A document that is dealt with: a call, a reject, or neither where it is not wanted."""

    path: Path
    name: str
    state: _State
    size: int
    record: CDR | None
    reject: Reject | None


@dataclass(slots=True)
class _Waiting:
    """A file that is not whole yet, and since when."""

    state: _State
    since: float


class Reader:
    """Reads documents of the directory ``base``. ``denied`` has the names of those that can't be read, and why not."""

    def __init__(self, source: str, base: Path, parse: Parse) -> None:
        self._source = source
        self._base = base
        self._parse = parse
        self._waiting: dict[str, _Waiting] = {}
        self.denied: dict[str, OSError] = {}

    @property
    def owed(self) -> set[str]:
        """The names of those to try again."""
        return self.denied.keys() | self._waiting.keys()

    def owe(self, names: set[str]) -> None:
        for name in names:
            self._waiting.setdefault(name, _Waiting((0, 0, 0), time.monotonic()))

    def read(self, name: str) -> Read | None:
        """None: it is gone, is denied, or has to wait."""
        path = self._base / name
        self.denied.pop(name, None)
        try:
            raw, state, written = _contents(path)
        except OSError as error:
            self._waiting.pop(name, None)
            if error.errno not in GONE:
                self.denied[name] = error
            return None
        try:
            with OneRecord():
                read = Read(path, name, state, len(raw), self._parse(raw), None)
        except ValueError as error:
            if not self._final(name, state, written):
                return None
            key = digest("reject", self._source, name, raw.decode("latin-1"))
            kept = raw if len(raw) <= MOST_BYTES else raw[:KEPT_BYTES]
            read = Read(path, name, state, len(raw), None, Reject(key, kept, str(error), os.fspath(path)))
        self._waiting.pop(name, None)
        return read

    def _final(self, name: str, state: _State, written: float) -> bool:
        now = time.monotonic()
        before = self._waiting.get(name)
        if before is None or before.state != state:
            self._waiting[name] = _Waiting(state, now)
            return time.time() - written > OLD_SECONDS
        return now - before.since >= PATIENCE_SECONDS


def _contents(path: Path) -> tuple[bytes, _State, float]:
    """A link may lead anywhere, and a pipe keep us waiting."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "is no file", path)
        return file.read(MOST_BYTES + 1), _state(status), status.st_mtime


def _state(status: os.stat_result) -> _State:
    return status.st_ino, status.st_size, status.st_mtime_ns


class Tidy:
    """Does with documents that are on disk in the outbox what agent.ini's ``after`` says: keep, move or delete."""

    def __init__(self, base: Path, after: str) -> None:
        self._base = base
        self._after = after

    def put_away(self, read: Read) -> None:
        """Raises SourceError. One that has changed since stays, and is read again; a reject is never deleted."""
        if self._after == "keep":
            return
        try:
            if _state(read.path.lstat()) != read.state:
                return
            if self._after == "delete" and not read.reject:
                read.path.unlink()
                return
            target = self._base / (REJECTED if read.reject else DONE) / read.name
            for folder in reversed(target.relative_to(self._base).parents[:-1]):
                # Calls are in them: not for everybody, whatever the umask.
                (self._base / folder).mkdir(mode=0o750, exist_ok=True)
            read.path.replace(target)
        except FileNotFoundError:
            return
        except OSError as error:
            raise SourceError(
                f"{read.path}: can't be {'moved' if self._after == 'move' or read.reject else 'deleted'} "
                f"({error.strerror}), as after = {self._after} says; let the user that runs humbug-agent write into "
                f"{read.path.parent}, or set after = keep"
            ) from error
