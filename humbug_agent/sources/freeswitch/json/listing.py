"""Which documents in a directory are new, however many are in it, with little to remember.

The file system stamps each entry with a time that nobody can set (ctime), and the directory with the time of its last
new entry, by the same clock. So whatever a listing does not see gets a time no earlier than the directory had when the
listing began: what is older than that mark has been seen, and only the few that are not are remembered by name.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from humbug_agent.sources.contract import loaded, texts, whole

SLACK_NS = 2_000_000_000
"""By which marks are set back, for file systems that stamp less exactly."""

SETTLE_SECONDS = 2.0
"""How long after its last change a directory is listed once more: changes in one tick of the clock look like one."""

ROTATED = re.compile(r"\d{4}(-\d\d){5}")
"""The directories that rotate=true makes."""

SUFFIXES = (".cdr.json", ".cdr.xml")


@dataclass(slots=True)
class KnownDocuments:
    """What has been handled in one directory: all before ``mark``, ``below`` of them, and ``keys``. Times in ns."""

    inode: int = 0
    mark: int = 0
    below: int = 0
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Found:
    """A document's file that is new.

    ``name`` is relative to the source's directory.
    """

    path: Path
    name: str
    size: int


class Listing:
    """One look through a directory. ``after`` is what is known once everything that it found has been handled."""

    def __init__(self, base: Path, sub: str, known: KnownDocuments | None) -> None:
        """Without ``known`` everything counts as new. Raises OSError."""
        self._sub = sub
        self._directory = base / sub
        status = self._directory.stat()
        self._mark = status.st_ctime_ns - SLACK_NS
        # Where the clock was set back, or it is another directory, all is read again, which adds nothing.
        same = known is not None and known.inode == status.st_ino and known.mark <= self._mark
        self._known = known if known and same else KnownDocuments()
        self.after = KnownDocuments(status.st_ino, self._mark)
        self.subdirectories: set[str] = set()
        self.seconds = 0.0

    def new(self) -> Iterator[Found]:
        """In no order. Raises OSError."""
        older = 0
        for name, size, changed in self._documents():
            older += changed < self._known.mark
            if self._is_new(name, changed):
                yield Found(self._directory / name, os.path.join(self._sub, name), size)
        if older > self._known.below:
            # Something has appeared with an old time.
            self._known, self.after = KnownDocuments(), KnownDocuments(self.after.inode, self._mark)
            yield from self.new()

    def _is_new(self, name: str, changed: int) -> bool:
        key = _key(name, changed)
        if changed < self._mark:
            self.after.below += 1
        else:
            self.after.keys.add(key)
        return changed >= self._known.mark and key not in self._known.keys

    def _documents(self) -> Iterator[tuple[str, int, int]]:
        with os.scandir(self._directory) as entries:
            began = time.monotonic()
            for entry in entries:
                if entry.name.endswith(SUFFIXES):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    self.seconds += time.monotonic() - began
                    yield entry.name, status.st_size, status.st_ctime_ns
                    began = time.monotonic()
                elif not self._sub and ROTATED.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    self.subdirectories.add(entry.name)
            self.seconds += time.monotonic() - began


def count_others(directory: Path) -> int:
    """How many files in there are called as no document is. Raises OSError."""
    with os.scandir(directory) as entries:
        return sum(1 for one in entries if not one.name.endswith(SUFFIXES) and one.is_file(follow_symlinks=False))


def _key(name: str, changed: int) -> str:
    return blake2b(f"{name}/{changed}".encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


@dataclass(slots=True)
class Quiet:
    """Whether a directory has to be listed: not when nothing has changed since it was."""

    _changed: int = -1
    _since: float = 0.0
    _settled: bool = False

    def due(self, directory: Path, now: float) -> bool:
        """Raises OSError. ``now`` is monotonic; whoever is told True lists it."""
        changed = directory.stat().st_ctime_ns
        if changed != self._changed:
            self._changed, self._since, self._settled = changed, now, False
            return True
        if self._settled or now < self._since + SETTLE_SECONDS:
            return False
        self._settled = True
        return True


@dataclass(slots=True)
class Memory:
    """What a cursor holds: ``known`` by subdirectory, and in ``owed`` the names of those that could not be read yet."""

    known: dict[str, KnownDocuments] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)

    def dump(self, base: Path) -> str:
        known = {sub: [one.inode, one.mark, one.below, sorted(one.keys)] for sub, one in self.known.items()}
        return json.dumps({"path": os.fspath(base), "known": known, "owed": sorted(self.owed)}, separators=(",", ":"))


def remembered(cursor: str | None, base: Path) -> Memory:
    """Empty for a cursor of another directory, or of another way of reading. Raises CursorError."""
    return loaded(cursor, lambda found: _memory(found) if found.get("path") == os.fspath(base) else Memory())


def older_known(base: Path, moment: float) -> Memory:
    """As if all were handled that came before ``moment``, in seconds since the epoch. Raises OSError."""
    with os.scandir(base) as entries:
        rotated = [one.name for one in entries if ROTATED.fullmatch(one.name) and one.is_dir(follow_symlinks=False)]
    mark = int(moment * 1e9) - SLACK_NS
    # However many they are.
    return Memory({sub: KnownDocuments((base / sub).stat().st_ino, mark, 2**62) for sub in ["", *rotated]})


def _memory(found: dict[str, Any]) -> Memory:
    known = {sub: _known(sub, *said) for sub, said in found["known"].items()}
    return Memory(known, set(texts("owed", found["owed"])))


def _known(sub: str, inode: object, mark: object, below: object, keys: object) -> KnownDocuments:
    numbers = range(-(2**63), 2**64)
    return KnownDocuments(
        whole(sub, inode, numbers), whole(sub, mark, numbers), whole(sub, below, numbers), set(texts(sub, keys))
    )
