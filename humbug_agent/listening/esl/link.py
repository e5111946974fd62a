"""One connection to an event socket that is kept open: how it is made, and how it shows that it lives.

FreeSWITCH sends a HEARTBEAT every 20 seconds.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from humbug_agent import backoff
from humbug_agent.listening import link
from humbug_agent.listening.esl.client import Client, EslError, LoginRefused, connect
from humbug_agent.listening.esl.event import core
from humbug_agent.listening.esl.listener import Listener, Question
from humbug_agent.listening.esl.login import EslLogin
from humbug_agent.listening.link import LinkError

log = logging.getLogger(__name__)

SILENT_SECONDS = 45.0
"""After two HEARTBEATs that did not come FreeSWITCH is asked whether it is there: somebody may have set it to send them
less often."""

PULSE_SECONDS = 5.0
"""How long that answer may take."""

LOGIN_SECONDS = 5.0
"""How long a connection may take until it is logged in."""

ASK_SECONDS = 10.0
"""How long a question may take, such as the board's for all channels."""


class Link(link.Link[Client, Listener]):
    """A connection to an event socket that is kept open.

    ``events`` are the events to ask for, a CUSTOM one as ``CUSTOM subclass``.

    While ``full`` says so nothing is read, for some seconds at most.
    """

    silence = "nothing comes any more, neither HEARTBEATs nor an answer"

    def __init__(
        self,
        settings: EslLogin,
        events: Iterable[str],
        listeners: Sequence[Listener],
        full: Callable[[], bool],
    ) -> None:
        super().__init__("esl", listeners)
        self._settings = settings
        self._events = {"HEARTBEAT", *events}
        self._full = full
        self._core = ""
        self._asking: set[asyncio.Task[None]] = set()

    def patience(self) -> "Patience":
        return Patience()

    async def open(self, number: int, patience: link.Patience) -> Client:
        new = True

        def tell_all(blocks: Sequence[bytes]) -> None:
            nonlocal new
            if new:
                new = False
                self._recognise(blocks[0])
            for listener in self.listeners:
                listener.heard(number, blocks)

        client = await connect(self._settings, LOGIN_SECONDS, tell_all, self._full)
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await client.subscribe(self._events)
        except BaseException as error:
            client.abort("given up")
            if isinstance(error, TimeoutError):
                raise EslError(
                    f"{client.where}: does not say within {LOGIN_SECONDS:.0f} s that it tells events"
                ) from error
            raise
        return client

    def is_silent(self, connection: Client) -> bool:
        return asyncio.get_running_loop().time() - connection.heard > SILENT_SECONDS

    async def answers(self, connection: Client) -> bool:
        before, until = connection.heard, asyncio.get_running_loop().time() + PULSE_SECONDS
        connection.pulse()
        while connection.heard == before and not connection.lost.done() and asyncio.get_running_loop().time() < until:
            await asyncio.wait((connection.lost,), timeout=PULSE_SECONDS / 20)
        return connection.heard != before or connection.lost.done()

    def beat(self, connection: Client) -> None:
        for listener in self.listeners:
            listener.beat(connection.number, self._ask)

    def close(self) -> None:
        for task in self._asking:
            task.cancel()

    def _recognise(self, event: bytes) -> None:
        now = core(event)
        if self._core and now and now != self._core:
            log.warning(
                "%s: FreeSWITCH has been started anew; calls that ended since the connection was lost, by its end or "
                "before, are not told again",
                self._settings.where,
            )
        self._core = now or self._core

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


class Patience(link.Patience):
    """How long to wait after an event socket failed: longer with each refused login."""

    def __init__(self) -> None:
        super().__init__()
        self._refusals = 0

    def after(self, error: LinkError | None, spent: float = 0.0) -> float:
        if isinstance(error, LoginRefused):
            self._refusals += 1
            return backoff.EVENT_SOCKET_REFUSED.after(self._refusals)
        self._refusals = 0
        return max(self.short() - spent, backoff.CONNECTION.first * 0.75)
