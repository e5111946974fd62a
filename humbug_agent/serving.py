"""Serves what [status] asks for: boards that the sources' connections feed, and the web server that shows them."""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence

from humbug_agent.board.asterisk import CLASSES, AsteriskFeeder
from humbug_agent.board.freeswitch import EVENTS, FreeswitchFeeder
from humbug_agent.board.model import Board
from humbug_agent.config import Config
from humbug_agent.config_status import StatusSettings
from humbug_agent.sources.asterisk.ami import AsteriskAmi
from humbug_agent.sources.contract import Source
from humbug_agent.sources.freeswitch.event_socket import FreeswitchEsl
from humbug_agent.standing import standing
from humbug_agent.tally import Tally
from humbug_agent.web.app import App
from humbug_agent.web.facts import Facts
from humbug_agent.web.guard import Guard
from humbug_agent.web.server import Server
from humbug_agent.web.sockets import WebError, listeners, tls_context

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0


def make_boards(sources: Sequence[Source]) -> list[Board]:
    """A board for each source that can feed one, and fed by it from now on."""
    boards = []
    for source in sources:
        if isinstance(source, AsteriskAmi):
            boards.append(Board(source.name))
            source.listen_also(AsteriskFeeder(boards[-1], source.username, source.charset), CLASSES)
        elif isinstance(source, FreeswitchEsl):
            boards.append(Board(source.name))
            source.listen_also(FreeswitchFeeder(boards[-1], source.charset), EVENTS)
    return boards


def check(settings: StatusSettings, *, running: bool) -> str:
    """A line about what was found. ``running``: the daemon has the address already. Raises WebError."""
    tls = tls_context(settings)
    if not running:
        for listener in listeners(settings):
            listener.close()
    speaks = "HTTPS and HTTP" if tls else "HTTP"
    return f"{speaks} on {settings.where}, {'with' if settings.guarded else 'without'} a password"


class Serving:
    """``sources`` are those that will be read, ``asked`` the same once more, for whoever asks how they stand.

    Nothing that goes wrong here keeps a call from being delivered.
    """

    def __init__(
        self, config: Config, sources: Sequence[Source], asked: Sequence[Source], tallies: Mapping[str, Tally]
    ) -> None:
        assert config.status
        boards = make_boards(sources)
        facts = Facts(lambda: standing(config, asked, time.time(), os.getpid()))
        self._where = config.status.where
        self._server = Server(Guard(App(config, boards, facts, tallies).routes(), config.status), config.status)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                self._server.start()
            except WebError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("[status] %s. Trying again; calls are delivered meanwhile", said)
                self._stop.wait(AGAIN_SECONDS)
            else:
                log.info("[status] listening on %s", self._where)
                self._stop.wait()
                self._server.stop()
