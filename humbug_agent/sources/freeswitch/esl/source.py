"""FreeSWITCH's hangups, over its event socket.

An event is told once: what ends while nobody listens is never told again, which is why a source that reads what
FreeSWITCH keeps belongs beside this one. A leg that both have seen is one call.
"""

import asyncio
import re
from datetime import tzinfo

from humbug_agent.board.model import Board
from humbug_agent.cdr import Batch, OneRecord, Record, Reject, digest
from humbug_agent.listening.esl.client import PULSE, Client, EslError, connect
from humbug_agent.listening.esl.link import Link
from humbug_agent.listening.esl.listener import Listener
from humbug_agent.listening.inbox import Heard, Inbox
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.esl.event import HANGUP, leg
from humbug_agent.sources.freeswitch.esl.settings import FreeswitchEslSettings
from humbug_agent.sources.freeswitch.leg import ZONE_HINT, call, look, wanted
from humbug_agent.sources.push import PushSource
from humbug_agent.sources.zone_watch import LastingWatch
from humbug_agent.words import count

MOST = 500
"""Events that are committed at once; each has some ten thousand bytes."""

CHECK_SECONDS = 10.0

MEANWHILE = "calls that end now are not told again, only what FreeSWITCH writes or posts has them"


BEGINNINGS = (f'{{"Event-Name":"{HANGUP}"'.encode(), f"Event-Name: {HANGUP}\n".encode())
"""Of a leg that ended, as JSON or plain text."""


class FreeswitchEsl(PushSource[Listener]):
    """A source that hears FreeSWITCH's hangup events."""

    def __init__(self, settings: FreeswitchEslSettings, zone: tzinfo) -> None:
        inbox = Inbox(BEGINNINGS)
        super().__init__(settings.name, inbox, inbox, {HANGUP}, MOST, MEANWHILE)
        self._settings = settings
        self._zone = settings.timezone or zone
        self.zone_watch = LastingWatch(self._zone)

    def feed_board(self) -> Board:
        # Only a [status] needs it.
        from humbug_agent.board.freeswitch import EVENTS, FreeswitchFeeder

        board = Board(self.name, "Event socket")
        self.listen_also(FreeswitchFeeder(board, self._settings.charset), EVENTS)
        return board

    def _connect(self) -> Link:
        return Link(self._settings, self._asked, self._listeners, self._inbox.full)

    def parse(self, text: bytes) -> Batch:
        return self._batch([Heard(0, 0.0, text.strip())])

    def doubt(self) -> str:
        return self.zone_watch.doubt("FreeSWITCH's own epochs", ZONE_HINT)

    def check(self) -> str:
        try:
            return asyncio.run(self._check())
        except EslError as error:
            raise SourceError(str(error)) from error

    async def _check(self) -> str:
        client = await connect(self._settings, CHECK_SECONDS)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await client.subscribe(self._asked)
                return f"{client.where}: logged in ({await self._found(client)})"
        except TimeoutError as error:
            raise EslError(f"{client.where}: logged in, then no answer within {CHECK_SECONDS:.0f} s") from error
        finally:
            client.abort("the check is over")

    async def _found(self, client: Client) -> str:
        status = (await client.api(PULSE)).decode("latin-1")
        version = re.search(r"\(Version ([^)]*?)\s*\)", status)
        channels = re.search(r"^(\d+) session\(s\)(?! since)", status, re.MULTILINE)
        found = f"FreeSWITCH {version[1]}" if version else "FreeSWITCH, which does not tell its version"
        return f"{found}, {count(int(channels[1]), 'channel')} now" if channels else found

    def _batch(self, heard: list[Heard]) -> Batch:
        records: list[Record] = []
        rejects: list[Reject] = []
        for one in heard:
            try:
                with OneRecord():
                    told = leg(one.block, self._zone, self._settings.charset)
                    if told:
                        look(self.zone_watch, told)
                    if told and wanted(told, self._settings.legs, drop_doubles=self._settings.drop_doubles):
                        records.append(call(told))
            except ValueError as error:
                key = digest("reject", self.name, one.block.decode("latin-1"))
                rejects.append(Reject(key, one.block, str(error), self._settings.where))
        return Batch(records, rejects, None, sum(len(one.block) for one in heard))
