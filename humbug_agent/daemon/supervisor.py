"""Runs one source for ever: after a failure again, from the cursor, with growing patience, and says each thing once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from humbug_agent import backoff
from humbug_agent.cdr import Batch, Notice, Reject
from humbug_agent.flat import Calls
from humbug_agent.outbox import queries, spill, takers
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxDamaged, OutboxError
from humbug_agent.repeats import Sayings, to
from humbug_agent.sources.contract import Comparing, CursorError, Holding, SeesOnce, Source, SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.sources.zone_watch import LastingWatch
from humbug_agent.words import count, no_room

log = logging.getLogger(__name__)

"""Seconds from a failure to the next try."""

CALM_SECONDS = 60.0
"""What fails again within so long, by the same, comes and goes: that is not said each time."""

Away = Callable[[str, float, float], None]
"""Hears that a source could not be read between two times, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Brought:
    """How many calls of a batch were new, and how much of what was unread it took.

    ``latest`` is when its last call ended, in seconds since the epoch, or 0.
    """

    new: int
    size: int
    latest: float


def pump(
    source: Source,
    outbox: Outbox,
    destinations: Sequence[str],
    stop: threading.Event,
    sayings: Sayings,
    *,
    follow: bool,
) -> Iterator[Brought]:
    """Bring what the source reads into the outbox, batch by batch, and say once where its times seem to be wrong."""
    if isinstance(source, Comparing):
        source.compare_with(outbox.known)
    # Asked once: to ask a protocol whether something is of it costs more than to read a lone call.
    watch = source.zone_watch if isinstance(source, SeesOnce) else None
    seen = _go_on_watching(source.name, watch, outbox)
    told, unkept = outbox.doubts().get(source.name, ""), outbox.unkept(source.name)
    leaves_out = takers.may_leave_out(destinations)
    last_untaken = queries.untaken(outbox)[1] if leaves_out else None
    for batch in _read(source, outbox, stop, follow=follow):
        if batch.records or batch.rejects or batch.cursor:
            yield Brought(outbox.accept(source.name, batch, destinations), batch.size, _latest(batch))
            if leaves_out:
                last_untaken = _say_untaken(source.name, outbox, last_untaken or 0, sayings)
            if batch.rejects:
                unkept = _say(source.name, batch.rejects, outbox.unkept(source.name), unkept, sayings)
        else:
            yield Brought(0, 0, 0.0)
        if watch and watch.seen != seen:
            seen = watch.seen
            outbox.remember_times(source.name, seen)
        if (doubt := source.doubt()) != told:
            told = doubt
            outbox.doubt(source.name, doubt)
            said = f"source {source.name}: {doubt or 'its times are right again'}"
            sayings.say("times", logging.WARNING, said, kind=said, calm=CALM_SECONDS)


def _go_on_watching(source: str, watch: LastingWatch | None, outbox: Outbox) -> str:
    """What is known of the zone of a source that sees each record once."""
    if not watch:
        return ""
    seen = outbox.remembered_times(source)
    watch.go_on(seen)
    return seen


def _read(source: Source, outbox: Outbox, stop: threading.Event, *, follow: bool) -> Iterator[Batch]:
    """From its cursor on; from where a first start begins, and said once, if that can't be read any more."""
    try:
        yield from source.read(outbox.cursor(source.name), stop, follow=follow)
        return
    except CursorError as error:
        moved = outbox.forget_cursor(source.name)
        missing = f"calls from {moved:%Y-%m-%d %H:%M:%S} UTC to now may be missing, for {source.leaves_out}"
        log.critical(
            "source %s: outbox %s is damaged: %s. It begins as at its first start; %s",
            source.name,
            outbox.path,
            error,
            missing if source.leaves_out else "what is known is not sent twice",
        )
    yield from source.read(None, stop, follow=follow)


def _say(source: str, rejects: Sequence[Reject], unkept: int, before: int, sayings: Sayings) -> int:
    """Say what was not understood; once there is no room for it, that alone, once. Returns ``unkept``."""
    if unkept > before:
        if not before:
            log.error("source %s: %s", source, no_room(unkept))
        return unkept
    # What was posted stands nowhere.
    first = f", the first at {rejects[0].where}" if rejects[0].where else ""
    said = (
        f"source {source}: {count(len(rejects), 'record kept as a reject', 'records kept as rejects')}{first}: "
        f"{rejects[0].reason}; see humbug-agent outbox list --state rejected"
    )
    sayings.say("rejects", logging.WARNING, said, number=len(rejects))
    return unkept


def _say_untaken(source: str, outbox: Outbox, last: int, sayings: Sayings) -> int:
    """Say of the calls that no destination took, above the id ``last``, how many they are. Returns the last one's."""
    number, latest = queries.untaken(outbox, last)
    if latest is None:
        return last
    said = (
        f"source {source}: no destination takes {count(number, 'call')}, the last of them {latest}; see humbug-agent "
        "outbox list --state untaken"
    )
    sayings.say("untaken", logging.INFO, said, number=number)
    return latest


def _latest(batch: Batch) -> float:
    if isinstance(batch.records, Calls):
        return batch.records.last_ended()
    last = batch.records[-1] if batch.records else None
    return 0.0 if last is None else (last.at if isinstance(last, Notice) else last.end).timestamp()


def let_go(name: str, source: Holding, outbox: Path) -> None:
    """Give back what the source of this name holds; what it was told and is not in the outbox is kept beside that."""
    kept = lost = 0
    folders: dict[Path, None] = {}
    why = ""
    for batch in source.let_go():
        number = len(batch.records) + len(batch.rejects)
        if not number:
            continue
        try:
            folders[spill.write(outbox, name, batch).parent] = None
            kept += number
        except spill.SpillError as error:
            lost += number
            why = str(error)
    if kept:
        log.warning(
            "source %s: of what it was told %s could not be put into the outbox before the end; the next start reads "
            "that first, from %s%s",
            name,
            count(kept, "event"),
            " and ".join(map(str, folders)),
            "" if [*folders] == [outbox.parent] else ", unless this host is started anew before",
        )
    if lost:
        log.error(
            "source %s: of what it was told %s could not be put on disk before the end, neither into the outbox nor "
            "beside it (%s), and will not be told again; only a source beside it has those calls",
            name,
            count(lost, "event"),
            why,
        )


class Supervisor:
    """Runs one source for ever, in a thread of its own, and brings what it reads into the outbox.

    ``wake`` hears of new calls, ``away`` of outages that are over.

    What the source holds is given back by `let_go`, not by the end of `run`: another Agent may go on with it.
    """

    def __init__(
        self, source: Source, outbox: Path, max_bytes: int, wake: Callable[[Brought], None], away: Away
    ) -> None:
        self._source = source
        self._path = outbox
        self._max_bytes = max_bytes
        self._wake = wake
        self._away = away
        self._failures = 0
        self._failed = 0.0
        # What the outbox was told last.
        self._told = ""
        self._sayings = Sayings(to(log))

    def run(self, destinations: Sequence[str], stop: threading.Event) -> None:
        """Until ``stop``. Raises OutboxDamaged."""
        try:
            self._read(destinations, stop)
        finally:
            self._sayings.end()

    def _read(self, destinations: Sequence[str], stop: threading.Event) -> None:
        stopping = False
        while not stopping:
            # After a failure the last try comes when it is to stop: what the source still has in hand is handed over.
            stopping = stop.is_set()
            try:
                with Outbox(self._path, durable=True, max_bytes=self._max_bytes) as outbox:
                    for brought in pump(self._source, outbox, destinations, stop, self._sayings, follow=True):
                        self._works(outbox)
                        if brought.new:
                            self._wake(brought)
                stopping = True
            except OutboxDamaged:
                raise
            except (SourceError, OSError, OutboxError) as error:
                stop.wait(self._fails(error))

    def _works(self, outbox: Outbox) -> None:
        self._sayings.tick()
        if self._told and not self._failures:
            return
        outbox.report(f"source {self._source.name}", "ok")
        if self._failures:
            self._say(logging.INFO, "reading again", "ok")
            self._away(self._source.name, self._failed, time.time())
        self._failures, self._told = 0, "ok"

    def _fails(self, error: SourceError | OSError | OutboxError) -> float:
        """Returns after how many seconds to try again."""
        if not self._failures:
            self._failed = time.time()
        self._failures += 1
        if in_words(error) != self._told:
            self._told = in_words(error)
            self._say(logging.ERROR, f"{self._told}. Trying again", self._told)
            self._report()
        own = error.wait if isinstance(error, SourceError) else None
        return backoff.jittered(backoff.SOURCE.after(self._failures)) if own is None else own

    def _report(self) -> None:
        try:
            with Outbox(self._path) as outbox:
                outbox.report(f"source {self._source.name}", "failing", self._told)
        except OutboxError as error:
            self._sayings.say("outbox", logging.ERROR, str(error), kind=str(error), calm=CALM_SECONDS)

    def _say(self, level: int, text: str, kind: str) -> None:
        self._sayings.say("state", level, f"source {self._source.name}: {text}", kind=kind, calm=CALM_SECONDS)
