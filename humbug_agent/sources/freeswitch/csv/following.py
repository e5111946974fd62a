"""Follows Master.csv as FreeSWITCH keeps it: open, for as long as nobody tells it otherwise.

So a renamed file is written on until FreeSWITCH is told (HUP), and a deleted one, too. It is over when a younger file
has something in it.
"""

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING

from humbug_agent.sources.files.following import Aside, Count, Follower, Visit, say_missing
from humbug_agent.sources.files.position import OpenFile, Position
from humbug_agent.sources.files.rotation import Shelf

if TYPE_CHECKING:
    from humbug_agent.sources.files.wake import Waker


class FreeswitchFollower(Follower):
    """A Follower of a log whose writer keeps it open."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf, "FreeSWITCH")
        self._follow = False
        self._said = False

    def visits(self, position: Position | None, stop: Event, *, follow: bool) -> Iterator[Visit | None]:
        self._follow = follow
        yield from super().visits(position, stop, follow=follow)

    def _to_its_end(self, file: OpenFile, stop: Event, waker: "Waker", aside: Aside | None = None) -> Iterator[Visit]:
        # FreeSWITCH writes to one at a time.
        while not (stop.is_set() or file.packed or self._shelf.is_over(file)):
            yield Visit(file, False, Count.ON, aside)
            if not self._follow:
                return
            self._wait(stop, waker)
        yield from super()._to_its_end(file, stop, waker, aside)

    def _await_file(self, stop: Event, waker: "Waker") -> None:
        if not self._said:
            say_missing(self._path, self._writer)
            self._said = True
        waker.wait(stop)
