"""Targets for what PBXs write and say: files, manager interfaces, documents, APIs' answers."""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

from humbug_agent.board.asterisk import AsteriskFeeder
from humbug_agent.board.freeswitch import FreeswitchFeeder
from humbug_agent.board.freeswitch_list import ListError, Listing
from humbug_agent.board.model import Board
from humbug_agent.cdr import Batch
from humbug_agent.cli.output import json_text, record
from humbug_agent.config import Config, load
from humbug_agent.destinations.humbug.destination import Humbug
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.flat import flatten
from humbug_agent.http_client.client import Response
from humbug_agent.listening.ami.messages import END
from humbug_agent.listening.ami.protocol import BANNER, Protocol
from humbug_agent.listening.esl.client import EVENTS
from humbug_agent.listening.esl.frames import Frame, FrameError, Frames
from humbug_agent.sources.asterisk.csv.records import split
from humbug_agent.sources.boxis import source as boxis
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.freeswitch.csv.own_columns import FileRows
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.fusionpbx import source as fusionpbx
from humbug_agent.sources.polling.client import Asker
from humbug_agent.sources.while1.pages import Pages
from humbug_agent.sources.while1.source import While1
from humbug_agent.web import shown
from tests.kit.ami_feed import Wire
from tests.kit.narrow import only

GREETING = BANNER + b"5.0.2\r\n"
CHARSETS = ("auto", "gbk")
OWN_TEMPLATE = ",".join(
    f'"${{{name}}}"'
    for name in ["caller_id_number", "destination_number", "start_stamp", "duration", "billsec", "hangup_cause", "uuid"]
)
TEMPLATES = ("auto", "safe", "asterisk", OWN_TEMPLATE)

INI = """
[agent]
timezone = Europe/Zurich
[destination humbug]
type = humbug
url = http://127.0.0.1:1/
api_key = the-api-key
encryption_key = the-encryption-key
"""

SECTIONS = {
    "asterisk_csv": "path = /nowhere/Master.csv",
    "asterisk_ami": "username = humbug\nsecret = word\nevents = cdr, reload, shutdown, alarm",
    "freeswitch_csv": "path = /nowhere/Master.csv",
    "freeswitch_json": "path = /nowhere",
    "freeswitch_esl": "password = word",
    "while1": "url = https://pbx.test\ntoken = a-token\napi_key = a-key",
    "boxis": "url = https://pbx.test\nusername = me\nuser_key = a-key\ntenants = one",
    "fusionpbx": "url = https://pbx.test\nemail = me@pbx.test\npassword = word\ndomains = one",
    "mysql": "database = asteriskcdrdb",
    "postgresql": "",
}


@cache
def configured(kind: str, more: str = "") -> Config:
    """An agent.ini with a source of this kind."""
    with tempfile.NamedTemporaryFile("w") as ini:
        ini.write(f"{INI}\n[source pbx]\ntype = {kind}\n{SECTIONS[kind]}\n{more}\n")
        ini.flush()
        return load(Path(ini.name))


def a_source(kind: str, more: str = "") -> Source:
    return configured(kind, more).make_sources()[0]


@cache
def receiving() -> Humbug:
    config = configured("asterisk_csv")
    return Humbug(only(HumbugSettings, config.destinations), config.agent.timezone, config.numbers)


def good(batch: Batch) -> None:
    """Each record of it can be stored, shown and sent, and each reject says why it is one."""
    for one in batch.records:
        flatten(one)
        json_text(record(one, UTC)).encode()
        receiving().body(flatten(one), "2026-11-27 12:00:00").encode("ascii")
    for reject in batch.rejects:
        assert reject.reason
        reject.reason.encode()


def cuts(data: bytes) -> Iterator[bytes]:
    """The data in pieces, of which each input has its own."""
    at = 0
    while at < len(data):
        size = 1 + (data[at] * 7 + len(data)) % 97
        yield data[at : at + size]
        at += size


def asterisk_csv(data: bytes) -> None:
    found, taken = split(data, final=True)
    assert taken == len(data)
    spans = [(one.at, one.at + len(one.text)) for one in found]
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert all(data[one.at : one.at + len(one.text)].strip(b"\r\n") or one.text for one in found)
    _, taken = split(data, final=False)
    assert 0 <= taken <= len(data)
    for charset in CHARSETS:
        good(a_source("asterisk_csv", f"charset = {charset}").parse(data))


def freeswitch_csv(data: bytes) -> None:
    for template in TEMPLATES:
        source = a_source("freeswitch_csv", f"template = {template}")
        good(source.parse(data))
        settings = configured("freeswitch_csv", f"template = {template}").sources
        rows = FileRows(only(FreeswitchCsvSettings, settings).template)
        found, taken = rows.split(data, more=False, final=False)
        assert 0 <= taken <= len(data)
        assert all(0 <= one.at < taken for one in found)


def freeswitch_document(data: bytes) -> None:
    for charset in CHARSETS:
        good(a_source("freeswitch_json", f"charset = {charset}\nlegs = ab").parse(data))


def ami(data: bytes) -> None:
    """Through the connection, to the calls and to the board."""
    # Where a connection is lost in the midst of an event, what is left of it may depend on what came together.
    whole = data + END
    at_once, in_pieces = _events([GREETING, whole]), _events([GREETING, *cuts(whole)])
    assert at_once == in_pieces
    _events([GREETING, data])
    _events([data])
    source = a_source("asterisk_ami")
    good(source.parse(data))
    board = Board("pbx")
    now: list[bytes] = []
    feeder = AsteriskFeeder(board, "humbug")
    feeder.beat(1, now.append)
    for block in at_once:
        # Answers have the number of the first question.
        feeder.heard(1, [block])
        good(source.parse(block))
    assert not feeder._fault
    _show(board)


def _events(parts: Sequence[bytes]) -> list[bytes]:
    found: list[bytes] = []

    async def feed() -> None:
        protocol = Protocol("AMI", found.extend)
        protocol.connection_made(Wire())
        for part in parts:
            if protocol.lost.done():
                break
            protocol.data_received(part)
        protocol.connection_lost(None)

    asyncio.run(feed())
    return found


def esl(data: bytes) -> None:
    """Through the frames, to the calls and to the board; answers are those to the board's questions, in turn."""
    found = frames([data])
    assert found == frames(list(cuts(data)))
    source, board = a_source("freeswitch_esl", "legs = ab"), Board("pbx")
    feeder = FreeswitchFeeder(board)
    feeder.beat(1, lambda *_: None)
    answers = iter([frame.body for frame in found if frame.kind == "api/response"])
    listing = Listing("auto")

    async def api(_: str) -> bytes:
        return next(answers, b"")

    async def ask() -> None:
        try:
            await listing.ask(api)
        except ListError:
            return
        feeder._apply(feeder._began, listing)

    asyncio.run(ask())
    for frame in found:
        if frame.kind in EVENTS:
            good(source.parse(frame.body))
            feeder.heard(1, [frame.body])
    assert not feeder._fault
    _show(board)


def esl_event(data: bytes) -> None:
    """The body of a frame."""
    good(a_source("freeswitch_esl", "legs = ab").parse(data))
    feeder = FreeswitchFeeder(Board("pbx"))
    feeder.beat(1, lambda *_: None)
    feeder.heard(1, [data])
    assert not feeder._fault


def frames(parts: Sequence[bytes]) -> list[Frame]:
    taking = Frames()
    found: list[Frame] = []
    try:
        for part in parts:
            found += taking.feed(part)
    except FrameError as error:
        str(error).encode()
    return found


def _show(board: Board) -> None:
    """As the page does it."""
    config = configured("asterisk_csv")
    said = shown.board(board.view(), config.numbers, config.queues, config.agent.timezone)
    json.dumps(said, ensure_ascii=False, default=lambda since: since.seconds(1795194317.0)).encode()


class Told(Asker):
    """One that gets this body as the answer to whatever it asks."""

    body = b""

    def ask(self, *_: Any, **__: Any) -> Response:
        return Response(200, self.body)


def _told(kind: str, data: bytes) -> tuple[Any, Told]:
    settings: Any = configured(kind).sources[0]
    asker = Told(settings.api, [], 0.0)
    asker.body = data
    return settings, asker


def while1(data: bytes) -> None:
    settings, asker = _told("while1", data)
    source = only(While1, configured("while1").make_sources())
    try:
        page = Pages(settings, asker).page(1, {}, Event())
    except SourceError as error:
        str(error).encode()
    else:
        good(source.rows.batch(page.rows, ""))
        source.doubt()
    good(source.parse(data))


def boxis_answer(data: bytes) -> None:
    _windowed(data, "boxis", boxis.Boxis)


def fusionpbx_answer(data: bytes) -> None:
    source = _windowed(data, "fusionpbx", fusionpbx.Fusionpbx)
    try:
        source._log_in(Event())
    except SourceError as error:
        str(error).encode()


def mysql_row(data: bytes) -> None:
    source = a_source("mysql")
    good(source.parse(data))
    source.doubt()


def postgresql_row(data: bytes) -> None:
    source = a_source("postgresql", "legs = ab\ndrop_doubles = no")
    good(source.parse(data))
    source.doubt()


def _windowed(data: bytes, kind: str, made: Any) -> Any:
    settings, asker = _told(kind, data)
    source = made(settings, UTC)
    source.asker = asker
    try:
        rows = source.ask("one", 1795194317.0, 1795194917.0, Event())
    except SourceError as error:
        str(error).encode()
    else:
        good(source.rows.batch(rows, ""))
        source.doubt()
    good(source.parse(data))
    return source


TARGETS: Mapping[str, Any] = {
    "asterisk_csv": asterisk_csv,
    "freeswitch_csv": freeswitch_csv,
    "freeswitch_document": freeswitch_document,
    "ami": ami,
    "esl": esl,
    "esl_event": esl_event,
    "while1": while1,
    "boxis": boxis_answer,
    "fusionpbx": fusionpbx_answer,
    "mysql": mysql_row,
    "postgresql": postgresql_row,
}
