"""The source `while1` for tests, as a part and as a section of agent.ini."""

import threading
from collections.abc import Generator
from typing import Any

from humbug_agent.cdr import CDR, Batch
from humbug_agent.ini import Secret
from humbug_agent.sources.while1.settings import While1Settings
from humbug_agent.sources.while1.source import While1
from tests.kit.calls import cdrs
from tests.kit.host import API_KEY, Host
from tests.kit.pull_server import api
from tests.kit.while1_server import KEY, TOKEN, ZONE, While1Server


def a_source(server: While1Server, *, form: str = "form", filters: dict[str, Any] | None = None, **apis: Any) -> While1:
    settings = While1Settings("pbx", api(server.url, **apis), Secret(TOKEN), Secret(KEY), form, filters or {})
    return While1(settings, ZONE)


class Reader:
    """Reads as the pump does, and remembers as the outbox does."""

    def __init__(self, cursor: str | None = None) -> None:
        self.cursor = cursor
        self.batches: list[Batch] = []

    @property
    def calls(self) -> list[CDR]:
        return cdrs(record for batch in self.batches for record in batch.records)

    @property
    def ids(self) -> list[int]:
        return sorted(int(call.extra["id"]) for call in self.calls)

    @property
    def rejects(self) -> list[str]:
        return [reject.reason for batch in self.batches for reject in batch.rejects]

    def once(self, source: While1) -> "Reader":
        """Everything there is now."""
        for _ in self.steps(source):
            pass
        return self

    def steps(self, source: While1) -> Generator[Batch]:
        for batch in source.read(self.cursor, threading.Event(), follow=False):
            self.batches.append(batch)
            self.cursor = batch.cursor or self.cursor
            yield batch


def configure(host: Host, server: While1Server, source: str = "", destination: str = "") -> None:
    """agent.ini with this source only."""
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = {ZONE.key}\n"
        f"[source pbx]\ntype = while1\nurl = {server.url}\ntoken = {TOKEN}\napi_key = {KEY}\n{source}\n"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n{destination}\n"
    )
