"""What a store keeps of each call, what makes it that one call, and what can be asked."""

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Protocol

from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.receiver.protocol import COLUMNS, EVENTS, OUTER, ReceiverError

CALL_COLUMNS = ("pbx", *COLUMNS, "key", "received")
EVENT_COLUMNS = ("pbx", "Event", "event_time", "fields", "key", "received")

LONGEST_SECONDS = 10
"""What an API asks for, and takes longer to find, is not looked for: whoever asks is to ask for less."""

IN_GROUPS = "GROUP BY id / 65536 ORDER BY id / 65536"
"""SQL: many ids in one row of an answer; a row for each would hold up whatever else Python has to do."""

TOTAL_COLUMNS = ("pbx", "calls", "repeats", "received")

Identity = tuple[str, str]
"""Name of the PBX, key of the call: two PBXs may have calls of one key, and each has its own."""


def typed(columns: Sequence[str]) -> str:
    """The columns, all of them text, as a table is made of them."""
    return ", ".join(f'"{name}" text' + " NOT NULL" * (name in ("pbx", "key", "received")) for name in columns)


def listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


class StoreError(ReceiverError, CantAnswer):
    """The store can't be used (now); the text names it, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call or an event as it came: from which PBX, by its parameters, and when (UTC, ISO 8601).

    ``pbx`` is blank where the receiver knows no names. ``key`` is the sender's Idempotency-Key; without one, what has
    the same parameters is the same.
    """

    pbx: str
    key: str
    parameters: Mapping[str, str]
    received: str

    @property
    def identity(self) -> Identity:
        return self.pbx, self.key

    def is_event(self) -> bool:
        return self.parameters["Event"] in EVENTS

    def values(self) -> tuple[str | None, ...]:
        """In the order of CALL_COLUMNS, or of EVENT_COLUMNS; None is what was not sent."""
        if self.is_event():
            own = {name: value for name, value in self.parameters.items() if name not in ("Event", *OUTER)}
            said = (self.parameters["Event"], self.parameters["event_time"], json.dumps(own))
            return (self.pbx, *said, self.key, self.received)
        return (self.pbx, *map(self.parameters.get, COLUMNS), self.key, self.received)


def arrived(pbx: str, parameters: Mapping[str, str], key: str | None) -> Arrival:
    """What came just now, under the sender's ``key`` or, where that is None, under one made of what it says."""
    said = {name: value for name, value in parameters.items() if name not in OUTER}
    if parameters["Event"] in EVENTS:
        # An event tells its time nowhere else.
        said |= {"time": parameters["event_time"]}
    digest = blake2b(json.dumps(sorted(said.items())).encode("ascii"), digest_size=16)
    return Arrival(pbx, key or digest.hexdigest(), parameters, datetime.now(UTC).isoformat(timespec="milliseconds"))


@dataclass(frozen=True, slots=True)
class Total:
    """How many calls a PBX has sent since the store was made, how many of them again, and when the last one came."""

    pbx: str
    calls: int
    repeats: int
    received: str


def grouped(rows: Iterable[Mapping[str, Any]]) -> "array[int]":
    """The ids of rows that have many of them each, in ``ids``, with commas in between; one may be None."""
    found = array("q")
    for row in rows:
        found.extend(sorted(map(int, row["ids"].split(",") if row["ids"] else ())))
    return found


def counts(totals: Sequence[Total]) -> dict[str, int]:
    """``calls`` and ``repeats``, summed up."""
    return {"calls": sum(one.calls for one in totals), "repeats": sum(one.repeats for one in totals)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which calls; what is None does not matter.

    ``number`` is how the caller's or the called number ends; ``since`` and ``until`` (not included) are of StartTime,
    which is what the PBX's clock showed: ``YYYY-MM-DD HH:MM:SS``.
    """

    pbx: str | None = None
    uniqueid: str | None = None
    number: str | None = None
    since: str | None = None
    until: str | None = None

    def where(self, mark: str) -> tuple[str, list[str]]:
        """A condition in SQL, and its values, of which each has ``mark`` in its place."""
        ending = "%" + re.sub("[!%_]", r"!\g<0>", self.number or "")
        conditions: list[tuple[str | None, str, list[str | None]]] = [
            (self.pbx, "pbx = {}", [self.pbx]),
            (self.uniqueid, '"UniqueID" = {}', [self.uniqueid]),
            (self.number, "(\"Source\" LIKE {} ESCAPE '!' OR \"Destination\" LIKE {} ESCAPE '!')", [ending, ending]),
            (self.since, '"StartTime" >= {}', [self.since]),
            (self.until, '"StartTime" < {}', [self.until]),
        ]
        asked = [(sql, values) for said, sql, values in conditions if said is not None]
        return (
            " AND ".join([sql.replace("{}", mark) for sql, _ in asked]) or "1 = 1",
            [value for _, values in asked for value in values if value is not None],
        )


ALL = Chosen()


class Burst:
    """Arrivals that are committed in one transaction: each call once, and how often it came.

    ``calls`` and ``events`` are those to be written, by identity, in the order in which they came.
    """

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self._arrivals = arrivals
        self._times = Counter(map(_place, arrivals))
        first: dict[tuple[bool, str, str], Arrival] = {}
        for one in arrivals:
            first.setdefault(_place(one), one)
        self.calls = [one for one in first.values() if not one.is_event()]
        self.events = [one for one in first.values() if one.is_event()]

    def new(self, calls: set[Identity], events: set[Identity]) -> list[bool]:
        """Of each arrival whether it is new; ``calls`` and ``events`` are those of them that were there before."""
        seen = {(False, *identity) for identity in calls} | {(True, *identity) for identity in events}
        said = []
        for one in self._arrivals:
            said.append(_place(one) not in seen)
            seen.add(_place(one))
        return said

    def repeats(self, one: Arrival) -> int:
        """How often it came again in here."""
        return self._times[_place(one)] - 1

    def totals(self, new: Sequence[bool]) -> list[Total]:
        """What the calls in here add to the totals of their PBXs; ``new`` as above."""
        found: dict[str, Total] = {}
        for one, is_new in zip(self._arrivals, new, strict=True):
            if not one.is_event():
                had = found.get(one.pbx) or Total(one.pbx, 0, 0, "")
                found[one.pbx] = Total(one.pbx, had.calls + is_new, had.repeats + (not is_new), one.received)
        return [found[name] for name in sorted(found)]


def _place(one: Arrival) -> tuple[bool, str, str]:
    """Calls and events are in tables of their own."""
    return (one.is_event(), *one.identity)


class CallStore(Protocol):
    """Where calls are kept. ``add`` is for one thread at a time, all else for any at any time.

    All raise StoreError.
    """

    place_of: str
    """Its SQL function that says where in a text another one begins: 0 is nowhere."""

    @property
    def where(self) -> str:
        """As messages name it, without a password."""

    def add(self, arrivals: Sequence[Arrival]) -> list[bool]:
        """Commit them all, or none; of each whether it is new. What was there has one more of its ``repeats``."""

    def forget(self, received: str) -> int:
        """Drop some of the calls and events that came before then. Returns how many: 0, there are none any more.

        What of calls is dropped stands in the table ``dropped``.
        """

    def totals(self) -> list[Total]:
        """By name of the PBX."""

    def rows(self, chosen: Chosen = ALL) -> Iterator[dict[str, Any]]:
        """The calls in the order of their ids, by column; a parameter that was not sent is None."""

    def newest(self, chosen: Chosen, number: int) -> list[dict[str, Any]]:
        """The last so many of them, in the same order."""

    def number(self, chosen: Chosen = ALL) -> int:
        """How many calls are kept."""

    def events(self) -> list[dict[str, Any]]:
        """What is no call, in the order of arrival; ``fields`` is what the PBX said, by name."""

    def ask(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """The rows of a statement in which ? stands for each value; none takes longer than LONGEST_SECONDS."""

    def ids(self, begin: int, last: int, condition: str, values: Sequence[object], *, by_id: bool) -> "array[int]":
        """Those of the calls from the one to the other for which it holds, in their order; as above.

        ``by_id``: they are looked for by their ids, of which there are few; else by whatever finds them.
        """

    def run(self, sql: str) -> None:
        """A statement that takes as long as it takes."""

    def close(self) -> None: ...
