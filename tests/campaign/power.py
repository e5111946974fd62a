"""What a power cut leaves of the outbox's files: all that was synced, and of the rest whatever the disk happened to do.

What changed and what was synced is what shim.c has recorded. That a file was made, renamed or removed counts as safe
at once, as in the journal of a file system; what was written into it does not before it was synced.
"""

import random
import sqlite3
import struct
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SECTOR = 512
"""Bytes that a disk writes wholly or not at all."""

_CHANGE = struct.Struct("<c3xIq88s88s")


@dataclass(frozen=True, slots=True)
class Change:
    """``what``: C made, W data written at an offset, T cut there, S synced, R renamed to ``other``, U removed."""

    what: str
    name: str
    other: str
    offset: int
    data: bytes


Choice = Callable[[list[Change]], list[Change]]
"""Which of the changes of one file that were not synced are on the disk all the same, and how much of each."""


def changes(record: Path) -> list[Change]:
    """The last one may be missing where its process was killed."""
    found: list[Change] = []
    told = record.read_bytes() if record.exists() else b""
    at = 0
    while at + _CHANGE.size <= len(told):
        what, length, offset, name, other = _CHANGE.unpack_from(told, at)
        at += _CHANGE.size
        data = told[at : at + length] if what == b"W" else b""
        at += len(data)
        found.append(Change(what.decode(), _text(name), _text(other), offset, data))
    return found


def left(before: dict[str, bytes], done: list[Change], choice: Choice) -> dict[str, bytes]:
    """The files by their names, where they were as ``before``, all on disk, when the changes began."""
    disk = {name: bytearray(data) for name, data in before.items()}
    pending: dict[str, list[Change]] = {}
    for change in done:
        name = change.name
        if change.what == "C":
            disk.setdefault(name, bytearray())
        elif change.what == "S":
            _apply(disk.setdefault(name, bytearray()), pending.pop(name, []))
        elif change.what == "U":
            disk.pop(name, None)
            pending.pop(name, None)
        elif change.what == "R":
            disk[change.other] = disk.pop(name)
            pending[change.other] = pending.pop(name, [])
        else:
            pending.setdefault(name, []).append(change)
    for name, unsynced in pending.items():
        _apply(disk.setdefault(name, bytearray()), choice(unsynced))
    return {name: bytes(data) for name, data in disk.items()}


def everything(unsynced: list[Change]) -> list[Change]:
    return unsynced


def nothing(_: list[Change]) -> list[Change]:
    return []


def cut(rng: random.Random) -> Choice:
    """Nothing; all up to some place, the last of it torn; or any of it, each torn or not."""

    def choice(unsynced: list[Change]) -> list[Change]:
        how = rng.choice(("nothing", "up to", "up to", "any"))
        if how == "nothing":
            return []
        if how == "any":
            return [_torn(change, rng) for change in unsynced if rng.random() < 0.5]
        kept = unsynced[: rng.randrange(len(unsynced) + 1)]
        return [*kept[:-1], *(_torn(change, rng) for change in kept[-1:])]

    return choice


class Supply:
    """The power of the host whose outbox this is. It is on from `on`, which comes before a life of the agent."""

    def __init__(self, outbox: Path, record: Path) -> None:
        self.cuts = 0
        self.forgotten: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Of each destination, how often what had become of a call was lost, by its key: it is sent again."""
        self._outbox = outbox
        self._record = record
        self._before: dict[str, bytes] = {}

    def on(self) -> None:
        self._record.unlink(missing_ok=True)
        self._before = self.files()

    def files(self) -> dict[str, bytes]:
        """All that counts of the outbox, as the kernel has it: SQLite makes its -shm anew."""
        return {
            path.name: path.read_bytes()
            for path in self._outbox.parent.glob(f"{self._outbox.name}*")
            if not path.name.endswith(("-shm", ".lock"))
        }

    def after(self, choice: Choice) -> dict[str, bytes]:
        """What is left of it where the power goes now."""
        images = left(self._before, changes(self._record), choice)
        return {name: data for name, data in images.items() if not name.endswith(("-shm", ".lock"))}

    def cut(self, rng: random.Random, received: set[str]) -> None:
        """Once the agent is dead: leave what is left. What was ``received``, by its key, must be in there."""
        was = self.found(self.files())
        image = self.after(cut(rng))
        for path in self._outbox.parent.glob(f"{self._outbox.name}*"):
            path.unlink()
        for name, data in image.items():
            self._outbox.with_name(name).write_bytes(data)
        now = self.found(image)
        missing = received - now.keys()
        assert not missing, f"sent before they were safe: {missing}"
        for key, done in was.items():
            for destination in done - now.get(key, set()):
                self.forgotten[destination][key] += 1
        self.cuts += 1

    def found(self, files: dict[str, bytes]) -> dict[str, set[str]]:
        """The calls by their keys, and the destinations to which each is not waiting any more."""
        with TemporaryDirectory() as folder:
            for name, data in files.items():
                Path(folder, name).write_bytes(data)
            path = Path(folder, self._outbox.name)
            if not path.exists():
                return {}
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'").fetchone():
                    return {}
                rows = db.execute(
                    "SELECT lower(hex(identity)), destination, state FROM calls LEFT JOIN deliveries ON call = id"
                ).fetchall()
        found: dict[str, set[str]] = {}
        for key, destination, state in rows:
            found.setdefault(key, set()).update({destination} - {None} if state != "waiting" else ())
        return found


def _torn(change: Change, rng: random.Random) -> Change:
    """A piece of what was written, in whole sectors."""
    sectors = -(-(change.offset % SECTOR + len(change.data)) // SECTOR)
    if change.what != "W" or sectors < 2 or rng.random() < 0.5:
        return change
    edge = rng.randrange(1, sectors) * SECTOR - change.offset % SECTOR
    if rng.random() < 0.5:
        return Change("W", change.name, "", change.offset, change.data[:edge])
    return Change("W", change.name, "", change.offset + edge, change.data[edge:])


def _apply(file: bytearray, done: list[Change]) -> None:
    for change in done:
        end = change.offset + len(change.data)
        if change.what == "T":
            del file[change.offset :]
        if end > len(file):
            file.extend(bytes(end - len(file)))
        if change.what == "W":
            file[change.offset : end] = change.data


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode()
