"""A receiver that fails in every way it can, and writes down what it did to whom.

Each life of the agent sends to a URL of its own (``/life/7``), so that a request is known by the process it came from.
"""

import asyncio
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

KIND = {"take": 1.0}
REFUSED = {"400": 1.0}
USUAL = dict.fromkeys(("500", "503", "429", "unread", "dropped", "eaten", "half"), 1.7) | {
    **dict.fromkeys(("large", "large 500", "stall", "302"), 0.4),
    "take": 82.0,
    "slow": 4.0,
}
HARSH = {"take": 40.0, "500": 10.0, "503": 10.0, "429": 5.0, "unread": 10.0, "dropped": 10.0, "slow": 10.0}
EATING = {"take": 60.0, "eaten": 15.0, "half": 15.0, "stall": 3.0, "slow": 7.0}
LOCKED_OUT = {"401": 1.0}
RESETTING = {"take": 60.0, "reset": 20.0, "reset answer": 20.0}

TAKEN = ("take", "large", "slow", "eaten", "half", "stall", "reset answer")
LOSING = ("eaten", "half", "stall", "reset answer")
"""What is taken, and its answer lost."""
_HEADS = {
    "500": b"500 Internal Server Error\r\n",
    "503": b"503 Service Unavailable\r\n",
    "429": b"429 Too Many Requests\r\nRetry-After: %d\r\n",
    "401": b"401 Unauthorized\r\n",
    "302": b"302 Found\r\nLocation: http://127.0.0.1:9/login\r\n",
    "400": b"400 Bad Request\r\n",
}
_LARGE = 2 * 2**20


@dataclass(slots=True)
class Request:
    """``keys``: the calls that the receiver kept of it. ``told``: the status line went to the agent wholly, then."""

    number: int
    life: int
    connection: int
    index: int
    did: str
    at: float
    keys: Sequence[str] = ()
    told: float | None = None


@dataclass(slots=True)
class Connection:
    number: int
    requests: list[Request] = field(default_factory=list)


class Keeps(Protocol):
    """Whoever reads requests: ``calls`` by their keys, and in ``arrivals`` how many came, repeats among them."""

    calls: dict[str, dict[str, str]]
    arrivals: int

    def take(self, headers: Mapping[str, str], body: bytes) -> Sequence[str]:
        """Keep the calls in it; their keys. Raises ValueError or KeyError where that can't be right."""
        ...


class RudeReceiver:
    """Keeps the calls in ``oracle``. On a free port of loopback for as long as a ``with`` block.

    `be` changes its manners at any time.
    """

    def __init__(self, oracle: Keeps, seed: int) -> None:
        self.oracle = oracle
        self._rng = random.Random(seed)
        self._manners: Mapping[str, float] = KIND
        self._changed = asyncio.Event()
        self._news = threading.Condition()
        self._lives: set[int] = set()
        self._server: asyncio.Server | None = None
        self._speaks: ssl.SSLContext | str = ""
        # asyncio refers to a task weakly, and to the stream of a killed agent not at all: without this, a task that
        # waits then can be collected as garbage, in the midst of what it was to write down.
        self._serving: set[asyncio.Task[None] | None] = set()
        # Bound and not listening: keeps the port while connections are refused.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.faults: list[str] = []
        self.refusals = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rude receiver")
        self._thread.start()
        self.listen(True)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def url(self, life: int) -> str:
        return f"{'https' if self._speaks else 'http'}://127.0.0.1:{self.port}/life/{life}"

    def be(self, manners: Mapping[str, float]) -> None:
        """Treat what comes from now on so; what is stalled is closed."""
        self._do(self._be(manners))

    def listen(self, on: bool) -> None:
        """Without it connections are refused."""
        self._do(self._listen(on))

    def speak(self, what: ssl.SSLContext | str) -> None:
        """TLS, on connections that are made from now on; "plain" HTTP where TLS is expected, or "cut" the handshake."""
        self._speaks = what

    def await_request(self, life: int, seconds: float) -> bool:
        """Until a request of this life has come, or the time is over."""
        with self._news:
            return self._news.wait_for(lambda: life in self._lives, seconds)

    def deeds(self) -> Counter[str]:
        return Counter(request.did for request in self.requests)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _be(self, manners: Mapping[str, float]) -> None:
        self._manners = manners
        self._changed.set()
        self._changed = asyncio.Event()

    async def _listen(self, on: bool) -> None:
        if on and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_port=True)
        elif not on and self._server is not None:
            self._server.close()
            self._server = None
            self.refusals += 1

    async def _end(self) -> None:
        await self._listen(False)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        connection = Connection(len(self.connections))
        self.connections.append(connection)
        below = writer.transport
        try:
            if isinstance(self._speaks, ssl.SSLContext):
                await writer.start_tls(self._speaks)
            elif self._speaks:
                await self._speak_no_tls(reader, writer)
                return
            while await self._one(connection, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # The agent was killed, or gave this connection up.
        except asyncio.CancelledError:
            pass  # The end of the test.
        except Exception as error:  # noqa: BLE001
            self.faults.append(repr(error))
        finally:
            writer.transport.abort()
            below.abort()
            self._serving.discard(asyncio.current_task())

    async def _speak_no_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(self._rng.randrange(1, 500))
        if self._speaks == "plain":
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            await reader.read()

    async def _one(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and what is done to it. False ends the connection."""
        first = await reader.readexactly(1)
        did = self._rng.choices(list(self._manners), list(self._manners.values()))[0]
        if did == "unread":
            self._note(connection, -1, did)
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        }
        length = int(headers["content-length"])
        body = await reader.readexactly(length // 2 if did == "reset" else length)
        life = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
        request = self._note(connection, life, did)
        if did == "dropped":
            return False
        if did == "reset":
            _reset(writer)
            return False
        if did == "slow":
            await asyncio.sleep(self._rng.uniform(0.02, 0.4))
        if did in TAKEN:
            try:
                request.keys = self.oracle.take(headers, body)
            except (ValueError, KeyError) as error:
                self.faults.append(f"{error!r}: {body[:500]!r}")
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
        else:
            answer = self._answer(did)
        if did == "eaten":
            return False
        if did == "half":
            writer.write(answer[: self._rng.randrange(1, 12)])
            await writer.drain()
            # Not an abort: what was written is to arrive.
            writer.close()
            await writer.wait_closed()
            return False
        if did == "reset answer":
            writer.write(answer.replace(b" 2\r", b" 9\r"))
            await writer.drain()
            _reset(writer)
            return False
        if did == "stall":
            gone = asyncio.ensure_future(reader.read(1))
            kind = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait((gone, kind), return_when=asyncio.FIRST_COMPLETED)
            for waiting in (gone, kind):
                waiting.cancel()
            return False
        if did.startswith("large"):
            answer = answer.partition(b"\r\n")[0] + b"\r\nContent-Length: %d\r\n\r\n" % _LARGE + bytes(_LARGE)
        request.told = time.monotonic()
        writer.write(answer)
        await writer.drain()
        return True

    def _note(self, connection: Connection, life: int, did: str) -> Request:
        index = len(connection.requests)
        request = Request(len(self.requests), life, connection.number, index, did, time.monotonic())
        connection.requests.append(request)
        with self._news:
            self.requests.append(request)
            self._lives.add(life)
            self._news.notify_all()
        return request

    def _answer(self, did: str) -> bytes:
        head = _HEADS[did.removeprefix("large ")]
        if did == "429":
            head %= self._rng.randrange(2)
        return b"HTTP/1.1 " + head + b"Content-Length: 9\r\n\r\nnot today"


def _reset(writer: asyncio.StreamWriter) -> None:
    """What is under way is answered with RST."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
