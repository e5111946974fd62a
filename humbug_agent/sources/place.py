"""A place in a file that grows and is rotated, and the file that is open there.

An inode is no identity (the next file may get the same one), nor is a name. What was read is: a hash of the file's
beginning and one of the last bytes before the place. A file that holds both at these offsets is that file, also
under another name, copied, or compressed.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

CLOCK_SLACK = 0.1
"""Seconds by which a file system's clock may be behind the process's."""

MARK = 1024
"""Bytes of the beginning, and of what was read last, that a file is recognised by."""

_Compressed = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
_OPENERS: dict[str, Callable[[Path], _Compressed]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
COMPRESSED = tuple(_OPENERS)
BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def _is_broken(error: Exception) -> bool:
    """bz2 says it with an OSError that has no errno."""
    return isinstance(error, BROKEN) or (isinstance(error, OSError) and error.errno is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a file has been read: ``offset`` bytes, which end with a record.

    ``window`` and ``repeats`` are what counting equal records goes on from (see occurrences.py); ``written`` is the
    file's time of last change then, in seconds since the epoch. ``known`` are the rotated files beside it that were
    read or are not wanted (see rotation.py). ``clock`` is whose the times in it are, where a reader has to find out
    (see asterisk/clock.py).
    """

    device: int
    inode: int
    offset: int
    head: str
    tail: str
    window: int
    repeats: dict[str, int]
    written: float
    known: Sequence[str] = ()
    clock: str = ""

    def dump(self, log: Path) -> str:
        """The cursor of a reader of ``log``."""
        return json.dumps({"log": os.fspath(log), **asdict(self)}, separators=(",", ":"))


def load(cursor: str | None, log: Path) -> Place | None:
    """The place that a reader of ``log`` had reached; None when the cursor is another log's."""
    said = json.loads(cursor) if cursor else {}
    return Place(**said) if said.pop("log", None) == os.fspath(log) else None


def nowhere(now: float, known: Sequence[str]) -> Place:
    """The place of a reader to whom everything written after ``now`` is new, but for the ``known`` files."""
    written = now - CLOCK_SLACK
    return Place(device=0, inode=0, offset=0, head="", tail="", window=0, repeats={}, written=written, known=known)


class OpenFile:
    """A file open for reading at an offset, compressed or not. ``changed`` tells that it no longer holds what was read.

    ``known`` goes into its places. Raises OSError; a compressed file that breaks off ends there, with the reason in
    ``broken``.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        opener = _OPENERS.get(path.suffix)
        self._stream: io.FileIO | _Compressed = opener(path) if opener else io.FileIO(path)
        self.compressed = opener is not None
        self.offset = 0
        self.changed = False
        self.broken = ""
        self.known: Sequence[str] = ()
        self._head = self._tail = self._ahead = b""
        status = os.fstat(self._stream.fileno())
        self.key = (status.st_dev, status.st_ino)
        if offset:
            self._head = self._read(0, min(offset, MARK))
            self._tail = self._read(max(0, offset - MARK), min(offset, MARK))
            self.offset = offset

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    def peek(self, size: int) -> bytes:
        """Up to ``size`` bytes that follow; none at the end, or when the file changed under us."""
        if self.compressed:
            # Going back in a compressed file means unpacking it from its beginning.
            self._ahead += self._read(self.offset + len(self._ahead), size - len(self._ahead))
            return self._ahead
        data = self._read(self.offset - len(self._tail), len(self._tail) + size)
        if not data.startswith(self._tail):
            self.changed = True
            return b""
        return data[len(self._tail) :]

    def advance(self, data: bytes) -> None:
        """``data``, which ``peek`` gave, has been dealt with."""
        if len(self._head) < MARK:
            self._head = (self._head + data)[:MARK]
        self._tail = (self._tail + data[-MARK:])[-MARK:]
        self._ahead = self._ahead[len(data) :]
        self.offset += len(data)

    def beginning(self) -> bytes:
        """The first MARK bytes; fewer of a shorter file."""
        return self._head if len(self._head) == MARK else (self._head + self.peek(MARK))[:MARK]

    def read_again(self, start: int) -> bytes:
        """What stands between ``start`` and the place."""
        return self._read(start, self.offset - start)

    def unread(self) -> int:
        """Bytes after the place."""
        if isinstance(self._stream, io.FileIO):
            return max(0, os.fstat(self._stream.fileno()).st_size - self.offset)
        try:
            return self._stream.seek(0, io.SEEK_END) - self.offset
        except (*BROKEN, OSError) as error:
            if not _is_broken(error):
                raise
            return 0

    def written(self) -> float:
        """When it was last written to, in seconds since the epoch; packing keeps that time."""
        return os.fstat(self._stream.fileno()).st_mtime

    def touched_within(self, seconds: float) -> bool:
        """Whether it was written to or renamed so lately; of a clock that was set, no more than one such time."""
        return not self.compressed and abs(time.time() - os.fstat(self._stream.fileno()).st_ctime) < seconds

    def place(self, window: int, repeats: dict[str, int]) -> Place:
        return Place(
            device=self.key[0],
            inode=self.key[1],
            offset=self.offset,
            head=_hash(self._head),
            tail=_hash(self._tail),
            window=window,
            repeats=repeats,
            written=self.written(),
            known=self.known,
        )

    def holds(self, place: Place) -> bool:
        """Whether this file, opened at the place's offset, holds what had been read up to there."""
        return place.offset > 0 and _hash(self._head) == place.head and _hash(self._tail) == place.tail

    def _read(self, start: int, size: int) -> bytes:
        pieces = []
        try:
            self._stream.seek(start)
            if isinstance(self._stream, io.FileIO):
                return self._stream.read(size)
            while size and (piece := self._stream.read1(size)):
                pieces.append(piece)
                size -= len(piece)
        except (*BROKEN, OSError) as error:
            if not _is_broken(error):
                raise
            self.broken = str(error) or type(error).__name__
        return b"".join(pieces)


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
