"""What a packed file holds. It is known as packed by its first bytes, whatever its name says.

gzip, bzip2 and xz are Python's own. zstd's files are unpacked by Python 3.14 or the package backports.zstd, where one
of them is there, else by the program zstd; lz4's and compress's by a program, too.
"""

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import os
import re
import shutil
import subprocess
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from humbug_agent.sources.contract import SourceError

MAGIC = 6
"""Bytes at a file's beginning that tell how it is packed."""

XZ_BYTES = 100 * 2**20
"""Of memory that unpacking may take; xz -9 needs 65 MB. The others take at most 128 MB (zstd) by themselves."""


class CantUnpack(SourceError):
    """Nothing here can unpack the file; the text says which file, and what to install."""


class _Anew(ABC):
    """A reader of what is packed in the file ``raw``, from its beginning on. Going back means to begin again."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._begin()

    def _begin(self) -> None:
        # A program reads on where our descriptor stands.
        self._raw.seek(0)
        self._at = 0

    @abstractmethod
    def _more(self, size: int) -> bytes:
        """Up to so many bytes; none at the end. Raises some of _BROKEN."""

    def read1(self, size: int) -> bytes:
        data = self._more(size)
        self._at += len(data)
        return data

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and at < self._at:
            self.close()
            self._begin()
        while whence == io.SEEK_END or self._at < at:
            if not self.read1(io.DEFAULT_BUFFER_SIZE if whence == io.SEEK_END else at - self._at):
                break
        return self._at

    @abstractmethod
    def close(self) -> None:
        """Give back what unpacking takes."""


class _Piped(_Anew):
    """By a program. Raises EOFError where it fails."""

    def __init__(self, raw: io.FileIO, command: list[str]) -> None:
        self._command = command
        super().__init__(raw)

    def _begin(self) -> None:
        super()._begin()
        # One of _KINDS, without a shell; the file is its input, and its name no part of the command.
        self._process = subprocess.Popen(  # nosec B603
            self._command, stdin=self._raw, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _more(self, size: int) -> bytes:
        assert self._process.stdout
        assert self._process.stderr
        data = self._process.stdout.read(size)
        if not data and self._process.wait():
            said = self._process.stderr.read().decode("utf-8", "replace").strip()
            raise EOFError(said or f"{self._command[0]} failed")
        return data

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class _Xz(_Anew):
    """As lzma.LZMAFile, but for the memory: a few kilobytes can ask for four gigabytes."""

    def _begin(self) -> None:
        super()._begin()
        self._stream: lzma.LZMADecompressor | None = _xz()

    def _more(self, size: int) -> bytes:
        data = b""
        while self._stream and not data:
            if self._stream.eof:
                data = self._next_stream(self._stream.unused_data, size)
                continue
            packed = self._raw.read(io.DEFAULT_BUFFER_SIZE) if self._stream.needs_input else b""
            if self._stream.needs_input and not packed:
                raise EOFError("it ends in the midst of what is packed")
            data = self._stream.decompress(packed, size)
        return data

    def close(self) -> None:
        self._stream = None

    def _next_stream(self, packed: bytes, size: int) -> bytes:
        """What comes behind the end of one. What can't be unpacked there is no part of it."""
        packed = packed or self._raw.read(io.DEFAULT_BUFFER_SIZE)
        self._stream = _xz() if packed else None
        try:
            return self._stream.decompress(packed, size) if self._stream else b""
        except lzma.LZMAError:
            self._stream = None
            return b""


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=XZ_BYTES)


Unpacked = gzip.GzipFile | bz2.BZ2File | _Anew


def _zstd() -> tuple[Callable[[io.FileIO], Any], tuple[type[Exception], ...]] | None:
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            return module.ZstdFile, (module.ZstdError,)
    return None


_zstd_here = _zstd()
_BROKEN: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    *(_zstd_here[1] if _zstd_here else ()),
)

_KINDS: dict[str, tuple[re.Pattern[bytes], Callable[[io.FileIO], Any] | None, list[str]]] = {
    "gzip": (re.compile(rb"\x1f\x8b"), lambda raw: gzip.GzipFile(fileobj=raw), []),
    "bzip2": (re.compile(rb"BZh[1-9]"), bz2.BZ2File, []),
    "xz": (re.compile(rb"\xfd7zX|\x5d\0\0"), _Xz, []),
    # Parallel zstd begins with a frame that is to be skipped.
    "zstd": (
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        _zstd_here[0] if _zstd_here else None,
        ["zstd", "-dcq"],
    ),
    "lz4": (re.compile(rb"\x04\x22\x4d\x18"), None, ["lz4", "-dcq"]),
    "compress": (re.compile(rb"\x1f\x9d"), None, ["gzip", "-dcq"]),
}
"""Kind -> how such a file begins, what opens it here, the program that unpacks it from its input to its output."""

INSTALL = {"zstd": "apt install zstd, or pip install 'humbug-agent[zstd]'", "lz4": "apt install lz4"}

SUFFIXES = ("gz", "bz2", "xz", "lzma", "zst", "zstd", "lz4", "Z")
"""What packing puts behind a name. The file and what it is packed into are one, by their names without it."""


def kind(raw: io.FileIO) -> str:
    """How it is packed, by its first bytes; blank where it is not."""
    begins = os.pread(raw.fileno(), MAGIC, 0)
    return next((name for name, (magic, _, _) in _KINDS.items() if magic.match(begins)), "")


def is_packed(path: Path) -> bool:
    with io.FileIO(path) as raw:
        return bool(kind(raw))


def require(kind: str, path: Path) -> None:
    """Raises CantUnpack where nothing here unpacks a file that is packed so; blank is not packed."""
    if kind:
        _, opener, command = _KINDS[kind]
        if not (opener or shutil.which(command[0])):
            raise CantUnpack(
                f"{path}: can't be unpacked, so its calls are not read: it is packed by {kind}, and the program "
                f"{command[0]} is not here; {INSTALL.get(kind, f'install {command[0]}')}"
            )


def unpacked(raw: io.FileIO, path: Path) -> Unpacked | None:
    """What the file holds; None where it is not packed. Raises CantUnpack."""
    packed = kind(raw)
    require(packed, path)
    if not packed:
        return None
    _, opener, command = _KINDS[packed]
    stream: Unpacked = opener(raw) if opener else _Piped(raw, command)
    return stream


def is_broken(error: Exception) -> bool:
    """Whether a packed file breaks off or is damaged. bz2 says it with an OSError that has no errno."""
    return isinstance(error, _BROKEN) or (isinstance(error, OSError) and error.errno is None)


FAILURES: tuple[type[Exception], ...] = (*_BROKEN, OSError)
"""What reading a packed file may raise."""
