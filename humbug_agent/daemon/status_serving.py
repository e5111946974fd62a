"""Serves what [status] asks for: boards that the sources' connections feed, and the web server that shows them."""

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from humbug_agent.board.asterisk import LACKS
from humbug_agent.board.model import Board
from humbug_agent.config import Config
from humbug_agent.daemon.kept import Kept
from humbug_agent.daemon.listener import Listener
from humbug_agent.delivery.tally import Tally
from humbug_agent.http_server.server import Server
from humbug_agent.http_server.sockets import Listen, WebError, listeners, tls_context
from humbug_agent.ini import address
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.repeats import Sayings, to
from humbug_agent.sources.contract import FeedsBoard, Source
from humbug_agent.status.document import Status
from humbug_agent.status.gather import gather
from humbug_agent.web.app import App
from humbug_agent.web.facts import Facts
from humbug_agent.web.guard import Guard

log = logging.getLogger(__name__)

LOOK_UP_SECONDS = 3.0
"""How long to wait for the end of a look into the outbox."""

PATIENCE_SECONDS = 3.0
"""For so long a board that connects anew, and asks for everything, is not said to fail."""


def make_boards(sources: Sequence[Source], kept: Mapping[str, Board] = MappingProxyType({})) -> list[Board]:
    """A board for each source whose connection can feed one, and fed by it from now on.

    ``kept``, by the sources' names, are those whose connections feed them already.
    """
    feeding = [source for source in sources if isinstance(source, FeedsBoard)]
    return [kept.get(source.name) or source.feed_board() for source in feeding]


def check(settings: Listen, own: str) -> str:
    """A line about what was found. ``own``: where the running daemon listens already, or blank. Raises WebError."""
    tls = tls_context(settings)
    try:
        for listener in listeners(settings):
            listener.close()
    except WebError as error:
        cause = error.__cause__
        taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        if not (taken and own and _overlap(address(own), (settings.host, settings.port))):
            raise
    speaks = "HTTPS and HTTP" if tls else "HTTP"
    return f"{speaks} on {settings.where}"


def _overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether who listens on the one keeps the other from being listened on."""
    ours, theirs = ({str(found[4][0]) for found in socket.getaddrinfo(*each)} for each in (one, other))
    every = {"0.0.0.0", "::"}  # nosec B104 # compared, and not listened at
    return one[1] == other[1] and bool(ours & theirs or (ours | theirs) & every)


class Serving(Listener):
    """The thread that serves [status]: it keeps the boards' states told, and the web server listening.

    ``sources`` are those that will be read, ``asked`` the same once more, for whoever asks how they stand.

    ``kept`` are boards and the web server of the one before it; at the end they are as they were, for another one.
    Nothing that goes wrong here keeps a call from being delivered.
    """

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        asked: Sequence[Source],
        tallies: Mapping[str, Tally],
        kept: Kept,
    ) -> None:
        assert config.status
        self.boards = boards = make_boards(sources, kept.boards)
        self._not_live: dict[str, float] = {}
        self._sayings = Sayings(to(log))
        self._said: dict[str, str] = {}
        self._looking = threading.Lock()

        def look() -> Status | None:
            with self._looking:
                # Once it is over, the outbox may be moved: whoever opens it then may make another one in its place.
                return None if self._stop.is_set() else gather(config, asked, time.time(), os.getpid())

        def ask(question: Callable[[Outbox], object]) -> object:
            with self._looking:
                if self._stop.is_set():
                    raise OutboxError("agent.ini is being taken anew; ask again")
                with Outbox(config.agent.outbox) as outbox:
                    return question(outbox)

        app = App(config, config.status, boards, Facts(look, ask), tallies)
        guard = Guard(app.routes(), config.status)
        server = kept.page or Server(guard, config.status)
        super().__init__(server, config.status, "page", config.agent.outbox)
        # A server that was kept over a reload is asked at once.
        server.serve(guard, config.status)

    def stop(self) -> None:
        """The web server goes on, and tells of the outbox what it knows by now."""
        super().stop()
        if self._looking.acquire(timeout=LOOK_UP_SECONDS):
            self._looking.release()

    def lacks_right(self, source: str) -> bool:
        """Whether this source's connection may not tell what its board needs."""
        return any(board.name == source and board.view().trouble == LACKS for board in self.boards)

    def _tick(self) -> None:
        for board in self.boards:
            self._look(board)
        self._sayings.tick()

    def _end(self) -> None:
        self._sayings.end()

    def _look(self, board: Board) -> None:
        view, now = board.view(), time.monotonic()
        if view.live:
            self._not_live.pop(board.name, None)
            self.tell(f"board {board.name}", "ok", "")
            self._said.pop(board.name, None)
        elif now - self._not_live.setdefault(board.name, now) > PATIENCE_SECONDS:
            self.tell(f"board {board.name}", "failing", view.message)
            # That the PBX can't be reached is said by the source whose connection it is.
            if view.trouble and self._said.get(board.name) != view.message:
                self._said[board.name] = view.message
                self._sayings.say(board.name, logging.WARNING, f"board {board.name}: {view.message}", kind=view.message)
