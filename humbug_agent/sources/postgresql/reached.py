"""The cursor of a source that reads v_xml_cdr: how far its rows were asked for, and at which one it is."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from humbug_agent.sources.contract import loaded
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
class ReachedRow:
    """How far a reading is.

    ``reached`` is by the column that orders the rows; its ``latest`` is that of the newest row of now or before.
    ``under_way`` is the last row on disk while years are read in. ``undated`` is the last one on disk of those without
    an insert_date, None once they have all been asked for.
    """

    reached: Reached
    under_way: Key | None = None
    undated: str | None = NIL

    def dump(self) -> str:
        under_way = asdict(self.under_way) if self.under_way else None
        return json.dumps({"of": OF, "reached": asdict(self.reached), "row": under_way, "undated": self.undated})


def place(cursor: str | None) -> ReachedRow | None:
    """None when it is none, or that of another type of source. Raises CursorError."""
    return loaded(cursor, lambda found: _place(found) if found.get("of") == OF else None)


def anew(cursor: str) -> str | None:
    """The cursor of who begins again where its first start did."""
    before = place(cursor)
    if not before:
        return None
    since, sweeps = before.reached.since, before.reached.sweeps
    return ReachedRow(Reached(since, since, 0, tuple(Sweep(sweep.began) for sweep in sweeps))).dump()


def begun(at: int) -> ReachedRow:
    """That of who asks for all from then on, in seconds since the epoch."""
    return ReachedRow(Reached(at, at, 0, (Sweep(int(time.time())),) * len(SWEEPS)))


def _place(found: dict[str, Any]) -> ReachedRow:
    row, undated = found["row"], found["undated"]
    if undated is not None:
        undated = _uuid(undated)
    return ReachedRow(reached_of(found["reached"]), None if row is None else _key(row), undated)


def _key(found: dict[str, Any]) -> Key:
    if found["by"] not in NEXT or not isinstance(found["at"], str) or len(found["at"]) > 40:
        raise ValueError("its row is none of the table")
    return Key(found["by"], found["at"], _uuid(found["uuid"]))


def _uuid(said: object) -> str:
    if not isinstance(said, str) or len(said) != len(NIL) or not said.isascii():
        raise ValueError(f"{str(said)[:40]} is no uuid")
    return said
