"""One connection to an AMI that is kept open: how it is made, and how it shows that it lives."""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence

from humbug_agent import backoff
from humbug_agent.listening import link
from humbug_agent.listening.ami.listener import Listener
from humbug_agent.listening.ami.login import AmiLogin
from humbug_agent.listening.ami.protocol import FLOOD_SECONDS, REST_SECONDS, AmiError, LoginRefused, Protocol
from humbug_agent.listening.link import LinkError

SILENT_PINGS = 2
"""So many pings and nothing comes: something is wrong. The time alone says nothing: this process may have slept."""

LOGIN_SECONDS = 3.0
"""How long a connection may take until it is logged in."""

PATIENT_SECONDS = 10.0
HASTY_TRIES = 20
"""After so many failures in a row it may take PATIENT_SECONDS."""


class Link(link.Link[Protocol, Listener]):
    """A connection to an AMI that is kept open.

    ``events`` are the classes of events to ask for, as manager.conf names them, parted by commas.
    """

    silence = "nothing comes any more, not even an answer to a ping"

    def __init__(self, settings: AmiLogin, events: str, listeners: Sequence[Listener]) -> None:
        super().__init__("ami", listeners)
        self._settings = settings
        self._events = events

    def patience(self) -> "Patience":
        return Patience()

    async def open(self, number: int, patience: link.Patience) -> Protocol:
        def tell_all(blocks: Sequence[bytes]) -> None:
            for listener in self.listeners:
                listener.heard(number, blocks)

        seconds = LOGIN_SECONDS if patience.failures < HASTY_TRIES else PATIENT_SECONDS
        return await connect(self._settings, self._events, seconds, tell_all)

    def is_silent(self, connection: Protocol) -> bool:
        return connection.unanswered >= SILENT_PINGS

    def ask_for_life(self, connection: Protocol) -> None:
        connection.ping()

    def beat(self, connection: Protocol) -> None:
        for listener in self.listeners:
            listener.beat(connection.number, connection.tell)


class Patience(link.Patience):
    """How long to wait after an AMI failed: longer where it refuses the login again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: float | None = None

    def after(self, error: LinkError | None, spent: float = 0.0) -> float:
        if not isinstance(error, LoginRefused):
            self._refused = None
            return max(self.short() - spent, backoff.CONNECTION.first * 0.75)
        if self._refused is None:
            self._refused = time.monotonic()
        elif time.monotonic() - self._refused > backoff.AMI_REFUSED_SECONDS:
            return backoff.AMI_REFUSED_WAIT
        return max(self.short(), 1.0)


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
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); ca_file names a CA of your own"
    if isinstance(error, ssl.SSLError):
        return f"speaks no TLS there ({error.reason}); tls = yes wants the port of tlsbindaddr in manager.conf"
    said = link.why(error, seconds, "does Asterisk run, and has manager.conf enabled = yes in [general]?")
    return said or "closes the connection before TLS is set up"
