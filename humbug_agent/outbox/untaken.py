"""Untaken calls, which went to no destination, handed out anew once other settings may take them."""

from collections.abc import Sequence

from humbug_agent.flat import Flat
from humbug_agent.outbox import rows, takers
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.queries import CHUNK, Filter, Progress, entries


def hand_out_anew(outbox: Outbox, wanted: Filter, destinations: Sequence[str], progress: Progress) -> int:
    """Give the untaken calls that ``wanted`` means to the destinations that take them now. Returns how many went.

    ``progress`` hears of how many calls were looked at. Ended early, some of them have gone.
    """
    ids = [entry.id for entry in entries(outbox, wanted)]
    gone = 0
    for begin in range(0, len(ids), CHUNK):
        piece = ids[begin : begin + CHUNK]
        among = f"untaken = 1 AND id IN ({', '.join('?' * len(piece))})"
        with outbox.transaction() as conn:
            found = conn.execute(f"SELECT id, {rows.COLUMNS} FROM calls WHERE {among}", piece).fetchall()
            calls = [(number, flat) for number, *values in found if takers.is_sound(flat := Flat._make(values))]
            takers.hand_to(conn, calls, destinations)
            gone += conn.execute(
                f"UPDATE calls SET untaken = 0 WHERE {among} AND EXISTS (SELECT 1 FROM deliveries WHERE call = id)",
                piece,
            ).rowcount
        progress(len(piece))
    return gone
