"""Test calls in the outbox: they go a call's way, and are none of the PBX's."""

from humbug_agent.cdr import CDR
from humbug_agent.flat import TEST, flatten
from humbug_agent.outbox import queries, rows
from humbug_agent.outbox.outbox import Outbox

SOURCE = "humbug-agent test-call"
"""Where it comes from, which no source can be called."""

BEFORE_ALL = 1.0
"""When it is due, in seconds since the epoch: a backlog does not hold it up."""


def accept(outbox: Outbox, cdr: CDR, destination: str, now: float) -> int:
    """Have a test call delivered, to this destination alone. Returns its id. Raises OutboxError."""
    with outbox.transaction() as conn:
        number = conn.execute(
            f"INSERT INTO calls (source, accepted, {rows.COLUMNS}) VALUES (?, ?, {rows.PLACES}) RETURNING id",
            (SOURCE, now, *flatten(cdr)._replace(event=TEST)),
        ).fetchone()[0]
        conn.execute(
            "INSERT INTO deliveries (call, destination, due) VALUES (?, ?, ?)", (number, destination, BEFORE_ALL)
        )
    return int(number)


def look(outbox: Outbox, number: int) -> queries.Entry | None:
    """How it stands; None where somebody has purged it. Raises OutboxError."""
    return next(queries.entries(outbox, queries.Filter(ids=(number,))), None)


def take_back(outbox: Outbox, number: int) -> None:
    """Leave nothing of it, whether it was sent or waits. Raises OutboxError."""
    queries.purge(outbox, queries.Filter(ids=(number,)))
