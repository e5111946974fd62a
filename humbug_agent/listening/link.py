"""Keeps one connection to a PBX open, in a thread of its own, for as long as the daemon runs.

A connection on which nothing comes is not given up at once: what the PBX still has in hand for it would be gone for
ever. A second one is tried beside it, and takes over when it gets through and the first one is still silent.
"""

import asyncio
import errno
import itertools
import random
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from humbug_agent import backoff
from humbug_agent.host import threads

STOP_SECONDS = 5.0
"""How long a stop waits for the thread to end."""

BEAT_SECONDS = 1.0
"""How often to look whether the connection still lives."""

STEADY_SECONDS = 10.0
"""A connection that lasted so long was a good one."""


class LinkError(Exception):
    """The PBX can't be listened to as things are; the text says which host, why, and what to do."""


def why(error: OSError | ValueError, seconds: float, refused: str) -> str:
    """Why no connection was made within ``seconds``, in an admin's words; blank where the system says nothing.

    ``refused`` is what to say where nobody listens.
    """
    if not isinstance(error, OSError):
        return "there is no such host (it can't be a name)"
    if isinstance(error, TimeoutError):
        return f"does not answer within {seconds:.0f} s"
    # Of a name with several addresses asyncio tells only a text.
    each = set(re.findall(r"\[Errno (\d+)\]", str(error))) if error.errno is None else {str(error.errno)}
    if each == {str(errno.ECONNREFUSED)}:
        return f"nobody listens there; {refused}"
    if isinstance(error, socket.gaierror):
        return f"there is no such host ({error.strerror})"
    return error.strerror or str(error)


class Connection(Protocol):
    """One connection that is logged in."""

    number: int
    """It counts the connections of a link: for a short time there may be two."""

    lost: "asyncio.Future[str]"
    """Done, with the reason in words, once the connection is gone."""

    @property
    def where(self) -> str:
        """Host and port as messages name them."""

    def abort(self, reason: str) -> None:
        """Close it at once."""


class Hears(Protocol):
    """What every listener hears of the connection."""

    def stands(self, trouble: str) -> None:
        """How it stands from now on: the trouble in words; blank when all is well."""


class Patience(ABC):
    """How long to wait after a failure, given those before it."""

    def __init__(self) -> None:
        self.failures = 0

    @abstractmethod
    def after(self, error: LinkError | None, spent: float = 0.0) -> float:
        """Seconds to wait after ``error``, or after a connection was lost; ``spent`` is how many the try took."""

    def short(self) -> float:
        """Seconds to wait after one more failure."""
        self.failures += 1
        wait = backoff.CONNECTION.after(self.failures)
        return wait * random.uniform(0.75, 1.0)  # nosec B311 # a pause


C = TypeVar("C", bound=Connection)
H = TypeVar("H", bound=Hears)


class Link(ABC, Generic[C, H]):
    """What comes over the connection goes to the ``listeners``, as does each change of how the connection stands.

    ``name`` is the thread's.
    """

    silence = "nothing comes any more"
    """What to say when it is silent."""

    def __init__(self, name: str, listeners: Sequence[H]) -> None:
        self.listeners = listeners
        self._told: str | None = None
        self._numbers = itertools.count(1)
        self._connections: set[C] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name=name, daemon=True)

    def start(self) -> None:
        """Raises OSError where the host gives it no thread."""
        threads.start(self._thread)
        self._ready.wait()

    def is_alive(self) -> bool:
        """Whether this link is connected, or still tries to connect; False: it has ended by a fault of this program."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Close the connection; nothing more comes from it."""
        with suppress(RuntimeError):
            # It may have ended by a fault of this program.
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(STOP_SECONDS)

    @abstractmethod
    def patience(self) -> Patience:
        """A new one, for what fails from now on."""

    @abstractmethod
    async def open(self, number: int, patience: Patience) -> C:
        """Connect and log in, and have the listeners hear what comes. Raises LinkError."""

    @abstractmethod
    def is_silent(self, connection: C) -> bool:
        """Whether nothing has come for too long."""

    @abstractmethod
    def beat(self, connection: C) -> None:
        """Tell the listeners that this is the connection that counts; called when it begins, and once a second."""

    async def answers(self, connection: C) -> bool:
        """Of one that is silent: whether it answers when it is asked. Gone counts as an answer."""
        return False

    def ask_for_life(self, connection: C) -> None:
        """Send what the PBX answers, once a second, where it would tell nothing by itself."""

    def close(self) -> None:
        """End what else is under way."""

    def tell(self, trouble: str) -> None:
        """Tell the listeners how the connection stands; blank: all is well."""
        if trouble != self._told:
            self._told = trouble
            for listener in self.listeners:
                listener.stands(trouble)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._ready.set()
        keeping = asyncio.ensure_future(self._keep())
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((keeping, stopped), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                self.tell(f"stopped by a fault of this program: {keeping.exception()!r}")
        finally:
            keeping.cancel()
            self.close()
            for connection in self._connections:
                connection.abort("the agent stops")

    async def _keep(self) -> None:
        """Connect, watch, and connect again, for ever."""
        patience = self.patience()
        while True:
            tried = time.monotonic()
            try:
                connection = await self._open(patience)
            except LinkError as error:
                self.tell(str(error))
                await asyncio.sleep(patience.after(error, time.monotonic() - tried))
                continue
            began = time.monotonic()
            self._beat(connection)
            reason = await self._watch(connection)
            self.tell(reason)
            if time.monotonic() - began > STEADY_SECONDS:
                patience = self.patience()
            await asyncio.sleep(patience.after(None))

    async def _open(self, patience: Patience) -> C:
        number = next(self._numbers)
        connection = await self.open(number, patience)
        connection.number = number
        self._connections.add(connection)
        connection.lost.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    async def _watch(self, connection: C) -> str:
        """Until the connection, or the one that took its place, is lost; returns why."""
        patience = self.patience()
        while True:
            await asyncio.wait((connection.lost,), timeout=BEAT_SECONDS)
            if self.is_silent(connection) and not connection.lost.done() and not await self.answers(connection):
                self.tell(f"{connection.where}: {self.silence}")
                tried = time.monotonic()
                try:
                    fresh = await self._open(patience)
                except LinkError as error:
                    await asyncio.wait((connection.lost,), timeout=patience.after(error, time.monotonic() - tried))
                    continue
                patience = self.patience()
                if self.is_silent(connection):
                    connection, fresh = fresh, connection
                fresh.abort("another connection took its place")
            elif not connection.lost.done():
                self.ask_for_life(connection)
            if connection.lost.done():
                return f"{connection.where}: {connection.lost.result()}"
            self._beat(connection)

    def _beat(self, connection: C) -> None:
        self.tell("")
        self.beat(connection)
