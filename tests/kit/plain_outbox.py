"""The outbox as its promises say it is, in lists and dictionaries: what the real one is compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from humbug_agent.outbox.outbox import KEPT_FAILURES, Mark

DOUBTED = "what was taken for its answer may have been another call's; sent again"


@dataclass
class PlainDelivery:
    state: str = "waiting"
    attempts: int = 0
    due: float = 0.0
    tried: float | None = None
    status: int | None = None
    reply: str = ""
    error: str = ""
    failures: list[str] = field(default_factory=list)
    """The errors of the last ones, the oldest first."""
    replays: list[tuple[str, int]] = field(default_factory=list)
    """State and attempts before each."""

    def fails(self, error: str) -> None:
        self.failures = [*self.failures, error][-KEPT_FAILURES:]


@dataclass
class PlainCall:
    identity: bytes
    source: str
    accepted: float
    also: str = ""
    to: dict[str, PlainDelivery] = field(default_factory=dict)

    def is_delivered(self) -> bool:
        return all(one.state == "sent" for one in self.to.values())


@dataclass
class PlainCursor:
    cursor: str
    at: float
    calls: int = 0
    rejects: int = 0


@dataclass
class PlainOutbox:
    """``calls`` by their ids, in the order in which they came; each id is given by the real outbox and new for ever."""

    calls: dict[int, PlainCall] = field(default_factory=dict)
    forgotten: set[bytes] = field(default_factory=set)
    rejects: dict[bytes, str] = field(default_factory=dict)
    """Key -> source."""
    cursors: dict[str, PlainCursor] = field(default_factory=dict)
    sent_minutes: dict[tuple[str, int], int] = field(default_factory=dict)
    highest: int = 0

    def accept(
        self, source: str, identities: Sequence[bytes], rejects: Sequence[bytes], cursor: str | None, now: float
    ) -> list[PlainCall]:
        """The calls that are new, to whom ids and deliveries are still to be given."""
        known = {call.identity: call for call in self.calls.values()}
        new: dict[bytes, PlainCall] = {}
        for identity in identities:
            if (call := known.get(identity) or new.get(identity)) and not call.also and call.source != source:
                call.also = source
            if identity not in known and identity not in self.forgotten:
                new.setdefault(identity, PlainCall(identity, source, now))
        at = self.cursors.setdefault(source, PlainCursor("", now))
        at.cursor, at.at = cursor or at.cursor, now
        at.calls, at.rejects = at.calls + len(new), at.rejects + len(rejects)
        for key in rejects:
            if key not in self.forgotten:
                self.rejects.setdefault(key, source)
        return list(new.values())

    def add(self, number: int, call: PlainCall, destinations: Iterable[str]) -> None:
        assert number > self.highest, "an id was given again"
        self.highest = number
        call.to = {name: PlainDelivery() for name in destinations}
        self.calls[number] = call

    def to(self, destination: str) -> dict[int, PlainDelivery]:
        return {number: call.to[destination] for number, call in self.calls.items() if destination in call.to}

    def waiting(self, destination: str) -> dict[int, PlainDelivery]:
        return {number: one for number, one in self.to(destination).items() if one.state == "waiting"}

    def due(self, destination: str, limit: int, now: float, without: Iterable[int]) -> list[int]:
        open_ = {number: one for number, one in self.waiting(destination).items() if number not in set(without)}
        fresh = [number for number, one in open_.items() if not one.due]
        again = sorted((number for number, one in open_.items() if 0 < one.due <= now), key=lambda n: (open_[n].due, n))
        return [one for pair in zip_longest(fresh[:limit], again[:limit]) for one in pair if one][:limit]

    def mark(self, destination: str, marks: Sequence[Mark]) -> None:
        to = self.to(destination)
        for mark in marks:
            if mark.state == "sent":
                minute = destination, int(mark.tried // 60)
                self.sent_minutes[minute] = self.sent_minutes.get(minute, 0) + 1
            one = to.get(mark.id)
            if one and one.state == "waiting":
                one.state, one.attempts, one.tried = mark.state, one.attempts + 1, mark.tried
                one.due = one.due if mark.due is None else mark.due
                one.status, one.reply, one.error = mark.status, mark.reply, mark.error
            if one and mark.state != "sent":
                one.fails(mark.error)

    def doubt(self, destination: str, numbers: Iterable[int], now: float) -> None:
        for number, one in self.to(destination).items():
            if number in numbers and one.state != "waiting":
                one.state, one.due, one.error = "waiting", now, DOUBTED
                one.fails(DOUBTED)

    def put_off(self, destination: str, due: Mapping[int, float]) -> None:
        for number, one in self.waiting(destination).items():
            one.due = due.get(number, one.due)

    def wait_no_longer(self, now: float) -> None:
        for call in self.calls.values():
            for one in call.to.values():
                if one.state == "waiting":
                    one.due = min(one.due, now)

    def move(self, destination: str, by: float) -> None:
        for one in self.waiting(destination).values():
            if one.due:
                one.due = max(one.due + by, 1.0)
                one.tried = None if one.tried is None else max(one.tried + by, 1.0)

    def chosen(self, states: Iterable[str], destinations: Iterable[str], ids: Iterable[int]) -> list[tuple[int, str]]:
        return [
            (number, name)
            for number, call in self.calls.items()
            for name, one in call.to.items()
            if one.state in states and name in destinations and (not ids or number in ids)
        ]

    def replay(self, chosen: Iterable[tuple[int, str]]) -> None:
        for number, name in chosen:
            before = self.calls[number].to[name]
            replays = [*before.replays, (before.state, before.attempts)] if before.tried is not None else before.replays
            self.calls[number].to[name] = PlainDelivery(failures=before.failures, replays=replays)

    def purge(self, chosen: Iterable[tuple[int, str]]) -> None:
        for number, name in chosen:
            del self.calls[number].to[name]
            if not self.calls[number].to:
                self._forget(number)

    def forget_delivered(self, before: float) -> int:
        gone = [number for number, call in self.calls.items() if call.accepted < before and call.is_delivered()]
        for number in gone:
            self._forget(number)
        return len(gone)

    def salvage(self) -> None:
        """What a move to another file leaves: delivered calls are only known, a delivery that seems lost is made."""
        firsts = {name: min(self.to(name)) for call in self.calls.values() for name in call.to}
        for number, call in list(self.calls.items()):
            missing = [name for name, first in firsts.items() if first <= number and name not in call.to]
            if call.is_delivered() and not missing:
                self._forget(number)
                continue
            call.to |= {name: PlainDelivery() for name in missing}
            for one in call.to.values():
                one.failures = []

    def drop_rejects(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            del self.rejects[key]
            self.forgotten.add(key)

    def _forget(self, number: int) -> None:
        self.forgotten.add(self.calls.pop(number).identity)
