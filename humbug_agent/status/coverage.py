"""Which of several sources saw which calls, and whether one of them misses some.

An AMI user that may not see calls gets no error, and an AMI that was away tells nothing twice: only what Master.csv has
beside it shows that.
"""

import logging
import time
from collections import Counter, deque
from datetime import tzinfo

from humbug_agent.config import Config
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.words import clock, count

log = logging.getLogger(__name__)

SETTLED_SECONDS = 10.0
"""After so long both sources have told of a call, if they ever do."""

LAST, MISSED = 20, 5
"""So many of the last calls missed: it is deaf."""

LEAST, SHARE = 5, 10
"""So many calls, and more than one in ten, that one source has and another one has not: they disagree."""

LOOK_BACK_SECONDS = 24 * 3600.0

Sightings = Counter[tuple[str, ...]]
"""Names of sources, sorted -> how many calls just these saw."""


def sightings(
    outbox: Outbox, since: float, ended: tuple[float, float] = (0.0, float("inf")), until: float = float("inf")
) -> Sightings:
    """Of the calls accepted from ``since`` ``until`` then that ``ended`` between two times; seconds since the epoch."""
    found = outbox.select(
        "SELECT CAST(source AS TEXT) AS source, CAST(also AS TEXT) AS also, count(*) AS n FROM calls "
        "WHERE accepted BETWEEN ? AND ? AND event = 'Cdr' AND \"end\" BETWEEN ? AND ? "
        "GROUP BY calls.source, calls.also",
        since,
        until,
        *ended,
    )
    seen = Sightings()
    for row in found:
        seen[tuple(sorted(name for name in (row["source"], row["also"]) if name))] += row["n"]
    return seen


def in_words(seen: Sightings) -> str:
    """``14 by ami and master-csv, 2 by master-csv only``."""
    return ", ".join(
        f"{number:,} by {' and '.join(names)}{' only' if len(names) == 1 else ''}"
        for names, number in sorted(seen.items())
    )


def disagreement(outbox: Outbox, config: Config, *, deaf: bool) -> str:
    """Of sources that have the calls of one Asterisk and were all well since: whose calls another one misses, in words.

    Blank where they agree, or too little is known. ``deaf``: that those which listen miss some is said already. Raises
    OutboxError.
    """
    reading = [source.name for source in config.sources if source.reads_asterisk]
    listening = [source.name for source in config.sources if source.hears_asterisk]
    health, now = outbox.health(), time.time()
    stands = [health.get(f"source {name}") for name in (*reading, *listening)]
    if not (reading and listening) or not all(one and one.state == "ok" for one in stands):
        return ""
    since = max(now - LOOK_BACK_SECONDS, *(one.since for one in stands if one))
    seen = sightings(outbox, since, (since, float("inf")), now - SETTLED_SECONDS)
    total = sum(number for names, number in seen.items() if {*names} & {*reading, *listening})
    for name in reading if deaf else [*reading, *listening]:
        missed = sum(
            number for names, number in seen.items() if name not in names and {*names} & {*reading, *listening}
        )
        if missed >= LEAST and missed * SHARE > total:
            return f"source {name} does not have {missed:,} of {count(total, 'call')} of this PBX: {in_words(seen)}"
    return ""


class Gaps:
    """Compares each AMI of this host with the Master.csv beside it. `outage` is for any thread, `look` for one."""

    def __init__(self, config: Config) -> None:
        beside = any(source.reads_asterisk for source in config.sources)
        self._zone: tzinfo = config.agent.timezone
        self._listening = [source.name for source in config.sources if beside and source.hears_asterisk]
        self._said: dict[str, str] = {}
        self._outages: deque[tuple[str, float, float]] = deque()

    def outage(self, source: str, began: float, ended: float) -> None:
        """``source`` could not be read between these times, seconds since the epoch."""
        if source not in self._listening:
            return
        if self._outages and self._outages[-1][0] == source and began - self._outages[-1][2] < SETTLED_SECONDS:
            # It comes and goes: one outage.
            began = self._outages.pop()[1]
        self._outages.append((source, began, ended))

    def deaf(self, source: str) -> bool:
        """Whether it was said last that ``source`` misses calls."""
        return bool(self._said.get(source))

    def look(self, outbox: Outbox) -> None:
        """Say what was missed, once. Raises OutboxError."""
        now = time.time()
        while self._outages and self._outages[0][2] < now - SETTLED_SECONDS:
            self._report(outbox, *self._outages.popleft())
        health = outbox.health() if self._listening else {}
        for source in self._listening:
            stands = health.get(f"source {source}")
            if stands and stands.state == "ok":
                said = self._missed(outbox, source, stands.since, now)
                before = self._said.get(source, "")
                if said != before:
                    self._said[source] = said
                    outbox.report(f"source {source}", "ok", said)
                    if not before:
                        log.warning("source %s: %s", source, said)

    def _report(self, outbox: Outbox, source: str, began: float, ended: float) -> None:
        seen = sightings(outbox, began, (began - 1, ended))
        log.info(
            "source %s: was away from %s to %s; calls that ended then: %s",
            source,
            clock(began, self._zone),
            clock(ended, self._zone),
            in_words(seen) or "none",
        )

    def _missed(self, outbox: Outbox, source: str, connected: float, now: float) -> str:
        found = outbox.select(
            "SELECT source, also FROM calls WHERE accepted BETWEEN ? AND ? AND event = 'Cdr' AND \"end\" >= ? "
            "ORDER BY accepted DESC LIMIT ?",
            connected,
            now - SETTLED_SECONDS,
            connected,
            LAST,
        )
        missed = [row for row in found if source not in (row["source"], row["also"])]
        if len(missed) < MISSED:
            return ""
        calls = count(len(found), "call")
        return (
            f"is deaf: of the last {calls} it told {len(found) - len(missed)}, Master.csv all. Has its user "
            "in manager.conf read = cdr, and has cdr_manager.conf enabled = yes? humbug-agent check tells"
        )
