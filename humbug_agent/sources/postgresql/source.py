"""FusionPBX's own database: the rows of its table v_xml_cdr, each a leg that FreeSWITCH told of when it ended.

It only ever reads. Where a row's document is in the database, too, the call is the one that the document tells of,
field for field; else what the columns say, which is less.
"""

import time
from collections.abc import Generator
from datetime import tzinfo
from functools import partial
from threading import Event

from humbug_agent.cdr import CDR, Batch
from humbug_agent.sources.contract import Anew
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.leg import ZONE_HINT, Leg, call, look, wanted
from humbug_agent.sources.freeswitch.xml_cdr_row import leg_of
from humbug_agent.sources.polling.pace import left_out, poll
from humbug_agent.sources.polling.rows import ApiRow, ApiRows, parsed
from humbug_agent.sources.polling.windowed import CURRENT
from humbug_agent.sources.postgresql.check import check
from humbug_agent.sources.postgresql.link import Link, lacking
from humbug_agent.sources.postgresql.reached import anew, begun
from humbug_agent.sources.postgresql.reading import RowReading, reached_by
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from humbug_agent.sources.postgresql.table import DOCUMENTS
from humbug_agent.sources.zone_watch import LastingWatch


class Postgresql:
    """A source that reads FusionPBX's table v_xml_cdr."""

    unread_in = "seconds"

    def __init__(self, settings: PostgresqlSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self.leaves_out = left_out(settings.since)
        self._settings = settings
        self._zone = settings.timezone or zone
        self.zone_watch = LastingWatch(self._zone)
        self._rows = ApiRows(settings.name, self.call)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        link = Link(self._settings)
        reading = RowReading(link, self._settings, self._zone, self._rows, stop)
        yield from reading.start(cursor)
        try:
            rounds = partial(reading.round, follow=follow)
            yield from poll(rounds, self._settings.poll_seconds, stop, follow=follow)
        finally:
            link.close()

    def again(self, cursor: str) -> str | None:
        return anew(cursor)

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        begin = max(int(moment), reached_by(self._settings, self._zone, cursor).reached.since)
        return Anew(begun(begin).dump())

    def parse(self, text: bytes) -> Batch:
        return parsed(text, ApiRows(self.name, self.call))

    def unread(self, cursor: str | None) -> int:
        reached = reached_by(self._settings, self._zone, cursor)
        behind = int(time.time()) - reached.reached.upto
        return (behind if behind > CURRENT else 0) + reached.left

    def trouble(self) -> str:
        return lacking()

    def doubt(self) -> str:
        return self._rows.doubt() or self.zone_watch.doubt("FreeSWITCH's own epochs", ZONE_HINT)

    def check(self) -> str:
        return check(self._settings, self._zone, ApiRows(self.name, self.call))

    def call(self, row: ApiRow) -> CDR | None:
        """None: a leg that agent.ini does not want. Raises ValueError."""
        found = self._leg(row)
        look(self.zone_watch, found)
        return call(found) if wanted(found, self._settings.legs, drop_doubles=self._settings.drop_doubles) else None

    def _leg(self, row: ApiRow) -> Leg:
        for name in DOCUMENTS:
            if document := row.text(name):
                try:
                    return leg(document.encode(), self._zone, self._settings.charset)
                except ValueError:
                    # What can't be read of the document, the columns may have.
                    continue
        return leg_of(row, self._zone)
