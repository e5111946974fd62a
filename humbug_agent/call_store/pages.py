"""Pages of the calls that an API asks for.

Calls are found once and told in pages: the ids of those that a question is about stay in memory, so that the
ten-thousandth page costs what the first one does, and no page moves while others are read. A store that knows how many
calls each block of ids has, of all that the question is about, is asked for their ids only where somebody reads them.
"""

import threading
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from humbug_agent.call_store.contract import Page, Wanted
from humbug_agent.flat import Flat

BLOCK = 4096
"""So many ids in a row are a block; the stores' tables have counts for these."""

FEW = 10_000
"""Among so many ids a store looks by the ids; among more by whatever index finds what is wanted."""

KEPT_IDS, KEPT_VIEWS, KEPT_SECONDS = 4_000_000, 256, 600.0
"""Of the questions that were asked: eight bytes for each id, for so many questions, for so long after the last page."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How a store stands at one moment: its last id, 0 where there is none, and how many calls were ever dropped.

    ``blocks`` are the first id of each, and how many calls it has of those that are wanted; None where that would have
    to be counted.
    """

    last: int
    dropped: int
    blocks: Sequence[tuple[int, int]] | None


class Finder(Protocol):
    """A store, as one thread asks it for ids and calls. All of it raises CantAnswer."""

    def stand(self, wanted: Wanted, begin: int | None) -> Stand:
        """Now, with the blocks from that on in which the id ``begin`` is; without any where that is None."""

    def found(self, wanted: Wanted, begin: int, last: int) -> "array[int]":
        """The ids of all calls that are wanted, in their order, from the one to the other."""

    def read(self, ids: Sequence[int]) -> Sequence[tuple[int, Flat]]:
        """The calls of these ids, in their order; those that are gone are left out."""


@dataclass(slots=True)
class _Block:
    """Places for ``number`` ids, from the id ``first`` on; ``ids`` are None until somebody reads them."""

    first: int
    number: int
    ids: "array[int] | None" = None


@dataclass
class _View:
    """All calls that a question is about, as they were when it was asked first, and those that came since.

    ``ends`` are the places behind each block, ``held`` is how much of it is in memory.
    """

    blocks: list[_Block] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    held: int = 0
    looked_at: int = -1
    dropped: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        return self.ends[-1] if self.ends else 0

    def clear(self) -> None:
        self.blocks, self.ends, self.held, self.looked_at = [], [], 0, -1

    def add(self, block: _Block) -> None:
        if block.number:
            self.blocks.append(block)
            self.ends.append(self.count + block.number)
            self.held += 1 if block.ids is None else block.number

    def between(self, begin: int, end: int) -> Iterator[tuple[_Block, int, int]]:
        """The blocks that have these places, and which of theirs they are."""
        for at in range(bisect_right(self.ends, begin), len(self.blocks)):
            before = self.ends[at] - self.blocks[at].number
            if before >= end:
                return
            yield self.blocks[at], max(begin - before, 0), end - before


class Views:
    """The questions that were asked of late. Any thread may ask, with a finder of its own. Raises CantAnswer."""

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[str, Wanted, int], _View] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, finder: Finder, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        """The ``number``-th page (from 1) of the calls with ids from ``from_id`` on, as ``who`` goes through them.

        With the first page what was dropped since is left out; on the others it only is missing, so that nothing moves
        over the edge of a page.
        """
        view = self._view((who, wanted, from_id))
        with view.lock:
            _look(finder, view, wanted, from_id, anew=number == 1)
            ids: list[int] = []
            for block, begin, end in view.between((number - 1) * size, number * size):
                if block.ids is None:
                    last = min(block.first + BLOCK - 1, view.looked_at)
                    block.ids = finder.found(wanted, block.first, last)
                    view.held += len(block.ids)
                ids += block.ids[begin:end]
            count = view.count
        self._make_room()
        return Page(finder.read(ids), count)

    def _view(self, key: tuple[str, Wanted, int]) -> _View:
        with self._lock:
            view = self._views.setdefault(key, _View())
            self._views.move_to_end(key)
            view.used = time.monotonic()
            return view

    def _make_room(self) -> None:
        with self._lock:
            held = sum(view.held for view in self._views.values())
            old = time.monotonic() - KEPT_SECONDS
            while len(self._views) > 1:
                view = next(iter(self._views.values()))
                if held <= KEPT_IDS and len(self._views) <= KEPT_VIEWS and view.used > old:
                    break
                held -= view.held
                self._views.popitem(last=False)


def _look(finder: Finder, view: _View, wanted: Wanted, from_id: int, *, anew: bool) -> None:
    """Bring the view up to date. ``anew``: without what is gone by now."""
    stand = finder.stand(wanted, from_id if anew or view.looked_at < 0 else None)
    if anew and (stand.blocks is not None or stand.dropped != view.dropped):
        view.clear()
    if view.looked_at < 0:
        view.dropped = stand.dropped
    if view.looked_at < 0 and stand.blocks is not None:
        for first, number in stand.blocks:
            if first < from_id:
                # Which of this block's are meant can't be said without a look.
                ids = finder.found(wanted, from_id, min(first + BLOCK - 1, stand.last))
                view.add(_Block(from_id, len(ids), ids))
            else:
                view.add(_Block(first, number))
    elif stand.last > view.looked_at:
        ids = finder.found(wanted, max(from_id, view.looked_at + 1), stand.last)
        view.add(_Block(from_id, len(ids), ids))
    view.looked_at = stand.last
