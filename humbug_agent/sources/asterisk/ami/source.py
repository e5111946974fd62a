"""Asterisk's Cdr events, over its manager interface.

An event is told once: what ends while nobody listens is never told again, which is why Master.csv belongs beside this
source. A call that both have seen is one call.
"""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Self

from humbug_agent.board.model import Board
from humbug_agent.cdr import CDR, Batch, Form, Notice, OneRecord, Record, Reject, digest
from humbug_agent.ini import LOOPBACK
from humbug_agent.listening.ami.headers import name
from humbug_agent.listening.ami.link import Link
from humbug_agent.listening.ami.listener import Listener
from humbug_agent.listening.ami.messages import END, divide, of_cdr
from humbug_agent.listening.inbox import Heard, Inbox
from humbug_agent.sources.asterisk.ami import events as ami_events
from humbug_agent.sources.asterisk.ami.check import check
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.asterisk.occurrences import Occurrences
from humbug_agent.sources.asterisk.record import make_cdr
from humbug_agent.sources.push import PushSource
from humbug_agent.sources.zone_watch import LastingWatch

MOST = 1000
"""Events that are committed at once."""

MEANWHILE = "calls that end now are not told again, only Master.csv has them"


@dataclass
class Told:
    """Of what one connection told."""

    occurrences: Occurrences = field(default_factory=Occurrences)
    size: int = 0


class AsteriskAmi(PushSource[Listener]):
    """A source that hears Asterisk's Cdr events."""

    def __init__(self, settings: AsteriskAmiSettings, zone: tzinfo) -> None:
        self._settings = settings
        self._zone = zone
        self._calls = "cdr" in settings.events
        self._notices = {event for word in settings.events for event in ami_events.NOTICES.get(word, ())}
        beginnings = [f"Event: {event}\r\n".encode() for event in self._notices]
        inbox = Inbox(beginnings, of_cdr) if self._calls else Inbox(beginnings)
        classes = {ami_events.CLASSES[word] for word in settings.events}
        super().__init__(settings.name, inbox, inbox, classes, MOST, MEANWHILE)
        # Kinds of events that nothing is missed without.
        self._welcome: set[str] = set()
        self._counts: dict[int, Told] = {}
        self._numbers = itertools.count()
        self.zone_watch = LastingWatch(zone)

    def feed_board(self) -> Board:
        # Only a [status] needs it.
        from humbug_agent.board.asterisk import CLASSES, WELCOME, AsteriskFeeder

        board, about = Board(self.name), self._settings
        private = about.tls or about.host in LOOPBACK
        self.listen_also(AsteriskFeeder(board, about.username, about.charset, private=private), CLASSES)
        self._welcome = {WELCOME}
        return board

    def take_over(self, other: Self) -> None:
        super().take_over(other)
        self._welcome = other._welcome
        self._counts = other._counts

    def _connect(self) -> Link:
        return Link(self._settings, ",".join(sorted(self._asked | self._welcome)), self._listeners)

    def parse(self, text: bytes) -> Batch:
        blocks = [block for part in text.lstrip().split(END) for block in divide(part, closed=True)[0]]
        return self._batch([Heard(0, 0.0, block) for block in blocks])

    def doubt(self) -> str:
        return self.zone_watch.doubt("the clock when they are told", "is [agent] timezone that of the PBX?")

    def check(self) -> str:
        return check(self._settings, self._asked)

    def _batch(self, heard: list[Heard]) -> Batch:
        records: list[Record] = []
        rejects: list[Reject] = []
        for one in heard:
            event = name(one.block)
            if self._calls and of_cdr(one.block):
                for block in ami_events.cdr_events(one.block):
                    try:
                        with OneRecord():
                            records.append(self._call(replace(one, block=block)))
                    except ValueError as error:
                        rejects.append(self._reject(replace(one, block=block), str(error)))
            elif event in self._notices:
                try:
                    with OneRecord():
                        records.append(self._notice(one, event))
                except ValueError as error:
                    rejects.append(self._reject(one, str(error)))
        return Batch(records, rejects, None, sum(len(one.block) for one in heard), Form.WHOLE)

    def _call(self, heard: Heard) -> CDR:
        charset = self._settings.charset
        columns, others = ami_events.told(heard.block, charset)
        cdr = make_cdr(columns, self._zone, partial(self._number, heard), charset=charset)
        if heard.at:
            self.zone_watch.ended(cdr.end.timestamp(), heard.at)
        return replace(cdr, extra={**others, **cdr.extra}) if others else cdr

    def _number(self, heard: Heard, of: bytes) -> bytes:
        """The n-th equal event of one connection is the n-th such call."""
        count = self._counts.setdefault(heard.connection, Told())
        # One that is silent, and the one beside it.
        for old in sorted(self._counts)[:-2]:
            del self._counts[old]
        count.size += len(heard.block)
        return count.occurrences.identity(of, count.size)

    def _notice(self, heard: Heard, event: str) -> Notice:
        fields = ami_events.fields(heard.block, self._settings.charset)
        identity = digest("notice", self.name, event, *fields.values(), str(heard.at), str(next(self._numbers)))
        return Notice(identity=identity, event=event, at=datetime.fromtimestamp(heard.at, UTC), fields=fields)

    def _reject(self, heard: Heard, reason: str) -> Reject:
        key = digest("reject", self.name, heard.block.decode("latin-1"), str(heard.at))
        return Reject(key, heard.block, reason, self._settings.where)
