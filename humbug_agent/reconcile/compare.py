"""Asks each source once more for its calls, and looks them up in the outbox.

Nothing that the daemon goes by is changed: a reading of this module's own goes from a moment to now and ends. With
``send``, what is missing comes into the outbox as it would from the source itself, with the same identity: never twice.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from threading import Event

from humbug_agent.cdr import Batch, Reject
from humbug_agent.config import Config
from humbug_agent.flat import CALL, Calls, Flat
from humbug_agent.outbox import lock, queries, rows
from humbug_agent.outbox.comparing import Comparison, Differing
from humbug_agent.outbox.dropping import remembered_from
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.reconcile.counts import DayCounts, SourceCounts, day_in
from humbug_agent.sources.contract import Comparing, CursorError, Source, SourceError, ToldOnce
from humbug_agent.sources.readable import in_words
from humbug_agent.words import clock

MISSING = "missing"

Progress = Callable[[int], object]
"""Hears how much more was read, in what `Source.unread` counts."""

Showing = Callable[[Source, int], AbstractContextManager[Progress]]
"""Shows how the reading of a source gets on, of which so much is to be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compare: calls that began ``since`` then, in seconds since the epoch, of the sources with these names.

    ``send``: what is missing is brought in.
    """

    since: float
    sources: Sequence[str]
    send: bool


class Reconciliation:
    """Compares the sources of ``config`` with its outbox, into which what was found is written down meanwhile."""

    def __init__(self, config: Config, outbox: Outbox, asked: Asked) -> None:
        self.day = day_in(config.agent.timezone)
        self.comparison = Comparison(outbox, self.day)
        self.destinations = config.takers()
        self.counts: dict[str, SourceCounts] = {}
        self._config = config
        self._outbox = outbox
        self._asked = asked
        self._remembered = remembered_from(outbox)

    def run(self, showing: Showing) -> None:
        """Raises OutboxError. What is wrong with a source is written down, and the others are compared."""
        settings = self._config.sources
        asterisk = [one.name for one in settings if one.of_asterisk]
        for source, its in zip(self._config.make_sources(), settings, strict=True):
            if source.name in self._asked.sources:
                found = self.counts[source.name] = SourceCounts()
                beside = asterisk if source.name in asterisk else [source.name]
                _OfSource(self, source, found, self._outbox, self._asked, self._config).compare(beside, showing)
                if its.left_out():
                    found.notes.append("legs that its settings leave out are counted nowhere")

    @property
    def remembered(self) -> float:
        """What ended before, and is not known, may have been delivered and forgotten."""
        return self._remembered


class _OfSource:
    """The comparison of one source."""

    def __init__(
        self,
        whole: Reconciliation,
        source: Source,
        found: SourceCounts,
        outbox: Outbox,
        asked: Asked,
        config: Config,
    ) -> None:
        self._whole = whole
        self._source = source
        self._name = source.name
        self._found = found
        self._outbox = outbox
        self._asked = asked
        self._zone = config.agent.timezone
        self._comparison = whole.comparison
        self._read = queries.read_so_far(outbox).get(self._name)
        # It is on its way where a daemon is just reading.
        health = outbox.health().get(f"source {self._name}")
        self._is_read = lock.running(outbox.path) is not None and health is not None and health.state == "ok"
        self._left_out = 0.0

    def compare(self, beside: Sequence[str], showing: Showing) -> None:
        """``beside`` are the names of all sources that have calls of the same PBX."""
        self._comparison.begin()
        if isinstance(self._source, Comparing):
            self._source.compare_with(self._outbox.known)
        try:
            cursor = self._begin()
            with showing(self._source, self._source.unread(cursor) or 0) as progress:
                self._read_all(cursor, progress)
        except ToldOnce as error:
            self._only_outbox(str(error))
            return
        except (SourceError, OSError) as error:
            self._found.error = in_words(error)
        self._come_meanwhile()
        if self._found.error:
            return
        if trouble := self._source.trouble():
            self._found.notes.append(trouble)
        for day, number in self._comparison.not_told(beside, self._asked.since).items():
            self._found.day(day).not_told = number

    def _begin(self) -> str | None:
        """The cursor to read from. Raises SourceError, OSError."""
        read = self._read
        try:
            anew = self._source.again_from(read.cursor or None if read else None, self._asked.since)
        except CursorError:
            anew = self._source.again_from(None, self._asked.since)
        if anew.with_past:
            first = self._comparison.first_accepted(self._name)
            self._left_out = first or (read.at if read else time.time())
        elif self._source.leaves_out:
            self._found.notes.append("calls from before its first start are not asked for")
        return anew.cursor

    def _read_all(self, cursor: str | None, progress: Progress) -> None:
        """To the end of what is there now. Raises SourceError, OSError, OutboxError."""
        for batch in self._source.read(cursor, Event(), follow=False):
            self._take(batch)
            progress(batch.size)

    def _take(self, batch: Batch) -> None:
        calls = {
            one.identity: one
            for one in rows.each(batch.records)
            if one.event == CALL and one.start >= self._asked.since
        }
        rejects = {one.key: one for one in batch.rejects}
        told = self._comparison.first_told([*calls, *rejects])
        if told:
            new = Calls([one for key, one in calls.items() if key in told])
            self._look_up(replace(batch, records=new, rejects=[one for key, one in rejects.items() if key in told]))

    def _look_up(self, batch: Batch) -> None:
        """Of a batch without what was told before."""
        calls, rejects = list(rows.each(batch.records)), batch.rejects
        known = self._comparison.known([*(one.identity for one in calls), *(one.key for one in rejects)])
        unknown = [one for one in calls if one.identity not in known.calls and one.identity not in known.dropped]
        known.calls.update(twins := self._comparison.twins(batch.told, unknown))
        if twins and self._asked.send:
            # Else one of those that are missing would be taken for the call that is this one already.
            again = Calls([one for one in unknown if one.identity in twins])
            self._outbox.accept(
                self._name,
                replace(batch, records=again, rejects=[], cursor=None),
                self._whole.destinations,
                beside=True,
            )
        missing: list[Flat] = []
        there: dict[int, Flat] = {}
        for one in calls:
            counts = self._day(one)
            counts.pbx = (counts.pbx or 0) + 1
            if (number := known.calls.get(one.identity)) is not None:
                there[number] = one
            elif one.identity in known.dropped:
                counts.dropped += 1
                self._found.reasons["dropped", "delivered to all or purged, and dropped from the outbox since"] += 1
            elif not self._is_explained(one, counts):
                missing.append(one)
        kept = [one for one in rejects if one.key in known.rejects]
        lost = [one for one in rejects if one.key not in known.rejects and one.key not in known.dropped]
        self._found.rejects += len(kept)
        self._comparison.differ(
            replace(_of_reject(self._name, one), state="rejected", id=f"r{known.rejects[one.key][0]}") for one in kept
        )
        self._in_outbox(there)
        if missing or lost:
            self._miss(replace(batch, records=Calls(missing), rejects=lost, cursor=None))

    def _is_explained(self, call: Flat, counts: DayCounts) -> bool:
        """Whether it is as it should be that the outbox does not know the call. It is counted then."""
        if call.end < self._left_out:
            counts.left_out += 1
            self._found.reasons["left out", self._source.leaves_out] += 1
        elif call.end < self._whole.remembered:
            counts.dropped += 1
            at = clock(self._whole.remembered, self._zone)
            why = f"from so long ago that the outbox would not know it any more: it forgets what it dropped before {at}"
            self._found.reasons["dropped", why] += 1
        elif self._is_read and self._read and call.end > self._read.at:
            counts.unread += 1
            self._found.reasons["unread", "ended after the source was read last, and is read next"] += 1
        else:
            return False
        return True

    def _in_outbox(self, there: dict[int, Flat]) -> None:
        """By their ids."""
        for one in there.values():
            self._day(one).outbox += 1
        dead: list[Differing] = []
        for number, stands in self._comparison.deliveries(there):
            if stands.destination not in self._whole.destinations:
                continue
            self._day(there[number]).deliveries[stands.destination, stands.state] += 1
            if stands.state == "dead":
                call = _of_call(self._name, there[number], stands.error)
                dead.append(replace(call, state="dead", destination=stands.destination, id=str(number)))
        self._comparison.differ(dead)

    def _miss(self, batch: Batch) -> None:
        """Write down what is in it, and bring it in where that is asked."""
        calls, rejects = list(rows.each(batch.records)), batch.rejects
        lost = [
            *(_of_call(self._name, one, self._why_missing(one.end)) for one in calls),
            *(_of_reject(self._name, one) for one in rejects),
        ]
        came: set[bytes] = set()
        brought: set[bytes] = set()
        if self._asked.send:
            newest = self._comparison.newest()
            self._outbox.accept(self._name, batch, self._whole.destinations, beside=True)
            known = self._comparison.known(one.identity for one in lost)
            came = known.calls.keys() | known.rejects.keys()
            # Another one may have been a call already, which the daemon has read meanwhile.
            brought = {key for key, number in known.calls.items() if number > newest} | known.rejects.keys()
            self._in_outbox({known.calls[one.identity]: one for one in calls if one.identity in known.calls})
        for one in calls:
            counts = self._day(one)
            counts.brought += one.identity in brought
            counts.missing += one.identity not in came
        kept = sum(one.key in came for one in rejects)
        self._found.rejects += kept
        self._found.rejects_missing += len(rejects) - kept
        self._comparison.differ(
            replace(one, brought=one.identity in brought)
            for one in lost
            if one.identity in brought or one.identity not in came
        )

    def _why_missing(self, ended: float) -> str:
        read = self._read
        if read is None:
            return "the source was never read"
        at = clock(read.at, self._zone)
        if ended > read.at:
            return f"not read yet: the source was read last at {at}"
        return f"lost from the outbox, or told late by the PBX: the source was read until {at}"

    def _come_meanwhile(self) -> None:
        """What the daemon has read, while this read the same, is not missing."""
        for piece in self._comparison.missing(self._name):
            known = self._comparison.known(one.identity for one in piece)
            came = [one for one in piece if not one.brought and one.identity in known.calls]
            for one in came:
                counts = self._found.day(self._whole.day(one.start or 0.0, one.start_offset))
                counts.missing -= 1
                counts.outbox += 1
                for _, stands in self._comparison.deliveries([known.calls[one.identity]]):
                    counts.deliveries[stands.destination, stands.state] += 1
            self._comparison.does_not_differ(self._name, (one.identity for one in came))

    def _only_outbox(self, why: str) -> None:
        self._found.notes.append(f"{why}: what stands here is what the outbox has of it")
        for day, number in self._comparison.of_source(self._name, self._asked.since).items():
            self._found.days[day] = DayCounts(pbx=None, outbox=number)
        for day, destination, state, number in self._comparison.delivered(self._name, self._asked.since):
            if destination in self._whole.destinations:
                self._found.day(day).deliveries[destination, state] += number

    def _day(self, call: Flat) -> DayCounts:
        return self._found.day(self._whole.day(call.start, call.start_offset))


def _of_call(source: str, one: Flat, reason: str) -> Differing:
    return Differing(
        source,
        one.identity,
        MISSING,
        "",
        reason,
        one.start,
        one.start_offset,
        one.src,
        one.dst,
        one.uniqueid,
        one.disposition,
    )


def _of_reject(source: str, one: Reject) -> Differing:
    return Differing(source, one.key, MISSING, "", f"can't be understood: {one.reason}", place=one.where)
