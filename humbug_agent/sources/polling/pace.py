"""Asks again and again, and not at the same second as everybody else."""

from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from threading import Event

from humbug_agent.backoff import jittered
from humbug_agent.cdr import Batch
from humbug_agent.sources.polling.client import Stopped

DAY = 86400


def first(since: datetime | None, zone: tzinfo, now: float) -> int:
    """Where a first start begins, in seconds since the epoch: ``since``, in ``zone`` if it names none, or a day ago."""
    if since is None:
        return int(now) - DAY
    return int((since if since.tzinfo else since.replace(tzinfo=zone)).timestamp())


def left_out(since: datetime | None) -> str:
    """What a first start leaves out, as `Source.leaves_out` says it; with ``since`` only what nobody wants."""
    if since is not None:
        return ""
    return (
        "it asks for the last day only (it has no since). To have them sent, give this [source NAME] another name and "
        "since = that time: what is known is not sent twice"
    )


def is_within(hours: tuple[int, int] | None, zone: tzinfo) -> bool:
    """Whether it is, in ``zone``, from the one hour of the day on and not yet the other; None: always."""
    if not hours:
        return True
    hour, (begin, end) = datetime.now(zone).hour, hours
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def poll(rounds: Callable[[], Iterator[Batch]], every: float, stop: Event, *, follow: bool) -> Iterator[Batch]:
    """The batches of one round after another, ``every`` so many seconds; of a single one unless ``follow``."""
    try:
        while not stop.is_set():
            yield from rounds()
            if not follow:
                return
            stop.wait(jittered(every))
    except Stopped:
        return
