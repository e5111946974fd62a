"""A table in PostgreSQL: a batch of calls is one insert, and one transaction, that leaves out what is there already.

So a call is there once, whatever is killed, and however often it is sent. One connection does it, without a thread:
while the server is at one batch, the next one waits here.
"""

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import TypeVar

from humbug_agent.cdr import Record
from humbug_agent.destinations.contract import (
    Answer,
    Batch,
    DeliveryError,
    Later,
    Outcome,
    Preview,
    Refused,
    Unsendable,
)
from humbug_agent.destinations.postgresql.link import Link, Steps, Wants, connecting
from humbug_agent.destinations.postgresql.settings import PostgresqlSettings
from humbug_agent.destinations.postgresql.table import Table
from humbug_agent.flat import Flat, flatten
from humbug_agent.ini import shown
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.scrub import Scrubber

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.25
"""How often it is looked whether a time-out is over."""

UNDER_WAY = 2
"""Batches: one at the server, and one that is ready by then."""

COMMITTED = Answer(None, "committed")


class Postgresql:
    """Inserts into the table that ``settings`` names."""

    def __init__(self, settings: PostgresqlSettings, zone: tzinfo, numbers: NumbersSettings) -> None:
        # What is sent are moments and numbers as the PBX has them.
        del zone, numbers
        self.name = settings.name
        self.connections, self.batch = UNDER_WAY, settings.batch
        self._settings = settings
        self._table = Table(settings)
        server = settings.host if settings.host.startswith("/") else shown(settings.host, settings.port)
        self._server = f"PostgreSQL at {server}, database {settings.database}"
        self.where = f"{self._server}, table {self._table.name}"
        self._scrub = Scrubber([settings.password.reveal()] if settings.password else [])
        self._clock_off: float | None = None
        self._waiting: deque[Batch] = deque()
        self._sending: tuple[Batch, Steps[None]] | None = None
        self._begun = False
        self._wants = Wants(-1, 0)
        self._link: Link | None = None
        self._outcomes: list[tuple[int, Outcome]] = []
        self._closed = False
        self._bell: tuple[int, int] | None = None
        self._ringing = threading.Lock()

    def begin(self, batches: Sequence[Batch]) -> None:
        self._waiting.extend(batches)
        if not self._sending:
            self._go_on(came=False)

    def collect(self, wait: float) -> list[tuple[int, Outcome]]:
        until = time.monotonic() + wait
        while not self._outcomes and not self._closed:
            left = until - time.monotonic()
            came, woken = self._await(max(0.0, min(left, LOOK_SECONDS) if self._sending else left))
            self._go_on(came=came)
            if woken or left <= 0:
                break
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def doubted(self) -> list[int]:
        return []

    def wake(self) -> None:
        with self._ringing, suppress(BlockingIOError):
            if not self._closed:
                os.write(self._open_bell()[1], b"\0")

    def preview(self, record: Record) -> Preview:
        flat = flatten(record)
        return Preview(self._table.shown(flat), self._table.said(flat))

    def check(self) -> str:
        return _waited_for(self._checking())

    def clock_off(self) -> float | None:
        return self._clock_off

    def close(self) -> None:
        if self._closed:
            return
        if self._sending:
            self._sending[1].close()
            self._waiting.appendleft(self._sending[0])
            self._sending = None
        self._unlink()
        cut = Later(f"{self._server}: cut, since the agent ends")
        self._outcomes += [(number, cut) for batch in self._waiting for number, _ in batch]
        self._waiting.clear()
        with self._ringing:
            self._closed = True
            for end in self._bell or ():
                os.close(end)

    def _open_bell(self) -> tuple[int, int]:
        """What is only asked what it would send opens nothing."""
        if self._bell is None:
            self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return self._bell

    def _await(self, wait: float) -> tuple[bool, bool]:
        """Whether what the next step wants came, and whether somebody rang, within so many seconds."""
        with self._ringing:
            bell = self._open_bell()[0]
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        if self._sending and self._wants.fd >= 0:
            poll.register(self._wants.fd, self._wants.events)
        elif self._sending:
            wait = 0.0
        found = {fd for fd, _ in poll.poll(wait * 1000)}
        if bell in found:
            os.read(bell, 4096)
        return bool(found - {bell}), bell in found

    def _go_on(self, *, came: bool) -> None:
        """As far as it goes without waiting; ``came``: what the last step wanted is there."""
        while self._sending or self._waiting:
            if not self._sending:
                batch = self._waiting.popleft()
                self._sending, came = (batch, self._insert(batch)), False
            try:
                # The first step is told nothing: it is the first.
                self._wants = self._sending[1].send(came) if self._begun else next(self._sending[1])
                self._begun = True
                return
            except StopIteration:
                self._sending, self._begun = None, False

    def _insert(self, batch: Batch) -> Steps[None]:
        """Put the calls of a batch into the table, and say of each what came of it."""
        numbers = [number for number, _ in batch]
        outcome: Outcome = COMMITTED
        try:
            link = yield from self._linked()
            numbers, values = self._written(batch)
            if numbers:
                yield from self._table.insert(link, values)
        except DeliveryError as error:
            outcome = error
        except Exception as error:
            log.exception("destination %s: a fault of this program", self.name)
            outcome = Later(f"{type(error).__name__}: {error}")
        if isinstance(outcome, DeliveryError):
            outcome.reason = self._scrub(outcome.reason)
            if not isinstance(outcome, Refused):
                self._unlink()
        self._outcomes += [(number, outcome) for number in numbers]

    def _linked(self) -> Steps[Link]:
        """The connection, with a table that is known. Raises DeliveryError."""
        if self._link and self._link.spoke():
            # Nobody asked: it says that it ends, or there is nobody any more.
            self._unlink()
        if not self._link:
            self._link = yield from connecting(self._settings, self._server)
            yield from self._link.settle()
            yield from self._table.make(self._link)
        return self._link

    def _unlink(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    def _written(self, batch: Batch) -> tuple[list[int], list[bytes]]:
        """The numbers of those that can be written as the server wants it, and their values; of the others, why not."""
        try:
            return [number for number, _ in batch], self._table.values([flat for _, flat in batch])
        except (ValueError, TypeError, AttributeError):
            fine: list[tuple[int, Flat]] = []
            for number, flat in batch:
                try:
                    self._table.values([flat])
                    fine.append((number, flat))
                except (ValueError, TypeError, AttributeError) as error:
                    self._outcomes.append((number, Unsendable(f"can't be written as a row: {error}")))
            return [number for number, _ in fine], self._table.values([flat for _, flat in fine])

    def _checking(self) -> Steps[str]:
        """Over a connection of its own. Nothing is made."""
        link = yield from connecting(self._settings, self._server)
        try:
            began = time.time()
            ((now, version),) = yield from link.ask(
                "SELECT extract(epoch FROM clock_timestamp()), current_setting('server_version')"
            )
            self._clock_off = max(0.0, began - float(now or 0)) + min(0.0, time.time() - float(now or 0))
            table = Table(self._settings)
            there = yield from table.look(link)
            if there:
                # No row; and all that could be wrong with one is.
                yield from table.insert(link, table.values([]))
                lacks = f", which has no {', '.join(table.lacks)}" if table.lacks else ""
                return f"{self.where}: answers (PostgreSQL {version}), calls can be inserted{lacks}"
            yield from table.may_be_made(link)
            return f"{self.where}: answers (PostgreSQL {version}), the table is made with the first call"
        except DeliveryError as error:
            error.reason = self._scrub(error.reason)
            raise
        finally:
            link.close()


def _waited_for(steps: Steps[T]) -> T:
    """What comes of them, in one go."""
    came = False
    try:
        wants = next(steps)
        while True:
            poll = select.poll()
            if wants.fd >= 0:
                poll.register(wants.fd, wants.events)
            came = bool(poll.poll(LOOK_SECONDS * 1000))
            wants = steps.send(came)
    except StopIteration as ended:
        found: T = ended.value
        return found
