"""The cursor of a source that reads v_xml_cdr: how far its rows were asked for, and at which one it is."""

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from humbug_agent.cdr import MOMENTS
from humbug_agent.sources.contract import loaded, whole
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.polling.progress import reached_of
from humbug_agent.sources.polling.windows import SWEEPS, Reached, Sweep
from humbug_agent.sources.postgresql.table import NEXT, NIL

OF = "v_xml_cdr"


@dataclass(frozen=True)
class Key:
    """A row's place among the others: its value in the column ``by``, as PostgreSQL writes it, and its uuid."""

    by: str
    at: str
    uuid: str


@dataclass(frozen=True)
class Past:
    """What is brought in beside the calls of now: up to ``end``, and how far that is, in seconds since the epoch.

    ``row`` is the last one on disk.
    """

    at: int
    end: int
    row: Key | None = None


@dataclass(frozen=True)
class ReachedRow:
    """How far a reading is. ``past``: what was older than a day at its first start; None: nothing is left of it.

    ``reached`` is by the column that orders the rows; its ``latest`` is that of the newest row of now or before.
    ``under_way`` is the last row on disk while years are read in. ``undated`` is the last one on disk of those without
    an insert_date, None once they have all been asked for.
    """

    reached: Reached
    under_way: Key | None = None
    undated: str | None = NIL
    past: Past | None = None

    @property
    def left(self) -> int:
        """Of the past, in seconds."""
        return self.past.end - self.past.at if self.past else 0

    def beyond(self, before: "ReachedRow") -> int:
        """So many seconds further."""
        return max(0, self.reached.upto - before.reached.upto + before.left - self.left)

    def dump(self) -> str:
        said = {"of": OF, "reached": asdict(self.reached), "undated": self.undated}
        row = asdict(self.under_way) if self.under_way else None
        return json.dumps(said | {"row": row, "past": asdict(self.past) if self.past else None})


def place(cursor: str | None) -> ReachedRow | None:
    """None when it is none, or that of another type of source. Raises CursorError."""
    return loaded(cursor, lambda found: _place(found) if found.get("of") == OF else None)


def anew(cursor: str) -> str | None:
    """The cursor of who begins again where its first start did."""
    before = place(cursor)
    if not before:
        return None
    sweeps = tuple(Sweep(sweep.began) for sweep in before.reached.sweeps)
    return first_start(replace(before.reached, sweeps=sweeps)).dump()


def first_start(reached: Reached) -> ReachedRow:
    """That of who asks for all since ``reached.since``: for the calls of now, and for those before beside them."""
    since = reached.since
    live = max(since, int(time.time()) - DAY)
    past = Past(since, live) if since < live else None
    return ReachedRow(Reached(since, live, live if past else 0, reached.sweeps), past=past)


def begun(at: int) -> ReachedRow:
    """That of who asks for all from then on, in seconds since the epoch."""
    return ReachedRow(Reached(at, at, 0, (Sweep(int(time.time())),) * len(SWEEPS)))


def _place(found: dict[str, Any]) -> ReachedRow:
    row, undated = found["row"], found["undated"]
    if undated is not None:
        undated = _uuid(undated)
    past = found.get("past")
    return ReachedRow(
        reached_of(found["reached"]), None if row is None else _key(row), undated, None if past is None else _past(past)
    )


def _past(found: dict[str, Any]) -> Past:
    at, end = (whole(name, found[name], MOMENTS) for name in ("at", "end"))
    return Past(at, end, None if found["row"] is None else _key(found["row"]))


def _key(found: dict[str, Any]) -> Key:
    if found["by"] not in NEXT or not isinstance(found["at"], str) or len(found["at"]) > 40:
        raise ValueError("its row is none of the table")
    return Key(found["by"], found["at"], _uuid(found["uuid"]))


def _uuid(said: object) -> str:
    if not isinstance(said, str) or len(said) != len(NIL) or not said.isascii():
        raise ValueError(f"{str(said)[:40]} is no uuid")
    return said
