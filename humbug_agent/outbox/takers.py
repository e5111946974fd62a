"""Which destinations a call is for: within the transaction that accepts it, it gets a delivery to each of them.

One that is for none is *untaken*: it is kept as long as a delivered one, and can be handed out anew.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

from humbug_agent.cdr import Damaged
from humbug_agent.flat import Flat, is_call, whole
from humbug_agent.outbox import rows

Takes = Callable[[Flat], bool]
"""Whether a call is a destination's. Raises ValueError where the call is damaged."""


class Takers(list[str]):
    """The names of destinations. ``only`` says of some of them which calls are theirs; the others take all."""

    def __init__(self, names: Iterable[str], only: Mapping[str, Takes]) -> None:
        super().__init__(names)
        self.only = only


def only_of(destinations: Sequence[str]) -> Mapping[str, Takes]:
    """Of those that do not take all calls, which they take."""
    return destinations.only if isinstance(destinations, Takers) else {}


def may_leave_out(destinations: Sequence[str]) -> bool:
    """Whether there can be a call that none of them takes."""
    return len(only_of(destinations)) == len(destinations) > 0


def hand_out(conn: sqlite3.Connection, newest: int, destinations: Sequence[str]) -> None:
    """Within a transaction: make the deliveries of the calls with ids above ``newest``."""
    only = only_of(destinations)
    for destination in destinations:
        if destination not in only:
            conn.execute(
                "INSERT INTO deliveries (call, destination) SELECT id, ? FROM calls WHERE id > ?", (destination, newest)
            )
    if only:
        new = conn.execute(f"SELECT id, {rows.COLUMNS} FROM calls WHERE id > ?", (newest,)).fetchall()
        hand_to(conn, [(number, Flat._make(values)) for number, *values in new], Takers(only, only))
    if may_leave_out(destinations):
        conn.execute(
            "UPDATE calls SET untaken = 1 WHERE id > ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE call = id)",
            (newest,),
        )


def hand_to(conn: sqlite3.Connection, calls: Iterable[tuple[int, Flat]], destinations: Sequence[str]) -> None:
    """Within a transaction: make a delivery of each of these calls, by their ids, to each destination that takes it."""
    only = only_of(destinations)
    conn.executemany(
        "INSERT INTO deliveries (call, destination) VALUES (?, ?)",
        (
            (number, name)
            for number, flat in calls
            for name in destinations
            if (takes := only.get(name)) is None or takes(flat)
        ),
    )


def may_take(destinations: Sequence[str], name: str, flat: Flat) -> bool:
    """Whether the destination of this name takes what may be a damaged call: yes where that can't be told."""
    takes = only_of(destinations).get(name)
    if takes is None or not is_sound(flat):
        return True
    try:
        return takes(flat)
    except ValueError:
        return True


def is_sound(flat: Flat) -> bool:
    """Whether it is a call, or a notice, as it should be."""
    return is_call(flat) or not isinstance(whole(flat), Damaged)
