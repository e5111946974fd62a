"""A collector's store with as many calls as one likes, made within its database: a million takes half a minute."""

import time

from humbug_agent.receiver.protocol import COLUMNS
from humbug_agent.receiver.store.contract import CallStore, listed

PBXS = 10
"""They are t0 to t9."""

APART = 30
"""Seconds from one call to the next; the last one begins now."""

SHOWN = {
    "sqlite": "datetime({}, 'unixepoch')",
    "postgresql": "to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
}
"""SQL: a moment as text."""


def fill(store: CallStore, kind: str, number: int) -> float:
    """``kind`` is one of SHOWN. Returns when the first of them began, in seconds since the epoch."""
    first = int(time.time()) - number * APART
    start = f"{first} + i * {APART}"
    said = {
        "Event": "'Cdr'",
        "Source": "'0312' || (i % 10000)",
        "Destination": "'0700' || (i % 7919)",
        "DestinationContext": "'from-internal'",
        "CallerID": "'Desk <0312' || (i % 10000) || '>'",
        "Channel": "'PJSIP/101-' || i",
        "DestinationChannel": "'PJSIP/trunk-' || i",
        "LastApplication": "'Dial'",
        "LastData": "'PJSIP/trunk/0700,60'",
        "StartTime": SHOWN[kind].format(start),
        "AnswerTime": SHOWN[kind].format(f"{start} + 5"),
        "EndTime": SHOWN[kind].format(f"{start} + 65"),
        "Duration": "'65'",
        "BillableSeconds": "'60'",
        "Disposition": "CASE WHEN i % 3 = 0 THEN 'NO ANSWER' ELSE 'ANSWERED' END",
        "UniqueID": f"({start}) || '.' || i",
        "UserField": "CASE WHEN i % 2 = 0 THEN 'inbound' ELSE 'outbound' END",
        "event_time": "''",
        "Description": "NULL",
        "pbx": f"'t' || (i % {PBXS})",
        "key": "'k' || i",
        "received": "'2026-11-28T09:00:00.000+00:00'",
    }
    assert {*COLUMNS} < {*said}
    schema = "humbug_receiver." if kind == "postgresql" else ""
    store.run(
        f"INSERT INTO {schema}calls ({listed([*said])}) "
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
        f"SELECT {', '.join(said.values())} FROM n"
    )
    store.run(f"INSERT INTO {schema}pbxs SELECT pbx, count(*), 0, max(received) FROM {schema}calls GROUP BY pbx")
    return float(first)
