"""A server on loopback that plays AMI: recorded or made-up events, and the ways in which a server can go wrong."""

import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.kit.pbx_server import PATIENCE, PbxServer, PbxSession, pieces

USER, SECRET = "humbug", "ami-word-that-nobody-may-see"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
REFUSED_SECONDS = 1.0
"""Asterisk's own pause before it says that a login failed."""

Headers = dict[str, str]


class AmiServer(PbxServer["Session"]):
    """AMI. Its attributes say how it behaves from now on; any thread may set them at any time.

    ``after_banner`` and ``after_login`` make what is sent right behind the banner, and right behind the answer to a
    login. ``console`` is what the Command action is answered with; a command that is not in it is not permitted.

    ``lists`` are the messages that CoreShowChannels and QueueStatus are answered with, without ActionID, and what ends
    them; an action that is not in it, Asterisk does not know. ``refused`` says with which words an action is refused;
    those in ``ignored`` are not answered, and after ``half`` of an answer's messages nothing more comes.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.logins = self.pings = self.sent = 0
        self.said: list[Headers] = []
        super().__init__("ami")

    def behave(self) -> None:
        self.banner = BANNER
        self.greet_after = 0.0
        self.closes_at_once = False
        self.allowed = True
        self.login_answer = b"Response: Success\r\nActionID: %s\r\nMessage: Authentication accepted\r\n\r\n"
        self.closes_after_login = False
        self.after_banner: Callable[[], Iterable[bytes]] = tuple
        self.after_login: Callable[[], Iterable[bytes]] = tuple
        self.console: Mapping[str, str] = {}
        self.answers_commands = True
        self.closes_after_command = False
        self.lists: Mapping[str, Sequence[bytes]] = {"CoreShowChannels": (), "QueueStatus": ()}
        self.refused: Mapping[str, str] = {}
        self.ignored: Collection[str] = ()
        self.half: Collection[str] = ()

    def session(self, peer: socket.socket) -> "Session":
        return Session(self, peer)

    @property
    def listeners(self) -> list["Session"]:
        """Who is logged in, and served."""
        return [session for session in self.sessions if session.logged_in and not session.frozen]

    def asked(self, action: str) -> list[Headers]:
        """Each time somebody has asked for it."""
        return [headers for headers in self.said if headers.get("Action") == action]

    def play(self, data: bytes, sizes: Iterable[int] = (1400,), *, apart: bool = False) -> int:
        """Send it to all that are logged in, in pieces of these sizes over and over; returns to how many.

        With ``apart`` each piece is sent when the one before has been read, so that they are never read together.
        """
        listeners = self.listeners
        for session in listeners:
            session.play(pieces(data, sizes), apart)
        return len(listeners)

    def wait_until_read(self) -> None:
        """Until all that was played has been read."""
        for session in self.listeners:
            session.wait_until_read()


class Session(PbxSession):
    """One connection."""

    def __init__(self, server: AmiServer, peer: socket.socket) -> None:
        super().__init__("ami", peer, frozen=server.frozen)
        self._server = server
        self._peer_port = int(peer.getpeername()[1])
        self._using = threading.Lock()
        self.logged_in = False

    def run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._server.tls and not self.frozen:
                self._socket = self._server.tls.wrap_socket(self._socket, server_side=True)
            if self._server.closes_at_once:
                self._socket.recv(65536)
            else:
                self._serve()
        except OSError:
            pass
        finally:
            self.logged_in = False
            self._socket.close()

    def _serve(self) -> None:
        if not self.frozen:
            # A client that will not wait ends it.
            select.select([self._socket], [], [], self._server.greet_after)
            self._send([self._server.banner])
            self._send(self._server.after_banner())
        for headers in self._messages():
            if not self.frozen:
                self._server.said.append(headers)
                answer = getattr(self, f"_{headers.get('Action', '').lower()}", self._unknown)
                if not answer(headers):
                    return

    def _messages(self) -> Iterator[Headers]:
        rest = b""
        while data := self._receive():
            *blocks, rest = (rest + data).split(b"\r\n\r\n")
            for block in blocks:
                lines = [line.partition(": ") for line in block.decode().split("\r\n")]
                yield {name: value for name, _, value in lines}

    def _receive(self) -> bytes:
        # One TLS connection can't be read by one thread while another one writes.
        if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            select.select([self._socket], [], [])
        with self._using:
            return self._socket.recv(65536)

    def _login(self, headers: Headers) -> bool:
        server = self._server
        server.login_times.append(time.monotonic())
        if not server.allowed or (headers.get("Username"), headers.get("Secret")) != (USER, SECRET):
            server.refusals += 1
            server.ended.wait(REFUSED_SECONDS)
            self._answer(headers, b"Response: Error", b"Message: Authentication failed")
            return False
        if server.login_answer:
            answer = server.login_answer
            self._send([answer.replace(b"%s", headers["ActionID"].encode())])
        server.logins += 1
        self._send(server.after_login())
        self.logged_in = not server.closes_after_login
        return self.logged_in

    def _ping(self, headers: Headers) -> bool:
        self._server.pings += 1
        return self._answer(headers, b"Response: Success", b"Ping: Pong", b"Timestamp: %.6f" % time.time())

    def _corestatus(self, headers: Headers) -> bool:
        return self._answer(headers, b"Response: Success", b"CoreCurrentCalls: 0")

    def _command(self, headers: Headers) -> bool:
        if not self._server.answers_commands:
            return True
        output = self._server.console.get(headers["Command"])
        if output is None:
            self._answer(headers, b"Response: Error", b"Message: Permission denied")
        else:
            lines = [b"Output: " + line.encode() for line in output.splitlines()]
            self._answer(headers, b"Response: Success", b"Message: Command output follows", *lines)
        return not self._server.closes_after_command

    def _coreshowchannels(self, headers: Headers) -> bool:
        return self._list(headers, b"CoreShowChannelsComplete")

    def _queuestatus(self, headers: Headers) -> bool:
        return self._list(headers, b"QueueStatusComplete")

    def _list(self, headers: Headers, end: bytes) -> bool:
        """The whole answer is made at one moment and sent without an event in it, as Asterisk does."""
        server, action = self._server, headers["Action"]
        if action in server.ignored:
            return True
        if action in server.refused:
            return self._answer(headers, b"Response: Error", b"Message: " + server.refused[action].encode())
        if action not in server.lists:
            return self._unknown(headers)
        own = b"\r\nActionID: " + headers["ActionID"].encode()
        items = [message + own + b"\r\n\r\n" for message in server.lists[action]]
        begin = b"Response: Success" + own + b"\r\nEventList: start\r\nMessage: will follow\r\n\r\n"
        last = b"Event: " + end + own + b"\r\nEventList: Complete\r\nListItems: %d\r\n\r\n" % len(items)
        self._send([begin, *items[: len(items) // 2]] if action in server.half else [begin, *items, last])
        return True

    def _unknown(self, headers: Headers) -> bool:
        return self._answer(headers, b"Response: Error", b"Message: Invalid/unknown command")

    def _answer(self, headers: Headers, first: bytes, *lines: bytes) -> bool:
        own = [b"ActionID: " + headers["ActionID"].encode()] if "ActionID" in headers else []
        self._send([b"\r\n".join([first, *own, *lines, b"", b""])])
        return True

    def _send(self, data: Iterable[bytes]) -> None:
        with self._using:
            for piece in data:
                self._socket.sendall(piece)
                self._server.sent += len(piece)

    def play(self, data: Iterable[bytes], apart: bool) -> None:
        with self._using:
            for piece in data:
                self._socket.sendall(piece)
                if apart:
                    self.wait_until_read()

    def wait_until_read(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._unread():
            assert time.monotonic() < deadline, "what was sent is never read"
            time.sleep(0.001)

    def _unread(self) -> bool:
        """Whether the kernel still has some of what was sent, on this side or on the client's."""
        port = f":{self._server.port:04X}"
        peer = f":{self._peer_port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            sending, _, waiting = queues.partition(":")
            if local.endswith(peer) and remote.endswith(port) and int(waiting, 16):
                return True
            if local.endswith(port) and remote.endswith(peer) and int(sending, 16):
                return True
        return False


def garbage(total: int, blank_lines: bool) -> Iterator[bytes]:
    """``total`` bytes, different each time, in which no message is."""
    numbers = random.Random()
    for _ in range(total // 65536):
        piece = numbers.randbytes(65536).replace(b"\n", b"\r")
        yield b"\r\n\r\n".join(pieces(piece, (997,))) if blank_lines else piece
