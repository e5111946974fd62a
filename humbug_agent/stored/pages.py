"""Pages of the calls that an API asks for.

Calls are found once and told in pages: the ids of those that a question is about stay in memory, so that the
ten-thousandth page costs what the first one does, and no page moves while others are read.
"""

import threading
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from humbug_agent.flat import Flat
from humbug_agent.stored.contract import Page, Wanted

KEPT_IDS, KEPT_VIEWS, KEPT_SECONDS = 4_000_000, 256, 600.0
"""Of the questions that were asked: eight bytes for each id, for so many questions, for so long after the last page."""


class Finder(Protocol):
    """A store, as one thread asks it for ids and calls. All of it raises CantAnswer."""

    def ends(self) -> tuple[int, int]:
        """The first and the last id that there is; 0 where there is none."""

    def found(self, wanted: Wanted, behind: int, last: int) -> Iterable[int]:
        """The ids of all calls that are wanted, in their order, behind the one and up to the other."""

    def read(self, ids: Sequence[int]) -> Sequence[tuple[int, Flat]]:
        """The calls of these ids, in their order; those that are gone are left out."""


@dataclass
class _View:
    """The ids of all calls that a question was about when it was asked first, and of those that came since."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    looked_at: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Views:
    """The questions that were asked of late. Any thread may ask, with a finder of its own. Raises CantAnswer."""

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[str, Wanted], _View] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, finder: Finder, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        """The ``number``-th page (from 1) of the calls with ids from ``from_id`` on, as ``who`` goes through them.

        With the first page what retention has dropped since is left out; on the others it only is missing, so that
        nothing moves over the edge of a page.
        """
        view = self._view((who, wanted))
        with view.lock:
            _look(finder, view, wanted, anew=number == 1)
            first = bisect_left(view.ids, from_id)
            begin = first + (number - 1) * size
            ids, count = view.ids[begin : begin + size], len(view.ids) - first
        self._make_room()
        return Page(finder.read(ids), count)

    def _view(self, key: tuple[str, Wanted]) -> _View:
        with self._lock:
            view = self._views.setdefault(key, _View())
            self._views.move_to_end(key)
            view.used = time.monotonic()
            return view

    def _make_room(self) -> None:
        with self._lock:
            held = sum(len(view.ids) for view in self._views.values())
            old = time.monotonic() - KEPT_SECONDS
            while len(self._views) > 1:
                view = next(iter(self._views.values()))
                if held <= KEPT_IDS and len(self._views) <= KEPT_VIEWS and view.used > old:
                    break
                held -= len(view.ids)
                self._views.popitem(last=False)


def _look(finder: Finder, view: _View, wanted: Wanted, *, anew: bool) -> None:
    """Bring the view up to date. ``anew``: without what is gone by now."""
    first, last = finder.ends()
    if last > view.looked_at:
        view.ids.extend(finder.found(wanted, view.looked_at, last))
        view.looked_at = last
    if anew and view.ids and view.ids[0] < first:
        del view.ids[: bisect_left(view.ids, first)]
