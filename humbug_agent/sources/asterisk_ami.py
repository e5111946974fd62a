"""Asterisk's Cdr events, over its manager interface.

An event is told once: what ends while nobody listens is never told again, which is why Master.csv belongs beside this
source. A call that both have seen is one call.
"""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial
from threading import Event

from humbug_agent.ami.headers import name
from humbug_agent.ami.inbox import Heard, Inbox
from humbug_agent.ami.link import Link
from humbug_agent.ami.listener import Listener
from humbug_agent.cdr import Batch, Notice, Record, Reject, digest
from humbug_agent.config import AsteriskAmiSettings
from humbug_agent.pace import FLOOD_REST
from humbug_agent.sources import ami_events
from humbug_agent.sources.ami_check import check
from humbug_agent.sources.asterisk import make_cdr
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.occurrences import Occurrences

MOST = 1000
"""Events that are committed at once."""

REST_SECONDS = 0.05
"""Between two commits: what comes meanwhile is committed at once, which costs the PBX less."""

FLOOD_EVENTS = 500
"""A second."""

LOOK_SECONDS = 0.5
"""How long at most a stop goes unnoticed."""

MEANWHILE = "calls that end now are not told again, only Master.csv has them"


@dataclass
class Count:
    """Of what one connection told."""

    occurrences: Occurrences = field(default_factory=Occurrences)
    size: int = 0


class AsteriskAmi:
    def __init__(self, settings: AsteriskAmiSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self._settings = settings
        self._zone = zone
        self._calls = "cdr" in settings.events
        self._notices = {event for word in settings.events for event in ami_events.NOTICES.get(word, ())}
        self._inbox = Inbox([*(["Cdr"] if self._calls else []), *self._notices])
        self._listeners: list[Listener] = [self._inbox]
        self._classes = {ami_events.CLASSES[word] for word in settings.events}
        self._link: Link | None = None
        self._unacknowledged: Batch | None = None
        self._trouble: str | None = None
        self._told: str | None = None
        self._counts: dict[int, Count] = {}
        self._numbers = itertools.count()
        self._rested = 0.0

    @property
    def username(self) -> str:
        return self._settings.username

    def listen_also(self, listener: Listener, classes: Iterable[str]) -> None:
        """Let ``listener`` hear what comes over this source's connection, these classes of events included."""
        self._listeners.append(listener)
        self._classes |= set(classes)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Iterator[Batch]:
        """What has come stays here until it is on disk, also when this reading is given up and another one begun."""
        if not follow:
            return
        if self._link is None and not stop.is_set():
            self._link = Link(self._settings, ",".join(sorted(self._classes)), self._listeners)
            self._link.start()
        # Whoever begins anew does not know that all is well.
        self._told = self._told or None
        try:
            if self._unacknowledged:
                yield from self._hand_over(self._unacknowledged)
            while not stop.is_set():
                yield from self._next(stop)
        finally:
            if stop.is_set() and self._link:
                # Also when what it hands over last can't be put on disk: another Agent may follow this one.
                self._link.stop()
                self._link = None
        yield from self._rest()

    def _next(self, stop: Event) -> Iterator[Batch]:
        heard, state = self._inbox.take(MOST, LOOK_SECONDS)
        if state:
            self._trouble = state.trouble
        if heard:
            yield from self._hand_over(self._batch(heard))
            self._let_gather(len(heard), stop)
        if lost := self._inbox.lost():
            raise SourceError(f"{lost:,} events found no room while the outbox could not be written; {MEANWHILE}", 0)
        if self._trouble != self._told:
            self._told = self._trouble
            if self._trouble:
                raise SourceError(f"{self._trouble}; {MEANWHILE}", 0)
            yield Batch([], [], None)

    def _let_gather(self, came: int, stop: Event) -> None:
        began, self._rested = self._rested, time.monotonic()
        if came == MOST:
            return
        flood = came > FLOOD_EVENTS * (self._rested - began)
        until = self._rested + (FLOOD_REST if flood else REST_SECONDS)
        while (left := until - time.monotonic()) > 0 and not self._inbox.filling():
            if stop.wait(min(left, 0.1)):
                return

    def _rest(self) -> Iterator[Batch]:
        while any(taken := self._inbox.take(MOST, 0)):
            if heard := taken[0]:
                yield from self._hand_over(self._batch(heard))

    def parse(self, text: bytes) -> Batch:
        block = b"\r\n".join(text.strip().splitlines())
        return self._batch([Heard(0, 0.0, block)])

    def unread(self, cursor: str | None) -> None:
        return None

    def trouble(self) -> str:
        return ""

    def check(self) -> str:
        return check(self._settings, self._classes)

    def _hand_over(self, batch: Batch) -> Iterator[Batch]:
        self._unacknowledged = batch
        yield batch
        self._unacknowledged = None

    def _batch(self, heard: list[Heard]) -> Batch:
        records: list[Record] = []
        rejects: list[Reject] = []
        for one in heard:
            event = name(one.block)
            if event == "Cdr" and self._calls:
                try:
                    columns = ami_events.call_columns(one.block)
                    records.append(make_cdr(columns, self._zone, partial(self._number, one)))
                except ValueError as error:
                    rejects.append(self._reject(one, str(error)))
            elif event in self._notices:
                records.append(self._notice(one, event))
        return Batch(records, rejects, None, sum(len(one.block) for one in heard))

    def _number(self, heard: Heard, of: bytes) -> bytes:
        """The n-th equal event of one connection is the n-th such call."""
        count = self._counts.setdefault(heard.connection, Count())
        # One that is silent, and the one beside it.
        for old in sorted(self._counts)[:-2]:
            del self._counts[old]
        count.size += len(heard.block)
        return count.occurrences.identity(of, count.size)

    def _notice(self, heard: Heard, event: str) -> Notice:
        fields = ami_events.fields(heard.block)
        identity = digest("notice", self.name, event, *fields.values(), str(heard.at), str(next(self._numbers)))
        return Notice(identity=identity, event=event, at=datetime.fromtimestamp(heard.at, UTC), fields=fields)

    def _reject(self, heard: Heard, reason: str) -> Reject:
        key = digest("reject", self.name, heard.block.decode("latin-1"), str(heard.at))
        return Reject(key, heard.block, reason, self._settings.where)
