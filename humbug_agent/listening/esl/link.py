"""Keeps one connection to an event socket, in a thread of its own, for as long as the daemon runs.

FreeSWITCH sends a HEARTBEAT every 20 seconds. A connection on which nothing comes is not given up at once: what
FreeSWITCH still has in hand for it would be gone for ever. A second one is tried beside it, and takes over when it gets
through and the first one is still silent.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from humbug_agent.backoff import growing
from humbug_agent.listening.esl.client import Client, EslError, LoginRefused, connect
from humbug_agent.listening.esl.event import core
from humbug_agent.listening.esl.listener import Listener, Question
from humbug_agent.listening.esl.login import EslLogin
from humbug_agent.listening.thread import Keeping

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0

SILENT_SECONDS, PULSE_SECONDS = 45.0, 5.0
"""After two HEARTBEATs that did not come FreeSWITCH is asked whether it is there, as somebody may have set it to send
them less often; and how long that may take."""

LOGIN_SECONDS, ASK_SECONDS = 5.0, 10.0
"""How long a connection may take until it is logged in, and a question."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0
"""Seconds between tries, of which one that took long has used up some. What ends meanwhile is not told again."""

FIRST_REFUSED, LONGEST_REFUSED = 2.0, 30.0
"""The same after a refused login: each one is a line in a log, and may get this host banned."""

STEADY_SECONDS = 10.0
"""A connection that lasted so long was a good one."""


class Link:
    """``events`` are the events to ask for, a CUSTOM one as ``CUSTOM subclass``.

    What comes goes to the ``listeners``, as does each change of how the connection stands. While ``full`` says so
    nothing is read, for some seconds at most.
    """

    def __init__(
        self,
        settings: EslLogin,
        events: Iterable[str],
        listeners: Sequence[Listener],
        full: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._events = {"HEARTBEAT", *events}
        self._listeners = listeners
        self._full = full
        self._told: str | None = None
        self._core = ""
        self._numbers = itertools.count(1)
        self._clients: set[Client] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._keeping = Keeping("esl", self._keep, self._tell, self._close)

    def start(self) -> None:
        self._keeping.start()

    def is_alive(self) -> bool:
        """Whether this link is connected, or still tries to connect."""
        return self._keeping.is_alive()

    def stop(self) -> None:
        """Close the connection; nothing more comes into the inbox."""
        self._keeping.stop()

    def _close(self) -> None:
        for task in self._asking:
            task.cancel()
        for client in self._clients:
            client.abort("the agent stops")

    async def _keep(self) -> None:
        patience = Patience()
        while True:
            tried = time.monotonic()
            try:
                client = await self._open()
            except EslError as error:
                self._tell(str(error))
                await asyncio.sleep(patience.after(error, time.monotonic() - tried))
                continue
            began = time.monotonic()
            self._beat(client)
            reason = await self._watch(client)
            self._tell(reason)
            if time.monotonic() - began > STEADY_SECONDS:
                patience = Patience()
            await asyncio.sleep(patience.after(None))

    async def _open(self) -> Client:
        number = next(self._numbers)
        new = True

        def tell_all(blocks: Sequence[bytes]) -> None:
            nonlocal new
            if new:
                new = False
                self._recognise(blocks[0])
            for listener in self._listeners:
                listener.heard(number, blocks)

        client = await connect(self._settings, LOGIN_SECONDS, tell_all, self._full)
        client.number = number
        self._clients.add(client)
        client.lost.add_done_callback(lambda _: self._clients.discard(client))
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await client.subscribe(self._events)
        except (EslError, TimeoutError) as error:
            client.abort("given up")
            if isinstance(error, EslError):
                raise
            raise EslError(f"{client.where}: does not say within {LOGIN_SECONDS:.0f} s that it tells events") from error
        return client

    def _recognise(self, event: bytes) -> None:
        now = core(event)
        if self._core and now and now != self._core:
            log.warning(
                "%s: FreeSWITCH has been started anew; calls that ended since the connection was lost, by its end or "
                "before, are not told again",
                self._settings.where,
            )
        self._core = now or self._core

    async def _watch(self, client: Client) -> str:
        """Until the connection, or the one that took its place, is lost; returns why."""
        patience = Patience()
        while True:
            await asyncio.wait((client.lost,), timeout=BEAT_SECONDS)
            if client.lost.done():
                return f"{client.where}: {client.lost.result()}"
            if self._silent(client) and not await self._answers(client):
                self._tell(f"{client.where}: nothing comes any more, neither HEARTBEATs nor an answer")
                tried = time.monotonic()
                try:
                    fresh = await self._open()
                except EslError as error:
                    await asyncio.wait((client.lost,), timeout=patience.after(error, time.monotonic() - tried))
                    continue
                patience = Patience()
                if self._silent(client):
                    client, fresh = fresh, client
                fresh.abort("another connection took its place")
            if not client.lost.done():
                self._beat(client)

    async def _answers(self, client: Client) -> bool:
        """Gone counts as an answer."""
        before, until = client.heard, asyncio.get_running_loop().time() + PULSE_SECONDS
        client.pulse()
        while client.heard == before and not client.lost.done() and asyncio.get_running_loop().time() < until:
            await asyncio.wait((client.lost,), timeout=PULSE_SECONDS / 20)
        return client.heard != before or client.lost.done()

    def _silent(self, client: Client) -> bool:
        return asyncio.get_running_loop().time() - client.heard > SILENT_SECONDS

    def _beat(self, client: Client) -> None:
        self._tell("")
        for listener in self._listeners:
            listener.beat(client.number, self._ask)

    def _ask(self, question: Question, failed: Callable[[str], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._question(question, failed))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _question(self, question: Question, failed: Callable[[str], None]) -> None:
        try:
            client = await connect(self._settings, LOGIN_SECONDS)
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    await question(client.api)
            finally:
                client.abort("the question is answered")
        except EslError as error:
            failed(str(error))
        except TimeoutError:
            failed(f"{self._settings.where}: does not answer within {ASK_SECONDS:.0f} s")
        except Exception as error:
            # The connection is the calls' way to the outbox, too.
            log.exception("stopped by a fault of this program")
            failed(f"stopped by a fault of this program: {error!r}")

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            for listener in self._listeners:
                listener.stands(trouble)


class Patience:
    """How long to wait after a failure, given those before it."""

    def __init__(self) -> None:
        self._failures = 0
        self._refusals = 0

    def after(self, error: EslError | None, spent: float = 0.0) -> float:
        """``spent`` is how many seconds the try took."""
        if isinstance(error, LoginRefused):
            self._refusals += 1
            return growing(self._refusals, FIRST_REFUSED, LONGEST_REFUSED)
        self._refusals = 0
        self._failures += 1
        wait = growing(self._failures, FIRST_WAIT, LONGEST_WAIT) * random.uniform(0.75, 1.0)  # nosec B311 # a pause
        return max(wait - spent, FIRST_WAIT * 0.75)
