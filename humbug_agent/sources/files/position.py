"""A position in a file that grows and is rotated, and the file that is open there.

An inode is no identity (the next file may get the same one), nor is a name. What was read is: a hash of the file's
beginning and one of the last bytes before the position. A file that holds both at these offsets is that file, also
under another name, copied, or packed. Of several that hold it, the inode together with the moment in which it was made
tells which one was read, unless that one was packed or copied since.
"""

import contextlib
import ctypes
import errno
import io
import json
import math
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

from humbug_agent.sources.contract import loaded, texts, whole
from humbug_agent.sources.files import unpacking

CLOCK_SLACK = 0.1
"""Seconds by which a file system's clock may be behind the process's."""

MARK = 1024
"""Bytes of the beginning, and of what was read last, that a file is recognised by."""


_PIECE = 256 * 1024
"""Bytes that are unpacked at once where only their number is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a file has been read: ``offset`` bytes, which end with a record.

    ``window``, ``repeats`` and ``last`` are what counting equal records goes on from, see
    sources/asterisk/occurrences.py; ``written`` is the file's time of last change when it was read, in seconds since
    the epoch, and ``born`` the moment in which it was made, in nanoseconds, 0 where the file system does not tell.
    ``known`` are the rotated files beside it that were read or are not wanted (see known.py). ``clock`` is whose the
    times in it are, where a reader has to find out, see sources/asterisk/csv/clock.py; ``empty`` is the log that had
    nothing in it when it was last seen behind the position; ``real`` is what the log's name stood for when it was read,
    through links, blank where that is its name.
    """

    device: int = 0
    inode: int = 0
    born: int = 0
    offset: int = 0
    head: str = ""
    tail: str = ""
    window: int = 0
    repeats: dict[str, int] = field(default_factory=dict)
    last: str = ""
    written: float = 0.0
    known: Sequence[str] = ()
    clock: str = ""
    empty: str = ""
    real: str = ""

    def dump(self, log: Path) -> str:
        """The cursor of a reader of ``log``."""
        return _JSON.encode({"log": os.fspath(log), **{name: getattr(self, name) for name in _NAMES}})


_NAMES = [one.name for one in fields(Position)]
_JSON = json.JSONEncoder(separators=(",", ":"))
"""Both made once: each line that comes alone has a cursor of its own."""


def load(cursor: str | None, log: Path) -> Position | None:
    """The position that a reader of ``log`` had reached; None when the cursor is another log's. Raises CursorError.

    An older agent's has not all of the fields, and a younger one's has others.
    """
    return loaded(cursor, lambda said: _position(said) if said.get("log") == os.fspath(log) else None)


def _position(said: dict[str, Any]) -> Position:
    """Raises ValueError where it is none that was ever dumped."""
    found = Position(**{name: said[name] for name in _NAMES if name in said})
    for name in ("device", "inode", "born", "offset", "window"):
        whole(name, getattr(found, name), range(2**64))
    whole("offset", found.offset, range(found.window, 2**62))
    texts("known", list(found.known))
    texts("texts", [found.head, found.tail, found.last, found.clock, found.real])
    # Where it can't be encoded, that is a ValueError, too.
    if found.real and (not Path(found.real).is_absolute() or b"\0" in os.fsencode(found.real)):
        raise ValueError(f"its real is {found.real[:40]!r}")
    for digest, number in found.repeats.items():
        bytes.fromhex(digest)
        whole("repeats", number, range(2**62))
    if not math.isfinite(found.written):
        raise ValueError(f"its written is {found.written}")
    return found


def nowhere(now: float, known: Sequence[str], real: str = "") -> Position:
    """The position of a reader to whom everything written after ``now`` is new, but for the ``known`` files."""
    written = now - CLOCK_SLACK
    return Position(written=written, known=known, real=real)


def names(log: Path, real: str = "") -> list[Path]:
    """The log's, and where it is a link that of what it leads to: rotated files may have either, or that of ``real``,
    to which it led when it was read."""
    leads = [Path(os.path.realpath(log))] if log.is_symlink() else []
    return list(dict.fromkeys((log, *leads, *([Path(real)] if real else []))))


def real_name(log: Path) -> str:
    """What the log's name stands for now, as a position keeps it."""
    real = os.path.realpath(log)
    return "" if real == os.fspath(log) else real


def born(descriptor: int) -> int:
    """When the open file was made, in nanoseconds since the epoch.

    0 where the kernel, the C library or the file system does not tell. Source: statx(2).
    """
    answer = (ctypes.c_uint8 * 256)()
    with contextlib.suppress(AttributeError):
        if not _libc.statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, answer):
            said = bytes(answer)
            mask, seconds, nanoseconds = (int.from_bytes(said[a:b], "little") for a, b in ((0, 4), (80, 88), (88, 92)))
            return seconds * 10**9 + nanoseconds if mask & _STATX_BTIME else 0
    return 0


_libc = ctypes.CDLL(None)
_AT_EMPTY_PATH, _STATX_BTIME = 0x1000, 0x800
"""From linux/fcntl.h and linux/stat.h."""


def tail(path: Path, most: int) -> tuple[bytes, int]:
    """The last bytes of a file, unpacked, ``most`` of them; and where they begin. Raises OSError, CantUnpack."""
    with OpenFile(path) as file:
        size = file.unread()
    begin = max(0, size - most)
    with OpenFile(path, begin) as file:
        return file.peek(size - begin), begin


def open_file(path: Path) -> tuple[io.FileIO, os.stat_result]:
    """Raises OSError, also where it is no file: a pipe would keep us waiting, and a device has no end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode):
        return io.FileIO(handle), status
    os.close(handle)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "is no file but a pipe or a device, which can't be followed", os.fspath(path))


class OpenFile:
    """A file open for reading at an offset, packed or not. ``changed`` tells that it no longer holds what was read.

    ``seen`` is how far it was looked at, in unpacked bytes. ``known`` and ``real`` go into its positions. Raises
    OSError, CantUnpack; a packed file that breaks off ends there, with the reason in ``broken``.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self._raw, status = open_file(path)
        try:
            self._stream = unpacking.unpacked(self._raw, path)
        except (unpacking.CantUnpack, OSError):
            self._raw.close()
            raise
        self.packed = self._stream is not None
        self.offset = 0
        self.changed = False
        self.broken = ""
        self.seen = offset
        self.known: Sequence[str] = ()
        self.real = ""
        self._head = self._tail = self._ahead = b""
        self.key = (status.st_dev, status.st_ino)
        self.born = born(self._raw.fileno())
        self._written = status.st_mtime
        if offset:
            self._head = self._read(0, min(offset, MARK))
            self._tail = self._read(max(0, offset - MARK), min(offset, MARK))
            self.offset = offset

    def status(self) -> os.stat_result:
        """Of the file itself, whatever has its name by now."""
        return os.fstat(self._raw.fileno())

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        self._raw.close()

    def peek(self, size: int) -> bytes:
        """Up to ``size`` bytes that follow; none at the end, or when the file changed under us."""
        if self.packed:
            # Going back in a packed file means unpacking it from its beginning.
            self._ahead += self._read(self.offset + len(self._ahead), size - len(self._ahead))
            self.seen = max(self.seen, self.offset + len(self._ahead))
            return self._ahead
        data = self._read(self.offset - len(self._tail), len(self._tail) + size)
        if not data.startswith(self._tail):
            self.changed = True
            return b""
        self.seen = max(self.seen, self.offset - len(self._tail) + len(data))
        return data[len(self._tail) :]

    def advance(self, data: bytes) -> None:
        """``data``, which ``peek`` gave, has been dealt with."""
        if len(self._head) < MARK:
            self._head = (self._head + data)[:MARK]
        self._tail = (self._tail + data[-MARK:])[-MARK:]
        self._ahead = self._ahead[len(data) :]
        self.offset += len(data)
        self._written = self.written()

    def beginning(self, size: int = MARK) -> bytes:
        """The first ``size`` bytes; fewer of a shorter file."""
        if not self.offset:
            return self.peek(size)[:size]
        return self._head[:size] if len(self._head) >= size else self._read(0, size)

    def read_again(self, start: int) -> bytes:
        """What stands between ``start`` and the position."""
        return self._read(start, self.offset - start)

    def unread(self) -> int:
        """Bytes after the position."""
        if not self._stream:
            return max(0, self.status().st_size - self.offset)
        try:
            return self._stream.seek(0, io.SEEK_END) - self.offset
        except unpacking.FAILURES as error:
            if not unpacking.is_broken(error):
                raise
            self.broken = _said(error)
            return 0

    def length(self) -> int:
        """Bytes that it holds; of a packed one those that can be unpacked."""
        if not self._stream:
            return self.status().st_size
        length = 0
        while piece := self._read(length, _PIECE):
            length += len(piece)
        return length

    def written(self) -> float:
        """When it was last written to, in seconds since the epoch; packing keeps that time."""
        return self.status().st_mtime

    def breaks_off(self) -> bool:
        """Whether not all of a packed file can be unpacked."""
        self.unread()
        broken, self.broken = self.broken, ""
        return bool(broken)

    def was_written_over(self) -> bool:
        """Whether it was written to since it was read to its end, and is as long as it was."""
        status = self.status()
        return not self.packed and status.st_size == self.offset > 0 and status.st_mtime != self._written

    def touched_within(self, seconds: float) -> bool:
        """Whether it was written to or renamed so lately; of a clock that was set, no more than one such time."""
        return abs(time.time() - self.status().st_ctime) < seconds

    def made_in_place(self) -> bool:
        """Whether the last thing that was done to it is that somebody wrote to it: a rename is one more, later."""
        status = self.status()
        return status.st_ctime_ns == status.st_mtime_ns

    def position(self, window: int, repeats: dict[str, int], last: str = "", clock: str = "") -> Position:
        return Position(
            device=self.key[0],
            inode=self.key[1],
            born=self.born,
            offset=self.offset,
            head=_hash(self._head),
            tail=_hash(self._tail),
            window=window,
            repeats=repeats,
            last=last,
            written=self._written,
            known=self.known,
            clock=clock,
            real=self.real,
        )

    def holds(self, position: Position) -> bool:
        """Whether this file, opened at the position's offset, holds what had been read up to there."""
        return position.offset > 0 and _hash(self._head) == position.head and _hash(self._tail) == position.tail

    @property
    def which(self) -> str:
        """What no other file has, as far as inodes tell."""
        return f"{self.key[0]} {self.key[1]} {self.born}"

    def has(self, position: Position) -> bool:
        """Whether the position is in this very file, as far as inodes tell."""
        return (*self.key, self.born) == (position.device, position.inode, position.born)

    def _read(self, start: int, size: int) -> bytes:
        pieces = []
        try:
            if not self._stream:
                return os.pread(self._raw.fileno(), size, start)
            self._stream.seek(start)
            while size and (piece := self._stream.read1(size)):
                pieces.append(piece)
                size -= len(piece)
        except unpacking.FAILURES as error:
            if not unpacking.is_broken(error):
                raise
            self.broken = _said(error)
        return b"".join(pieces)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
