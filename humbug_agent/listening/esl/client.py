"""One connection to an event socket: login, what to tell, questions.

EslError
└── LoginRefused
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from humbug_agent.listening.esl.frames import Frame, FrameError, Frames
from humbug_agent.listening.esl.login import EslLogin
from humbug_agent.listening.link import LinkError, why
from humbug_agent.scrub import Scrubber

REST_SECONDS, FULL_BYTES = 0.02, 128 * 2**10
"""How long to rest after reading, so that waking up for each event does not take the PBX's time; after a read of so
many bytes there may be more right behind them."""

HOLD_SECONDS, LOOK_SECONDS = 5.0, 0.05
"""How long at most nothing is read while there is no room for it, and how often to look. FreeSWITCH keeps 100,000
events for who reads slowly."""

ALIVE_AFTER, ALIVE_EVERY, ALIVE_TRIES = 5, 2, 3
"""Seconds, seconds and times: the kernel asks a silent host whether it is there, and costs FreeSWITCH nothing."""

PULSE = "status"
"""An api that every FreeSWITCH has, and answers at once."""

CommandKind = str
REPLY, ANSWER = "command/reply", "api/response"
EVENTS = ("text/event-json", "text/event-plain")


class EslError(LinkError):
    """The event socket can't be used as things are; the text says which host, why, and what to do."""


class LoginRefused(EslError):
    """It knows the password or this host not."""


class Client(asyncio.Protocol):
    """One connection to an event socket.

    ``on_events`` gets the bodies of events, several at a time; ``full`` says that there is no room for more.

    Both run in the loop's thread and must neither block nor raise. ``lost`` is done, with the reason, once the
    connection is gone; ``heard`` is the loop's time when something came last. ``number`` is for whoever has several.
    """

    def __init__(self, where: str, on_events: Callable[[Sequence[bytes]], None], full: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_events = on_events
        self._full = full
        self._held_until: float | None = None
        self._frames = Frames()
        self._waiting: dict[CommandKind, deque[asyncio.Future[Frame]]] = {REPLY: deque(), ANSWER: deque()}
        self._transport: asyncio.Transport | None = None
        self.where = where
        self.number = 0
        self.heard = self._loop.time()
        self.greeted: asyncio.Future[Frame] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()

    # What comes.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        with suppress(OSError):
            # It may be gone again already.
            _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        if len(data) < FULL_BYTES or self._full():
            self._pause(REST_SECONDS)
        events: list[bytes] = []
        try:
            for frame in self._frames.feed(data):
                if frame.kind in EVENTS:
                    events.append(frame.body)
                else:
                    self._take(frame)
        except FrameError as error:
            self.abort(str(error))
        finally:
            if events:
                self._on_events(events)

    def _take(self, frame: Frame) -> None:
        if not self.greeted.done() and frame.kind in ("auth/request", "text/rude-rejection"):
            self.greeted.set_result(frame)
        elif frame.kind == "text/disconnect-notice":
            notice = frame.body.decode("latin-1").strip().partition("\n")[0]
            self.abort(f"ends the connection ({notice})")
        elif waiting := self._waiting.get(frame.kind):
            awaited = waiting.popleft()
            if not awaited.done():
                awaited.set_result(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        within = " in the midst of a message" if self._frames.unfinished else ""
        why = f" ({getattr(exc, 'strerror', None) or exc})" if exc else ""
        self._lose(f"has closed the connection{within}{why}")

    def _pause(self, seconds: float) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self._transport or self._transport.is_closing():
            return
        now = self._loop.time()
        if not self._full():
            self._held_until = None
        elif self._held_until is None:
            self._held_until = now + HOLD_SECONDS
        if self._held_until is not None and now < self._held_until:
            # Not silent: it is this end that does not listen.
            self.heard = now
            self._loop.call_later(LOOK_SECONDS, self._read_on)
        else:
            self._transport.resume_reading()

    # What is said.

    async def login(self, password: str) -> None:
        """Raises LoginRefused, EslError."""
        await asyncio.wait((self.greeted, self.lost), return_when=asyncio.FIRST_COMPLETED)
        if not self.greeted.done():
            raise EslError(f"{self.where}: {self.lost.result()}")
        if self.greeted.result().kind != "auth/request":
            raise LoginRefused(
                f"{self.where}: does not let this host in: in event_socket.conf.xml, apply-inbound-acl must name a "
                "list that has this host's address (without one only FreeSWITCH's own host may connect); then "
                "fs_cli -x 'reload mod_event_socket'"
            )
        answer = await self._ask(f"auth {password}", REPLY)
        if not answer.reply.startswith("+OK"):
            said = Scrubber([password])(answer.reply) or "no reason given"
            raise LoginRefused(
                f"{self.where}: refuses the password ({said}); it is the param password "
                "in event_socket.conf.xml, and a change of it counts after fs_cli -x 'reload mod_event_socket'"
            )

    async def subscribe(self, events: Iterable[str]) -> None:
        """Ask for these events; a CUSTOM one as ``CUSTOM subclass``. Raises EslError."""
        plain = sorted(event for event in events if not event.startswith("CUSTOM "))
        custom = sorted(event.removeprefix("CUSTOM ") for event in events if event.startswith("CUSTOM "))
        # CUSTOM swallows what follows it.
        wanted = " ".join([*plain, *(["CUSTOM", *custom] if custom else [])])
        answer = await self._ask(f"event json {wanted}", REPLY)
        if not answer.reply.startswith("+OK"):
            raise EslError(f"{self.where}: does not tell its events ({answer.reply})")

    async def api(self, command: str) -> bytes:
        """What it answers. Meanwhile this connection gets no events. Raises EslError."""
        return (await self._ask(f"api {command}", ANSWER)).body

    def pulse(self) -> None:
        """Let it say something. Whatever comes counts, so nobody waits for it."""
        self._send(f"api {PULSE}")

    async def _ask(self, command: str, kind: CommandKind) -> Frame:
        answer: asyncio.Future[Frame] = self._loop.create_future()
        self._waiting[kind].append(answer)
        self._send(command)
        await asyncio.wait((answer, self.lost), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise EslError(f"{self.where}: {self.lost.result()}")
        return answer.result()

    def _send(self, command: str) -> None:
        if self._transport:
            self._transport.write(command.encode() + b"\n\n")

    def abort(self, reason: str) -> None:
        """End it now, as lost for this reason."""
        self._lose(reason)
        if self._transport:
            self._transport.abort()

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


def _nothing(events: Sequence[bytes]) -> None:
    pass


def _never() -> bool:
    return False


async def connect(
    settings: EslLogin,
    seconds: float,
    on_events: Callable[[Sequence[bytes]], None] = _nothing,
    full: Callable[[], bool] = _never,
) -> Client:
    """A connection that is logged in, within ``seconds``. Raises EslError with what to do."""
    where = settings.where
    made: list[Client] = []

    def make() -> Client:
        made.append(Client(where, on_events, full))
        return made[-1]

    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_connection(make, settings.host, settings.port)
            await made[-1].login(settings.password.reveal())
            return made[-1]
    except BaseException as error:
        for client in made:
            client.abort("given up")
        if isinstance(error, OSError | ValueError):
            said = why(error, seconds, "does FreeSWITCH run, and is mod_event_socket loaded with this listen-port?")
            raise EslError(f"{where}: {said}") from error
        raise


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE_AFTER)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ALIVE_EVERY)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ALIVE_TRIES)
