"""Events of calls, made of recorded ones; and the source in this process."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID
from zoneinfo import ZoneInfo

from esl_server import PASSWORD, EslServer, Recording, event
from host import wait_until

from humbug_agent.cdr import CDR, Batch, Record
from humbug_agent.config_sources import FreeswitchEslSettings
from humbug_agent.esl.event import name
from humbug_agent.ini import Secret
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.event import HANGUP
from humbug_agent.sources.freeswitch.event_socket import FreeswitchEsl

ZONE = ZoneInfo("Europe/Berlin")
CONNECTED = Batch([], [], None)

_hangups = [body for body in Recording("json_calls").events() if name(body) == HANGUP]
B_LEG, A_LEG = _hangups[0], _hangups[1]
_A_UUID = json.loads(A_LEG)["Unique-ID"].encode()
HEARTBEAT = b'{"Event-Name":"HEARTBEAT","Core-UUID":"%s","Event-Info":"System Ready","Session-Count":"0"}'
_HEADERS = dict(json.loads(A_LEG))
CORE = _HEADERS["Core-UUID"]


def uuid(number: int) -> str:
    return str(UUID(int=number))


def hangup(number: int) -> bytes:
    """The frame of the ``number``-th of calls that differ in their uuid alone."""
    return event(A_LEG.replace(_A_UUID, uuid(number).encode()))


def heartbeat(core: str = CORE) -> bytes:
    return event(HEARTBEAT % core.encode())


def changed(**headers: str | None) -> bytes:
    """The body of a hangup with other headers, their dashes written as underscores twice; None leaves one out."""
    said = _HEADERS | {header.replace("__", "-"): value for header, value in headers.items()}
    return json.dumps(
        {header: value for header, value in said.items() if value is not None}, separators=(",", ":")
    ).encode()


def settings(port: int = 8021, password: str = PASSWORD, legs: str = "a", drop: bool = True) -> FreeswitchEslSettings:
    return FreeswitchEslSettings("esl", "127.0.0.1", port, Secret(password), legs, drop, None)


def source(port: int = 8021, **other: object) -> FreeswitchEsl:
    return FreeswitchEsl(settings(port, **other), ZONE)  # type: ignore[arg-type]


def calls(records: Iterable[Record]) -> list[CDR]:
    return [record for record in records if isinstance(record, CDR)]


class Consumer:
    """Reads a source batch by batch, as the pump does, and begins again where the source or a test made it fail."""

    def __init__(self, of: FreeswitchEsl) -> None:
        self._source = of
        self.stop = threading.Event()
        self.failures: list[str] = []
        self.found: list[CDR] = []
        self._begin()

    def _begin(self) -> None:
        self._reading: Iterator[Batch] = self._source.read(None, self.stop, follow=True)

    def next(self) -> Batch:
        """The next batch; a failure is raised and forgotten."""
        try:
            batch = next(self._reading)
            self.found += calls(batch.records)
            return batch
        except SourceError as failure:
            self.failures.append(str(failure))
            self._begin()
            raise

    def fails(self) -> None:
        """What was handed over last does not come onto the disk."""
        self._reading.close()  # type: ignore[attr-defined]
        self._begin()

    def take(self, number: int) -> list[CDR]:
        """Whatever goes wrong meanwhile."""
        found: list[CDR] = []
        while len(found) < number:
            try:
                found += calls(self.next().records)
            except SourceError:
                continue
        assert len(found) == number
        return found

    def until_failure(self) -> str:
        while True:
            try:
                self.next()
            except SourceError as failure:
                return str(failure)

    def rest(self) -> list[Record]:
        """What is handed over between the stop and the end."""
        self.stop.set()
        found: list[Record] = []
        while True:
            try:
                return found + [record for batch in self._reading for record in batch.records]
            except SourceError:
                self._begin()


@contextmanager
def reading(server: EslServer, of: FreeswitchEsl | None = None) -> Iterator[Consumer]:
    """With a recording to be played, from before it is."""
    consumer, plays = Consumer(of or source(server.port)), bool(server.recording)
    try:
        if not plays:
            assert consumer.next() == CONNECTED
            wait_until(lambda: server.listeners)
        yield consumer
    finally:
        consumer.rest()


def numbered(*numbers: int) -> bytes:
    return b"".join(map(hangup, numbers))


def uuids(records: list[CDR]) -> list[str]:
    return [record.uniqueid for record in records]
