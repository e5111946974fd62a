"""A stream of NATS JetStream: many messages under way, each acknowledged once the stream has it.

By its subject and its number each call is known there again: one that is sent a second time is refused, and was taken.
The client is asyncio's: its loop runs in one thread, which the first call starts and `close` ends.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import tzinfo

from humbug_agent.cdr import Record
from humbug_agent.destinations.contract import Batch, DeliveryError, Later, Outcome, Preview, Unsendable
from humbug_agent.destinations.events import as_texts
from humbug_agent.destinations.nats.link import Link
from humbug_agent.destinations.nats.message import Message, Messages
from humbug_agent.destinations.nats.settings import NatsSettings
from humbug_agent.flat import flatten
from humbug_agent.host import threads
from humbug_agent.ini import shown
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.scrub import Scrubber
from humbug_agent.words import said

log = logging.getLogger(__name__)

UNDER_WAY = 64
LOOK_SECONDS = 0.25
"""How often it is looked whether an acknowledgement is late."""

END_SECONDS = 2.0
"""How long the thread may take to end."""


class Nats:
    """Publishes to the stream that ``settings`` name. ``zone`` is that of times of which the clock is not known."""

    def __init__(self, settings: NatsSettings, zone: tzinfo, _: NumbersSettings) -> None:
        self.name = settings.name
        self.connections, self.batch = UNDER_WAY, 1
        self._settings = settings
        self._zone = zone
        self._messages = Messages(settings, zone)
        self._server = f"NATS at {', '.join(shown(one.host, one.port) for one in settings.servers)}"
        self.where = f"{self._server}, stream {settings.stream}"
        self._scrub = Scrubber([one.reveal() for one in (settings.password, settings.token) if one])
        self._under_way: set[int] = set()
        self._outcomes: list[tuple[int, Outcome]] = []
        self._woken = self._closed = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._todo: asyncio.Queue[list[tuple[int, Message]] | None] = asyncio.Queue()
        # Of the thread alone.
        self._link: Link | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def begin(self, batches: Sequence[Batch]) -> None:
        calls: list[tuple[int, Message]] = []
        for number, flat in (one for batch in batches for one in batch):
            self._under_way.add(number)
            try:
                calls.append((number, self._messages.of(flat)))
            except (ValueError, TypeError, OverflowError, OSError) as error:
                self._tell(number, Unsendable(f"can't be said in JSON: {said(error)}"))
        if self._closed:
            self._cut()
        elif calls:
            try:
                self._started().call_soon_threadsafe(self._todo.put_nowait, calls)
            except OSError as error:
                for number, _ in calls:
                    self._tell(number, Later(f"{self._server}: {said(error)}"))

    def collect(self, wait: float) -> list[tuple[int, Outcome]]:
        with self._change:
            self._change.wait_for(lambda: self._outcomes or self._woken or self._closed, wait)
            self._woken = False
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def doubted(self) -> list[int]:
        return []

    def wake(self) -> None:
        with self._change:
            self._woken = True
            self._change.notify()

    def preview(self, record: Record) -> Preview:
        flat = flatten(record)
        message = self._messages.of(flat)
        parameters = {"subject": message.subject, **message.headers, **as_texts(flat, self._zone)}
        return Preview(parameters, message.body.decode())

    def check(self) -> str:
        return asyncio.run(self._checking())

    def clock_off(self) -> float | None:
        """A server of NATS does not tell its time."""
        return None

    def close(self) -> None:
        with self._change:
            self._closed = True
        if self._loop and self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._todo.put_nowait, None)
            self._thread.join(END_SECONDS)
        self._cut()

    def _cut(self) -> None:
        for number in list(self._under_way):
            self._tell(number, Later(f"{self._server}: cut, since the agent ends"))

    def _tell(self, number: int, outcome: Outcome) -> None:
        """What came of a call, once."""
        if isinstance(outcome, DeliveryError):
            outcome.reason = self._scrub(outcome.reason)
        with self._change:
            if number in self._under_way:
                self._under_way.remove(number)
                self._outcomes.append((number, outcome))
                self._change.notify()

    def _started(self) -> asyncio.AbstractEventLoop:
        """The loop; what is only asked what it would send has none."""
        if self._loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=self._run, args=(loop,), name=self.name, daemon=True)
            try:
                threads.start(thread)
            except OSError:
                loop.close()
                raise
            self._loop, self._thread = loop, thread
        return self._loop

    # In the thread.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """Until it is told to end, whatever is being done by then."""
        sending: asyncio.Task[None] | None = None
        waiting: list[tuple[int, Message]] = []
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    calls = await self._todo.get()
                if calls is None:
                    break
                waiting += calls
            except TimeoutError:
                pass
            if self._link:
                self._link.look()
            if waiting and (sending is None or sending.done()):
                sending = asyncio.create_task(self._send(waiting))
                waiting = []
        if sending:
            sending.cancel()
        if self._link:
            await self._link.close()

    async def _send(self, calls: list[tuple[int, Message]]) -> None:
        failed: DeliveryError | None = None
        try:
            link = self._link or await self._linked()
            for number, message in calls:
                await link.publish(number, message)
        except DeliveryError as error:
            failed = error
        except Exception as error:
            log.exception("destination %s: a fault of this program", self.name)
            failed = Later(f"{type(error).__name__}: {error}")
        if failed:
            for number, _ in calls:
                self._tell(number, failed)
            if self._link:
                self._link.fail(failed)

    async def _linked(self) -> Link:
        """A new one. Raises DeliveryError."""

        def ended() -> None:
            if self._link is link:
                self._link = None
                task = asyncio.create_task(link.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

        link = Link(self._settings, self._server, self._tell, ended)
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        self._link = link
        return link

    async def _checking(self) -> str:
        link = Link(self._settings, self._server, self._tell, lambda: None)
        try:
            return f"{self._server}: answers ({await link.open(make=False)})"
        except DeliveryError as error:
            error.reason = self._scrub(error.reason)
            raise
        finally:
            await link.close()
