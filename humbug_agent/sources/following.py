"""Follows a log through growth, rotation, truncation, deletion and absence.

Asterisk opens the file anew for every record. So a renamed file gets nothing more once the record that was being
written is out, and one that was truncated begins again at 0.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from threading import Event

from humbug_agent.sources import rotation
from humbug_agent.sources.place import MARK, OpenFile, Place
from humbug_agent.sources.wake import Waker

log = logging.getLogger(__name__)


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
    """The file's beginning comes right behind the end of the one before."""
    ON = auto()


@dataclass(frozen=True, slots=True)
class Visit:
    """A moment at which ``file`` may hold something new; ``last``: nothing will be appended to it any more."""

    file: OpenFile
    last: bool
    count: Count


class Follower:
    """Yields visits; the file's own ``offset`` tells how far the visitor came."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beginnings: set[bytes] = set()
        self._broken: set[rotation.Broken] = set()

    def visits(self, place: Place | None, stop: Event, *, follow: bool) -> Iterator[Visit | None]:
        """Until ``stop``, or without ``follow`` until everything that is there has been visited.

        None says that there is no file yet. Raises OSError.
        """
        visited: OpenFile | None = None
        finished = False
        with Waker(self._path) as waker:
            while not stop.is_set():
                file, stretch, found = rotation.open_following(
                    self._path, place, finished=finished, broken=self._broken
                )
                if file is None or stretch is None:
                    if not follow:
                        return
                    yield None
                    self._await_file(stop, waker)
                    continue
                if place and place.offset and not found:
                    self._say_lost(place, visited)
                with file:
                    yield Visit(file, False, self._count(file, stretch, found, visited))
                    visited = file
                    if stretch.path != self._path:
                        yield from self._to_its_end(file, stop, waker)
                    elif follow:
                        yield from self._live(file, stop, waker, place)
                    else:
                        return
                    if file.offset:
                        place, finished = file.place(0, {}), not file.changed
                    elif file.broken:
                        self._broken.add(rotation.given_up(stretch))

    def _live(self, file: OpenFile, stop: Event, waker: Waker, place: Place | None) -> Iterator[Visit]:
        """Visit the file for as long as it is the one under its name, and holds what was read."""
        while not (stop.is_set() or file.changed):
            waker.wait(stop)
            if not file.offset and self._is_elsewhere(place):
                return
            if self._moved(file):
                yield from self._to_its_end(file, stop, waker)
                return
            yield Visit(file, False, Count.ON)

    def _to_its_end(self, file: OpenFile, stop: Event, waker: Waker) -> Iterator[Visit]:
        """The last visits to a rotated file. Who opened it just before it was renamed may still be writing."""
        while not stop.is_set() and file.touched_within(rotation.LATE_SECONDS):
            yield Visit(file, False, Count.ON)
            waker.wait(stop)
        if not stop.is_set():
            yield Visit(file, True, Count.ON)

    def _is_elsewhere(self, place: Place | None) -> bool:
        """Whether a file that was moved away empty has something in it now: its writer has it open still."""
        stretch, _ = rotation.following(self._path, place, finished=True, broken=self._broken)
        return stretch is not None and stretch.path != self._path

    def _moved(self, file: OpenFile) -> bool:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return file.key != (status.st_dev, status.st_ino)

    def _count(self, file: OpenFile, stretch: rotation.Stretch, found: bool, visited: OpenFile | None) -> Count:
        beginning = file.beginning()
        # Beginning like one that was read, it is a copy of that one, and not more of the same. But a short beginning
        # proves nothing: equal records may stand on both sides of a rotation.
        copy = not stretch.offset and len(beginning) == MARK and beginning in self._beginnings
        self._beginnings.add(beginning)
        apart = not (stretch.offset or stretch.continues)
        if visited is None or copy or apart or not found:
            return Count.ANEW
        return Count.NEXT if stretch.continues else Count.ON

    def _await_file(self, stop: Event, waker: Waker) -> None:
        if not self._path.exists():
            log.info("%s: does not exist yet; Asterisk makes it with the first call", self._path)
        while not self._path.exists() and not stop.is_set():
            waker.wait(stop)

    def _say_lost(self, place: Place, visited: OpenFile | None) -> None:
        if visited and not visited.changed:
            log.info("%s: deleted and made anew; reading the new file from its beginning", self._path)
            return
        log.warning(
            "%s: no longer holds the %d bytes that had been read, nor does any rotated file beside it: truncated "
            "(copytruncate?) or replaced. Reading what is there from its beginning; calls written just before may be "
            "missing. Rotate by renaming: see README",
            self._path,
            place.offset,
        )
