"""Where FreeSWITCH's mod_json_cdr, mod_xml_cdr and mod_format_cdr post their documents to.

A document is answered with 200 when it is on disk, understood or as a reject: an error would only make FreeSWITCH send
the same again. While the outbox can't be written it goes on listening, and says 503.
"""

from collections.abc import Generator, Iterable, Iterator
from datetime import tzinfo
from threading import Event
from typing import TYPE_CHECKING, Self

from humbug_agent.cdr import CDR, Batch, OneRecord, Reject, digest
from humbug_agent.sources.contract import Anew, SourceError, ToldOnce
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.http.postbox import Door, Postbox
from humbug_agent.sources.freeswitch.http.settings import FreeswitchHttpSettings
from humbug_agent.sources.freeswitch.leg import ZONE_HINT, call, look, wanted
from humbug_agent.sources.push import TOLD_ONCE
from humbug_agent.sources.zone_watch import LastingWatch

if TYPE_CHECKING:
    from humbug_agent.http_server.server import Server

MOST = 500
"""Documents that are committed at once."""

MOST_CONNECTIONS = 400
"""With the status page's 500 within the 1,024 files that a process may have open; a hundred are left for the rest."""

REST_SECONDS = 0.05
"""Between two commits: what comes meanwhile is committed at once, which costs the PBX less."""

LOOK_SECONDS = 0.5
"""How long at most a stop goes unnoticed."""


class FreeswitchHttp:
    """A source to which FreeSWITCH's modules post their documents."""

    unread_in = "bytes"
    leaves_out = ""

    def __init__(self, settings: FreeswitchHttpSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self._settings = settings
        self._zone = settings.timezone or zone
        self.zone_watch = LastingWatch(self._zone)
        self._postbox = Postbox()
        self._server: Server | None = None
        self._stays = False

    @property
    def port(self) -> int:
        """The one it listens on, which matters where the settings say 0."""
        return self._server.port if self._server else self._settings.port

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        """What has come stays here until it is on disk, also when this reading is given up and another one begun."""
        if not follow:
            return
        if not stop.is_set():
            self._start()
        yield Batch([], [], None)
        while not stop.is_set():
            if self._postbox.take(MOST, LOOK_SECONDS):
                yield from self._hand_over()
                stop.wait(REST_SECONDS)
        if self._stays:
            return
        self._postbox.close()
        while self._postbox.take(MOST, 0):
            yield from self._hand_over()

    def stay(self) -> bool:
        self._stays = True
        return True

    def take_over(self, other: Self) -> None:
        """Whoever posts meanwhile waits for his answer a little longer."""
        self._postbox, self._server = other._postbox, other._server
        if self._server:
            self._server.serve(self._door(), self._settings)

    def let_go(self) -> Iterable[Batch]:
        """Whoever still waits is told that his document is not stored, and keeps it."""
        self._postbox.close()
        self._postbox.refuse()
        if self._server:
            self._server.stop()
            self._server = None
        return ()

    def again(self, cursor: str) -> str:
        # Each call is told once.
        return cursor

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        raise ToldOnce(TOLD_ONCE)

    def parse(self, text: bytes) -> Batch:
        return self._batch([(text, "")])

    def unread(self, cursor: str | None) -> None:
        return None

    def trouble(self) -> str:
        return ""

    def doubt(self) -> str:
        return self.zone_watch.doubt("FreeSWITCH's own epochs", ZONE_HINT)

    def check(self) -> str:
        from humbug_agent.sources.freeswitch.http.check import check

        return check(self._settings)

    def _start(self) -> None:
        # A web server that most agents never need.
        from humbug_agent.http_server.server import Server, WebError

        # Before somebody can come to it.
        self._postbox.open()
        if self._server is None:
            server = Server(self._door(), self._settings, most=MOST_CONNECTIONS, patient=True)
            try:
                server.start()
            except WebError as error:
                raise SourceError(str(error)) from error
            self._server = server

    def _door(self) -> Door:
        secret = self._settings.password
        return Door(self.name, self._postbox, self._settings.username, secret.reveal() if secret else "")

    def _hand_over(self) -> Iterator[Batch]:
        yield self._batch([(posted.body, posted.uuid) for posted in self._postbox.take(MOST, 0)])
        self._postbox.answer()

    def _batch(self, documents: list[tuple[bytes, str]]) -> Batch:
        records: list[CDR] = []
        rejects: list[Reject] = []
        for body, uuid in documents:
            try:
                with OneRecord():
                    found = leg(body, self._zone, self._settings.charset)
                    look(self.zone_watch, found)
                    if wanted(found, self._settings.legs, drop_doubles=self._settings.drop_doubles):
                        records.append(call(found))
            except ValueError as error:
                key = digest("reject", self.name, body.decode("latin-1"))
                where = f"{self._settings.where}, uuid={uuid}" if uuid else ""
                rejects.append(Reject(key, body, str(error), where))
        return Batch(records, rejects, None, sum(len(body) for body, _ in documents))
