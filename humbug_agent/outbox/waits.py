"""When what waits is due again, where somebody sets the clock.

When a delivery is due is written down by the time of day, which outlives a restart. Where the time of day is set while
deliveries wait, what is written down is moved along.
"""

from humbug_agent.backoff import LONGEST_PUT_OFF
from humbug_agent.outbox.outbox import Outbox

SLEWED_SECONDS = 1.0
"""By so much a clock is off, or is brought right bit by bit, and nobody minds."""


def move_waits(outbox: Outbox, destination: str, by: float) -> None:
    """The clock was set by so many seconds: what waits still waits as long as it would have, and in the same order."""
    with outbox.transaction() as conn:
        # 0 is for what was not tried yet, and before the epoch is no time.
        conn.execute(
            "UPDATE deliveries SET due = max(due + ?, 1.0), tried = max(tried + ?, 1.0) "
            "WHERE state = 'waiting' AND destination = ? AND due > 0",
            (by, by, destination),
        )


def cut_waits(outbox: Outbox, destination: str, now: float) -> None:
    """Make due what a clock, while nobody looked, or a damage has put off.

    It is what waits longer than any wait there is, was tried at a time still to come, or is due before there was time.
    """
    of_it = "UPDATE deliveries SET due = ? WHERE state = 'waiting' AND destination = ? AND "
    with outbox.transaction() as conn:
        conn.execute(f"{of_it} due < 0", (now, destination))
        conn.execute(
            f"{of_it} due > ? AND (due > ? OR tried > ?)",
            (now, destination, now, now + LONGEST_PUT_OFF, now + SLEWED_SECONDS),
        )
