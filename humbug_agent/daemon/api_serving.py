"""Serves what [api] asks for: stored calls, for who has the keys."""

import logging
import time
from functools import partial

from humbug_agent.api.app import Api
from humbug_agent.api.workers import Workers
from humbug_agent.call_store.pages import Views
from humbug_agent.config import Config
from humbug_agent.daemon.listener import Listener
from humbug_agent.http_server.server import Server
from humbug_agent.outbox import api_queries
from humbug_agent.outbox.api_store import OutboxStore
from humbug_agent.outbox.outbox import Outbox

log = logging.getLogger(__name__)


class ApiServing(Listener):
    """The thread of [api]. ``kept`` is the web server of the one before it, if that stays."""

    def __init__(self, config: Config, kept: Server | None) -> None:
        assert config.api
        self._workers = Workers(partial(OutboxStore, config.agent.outbox, Views()))
        by_number = config.api.cdr or config.api.getcdr
        by_start, by_end = config.api.by_tenant, config.api.call_range
        self._needed = api_queries.needed(by_number=by_number, by_start=by_start, by_end=by_end)
        retention = f"keep_days = {config.agent.keep_days}, max_size_mb = {config.agent.max_size_mb}"
        app = Api(config.api, config.agent.timezone, retention, self._workers)
        server = kept or Server(app, config.api)
        super().__init__(server, config.api, "api", config.agent.outbox)
        # One that was kept over a reload is asked at once.
        server.serve(app, config.api)

    def stop(self) -> None:
        """The web server goes on, and says that the calls can't be looked up until another one is there."""
        super().stop()
        self._workers.stop()

    def _prepare(self) -> None:
        began = time.monotonic()
        with Outbox(self._outbox) as outbox:
            made = api_queries.prepare(outbox, self._needed)
        if made:
            log.info("[api] made the indexes %s in %.1f s", ", ".join(made), time.monotonic() - began)
