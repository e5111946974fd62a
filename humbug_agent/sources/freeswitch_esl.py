"""FreeSWITCH's hangups, over its event socket.

An event is told once: what ends while nobody listens is never told again, which is why a source that reads what
FreeSWITCH keeps belongs beside this one. A leg that both have seen is one call.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from threading import Event as Stop

from humbug_agent.ami.inbox import MOST_BYTES, Heard, Inbox
from humbug_agent.cdr import Batch, Record, Reject, digest
from humbug_agent.config_sources import FreeswitchEslSettings
from humbug_agent.esl.client import PULSE, Client, EslError, connect
from humbug_agent.esl.link import Link
from humbug_agent.esl.listener import Listener
from humbug_agent.pace import FLOOD_REST
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch import call, wanted
from humbug_agent.sources.freeswitch_event import HANGUP, leg

MOST = 500
"""Events that are committed at once; each has some ten thousand bytes."""

REST_SECONDS = 0.05
"""Between two commits: what comes meanwhile is committed at once, which costs the PBX less."""

FLOOD_EVENTS = 500
"""A second."""

LOOK_SECONDS = 0.5
"""How long at most a stop goes unnoticed."""

CHECK_SECONDS = 10.0

MEANWHILE = "calls that end now are not told again, only what FreeSWITCH writes or posts has them"


class Hangups(Inbox):
    """A listener that keeps the legs that ended, as JSON or plain text."""

    def __init__(self) -> None:
        super().__init__(())
        self._wanted = (f'{{"Event-Name":"{HANGUP}"'.encode(), f"Event-Name: {HANGUP}\n".encode())

    def beat(self, connection: int, tell: object) -> None:
        pass

    def full(self) -> bool:
        """Whether it is time to let FreeSWITCH wait."""
        return self._bytes > MOST_BYTES // 2


class FreeswitchEsl:
    def __init__(self, settings: FreeswitchEslSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self._settings = settings
        self._zone = settings.timezone or zone
        self._inbox = Hangups()
        self._listeners: list[Listener] = [self._inbox]
        self._events = {HANGUP}
        self._link: Link | None = None
        self._unacknowledged: Batch | None = None
        self._trouble: str | None = None
        self._told: str | None = None
        self._rested = 0.0

    def listen_also(self, listener: Listener, events: Iterable[str]) -> None:
        """Let ``listener`` hear what comes over this source's connection, these events included."""
        self._listeners.append(listener)
        self._events |= set(events)

    def read(self, cursor: str | None, stop: Stop, *, follow: bool) -> Iterator[Batch]:
        """What has come stays here until it is on disk, also when this reading is given up and another one begun."""
        if not follow:
            return
        if self._link is None and not stop.is_set():
            self._link = Link(self._settings, self._events, self._listeners, self._inbox.full)
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

    def _next(self, stop: Stop) -> Iterator[Batch]:
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

    def _let_gather(self, came: int, stop: Stop) -> None:
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
        return self._batch([Heard(0, 0.0, text.strip())])

    def unread(self, cursor: str | None) -> None:
        return None

    def trouble(self) -> str:
        return ""

    def check(self) -> str:
        try:
            return asyncio.run(self._check())
        except EslError as error:
            raise SourceError(str(error)) from error

    async def _check(self) -> str:
        client = await connect(self._settings, CHECK_SECONDS)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await client.subscribe(self._events)
                return f"{client.where}: logged in ({await self._found(client)})"
        except TimeoutError as error:
            raise EslError(f"{client.where}: logged in, then no answer within {CHECK_SECONDS:.0f} s") from error
        finally:
            client.abort("the check is over")

    async def _found(self, client: Client) -> str:
        status = (await client.api(PULSE)).decode("latin-1")
        version = re.search(r"\(Version ([^)]*?)\s*\)", status)
        channels = re.search(r"^(\d+) session\(s\)(?! since)", status, re.MULTILINE)
        found = f"FreeSWITCH {version[1]}" if version else "FreeSWITCH, which does not tell its version"
        return f"{found}, {channels[1]} channels now" if channels else found

    def _hand_over(self, batch: Batch) -> Iterator[Batch]:
        self._unacknowledged = batch
        yield batch
        self._unacknowledged = None

    def _batch(self, heard: list[Heard]) -> Batch:
        records: list[Record] = []
        rejects: list[Reject] = []
        for one in heard:
            try:
                told = leg(one.block, self._zone)
            except ValueError as error:
                key = digest("reject", self.name, one.block.decode("latin-1"))
                rejects.append(Reject(key, one.block, str(error), self._settings.where))
            else:
                if told and wanted(told, self._settings.legs, drop_doubles=self._settings.drop_doubles):
                    records.append(call(told))
        return Batch(records, rejects, None, sum(len(one.block) for one in heard))
