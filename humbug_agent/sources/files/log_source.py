"""A log of calls that grows and is rotated, read as a source: what the Master.csv's of both PBXs have in common.

The follower says which file may hold something new; a home makes calls of its bytes. A batch goes out with the position
behind its last record as the cursor.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

from humbug_agent.cdr import Batch, Reject, digest
from humbug_agent.sources.contract import Anew, SourceError
from humbug_agent.sources.files import position as positions
from humbug_agent.sources.files.following import Visit, left_out
from humbug_agent.sources.files.position import OpenFile, Position
from humbug_agent.sources.files.rotated import Entry
from humbug_agent.sources.files.rotation import Shelf
from humbug_agent.sources.readable import look_whether_open, look_whether_readable

log = logging.getLogger(__name__)

CLOCKS_APART = 3600.0
"""So many seconds may lie between the end of a call by the PBX's clock, and when it was written down by the disk's."""

Take = Callable[[OpenFile, bytes, bool, bool], tuple[Batch, int]]
"""(file, what comes next in it, whether there is more behind, whether no more will ever come) -> a batch, and how many
bytes it is of; 0 where no record is whole yet."""

PositionOf = Callable[[OpenFile], Position]


class LogSource(ABC):
    """A source that follows a log through growth and rotation. ``chunk`` bytes are read, and so committed, at once."""

    unread_in = "bytes"

    def __init__(self, name: str, path: Path, start: str, different: Callable[[bytes], int], *, chunk: int) -> None:
        """``start`` and ``path`` as agent.ini has them; ``different`` says how many records of a beginning differ."""
        self.name = name
        self._start = start
        self._different = different
        self._chunk = chunk
        self._shelves: dict[Path, Shelf] = {}
        self.leaves_out = left_out(path, start)

    @abstractmethod
    def check(self) -> str:
        """As in Source."""

    @property
    @abstractmethod
    def _path(self) -> Path:
        """The log."""

    @abstractmethod
    def _last_end(self) -> tuple[Path, int] | None:
        """The file with the last whole record that is there now, and where that ends; None where there is none."""

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        """As in Source."""
        anew = True
        while anew:
            here, anew = yield from self._read(cursor, stop, follow=follow)
            cursor = here.dump(self._path) if here else cursor
            anew = anew and not stop.is_set()

    @abstractmethod
    def _read(
        self, cursor: str | None, stop: Event, *, follow: bool
    ) -> Generator[Batch, None, tuple[Position | None, bool]]:
        """The same; returns the position that was reached, and whether it is gone on with there as after a start."""

    def again(self, cursor: str) -> str | None:
        return cursor if self._start == "end" else None

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        # What was last written to before that has no younger call in it.
        before = moment - CLOCKS_APART
        older = [self._shelf().known_as(one) for one in self._shelf().rotated() if one.written < before]
        position = positions.load(cursor, self._path)
        return Anew(
            positions.nowhere(before, older, position.real if position else "").dump(self._path),
            with_past=self._start == "end",
        )

    def unread(self, cursor: str | None) -> int:
        position = positions.load(cursor, self._path)
        if position is None and self._start == "end":
            return 0
        return self._shelf().unread_bytes(position)

    def trouble(self) -> str:
        try:
            self.check()
        except SourceError as error:
            return str(error)
        return ""

    def _shelf(self) -> Shelf:
        """The log and its rotated files, for what is asked while somebody else reads."""
        path = self._path
        return self._shelves.setdefault(path, Shelf(path, self._different))

    def _look_at_files(self, no_folder: str) -> Sequence[Entry]:
        """The log's rotated files, each of which can be read.

        Raises SourceError; ``no_folder`` is what it says to look at where the log's directory is not there.
        """
        folder = self._path.parent
        look_whether_open(folder)
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such directory; {no_folder}")
        rotated = self._shelf().rotated()
        look_whether_readable([entry.path for entry in rotated])
        if trouble := self._shelf().trouble():
            raise SourceError(trouble)
        return rotated

    def _end(self) -> Position:
        """Behind the last record that is there now; where there is none, whatever is written from now on."""
        now = time.time()
        with suppress(FileNotFoundError):
            if found := self._last_end():
                with OpenFile(*found) as file:
                    file.known = self._shelf().all_known()
                    file.real = positions.real_name(self._path)
                    return file.position(file.offset, {})
        return positions.nowhere(now, self._shelf().all_known())

    def _from_now_on(self, position: Position | None) -> Position | None:
        """The position to begin at where nothing was read yet and what is old is not wanted; else None."""
        if position or self._start != "end":
            return None
        position = self._end()
        log.info("%s: what was written before now is not sent (start = end)", self._path)
        return position

    def _drain(
        self, visit: Visit, here: Position | None, stop: Event, take: Take, position_of: PositionOf
    ) -> Generator[Batch, None, Position | None]:
        """To the end as it is found: what comes meanwhile is the next visit's, and may be a flood that is to gather.

        ``here`` is the position that was reached before; returns the one that is reached.
        """
        file, more = visit.file, True
        while more and not stop.is_set():
            data = file.peek(self._chunk)
            more = len(data) == self._chunk
            batch, taken = take(file, data, more, visit.last and not more)
            if not taken:
                break
            file.advance(data[:taken])
            if visit.aside is None:
                here = position_of(file)
            yield replace(batch, cursor=here.dump(self._path) if here else None, size=taken)
        if visit.last and file.broken:
            reason = f"breaks off here ({file.broken}); whatever follows can't be unpacked"
            key = digest("broken", self.name, str(file.path), str(file.offset))
            yield Batch([], [Reject(key, b"", reason, where(str(file.path), file.offset))], None)
        if visit.last and here and visit.aside and not stop.is_set():
            here = replace(here, known=visit.aside())
            yield Batch([], [], here.dump(self._path))
        return here


def where(path: str, at: int) -> str:
    """A position in a file, for an admin; "" for a record that comes from none."""
    return f"{path}, byte {at}" if path else ""
