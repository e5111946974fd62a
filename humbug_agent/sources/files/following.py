"""Follows a log through growth, rotation, truncation, deletion and absence.

Asterisk opens the file anew for every record. So a renamed file gets nothing more once the record that was being
written is out, and one that was truncated begins again at 0.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from humbug_agent.sources.files import rotation
from humbug_agent.sources.files.entries import Broken, given_up
from humbug_agent.sources.files.position import OpenFile, Position, real_name
from humbug_agent.sources.files.rotation import Shelf, Stretch
from humbug_agent.words import count

if TYPE_CHECKING:
    from humbug_agent.sources.files.wake import Waker

log = logging.getLogger(__name__)

LOOK_BESIDE_SECONDS = 30.0
"""So often it is looked for rotated files that came beside the log while that is read, or hold more than they did."""

Aside = Callable[[], Sequence[str]]
"""Asked for when a file has been read that is aside: what is known then."""


def say_missing(path: Path, writer: str) -> None:
    """Of a log that is not there: it may only be its first call that is. A missing directory is rather a wrong path."""
    if path.parent.is_dir():
        log.info("%s: does not exist yet; %s makes it with the first call", path, writer)
    else:
        log.warning("%s: no such directory; waiting for it. Is path right? humbug-agent check says more", path.parent)


def left_out(path: Path, start: str) -> str:
    """What a first start leaves out of a log with that ``start``, as `Source.leaves_out` says it."""
    if start != "end":
        return ""
    return (
        f"it begins at the end of {path} (start = end). To have them sent, copy the lines from then on, also out of "
        "rotated files, into a file elsewhere, and name that as path of another [source NAME] with start = beginning: "
        "what is known is not sent twice"
    )


class Count(Enum):
    """How the count of equal records goes on with a visit."""

    ANEW = auto()
    NEXT = auto()
    """The file's beginning comes right behind the end of the one before, unless it is a copy of one."""
    INSTEAD = auto()
    """The file was made where the one before has gone from: what it begins with was written since."""
    REWRITTEN = auto()
    """The file has something else in it than before. What it begins with may be what was left of that."""
    ASIDE = auto()
    """The file sorts before what was read. It is one for itself: the count goes on behind it as if it weren't there."""
    ON = auto()


@dataclass(frozen=True, slots=True)
class Visit:
    """A moment at which ``file`` may hold something new; ``last``: nothing will be appended to it any more.

    ``aside``: what is read here moves the position nowhere; behind the last visit these files are known in it.
    """

    file: OpenFile
    last: bool
    count: Count
    aside: Aside | None = None


class Follower:
    """Yields visits; the file's own ``offset`` tells how far the visitor came. ``writer`` is who makes the log."""

    def __init__(self, shelf: Shelf, writer: str) -> None:
        self._shelf = shelf
        self._writer = writer
        self._path = shelf.path
        self._ahead: list[Stretch] = []
        self._known: tuple[str, ...] = ()
        self._broken: set[Broken] = set()
        self.lost = self._lost = False
        self.anew = False
        self._beside: list[Stretch] = []

    def visits(self, position: Position | None, stop: Event, *, follow: bool) -> Iterator[Visit | None]:
        """Until ``stop``, or without ``follow`` until everything that is there has been visited.

        None says that there is no file yet; then ``lost`` says whether what was read is in no file. It also ends when
        files beside the log have been read meanwhile: then ``anew`` says so, for the log is gone on with as after a
        start. Raises OSError.
        """
        # It has watchdog behind it, which a command that only looks into the files does without.
        from humbug_agent.sources.files.wake import Waker

        visited = there = None
        finished = False
        with Waker(self._path) as waker, contextlib.ExitStack() as kept:
            while not stop.is_set():
                file, stretch, found = self._open_next(position, there, finished=finished)
                self._say_notes()
                if file is None or stretch is None:
                    self.lost = not found
                    if follow or self.lost:
                        yield None
                    if not follow:
                        return
                    self._await_file(stop, waker)
                    continue
                with contextlib.ExitStack() as opened:
                    opened.enter_context(file)
                    if _is_being_packed(file):
                        self._wait(stop, waker)
                        continue
                    if position and position.offset and not found and not stretch.aside:
                        self._say_lost(position, file, there)
                    known = partial(self._known_behind, file, stretch, self._known)
                    aside = known if stretch.aside else None
                    yield Visit(file, False, self._count(file, stretch, visited, position, there, found=found), aside)
                    visited = file
                    if not stretch.entry.live:
                        yield from self._to_its_end(file, stop, waker, aside)
                    else:
                        self._beside = self._shelf.beside(file, self._broken, grown=False) if file.offset else []
                        while True:
                            read = yield from self._read_beside(file, stop, waker)
                            if read or not follow:
                                self.anew = read and follow
                                return
                            yield from self._live(file, stop, waker, position)
                            if not self._beside:
                                break
                    if position and aside:
                        position = replace(position, known=aside())
                    elif file.offset:
                        position, finished = file.position(0, {}), not file.changed
                        self._lost = False
                        # It stays open until there is another position: no other file has its inode as long as it is.
                        kept.close()
                        kept.push(opened.pop_all())
                        there = file
                    if file.offset:
                        self._known = known()
                    elif file.broken:
                        self._broken.add(given_up(stretch.entry))
                    if file.changed:
                        self._ahead = []

    def _open_next(
        self, position: Position | None, there: OpenFile | None, *, finished: bool
    ) -> tuple[OpenFile | None, Stretch | None, bool]:
        """The file to read next, and whether the position was found, in the file ``there`` if that is open still.

        A name may stand for another file in a moment.
        """
        while True:
            fresh = not self._ahead
            # Nothing was rotated since it was found out what is ahead, or it will show when the file is opened.
            if fresh:
                self._ahead, found = self._shelf.following(position, there, finished=finished, broken=self._broken)
                self._lost = not found
                self._known = self._ahead[0].known if self._ahead else ()
            if not self._ahead:
                return None, None, not self._lost
            stretch, *self._ahead = self._ahead
            with contextlib.suppress(FileNotFoundError):
                file = OpenFile(stretch.entry.path, stretch.offset)
                if _is_still(stretch, file, fresh=fresh):
                    file.known = self._known
                    led = position.real if position else ""
                    file.real = real_name(self._path) if stretch.entry.live else led
                    return file, stretch, not self._lost
                file.close()
            self._ahead = []

    def _live(self, file: OpenFile, stop: Event, waker: "Waker", position: Position | None) -> Iterator[Visit]:
        """Visit the file for as long as it is the one under its name, and holds what was read."""
        looked = time.monotonic()
        while not (stop.is_set() or file.changed):
            waker.wait(stop)
            if file.offset and time.monotonic() > looked + LOOK_BESIDE_SECONDS:
                looked = time.monotonic()
                self._beside = self._shelf.beside(file, self._broken, grown=True)
                self._beside = [one for one in self._beside if not _is_being_written(one)]
                if self._beside:
                    return
            if not file.offset and self._shelf.something_came(position, self._broken):
                # A file that was moved away empty has something in it now: its writer has it open still.
                return
            if self._moved(file):
                yield from self._to_its_end(file, stop, waker)
                return
            yield Visit(file, False, Count.ON)
            if file.was_written_over():
                # Whether it was emptied and filled anew shows in the files beside it.
                return

    def _read_beside(self, live: OpenFile, stop: Event, waker: "Waker") -> Generator[Visit, None, bool]:
        """Each is one for itself, read from its beginning: what was read of it is recognised, call by call.

        Returns whether there was any.
        """
        known, read = tuple(live.known), False
        beside, self._beside = self._beside, []
        for stretch in beside:
            if (file := self._opened_whole(stretch, stop, waker)) is None:
                continue
            with file:
                aside = partial(self._known_behind, file, stretch, known)
                log.info("%s: came beside %s, or holds more than was read of it; reading it", file.path, self._path)
                read = True
                yield Visit(file, False, Count.ASIDE, aside)
                yield from self._to_its_end(file, stop, waker, aside)
                known = aside()
        return read

    def _opened_whole(self, stretch: Stretch, stop: Event, waker: "Waker") -> OpenFile | None:
        """The file, when nobody is packing it any more; None where it is gone."""
        with contextlib.suppress(FileNotFoundError):
            while not stop.is_set():
                file = OpenFile(stretch.entry.path)
                is_it = file.key == stretch.entry.key
                if is_it and not _is_being_packed(file) and file.beginning():
                    return file
                if is_it and file.broken:
                    # Not even its beginning can be unpacked.
                    self._broken.add(given_up(stretch.entry))
                    is_it = False
                file.close()
                if not is_it:
                    return None
                self._wait(stop, waker)
        return None

    def _known_behind(self, file: OpenFile, stretch: Stretch, known: Sequence[str]) -> tuple[str, ...]:
        """What is known when the file has been read, before which these were."""
        if file.broken:
            # Where a damaged file ends depends on how much of it is asked for at once.
            file.seen = max(file.seen, file.length())
        return (*known, self._shelf.known_as(stretch.entry, file.seen))

    def _to_its_end(self, file: OpenFile, stop: Event, waker: "Waker", aside: Aside | None = None) -> Iterator[Visit]:
        """The last visits to a rotated file. Who opened it just before it was renamed may still be writing."""
        while not (stop.is_set() or file.packed) and file.touched_within(rotation.LATE_SECONDS):
            yield Visit(file, False, Count.ON, aside)
            self._wait(stop, waker)
        if not stop.is_set():
            yield Visit(file, True, Count.ON, aside)

    def _wait(self, stop: Event, waker: "Waker") -> None:
        """Meanwhile there may be other files to read."""
        waker.wait(stop)
        self._ahead = []

    def _moved(self, file: OpenFile) -> bool:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            # It goes on until its writer makes another one, unless that has been rotated by now, too.
            return self._shelf.is_over(file)
        return file.key != (status.st_dev, status.st_ino)

    def _count(
        self,
        file: OpenFile,
        stretch: Stretch,
        visited: OpenFile | None,
        position: Position | None,
        there: OpenFile | None,
        *,
        found: bool,
    ) -> Count:
        if stretch.aside:
            return Count.ASIDE
        if position and not position.offset:
            # It was seen to be gone; so it is where that was written that has been rotated or copied since.
            return Count.INSTEAD if file.written() > position.written else Count.ANEW
        if not found:
            # One that was put there has been renamed after it was written.
            if not (position and stretch.entry.live and file.made_in_place()):
                return Count.ANEW
            return Count.INSTEAD if there else Count.REWRITTEN
        if stretch.offset:
            return Count.ON if visited else Count.ANEW
        return Count.NEXT if visited and stretch.continues else Count.ANEW

    def _await_file(self, stop: Event, waker: "Waker") -> None:
        if not self._path.exists():
            say_missing(self._path, self._writer)
        while not self._path.exists() and not stop.is_set():
            waker.wait(stop)

    def _say_notes(self) -> None:
        while self._shelf.notes:
            level, text = self._shelf.notes.pop(0)
            log.log(level, "%s", text)

    def _say_lost(self, position: Position, file: OpenFile, there: OpenFile | None) -> None:
        """What was seen of it. Without that nobody knows whether to look for a logrotate or for a disk."""
        if there and not there.changed:
            log.info("%s: deleted and made anew; reading the new file from its beginning", self._path)
            return
        size = file.status().st_size
        if file.path != self._path:
            seen = "is not the file that was read"
        elif file.key != (position.device, position.inode) or file.born != position.born != 0:
            seen = "is another file of the same name"
        elif size < position.offset:
            seen = f"was truncated in place (by logrotate's copytruncate?): it has {count(size, 'byte')}"
        else:
            seen = "was written anew in place, or truncated (by logrotate's copytruncate?) and filled again"
        lacking = self._shelf.lacking()
        log.warning(
            "%s: %s. Neither it nor any rotated file beside it holds the %s bytes that had been read%s. Reading what "
            "is there from its beginning; calls written just before may be missing. Rotate by renaming: docs/sources",
            self._path,
            seen,
            f"{position.offset:,}",
            f" ({lacking})" if lacking else "",
        )


def _is_being_packed(file: OpenFile) -> bool:
    return file.packed and file.touched_within(rotation.LATE_SECONDS) and file.breaks_off()


def _is_being_written(stretch: Stretch) -> bool:
    with contextlib.suppress(FileNotFoundError), OpenFile(stretch.entry.path) as file:
        return file.touched_within(rotation.LATE_SECONDS)
    return True


def _is_still(stretch: Stretch, file: OpenFile, *, fresh: bool) -> bool:
    """Whether the file that was opened is the one that was seen under its name; ``fresh``: just before."""
    entry, status = stretch.entry, file.status()
    unchanged = (status.st_mtime, status.st_size) == (entry.written, entry.size)
    return file.key == entry.key and (fresh or entry.live or unchanged)
