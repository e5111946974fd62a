"""panoramisk's AMI protocol, with what it leaves undone.

Its own would lose characters that are split between two reads, end at an exception in a callback, wait for ever for an
answer that was lost, and read an endless message into memory. Framing is done here, on bytes; of panoramisk stay the
actions, the messages, and the matching of answers.

AmiError
└── LoginRefused
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from humbug_agent.listening.ami.login import AmiLogin
from humbug_agent.listening.ami.messages import END, divide, odd, of_cdr
from humbug_agent.listening.link import LinkError
from humbug_agent.scrub import Scrubber
from humbug_agent.text import text

BANNER = b"Asterisk Call Manager/"
OLD_BANNER = BANNER + b"1."
"""Of an Asterisk before 12, whose channel and queue events are others."""

OLDEST_BANNER = BANNER + b"1.0"
"""Of an Asterisk before 1.6, in which Cdr events are of the class call."""

_GREETING = re.compile(re.escape(BANNER) + rb"[^\r\n]*?(?:\r?\n|(?=Event: |Response: ))")
GREETING_SECONDS = 1.0
"""How long to wait for the end of a greeting that has begun: there may be none."""

MOST_UNKNOWN = 2**20
"""Bytes without any message that AMI knows, after which it is no AMI. The longest real message is some kilobytes."""

TOLD = "told-"
"""How the ActionIDs begin whose answers go where the events go. panoramisk's own never do."""

_ANSWER = f"\r\nActionID: {TOLD}".encode()

SHOWN = 60

REST_SECONDS = 0.02
"""After reading, so that a flood of events is read in large pieces: waking up for each takes the PBX's time. What the
kernel holds meanwhile is a hundredth of what it takes until Asterisk calls a reader slow."""

FLOOD_BYTES, FLOOD_SECONDS = 8 * 2**10, 0.2
"""After a read of so much, which is some 15 calls, the rest is longer, a quarter of what Asterisk has then for a reader
of Cdr events. Of those who hear of every channel it has ten times as much, and must not be kept waiting."""

FULL_BYTES = 128 * 2**10
"""After a read of so much there may be more right behind it."""


class AmiError(LinkError):
    """The AMI can't be used as things are; the text says which host, why, and what to do."""


class LoginRefused(AmiError):
    """The AMI knows this user not, or the secret, or the address."""


class Protocol(AMIProtocol):  # type: ignore[misc]
    """One connection. ``on_events`` gets each event as the bytes between two blank lines, several at a time; the
    answers to what was told; and the greeting, if it is an `OLD_BANNER`. ``flood_seconds`` is how long to rest in a
    flood of them.

    It runs in the loop's thread and must neither block nor raise. ``unanswered`` counts the pings since anything came;
    ``lost`` is done, with the reason, once the connection is gone. ``number`` is for whoever has several.
    """

    # Every byte is a character, and back: what a value means is decided value by value.
    encoding = "latin-1"

    def __init__(
        self, where: str, on_events: Callable[[Sequence[bytes]], None], flood_seconds: float = FLOOD_SECONDS
    ) -> None:
        loop = asyncio.get_running_loop()
        self.where = where
        self._on_events = on_events
        self._flood_seconds = flood_seconds
        self._rest = b""
        self._unknown = 0
        self._login = ""
        self.number = 0
        self.unanswered = 0
        self.greeted: asyncio.Future[str] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.log = logging.getLogger("panoramisk")

    async def greeting(self) -> str:
        """The line that an AMI begins with, which tells its version. Raises AmiError."""
        while not (self.greeted.done() or self.lost.done()):
            begun = self._rest
            await asyncio.wait((self.greeted, self.lost), return_when=asyncio.FIRST_COMPLETED, timeout=GREETING_SECONDS)
            if begun == self._rest and begun.startswith(BANNER) and not self.greeted.done():
                self._rest = b""
                self._greeted(begun)
        if not self.greeted.done():
            raise AmiError(f"{self.where}: {self.lost.result()}")
        return self.greeted.result()

    def data_received(self, data: bytes) -> None:
        self.unanswered = 0
        if len(data) < FULL_BYTES:
            self.transport.pause_reading()
            rest = REST_SECONDS if len(data) < FLOOD_BYTES else self._flood_seconds
            asyncio.get_running_loop().call_later(rest, self._read_on)
        self._rest += data
        if not self.greeted.done() and not self._greet():
            return
        *parts, self._rest = self._rest.split(END)
        blocks: list[bytes] = []
        for part in parts:
            part = part.lstrip(b"\r\n")
            blocks += divide(part, closed=True)[0] if odd(part) else [part]
        if b"\n\n" in self._rest or b"\n\r\n" in self._rest:
            more, self._rest = divide(self._rest, closed=False)
            blocks += more
        self._hand_over(blocks)
        if self._unknown + len(self._rest) > MOST_UNKNOWN:
            # Not shown: it may be our own login, sent back, and each time something else.
            self.abort("sends what is no AMI")

    def _hand_over(self, blocks: Sequence[bytes]) -> None:
        events = [block for block in blocks if self._is_event(block)]
        if events:
            self._on_events(events)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _greet(self) -> bool:
        line, newline, _ = self._rest.partition(b"\n")
        if found := _GREETING.match(self._rest):
            self._rest = self._rest[found.end() :]
            self._greeted(found[0].rstrip(b"\r\n"))
        elif newline or not BANNER.startswith(line[: len(BANNER)]) or len(line) > 2 * SHOWN:
            self.abort(f"is no AMI: it begins with {_shown(line.rstrip())}")
        return self.greeted.done()

    def _greeted(self, line: bytes) -> None:
        self.greeted.set_result(line.decode(self.encoding))
        if line.startswith(OLD_BANNER):
            self._on_events([line])

    def _is_event(self, block: bytes) -> bool:
        """Deals with what is none: an answer goes to who waits for it. What is left of a Cdr event is one, too."""
        told = block.startswith(b"Response: ") and _ANSWER in block
        if told or (block.startswith(b"Event: ") and not self._is_awaited(block)) or of_cdr(block):
            self._unknown = 0
            return True
        if block.startswith((b"Event: ", b"Response: ")):
            self._unknown = 0
            self._take_answer(block)
        else:
            # A line break in a value can make such: Asterisk does not escape a CDR's values.
            self._unknown += len(block)
        return False

    def _take_answer(self, block: bytes) -> None:
        try:
            message = Message.from_line(block.decode(self.encoding))
            if message.id not in self.responses:
                # Before the login is answered nothing else has been asked.
                message["ActionID"] = self._login
            # What nobody waits for panoramisk would take for an event, and a Shutdown in it for the end.
            if message.id in self.responses:
                self.handle_message(message)
        except Exception:
            # A message with a header twice, which a caller's text may have made, is more than it can take.
            self.log.debug("not understood: %r", block, exc_info=True)

    def _is_awaited(self, block: bytes) -> bool:
        if not self.responses:
            return False
        _, found, rest = block.partition(b"\r\nActionID: ")
        return bool(found) and rest.partition(b"\r\n")[0].decode(self.encoding) in self.responses

    async def ask(self, action: str, **headers: str) -> Message:
        """The answer to an action. Raises AmiError when the connection is lost before. Cancelling forgets it."""
        # Encoded here: panoramisk would show in its log what its encoding can't send.
        said = {name: value.encode().decode(self.encoding) for name, value in headers.items()}
        asked = Action({"Action": action, **said})
        self._login = asked.id if action == "Login" else ""
        answer = self.send(asked)
        try:
            await asyncio.wait((answer, self.lost), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise AmiError(f"{self.where}: {self.lost.result()}")
            return answer.result()
        finally:
            self._login = ""
            self.responses.pop(asked.id, None)

    async def login(self, settings: AmiLogin, events: str) -> None:
        """Say who we are, and which classes of events to send. Raises LoginRefused, AmiError."""
        secret = settings.secret.reveal()
        if self.greeted.result().encode(self.encoding).startswith(OLDEST_BANNER):
            events = f"{events},call"
        answer = await self.ask("Login", Username=settings.username, Secret=secret, Events=events)
        if not answer.success:
            said = Scrubber([secret])(text(str(answer.message).encode(self.encoding, "replace")))
            raise LoginRefused(
                f"{self.where}: refuses the login of {settings.username} ({said}); look in manager.conf at "
                f"[{settings.username}]: its secret, its permit and deny lines, and whether it was reloaded"
            )

    def tell(self, actions: bytes) -> None:
        """Send what nobody waits for; see `Listener.beat`."""
        self.transport.write(actions)

    def ping(self) -> None:
        """Whatever comes back counts, so nobody waits for it."""
        self.unanswered += 1
        self.transport.write(b"Action: Ping\r\n\r\n")

    def abort(self, reason: str) -> None:
        """End it now, as lost for this reason."""
        self._lose(reason)
        if transport := getattr(self, "transport", None):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        within = " in the midst of a message" if self._rest.strip() else ""
        why = f" ({getattr(exc, 'strerror', None) or exc})" if exc else ""
        self._lose(f"has closed the connection{within}{why}")

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            # Of a line that was cut off nobody knows the rest.
            lines = self._rest[: self._rest.rfind(b"\n") + 1]
            self._hand_over([block for block in divide(lines, closed=True)[0] if of_cdr(block)])
            self.lost.set_result(reason)


def _shown(data: bytes) -> str:
    text = data[:SHOWN].decode("latin-1")
    return repr(text) + ("…" if len(data) > SHOWN else "")
