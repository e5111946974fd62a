"""How the daemon fares, in the line that `systemctl status` shows."""

from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.text import printable
from humbug_agent.words import count


def in_one_line(outbox: Outbox) -> str:
    """``1,204 calls, 3 waiting, 1,201 sent, 0 dead, 0 rejects``, and which parts can't do their work.

    Raises OutboxError.
    """
    totals = queries.totals(outbox)
    by_state = (f"{sum(each[state] for each in totals.deliveries.values()):,} {state}" for state in queries.STATES)
    numbers = [count(totals.calls, "call"), *by_state, count(sum(totals.rejects.values()), "reject")]
    troubles = [one for one in outbox.health().values() if one.state in ("failing", "paused")]
    line = "; ".join([", ".join(numbers), *(f"{one.part} is {one.state}: {one.message}" for one in troubles)])
    return printable(line)
