"""A server on loopback that plays an event socket: recordings, made-up events, and the ways in which it goes wrong."""

import ast
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.kit.paths import DATA
from tests.kit.pbx_server import PbxServer, PbxSession, pieces

RECORDED = DATA / "freeswitch" / "esl"
PASSWORD = "esl-word-that-nobody-may-see"
GREETING = b"Content-Type: auth/request\n\n"
GOODBYE = (
    b"Content-Type: text/disconnect-notice\nContent-Length: 67\n\n"
    b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
)
RUDE = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n"
STATUS = (
    b"UP 0 years, 0 days, 0 hours, 2 minutes, 53 seconds, 377 milliseconds, 395 microseconds\n"
    b"FreeSWITCH (Version 1.11.3-dev git cc93a68 2026-08-21 14:10:14Z 64bit) is ready\n"
    b"48 session(s) since startup\n6 session(s) - peak 14, last 5min 14 \n"
)
NOTHING = b'{"row_count": 0}\n'


def reply(text: str) -> bytes:
    return b"Content-Type: command/reply\nReply-Text: %s\n\n" % text.encode()


def answer(body: bytes) -> bytes:
    return b"Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(body), body)


def event(body: bytes, kind: str = "json") -> bytes:
    return b"Content-Length: %d\nContent-Type: text/event-%s\n\n%s" % (len(body), kind.encode(), body)


@dataclass(frozen=True)
class Step:
    """``said`` is what the client said; otherwise ``data`` comes, and nothing is the end. ``at`` in seconds."""

    at: float
    data: bytes = b""
    said: bytes = b""


class Recording:
    """A connection that was recorded: what was on the wire, and when."""

    def __init__(self, name: str) -> None:
        self.data = (RECORDED / f"{name}.server.raw").read_bytes()
        said = RECORDED / f"{name}.client.raw"
        self.said = said.read_text().split("\n\n") if said.exists() else []
        self.steps: list[Step] = []
        timeline = RECORDED / f"{name}.timeline.txt"
        for line in timeline.read_text().splitlines() if timeline.exists() else ():
            at, arrow, what = line.split(maxsplit=2)
            if arrow == "->":
                self.steps.append(Step(float(at), said=ast.literal_eval(what)))
            elif found := re.fullmatch(r"(\d+) bytes at offset (\d+)", what):
                begin = int(found[2])
                self.steps.append(Step(float(at), self.data[begin : begin + int(found[1])]))
            else:
                self.steps.append(Step(float(at)))

    def bodies(self) -> list[tuple[str, bytes]]:
        """Kind and body of each frame, taken apart by something else than the agent."""
        found, rest = [], self.data
        while rest:
            head, _, rest = rest.partition(b"\n\n")
            kind = re.search(rb"^Content-Type: (.*)$", head, re.MULTILINE)
            length = re.search(rb"^Content-Length: (\d+)$", head, re.MULTILINE)
            size = int(length[1]) if length else 0
            assert kind
            found.append((kind[1].decode(), rest[:size]))
            rest = rest[size:]
        return found

    def events(self) -> list[bytes]:
        return [body for kind, body in self.bodies() if kind.startswith("text/event")]

    def answers(self, command: str) -> list[bytes]:
        """What came each time somebody asked for it."""
        asked = [line.removeprefix("api ") for line in self.said if line.startswith("api ")]
        found = [body for kind, body in self.bodies() if kind == "api/response"]
        return [body for one, body in zip(asked, found, strict=True) if one == command]


class EslServer(PbxServer["Session"]):
    """An event socket. Its attributes say how it behaves from now on; any thread may set them at any time.

    ``answers`` is what an api is answered with. ``recording`` is played to the next one who connects.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        super().__init__("esl")

    def behave(self) -> None:
        self.greeting = GREETING
        self.password = PASSWORD
        self.event_reply = "+OK event listener enabled json"
        self.after_subscribing: Callable[[], Iterable[bytes]] = tuple
        self.answers: dict[str, bytes] = {"status": STATUS, "show channels as json": NOTHING}
        self.answers["callcenter_config queue list"] = b"-ERR callcenter_config Command not found!\n"
        self.answers_api = True
        self.recording: Recording | None = None
        self.speed = 50.0
        self.sizes: Iterable[int] = (1400,)

    def session(self, peer: socket.socket) -> "Session":
        recording, self.recording = self.recording, None
        return Session(self, peer, recording)

    @property
    def listeners(self) -> list["Session"]:
        """Who has subscribed, and is served."""
        return [session for session in self.sessions if session.subscribed and not session.frozen]

    def play(self, data: bytes, sizes: Iterable[int] = (1400,)) -> None:
        """Send it to all who have subscribed, in pieces of these sizes over and over."""
        for session in self.listeners:
            session.send(pieces(data, sizes))


class Session(PbxSession):
    """One connection."""

    def __init__(self, server: EslServer, peer: socket.socket, recording: Recording | None) -> None:
        super().__init__("esl", peer, frozen=server.frozen)
        self._server = server
        self._recording = recording
        self._sending = threading.Lock()
        self._rest = b""
        self.subscribed = False

    def run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._recording:
                self._play(self._recording)
            else:
                self._serve()
        except OSError:
            pass
        finally:
            self.subscribed = False
            self._socket.close()

    def _play(self, recording: Recording) -> None:
        before = 0.0
        for step in recording.steps:
            self._server.ended.wait((step.at - before) / self._server.speed)
            before = step.at
            if step.said.startswith((b"auth", b"event")):
                # The others it asked over a connection of events, which the agent does not do.
                command = self._command()
                self.subscribed = self.subscribed or command.startswith("event")
            elif step.data:
                self.send(pieces(step.data, self._server.sizes))
        self._socket.shutdown(socket.SHUT_WR)

    def _command(self) -> str:
        while b"\n\n" not in self._rest:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError
            self._rest += data
        command, _, self._rest = self._rest.partition(b"\n\n")
        self._server.said.append(command.decode())
        return command.decode()

    def _serve(self) -> None:
        server = self._server
        if self.frozen:
            while self._socket.recv(65536):
                pass
            return
        self.send([server.greeting])
        if server.greeting == RUDE:
            return
        while True:
            command = self._command()
            word, _, rest = command.partition(" ")
            if self.frozen:
                continue
            if word == "auth":
                server.login_times.append(time.monotonic())
                if rest != server.password:
                    server.refusals += 1
                    self.send([reply("-ERR invalid"), GOODBYE])
                    return
                self.send([reply("+OK accepted")])
            elif word == "event":
                self.send([reply(server.event_reply)])
                self.send(server.after_subscribing())
                self.subscribed = True
            elif word == "api":
                if server.answers_api:
                    unknown = f"-ERR {rest.partition(' ')[0]} Command not found!\n".encode()
                    self.send([answer(server.answers.get(rest, unknown))])
            else:
                self.send([reply("-ERR command not found")])

    def send(self, parts: Iterable[bytes]) -> None:
        with self._sending:
            for part in parts:
                if self.frozen:
                    return
                try:
                    self._socket.sendall(part)
                except OSError:
                    return
