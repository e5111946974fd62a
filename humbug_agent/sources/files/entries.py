"""What is asked of one file beside a log, of two, or of one and a position; mostly by opening it."""

import contextlib
import io
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from humbug_agent.sources.files import unpacking
from humbug_agent.sources.files.known import short
from humbug_agent.sources.files.position import OpenFile, Position, born
from humbug_agent.sources.files.rotated import Entry, Key

Broken = tuple[Path, Key, float]
"""A packed file of which not even the beginning can be unpacked, and when it was written."""


def may_be_packed_from(entry: Entry, origin: Entry) -> bool:
    """Whether as much as can be unpacked of ``entry`` is the beginning of ``origin``."""
    try:
        with OpenFile(entry.path) as packed, OpenFile(origin.path) as plain:
            return plain.beginning().startswith(packed.beginning())
    except (FileNotFoundError, PermissionError, unpacking.CantUnpack):
        return True


def state_of(entry: Entry) -> object:
    """The same as long as it is the same file, unchanged, whatever its name is by now."""
    return entry.key, entry.written, entry.size, entry.usual


def written_state(entry: Entry) -> str:
    return short(f"{entry.key} {entry.size} {entry.written}".encode(), 4)


def begin_alike(entry: Entry, begins: bytes) -> bool:
    """Whether the file begins with these bytes, as far as it goes."""
    with contextlib.suppress(FileNotFoundError, PermissionError, unpacking.CantUnpack), OpenFile(entry.path) as file:
        found = file.beginning()
        return found[: len(begins)] == begins[: len(found)]
    return True


def names_of(entries: Sequence[Entry]) -> list[tuple[Path, Key]]:
    return [(entry.path, entry.key) for entry in entries]


def given_up(entry: Entry) -> Broken:
    return entry.path, entry.key, entry.written


@lru_cache(maxsize=10_000)
def packed_by(path: Path, _key: Key, _written: float) -> str:
    """Each page and each status asks this of each file."""
    with io.FileIO(path) as raw:
        return unpacking.kind(raw)


def is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount point. Source: proc_pid_mountinfo(5), whose fifth field is one, escaped."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_bytes().splitlines())
    here = re.sub(rb"[ \t\n\\]", lambda odd: b"\\%03o" % ord(odd[0]), os.fsencode(os.path.realpath(path)))
    return path.is_file() and here in points


def written_then(entry: Entry, position: Position) -> bool:
    """Whether it was last written to when the position's file was; some programs that pack keep the seconds only."""
    return abs(entry.written - position.written) < 1e-6 or entry.written == int(position.written)


def was_written_over(entry: Entry, position: Position) -> bool:
    """Whether the log was written to since it was read to its end, and is as long as it was."""
    return entry.live and entry.size == position.offset and entry.written != position.written


def made_at(entry: Entry) -> int:
    with contextlib.suppress(FileNotFoundError), io.FileIO(entry.path) as raw:
        return born(raw.fileno())
    return 0


def bytes_from(path: Path, offset: int) -> int:
    """Bytes from ``offset`` to the end."""
    try:
        with OpenFile(path, offset) as opened:
            return opened.unread()
    except (FileNotFoundError, unpacking.CantUnpack):
        return 0
