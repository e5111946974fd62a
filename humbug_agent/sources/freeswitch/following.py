"""Follows Master.csv as FreeSWITCH keeps it: open, for as long as nobody tells it otherwise.

So a renamed file is written on until FreeSWITCH is told (HUP), and a deleted one, too. It is over when a younger file
has something in it.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

from humbug_agent.sources import rotation
from humbug_agent.sources.following import Count, Follower, Visit
from humbug_agent.sources.place import OpenFile, Place
from humbug_agent.sources.wake import Waker

log = logging.getLogger(__name__)


class FreeswitchFollower(Follower):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._follow = False
        self._said = False

    def visits(self, place: Place | None, stop: Event, *, follow: bool) -> Iterator[Visit | None]:
        self._follow = follow
        yield from super().visits(place, stop, follow=follow)

    def _to_its_end(self, file: OpenFile, stop: Event, waker: Waker) -> Iterator[Visit]:
        while self._may_be_written(file) and not stop.is_set():
            yield Visit(file, False, Count.ON)
            if not self._follow:
                return
            waker.wait(stop)
        yield from super()._to_its_end(file, stop, waker)

    def _may_be_written(self, file: OpenFile) -> bool:
        """Whether no younger file has anything in it. FreeSWITCH writes to one at a time."""
        if file.compressed:
            return False
        after = False
        for path in [*rotation.rotated(self._path), self._path]:
            with suppress(FileNotFoundError):
                status = path.stat()
                if (status.st_dev, status.st_ino) == file.key:
                    after = True
                # What was read already is older, whatever clock its times are of.
                elif status.st_size and not (
                    path != self._path and rotation.is_read(self._path, path, file.known, after=after)
                ):
                    return False
        return True

    def _await_file(self, stop: Event, waker: Waker) -> None:
        if not self._said:
            log.info("%s: does not exist yet; FreeSWITCH makes it with the first call", self._path)
            self._said = True
        waker.wait(stop)
