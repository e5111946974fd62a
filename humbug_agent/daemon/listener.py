"""A thread that keeps a web server of the daemon's listening, and tells the other processes how that stands."""

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path

from humbug_agent.http_server.server import Server
from humbug_agent.http_server.sockets import Listen, WebError
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError

log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0

LOOK_SECONDS = 0.5
"""How often to look at what may change meanwhile, such as whether a board became live."""


class Listener:
    """The thread, of a ``server`` that listens as ``listen`` says; ``part`` is what `status` calls it.

    Nothing that goes wrong here keeps a call from being delivered.
    """

    def __init__(self, server: Server, listen: Listen, part: str, outbox: Path) -> None:
        self.server = server
        self._listens = listen
        self._part = part
        self._outbox = outbox
        self._told: dict[str, tuple[str, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=part, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The web server goes on."""
        self._stop.set()
        self._thread.join()

    def tell(self, part: str, state: str, message: str) -> None:
        """Once, for the other processes that ask."""
        if self._told.get(part) == (state, message):
            return
        # Where the outbox can't be written, who brings calls there says so; this is told as soon as it can be.
        with suppress(OutboxError), Outbox(self._outbox) as outbox:
            outbox.report(part, state, message)
            self._told[part] = (state, message)

    def _prepare(self) -> None:
        """Before it listens. Raises OutboxError."""

    def _tick(self) -> None:
        """Every LOOK_SECONDS."""

    def _end(self) -> None:
        """Once it is stopped."""

    def _run(self) -> None:
        state, again = ("starting", ""), 0.0
        while not self._stop.is_set():
            if state[0] != "ok" and time.monotonic() >= again:
                state, again = self._listen(said=state[1]), time.monotonic() + AGAIN_SECONDS
            self.tell(self._part, *state)
            self._tick()
            self._stop.wait(LOOK_SECONDS)
        self._end()

    def _listen(self, said: str) -> tuple[str, str]:
        """How it stands then, and why. ``said``: why it could not be listened the last time."""
        label = self._listens.label
        try:
            self._prepare()
            self.server.start()
        except (OutboxError, WebError) as error:
            if str(error) != said:
                log.error("%s %s. Trying again; calls are delivered meanwhile", label, error)
            return "failing", str(error)
        log.info("%s listening on %s", label, self._listens.where)
        return "ok", ""
