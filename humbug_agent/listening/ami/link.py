"""Keeps one connection to an AMI, in a thread of its own, for as long as the daemon runs.

A connection on which nothing comes is not given up at once: what Asterisk still has in hand for it would be gone for
ever. A second one is tried beside it, and takes over when it gets through and the first one is still silent.
"""

import asyncio
import errno
import itertools
import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from humbug_agent.backoff import growing
from humbug_agent.listening.ami.listener import Listener
from humbug_agent.listening.ami.login import AmiLogin
from humbug_agent.listening.ami.protocol import FLOOD_SECONDS, REST_SECONDS, AmiError, LoginRefused, Protocol
from humbug_agent.listening.thread import Keeping

PING_SECONDS = 1.0
SILENT_PINGS = 2
"""So many pings and nothing comes: something is wrong. The time alone says nothing: this process may have slept."""

LOGIN_SECONDS, PATIENT_SECONDS, HASTY_TRIES = 3.0, 10.0, 20
"""How long a connection may take until it is logged in, and after how many failures in a row it may take longer."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 3.0
"""Seconds between tries, of which one that took long has used up some. What ends meanwhile is not told again."""

REFUSED_WAIT, REFUSED_SECONDS = 30.0, 300.0
"""How long to wait after a refused login, once they were refused for so long: each one is a line in a log."""

STEADY_SECONDS = 10.0
"""A connection that lasted so long was a good one."""


class Link:
    """``events`` are the classes of events to ask for, as manager.conf names them, parted by commas.

    What comes goes to the ``listeners``, as does each change of how the connection stands.
    """

    def __init__(self, settings: AmiLogin, events: str, listeners: Sequence[Listener]) -> None:
        self._settings = settings
        self._events = events
        self._listeners = listeners
        self._told: str | None = None
        self._numbers = itertools.count(1)
        self._protocols: set[Protocol] = set()
        self._keeping = Keeping("ami", self._keep, self._tell, self._close)

    def start(self) -> None:
        self._keeping.start()

    def is_alive(self) -> bool:
        """Whether this link is connected, or still tries to connect."""
        return self._keeping.is_alive()

    def stop(self) -> None:
        """Close the connection; nothing more comes into the inbox."""
        self._keeping.stop()

    def _close(self) -> None:
        for protocol in self._protocols:
            protocol.abort("the agent stops")

    async def _keep(self) -> None:
        patience = Patience()
        while True:
            tried = time.monotonic()
            try:
                protocol = await self._open(patience.login_seconds)
            except AmiError as error:
                self._tell(str(error))
                await asyncio.sleep(patience.after(error, time.monotonic() - tried))
                continue
            began = time.monotonic()
            self._beat(protocol)
            reason = await self._watch(protocol)
            self._tell(reason)
            if time.monotonic() - began > STEADY_SECONDS:
                patience = Patience()
            await asyncio.sleep(patience.after(None))

    async def _open(self, seconds: float) -> Protocol:
        number = next(self._numbers)

        def tell_all(blocks: Sequence[bytes]) -> None:
            for listener in self._listeners:
                listener.heard(number, blocks)

        protocol = await connect(self._settings, self._events, seconds, tell_all)
        protocol.number = number
        self._protocols.add(protocol)
        protocol.lost.add_done_callback(lambda _: self._protocols.discard(protocol))
        return protocol

    async def _watch(self, protocol: Protocol) -> str:
        """Until the connection, or the one that took its place, is lost; returns why."""
        patience = Patience()
        while True:
            await asyncio.wait((protocol.lost,), timeout=PING_SECONDS)
            if protocol.lost.done():
                return f"{protocol.where}: {protocol.lost.result()}"
            if not _silent(protocol):
                self._beat(protocol)
                protocol.ping()
                continue
            self._tell(f"{protocol.where}: nothing comes any more, not even an answer to a ping")
            tried = time.monotonic()
            try:
                fresh = await self._open(patience.login_seconds)
            except AmiError as error:
                await asyncio.wait((protocol.lost,), timeout=patience.after(error, time.monotonic() - tried))
                continue
            patience = Patience()
            if _silent(protocol):
                protocol, fresh = fresh, protocol
            fresh.abort("another connection took its place")
            self._beat(protocol)

    def _beat(self, protocol: Protocol) -> None:
        self._tell("")
        for listener in self._listeners:
            listener.beat(protocol.number, protocol.tell)

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            for listener in self._listeners:
                listener.stands(trouble)


class Patience:
    """How long to wait for a login, and after a failure, given those before it."""

    def __init__(self) -> None:
        self._failures = 0
        self._refused: float | None = None

    @property
    def login_seconds(self) -> float:
        return LOGIN_SECONDS if self._failures < HASTY_TRIES else PATIENT_SECONDS

    def after(self, error: AmiError | None, spent: float = 0.0) -> float:
        """``spent`` is how many seconds the try took."""
        if not isinstance(error, LoginRefused):
            self._refused = None
        elif self._refused is None:
            self._refused = time.monotonic()
        elif time.monotonic() - self._refused > REFUSED_SECONDS:
            return REFUSED_WAIT
        self._failures += 1
        wait = growing(self._failures, FIRST_WAIT, LONGEST_WAIT) * random.uniform(0.75, 1.0)  # nosec B311 # a pause
        return max(wait, 1.0) if isinstance(error, LoginRefused) else max(wait - spent, FIRST_WAIT * 0.75)


async def connect(
    settings: AmiLogin, events: str, seconds: float, on_events: Callable[[Sequence[bytes]], None]
) -> Protocol:
    """A connection that is logged in, within ``seconds``. Raises AmiError with what to do."""
    where = settings.where
    made: list[Protocol] = []

    def make() -> Protocol:
        made.append(Protocol(where, on_events, REST_SECONDS if "call" in events.split(",") else FLOOD_SECONDS))
        return made[-1]

    try:
        async with asyncio.timeout(seconds):
            tls = _context(settings, where) if settings.tls else None
            await asyncio.get_running_loop().create_connection(make, settings.host, settings.port, ssl=tls)
            await made[-1].greeting()
            await made[-1].login(settings, events)
            return made[-1]
    except BaseException as error:
        for protocol in made:
            protocol.abort("given up")
        if isinstance(error, TimeoutError) and made and not made[-1].greeted.done() and not settings.tls:
            raise AmiError(
                f"{where}: does not answer within {seconds:.0f} s; if it is the port of tlsbindaddr in manager.conf, "
                "it wants tls = yes"
            ) from error
        if isinstance(error, OSError | ValueError):
            raise AmiError(f"{where}: {_why(error, seconds)}") from error
        raise


def _context(settings: AmiLogin, where: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        why = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise AmiError(f"{where}: ca_file {settings.ca_file}: {why}") from error


def _why(error: OSError | ValueError, seconds: float) -> str:
    if not isinstance(error, OSError):
        return "there is no such host (it can't be a name)"
    if isinstance(error, TimeoutError):
        return f"does not answer within {seconds:.0f} s"
    # Of a name with several addresses asyncio tells only a text.
    each = set(re.findall(r"\[Errno (\d+)\]", str(error))) if error.errno is None else {str(error.errno)}
    if each == {str(errno.ECONNREFUSED)}:
        return "nobody listens there; does Asterisk run, and has manager.conf enabled = yes in [general]?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); ca_file names a CA of your own"
    if isinstance(error, ssl.SSLError):
        return f"speaks no TLS there ({error.reason}); tls = yes wants the port of tlsbindaddr in manager.conf"
    if isinstance(error, socket.gaierror):
        return f"there is no such host ({error.strerror})"
    return error.strerror or str(error) or "closes the connection before TLS is set up"


def _silent(protocol: Protocol) -> bool:
    return protocol.unanswered >= SILENT_PINGS
