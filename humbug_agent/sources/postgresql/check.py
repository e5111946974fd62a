"""`humbug-agent check` of FusionPBX's database: the login, the table, and what the last day has."""

import time
from datetime import tzinfo
from threading import Event

from humbug_agent.cdr import CDR
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.polling.rows import ApiRows, in_words
from humbug_agent.sources.postgresql.link import Link
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from humbug_agent.sources.postgresql.table import NEWEST, look, whole_rows
from humbug_agent.words import count

SAMPLE = 20
"""Rows of which it wants to understand one."""


def check(settings: PostgresqlSettings, zone: tzinfo, rows: ApiRows) -> str:
    """What was found, in words. Raises SourceError."""
    link, stop = Link(settings), Event()
    try:
        table = look(link, stop)
        newest = link.ask(NEWEST[table.by], {"begin": time.time() - DAY, "most": SAMPLE}, stop)
        found = rows.batch(whole_rows(link, table, [row["uuid"] for row in newest], stop), "") if newest else None
    finally:
        link.close()
    said = f"{link.where}: logged in, {count(newest[0]['number'] if newest else 0, 'row')} in the last day"
    if found:
        calls = [record for record in found.records if isinstance(record, CDR)]
        if calls:
            said += f"; the newest call: {in_words(max(calls, key=lambda one: one.end), zone)}"
        elif found.rejects:
            raise SourceError(f"{said}, none can be read: {found.rejects[0].reason}")
    return "; ".join([said, *table.lacks])
