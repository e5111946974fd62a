"""Runs one source for ever: after a failure again, from the cursor, with growing patience, and says each thing once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.cdr import Batch, Notice, Reject
from humbug_agent.outbox import Outbox, no_room
from humbug_agent.pace import growing, jittered
from humbug_agent.schema import OutboxDamaged, OutboxError
from humbug_agent.sources.contract import Comparing, Holding, Source, SourceError

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds from a failure to the next try."""

CALM_SECONDS = 60.0
"""A source that fails again within so long, by the same, comes and goes: that is not said each time."""

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
    source: Source, outbox: Outbox, destinations: Sequence[str], stop: threading.Event, *, follow: bool
) -> Iterator[Brought]:
    """Bring what the source reads into the outbox, batch by batch, and say once where its times seem to be wrong."""
    if isinstance(source, Comparing):
        source.compare_with(outbox.known)
    told, unkept = outbox.doubts().get(source.name, ""), outbox.unkept(source.name)
    for batch in source.read(outbox.cursor(source.name), stop, follow=follow):
        if batch.records or batch.rejects or batch.cursor:
            yield Brought(outbox.accept(source.name, batch, destinations), batch.size, _latest(batch))
            if batch.rejects:
                unkept = _say(source.name, batch.rejects, outbox.unkept(source.name), unkept)
        else:
            yield Brought(0, 0, 0.0)
        if (doubt := source.doubt()) != told:
            told = doubt
            outbox.doubt(source.name, doubt)
            log.warning("source %s: %s", source.name, doubt or "its times are right again")


def _say(source: str, rejects: Sequence[Reject], unkept: int, before: int) -> int:
    """Say what was not understood; once there is no room for it, that alone, once. Returns ``unkept``."""
    if unkept > before:
        if not before:
            log.error("source %s: %s", source, no_room(unkept))
        return unkept
    log.warning(
        "source %s: %d records kept as rejects, the first at %s: %s; see humbug-agent outbox list --state rejected",
        source,
        len(rejects),
        rejects[0].where,
        rejects[0].reason,
    )
    return unkept


def _latest(batch: Batch) -> float:
    last = batch.records[-1] if batch.records else None
    return 0.0 if last is None else (last.at if isinstance(last, Notice) else last.end).timestamp()


class Supervisor:
    """``wake`` hears of new calls, ``away`` of outages that are over."""

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
        self._calm = float("-inf")
        # What the outbox was told last, what the log was, and whether the log was spared it this time.
        self._told = ""
        self._logged = ""
        self._spared = False

    def run(self, destinations: Sequence[str], stop: threading.Event) -> None:
        """Until ``stop``. Raises OutboxDamaged."""
        try:
            self._read(destinations, stop)
        finally:
            # Also where the outbox could not even be opened for the last try: another Agent may follow this one.
            if isinstance(self._source, Holding) and (lost := self._source.let_go()):
                log.error(
                    "source %s: %d events that it was told could not be put on disk before the end, and are not told "
                    "again; only a source beside it has their calls",
                    self._source.name,
                    lost,
                )

    def _read(self, destinations: Sequence[str], stop: threading.Event) -> None:
        stopping = False
        while not stopping:
            # After a failure the last try comes when it is to stop: what the source still has in hand is handed over.
            stopping = stop.is_set()
            try:
                with Outbox(self._path, durable=True, max_bytes=self._max_bytes) as outbox:
                    for brought in pump(self._source, outbox, destinations, stop, follow=True):
                        self._works(outbox)
                        if brought.new:
                            self._wake(brought)
                stopping = True
            except OutboxDamaged:
                raise
            except (SourceError, OSError, OutboxError) as error:
                stop.wait(self._fails(error))

    def _works(self, outbox: Outbox) -> None:
        if self._told and not self._failures:
            return
        outbox.report(f"source {self._source.name}", "ok")
        if self._failures:
            if not self._spared:
                log.info("source %s: reading again", self._source.name)
            self._calm = time.monotonic()
            self._away(self._source.name, self._failed, time.time())
        self._failures, self._told = 0, "ok"

    def _fails(self, error: SourceError | OSError | OutboxError) -> float:
        """Returns after how many seconds to try again."""
        if not self._failures:
            self._failed = time.time()
        self._failures += 1
        if str(error) != self._told:
            self._told = str(error)
            self._spared = self._told == self._logged and time.monotonic() - self._calm < CALM_SECONDS
            self._logged = self._told
            if not self._spared:
                log.error("source %s: %s. Trying again", self._source.name, self._told)
            self._report()
        own = error.wait if isinstance(error, SourceError) else None
        return jittered(growing(self._failures, FIRST_WAIT, LONGEST_WAIT)) if own is None else own

    def _report(self) -> None:
        try:
            with Outbox(self._path) as outbox:
                outbox.report(f"source {self._source.name}", "failing", self._told)
        except OutboxError as error:
            log.error("%s", error)
