"""Asks /api/cdr of While1 Voice's cloud PBX.

The description is a page of the vendor's (API - Call Detail Records): POST, a Bearer token, an md5 over what PHP's
http_build_query makes of the parameters; pages of 100 calls; ``from_id`` includes the id that it names.
"""

import time
from collections.abc import Generator
from dataclasses import replace
from datetime import tzinfo
from threading import Event
from urllib.parse import urlsplit, urlunsplit

from humbug_agent.cdr import CDR, Batch, digest
from humbug_agent.sources.contract import Anew
from humbug_agent.sources.polling.pace import DAY, first, poll
from humbug_agent.sources.polling.rows import ApiRow, ApiRows, in_words
from humbug_agent.sources.polling.source import HostedSource
from humbug_agent.sources.while1.pages import Pages
from humbug_agent.sources.while1.reading import ReachedId, Reading, reached, wall_clock
from humbug_agent.sources.while1.row import call
from humbug_agent.sources.while1.settings import While1Settings
from humbug_agent.words import count

PAUSE = 0.1
"""Seconds between two requests."""

LATE_SECONDS = 900
"""So far behind is usual while it is asked again and again."""


class While1(HostedSource):
    """A source that asks While1 Voice's cloud PBX."""

    def __init__(self, settings: While1Settings, zone: tzinfo) -> None:
        settings = replace(settings, api=replace(settings.api, url=_whole(settings.api.url)))
        super().__init__(settings, zone, (settings.token, settings.api_key), PAUSE)
        self._pages = Pages(settings, self.asker)
        self._host = urlsplit(settings.api.url).hostname or ""
        self._of = digest("while1", self.asker.where.partition("://")[2]).hex()

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        reading = Reading(self._pages, self.asker, self.rows, self.zone, self._of, stop)
        try:
            yield from reading.start(cursor, self._since())
            yield from poll(reading.round, self.api.poll_seconds, stop, follow=follow)
        finally:
            self.asker.close()

    def again(self, cursor: str) -> str | None:
        found = reached(cursor, self._of)
        return ReachedId(found.since, found.since, found.since, 0).dump(self._of) if found else None

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        found = reached(cursor, self._of)
        begin = max(int(moment), found.since if found else self._since())
        return Anew(ReachedId(begin, begin, begin, 0).dump(self._of))

    def unread(self, cursor: str | None) -> int:
        found = reached(cursor, self._of)
        behind = int(time.time()) - (found.upto if found else self._since())
        return behind if behind > LATE_SECONDS else 0

    def check(self) -> str:
        now = int(time.time())
        try:
            first, last = self._pages.ends({"date_between": wall_clock(now - DAY, now + DAY, self.zone)}, Event())
        finally:
            self.asker.close()
        rows = [*first.rows, *last.rows]
        said = f"{self.asker.where}: logged in, "
        if not rows:
            return f"{said}no calls in the last day"
        said += f"{count(max(first.row_count, len(first.rows)), 'call')} in the last day"
        found = ApiRows(self.name, self.call).batch(rows, "")
        calls = [record for record in found.records if isinstance(record, CDR)]
        if not calls:
            return f"{said}; not understood: {found.rejects[0].reason}"
        return f"{said}; the newest: {in_words(max(calls, key=lambda one: one.end), self.zone)}"

    def call(self, row: ApiRow) -> CDR:
        return call(row, self._host, self.zone)

    def _since(self) -> int:
        """Seconds since the epoch."""
        return first(self.api.since, self.zone, time.time())


def _whole(url: str) -> str:
    """With the path of the description where ``url`` only names the PBX."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path="/api/cdr" if path in ("", "/api") else path))
