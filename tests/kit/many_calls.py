"""An outbox with as many calls as one likes, made within SQLite: a million takes half a minute."""

import time
from pathlib import Path

from humbug_agent.outbox.outbox import Outbox

TENANTS = 10
"""Their accountcodes are t0 to t9."""

APART = 30.0
"""Seconds from one call to the next; the last one begins now."""


def fill(path: Path, number: int) -> float:
    """Returns when the first of them began, in seconds since the epoch."""
    first = float(int(time.time() - number * APART))
    with Outbox(path) as outbox, outbox.transaction() as conn:
        conn.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
            "INSERT INTO calls (identity, source, accepted, src, dst, dcontext, clid, channel, dstchannel, lastapp, "
            "lastdata, start, answer, end, duration, billsec, disposition, direction, accountcode, uniqueid, "
            "userfield, linkedid, extra, event, start_offset, answer_offset, end_offset) "
            "SELECT randomblob(16), 'made', ?2 + i, "
            "'0312' || (i % 10000), '0700' || (i % 7919), 'from-internal', '\"Desk\" <0312' || (i % 10000) || '>', "
            "'PJSIP/101-' || i, 'PJSIP/trunk-' || i, 'Dial', 'PJSIP/trunk/0700,60', ?2 + i * ?4, ?2 + i * ?4 + 5, "
            "?2 + i * ?4 + 65, 65, 60, iif(i % 3, 'ANSWERED', 'NO ANSWER'), iif(i % 2, 'outbound', 'inbound'), "
            "'t' || (i % ?3), CAST(?2 + i * ?4 AS INTEGER) || '.' || i, '', CAST(?2 + i * ?4 AS INTEGER) || '.' || i, "
            "'', 'Cdr', 0, 0, 0 FROM n",
            (number, first, TENANTS, APART),
        )
    return first
