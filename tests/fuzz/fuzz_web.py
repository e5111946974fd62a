"""Targets for what comes over the network from anybody, and for the admin's own files."""

import json
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

import h11
from starlette.datastructures import QueryParams
from starlette.types import Message, Receive, Scope, Send

from humbug_agent.board.model import Channel, Queue, QueueCall, State, View
from humbug_agent.cdr import CDR
from humbug_agent.config import Config, load
from humbug_agent.destinations.contract import DeliveryError
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.http_server.server import MOST_HEAD_BYTES
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.http_server.strict import StrictHttp
from humbug_agent.ini import ConfigError, Secret
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.receiver.protocol import Faults, WrongKey, decode, faults
from humbug_agent.sources.files.position import OpenFile
from humbug_agent.sources.files.unpacking import CantUnpack
from humbug_agent.web.guard import Guard
from humbug_agent.web.ipps import NO_CHANNEL, NO_QUEUE, channelinfo, queueactive
from tests.fuzz.fuzz_pbx import a_source
from tests.kit.calls import cdrs
from tests.kit.sending import Sending

API_KEY, KEY = "the-api-key", "the-encryption-key"

WAITING = QueueCall(
    uniqueid="1.1", queue="support", channel="SIP/a-1", number="0441", name="a,b\nc", entered=1795194317.0
)
TALKING = QueueCall(
    uniqueid="1.2", queue="support", channel="SIP/b-1", entered=1.5, agent="Local/1@x", agent_name="Ann\r\nB", waited=3
)
BUSY = Channel(uniqueid="1.1", channel="SIP/a-1", state=State.UP, number="0441,1", name="\u2028x", account="\x00y")
VIEW = View("pbx", "AMI", True, "", 1.0, (BUSY,), {"support": Queue("support", (WAITING, TALKING))}, {"SIP/a": (BUSY,)})


def ipps(data: bytes) -> None:
    """As a client's whole connection: heads, the guard, the two interfaces and their lines."""
    numbers, guards = numbers_and_guards()
    connection = StrictHttp(MOST_HEAD_BYTES)
    try:
        connection.receive_data(data)
        while not isinstance(event := connection.next_event(), type | h11.ConnectionClosed):
            if isinstance(event, h11.Request):
                _ask(event, numbers, guards)
            if connection.our_state is h11.SEND_RESPONSE and connection.their_state is h11.DONE:
                if not _goes_on(connection):
                    return
                connection.start_next_cycle()
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass


def _goes_on(connection: StrictHttp) -> bool:
    """Whether it does after the answer."""
    connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    return connection.our_state is h11.DONE


def _ask(request: h11.Request, numbers: NumbersSettings, guards: tuple[Guard, Guard]) -> None:
    path, _, query = request.target.partition(b"?")
    scope = {
        "type": "http", "method": request.method.decode(), "scheme": "http", "path": path.decode("ascii"),
        "query_string": query, "headers": list(request.headers), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    for guard in guards:
        # It waits for nothing, and so needs no loop.
        with suppress(StopIteration):
            _guarded(guard, scope).send(None)
    for name, value in request.headers:
        if name == b"authorization":
            guards[1]._may(value)
    asked = QueryParams(query.decode("latin-1"))
    said = channelinfo(asked, [VIEW]) + queueactive(asked, [VIEW], numbers, UTC)
    said.encode()
    lines = said.removeprefix(NO_CHANNEL).removesuffix(NO_QUEUE).split("\n")
    assert {line.count(",") for line in lines} <= {0, 4, 5, 6}, said


async def _guarded(guard: Guard, scope: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        for name, value in message.get("headers", ()):
            assert not {b"\r", b"\n"} & {name, value}

    # A wrong password is answered a second later: whether it is one, `_may` is asked for itself.
    if not (guard._guarded and any(name == b"authorization" for name, _ in scope["headers"])):
        await guard(scope, receive, send)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@cache
def numbers_and_guards() -> tuple[NumbersSettings, tuple[Guard, Guard]]:
    """One that only goes by the name of the host, and one with a password."""

    def settings(password: str) -> StatusSettings:
        found = _loaded(f"[status]\nlisten = 127.0.0.1:6494\n{password}\n").status
        assert found
        return found

    guards = Guard(_nothing, settings("")), Guard(_nothing, settings("username = é\npassword = ü"))
    return _loaded("[numbers]\ncountry = CH\ndefault_country = Switzerland").numbers, guards


def _loaded(more: str) -> Config:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as ini:
        ini.write(
            "[source pbx]\ntype = asterisk_csv\npath = /nowhere\n"
            f"[destination humbug]\ntype = humbug\napi_key = {API_KEY}\n{more}\n"
        )
        ini.flush()
        return load(Path(ini.name))


def receiver(data: bytes) -> None:
    """A body, judged, and the same that is encoded."""
    digits = _xor(data, KEY.encode()).hex().encode()
    for body in (data, b"gateway=" + API_KEY.encode() + b"&encoded=1&data=" + digits):
        try:
            parameters = decode(body, KEY)
        except Faults as error:
            said = error.faults
            assert said
        except WrongKey as error:
            said = [str(error)]
        else:
            said = faults(parameters)
            json.dumps(parameters).encode()
        shown = "".join(said)
        shown.encode("ascii")
        assert KEY not in shown
        assert API_KEY not in shown


def _xor(data: bytes, key: bytes) -> bytes:
    return bytes(one ^ key[at % len(key)] for at, one in enumerate(data))


def agent_ini(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=memory()) as ini:
        ini.write(data)
        ini.flush()
        try:
            config = load(Path(ini.name))
        except ConfigError as error:
            said = error.mistakes
        else:
            said = list(config.warnings) or ["a good one"]
            config.make_sources()
            for destination in config.make_destinations():
                destination.close()
    assert "".join(said).encode()


def http_answer(data: bytes) -> None:
    """What a receiver answers to a call, the first byte of it telling whether the connection then ends or breaks."""
    call = receiving_call()
    server = answering()
    server.answer = data
    destination = Sending(settings_of(server.port), UTC, NumbersSettings(None, 9, ""))
    try:
        shown = destination.send(call).text + destination.send(call).text
    except DeliveryError as error:
        shown = error.reason + error.answer.text
    finally:
        destination.close()
    shown.encode()
    assert API_KEY not in shown


class Answering:
    """A server on loopback that answers whatever it is asked with the same bytes, and closes."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(1)
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked and (more := connection.recv(65536)):
            asked += more
            if asked[:1] not in (b"G", b"P"):
                # TLS, which it does not speak.
                return
        if self.answer[:1] == b"!":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(self.answer.removeprefix(b"!"))
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        # The rest of what it asks, so that nothing of the answer is lost.
        while connection.recv(65536):
            pass


@cache
def answering() -> Answering:
    return Answering()


def settings_of(port: int) -> HumbugSettings:
    return HumbugSettings(
        "humbug", f"http://127.0.0.1:{port}/", Secret(API_KEY), None, 1, 2, re.compile("."), re.compile("no"),
        "reserved", None, None,
    )  # fmt: skip


@cache
def receiving_call() -> CDR:
    (call,) = cdrs(a_source("asterisk_csv").parse(CALL).records)
    return call


CALL = (
    b'"","0441","401","default","""A"" <0441>","SIP/t-1","SIP/401-1","Dial","SIP/401","2026-11-20 16:51:01",'
    b'"2026-11-20 16:51:03","2026-11-20 16:51:09",8,6,"ANSWERED","DOCUMENTATION","1795194661.1",""\n'
)


def packed_file(data: bytes) -> None:
    """A rotated file, read as it is followed."""
    with tempfile.NamedTemporaryFile(dir=memory()) as packed:
        packed.write(data)
        packed.flush()
        try:
            with OpenFile(Path(packed.name)) as file:
                read = 0
                while (piece := file.peek(PIECE)) and read < MOST_READ:
                    assert len(piece) <= PIECE
                    read += len(piece)
                    file.advance(piece)
                file.beginning()
                file.read_again(max(0, file.offset - PIECE))
                file.unread()
                file.broken.encode()
        except CantUnpack as error:
            str(error).encode()


PIECE, MOST_READ = 64 * 1024, 4 * 2**20


@cache
def memory() -> str | None:
    """Where files cost least."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TARGETS: Mapping[str, Any] = {
    "ipps": ipps,
    "receiver": receiver,
    "agent_ini": agent_ini,
    "http_answer": http_answer,
    "packed_file": packed_file,
}
