"""Protocol and AsteriskAmi in this process, fed with bytes."""

import asyncio
from collections.abc import Iterable, Sequence

from humbug_agent.cdr import CDR, Batch
from humbug_agent.ini import Secret
from humbug_agent.listening.ami.protocol import Protocol
from humbug_agent.listening.inbox import Heard
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.asterisk.ami.source import AsteriskAmi
from tests.kit.ami_calls import ZONE
from tests.kit.ami_server import SECRET, USER

AT = 1795194393.0


def settings(port: int = 5038, events: Iterable[str] = ("cdr",), secret: str = SECRET) -> AsteriskAmiSettings:
    return AsteriskAmiSettings("ami", "127.0.0.1", port, USER, Secret(secret), False, None, frozenset(events))


def source(events: Iterable[str] = ("cdr",), port: int = 5038) -> AsteriskAmi:
    return AsteriskAmi(settings(port, events), ZONE)


class Wire(asyncio.Transport):
    """What a connection is told to do with its bytes; nothing is behind it."""

    aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


def blocks(parts: Iterable[bytes], wire: Wire | None = None) -> list[bytes]:
    """The events that a connection on which these bytes come hands over. It stays, unless ``wire`` is to tell."""
    found: list[bytes] = []

    async def feed(over: Wire) -> None:
        protocol = Protocol("AMI", found.extend)
        protocol.connection_made(over)
        for part in parts:
            protocol.data_received(part)

    over = wire or Wire()
    asyncio.run(feed(over))
    assert wire or not over.aborted
    return found


def heard(found: Sequence[bytes], connection: int = 1) -> list[Heard]:
    return [Heard(connection, AT, block) for block in found]


def understood(events: bytes, of: AsteriskAmi | None = None, connection: int = 1) -> Batch:
    """What becomes of events as they stand on the wire."""
    found = [block.lstrip(b"\r\n") for block in events.split(b"\r\n\r\n") if block.strip()]
    return (of or source())._batch(heard(found, connection))


def only_call(events: bytes) -> CDR:
    batch = understood(events)
    (record,) = batch.records
    assert isinstance(record, CDR)
    assert not batch.rejects
    return record
