"""Events of calls, made of recorded ones; and the source in this process."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID
from zoneinfo import ZoneInfo

from humbug_agent.cdr import Record
from humbug_agent.ini import Secret
from humbug_agent.listening.esl.event import name
from humbug_agent.sources.freeswitch.esl.event import HANGUP
from humbug_agent.sources.freeswitch.esl.settings import FreeswitchEslSettings
from humbug_agent.sources.freeswitch.esl.source import FreeswitchEsl
from tests.kit.calls import cdrs
from tests.kit.consumer import CONNECTED, Consumer
from tests.kit.esl_server import PASSWORD, EslServer, Recording, event
from tests.kit.host import wait_until

ZONE = ZoneInfo("Europe/Berlin")

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
    return FreeswitchEslSettings(
        "esl", "127.0.0.1", port, Secret(password), legs=legs, drop_doubles=drop, timezone=None
    )


def source(port: int = 8021, *, legs: str = "a", drop: bool = True) -> FreeswitchEsl:
    return FreeswitchEsl(settings(port, legs=legs, drop=drop), ZONE)


@contextmanager
def reading(server: EslServer, of: FreeswitchEsl | None = None) -> Iterator[Consumer[FreeswitchEsl]]:
    """With a recording to be played, from before it is."""
    plays = bool(server.recording)
    with Consumer(of or source(server.port)) as consumer:
        if not plays:
            assert consumer.next() == CONNECTED
            wait_until(lambda: server.listeners)
        yield consumer


def numbered(*numbers: int) -> bytes:
    return b"".join(map(hangup, numbers))


def uuids(records: Iterable[Record]) -> list[str]:
    return [record.uniqueid for record in cdrs(records)]
