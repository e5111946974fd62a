"""Pages of the calls that an API asks for.

Calls are found once and told in pages: the ids of those that a question is about stay in memory, so that the
ten-thousandth page costs what the first one does, and no page moves while others are read.
"""

import threading
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field

from humbug_agent.outbox.asked import in_time, read, where
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.stored.contract import Page, Wanted

KEPT_IDS, KEPT_VIEWS, KEPT_SECONDS = 4_000_000, 256, 600.0
"""Of the questions that were asked: eight bytes for each id, for so many questions, for so long after the last page."""

_GROUP = 65536


@dataclass
class _View:
    """The ids of all calls that a question was about when it was asked first, and of those that came since."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    looked_at: int = 0
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Views:
    """The questions that were asked of late. Any thread may ask, over an outbox of its own.

    Raises OutboxError, TooLong.
    """

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[str, Wanted], _View] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, outbox: Outbox, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        """The ``number``-th page (from 1) of the calls with ids from ``from_id`` on, as ``who`` goes through them.

        With the first page what retention has dropped since is left out; on the others it only is missing, so that
        nothing moves over the edge of a page.
        """
        view = self._view((who, wanted))
        with view.lock:
            _look(outbox, view, wanted, anew=number == 1)
            first = bisect_left(view.ids, from_id)
            begin = first + (number - 1) * size
            ids, count = view.ids[begin : begin + size], len(view.ids) - first
        self._make_room()
        return Page(read(outbox, ids), count)

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


# Each by itself is at an end of the table; both at once SQLite would look for in all of it.
_ENDS = "SELECT ifnull((SELECT min(id) FROM calls), 0) AS first, ifnull((SELECT max(id) FROM calls), 0) AS last"


def _look(outbox: Outbox, view: _View, wanted: Wanted, *, anew: bool) -> None:
    """Bring the view up to date. ``anew``: without what is gone by now."""
    ends = outbox.select(_ENDS)[0]
    with in_time(outbox):
        if not view.looked_at:
            view.ids = _all(outbox, wanted, ends["last"])
        elif ends["last"] > view.looked_at:
            condition, parameters = where(wanted)
            # By the ids: those that came since are few.
            sql = f"SELECT id FROM calls NOT INDEXED WHERE id > ? AND id <= ? AND {condition} ORDER BY id"
            found = outbox.select(sql, view.looked_at, ends["last"], *parameters)
            view.ids.extend(row["id"] for row in found)
    view.looked_at = max(view.looked_at, ends["last"])
    if anew and view.ids and view.ids[0] < ends["first"]:
        del view.ids[: bisect_left(view.ids, ends["first"])]


def _all(outbox: Outbox, wanted: Wanted, last: int) -> "array[int]":
    """Tens of thousands in a row of SQLite's answer: a million rows would hold up whatever else Python has to do."""
    condition, parameters = where(wanted)
    sql = (
        "SELECT group_concat(id) AS ids FROM calls "
        f"WHERE {condition} AND +id <= ? GROUP BY id / {_GROUP} ORDER BY id / {_GROUP}"
    )
    ids = array("q")
    for row in outbox.select(sql, *parameters, last):
        ids.extend(sorted(map(int, row["ids"].split(","))))
    return ids
