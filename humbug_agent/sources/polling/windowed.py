"""Asks for the calls of tenants, window after window, one after the other. FusionPBX calls them domains."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from threading import Event
from typing import Any, Protocol

from humbug_agent.backoff import jittered
from humbug_agent.cdr import CDR, Batch
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.client import Stopped, TooMany, TooMuch, Wrong
from humbug_agent.sources.polling.pace import DAY
from humbug_agent.sources.polling.progress import Progress
from humbug_agent.sources.polling.rows import ApiRows, in_words
from humbug_agent.sources.polling.windows import (
    AHEAD,
    HOSTED,
    OVERLAP,
    Now,
    Reached,
    Sweep,
    Tiers,
    Width,
    known,
    moved,
    resumed,
    swept,
    to_sweep,
)
from humbug_agent.words import count

MOST = 1000
"""Rows that are committed at once."""

CURRENT = OVERLAP
"""Seconds. Who is no further behind than this only waits for the next round."""

NAMED = 3
"""Tenants or domains that an error names, if more have failed."""

Ask = Callable[[str, float, float, Event], list[Any]]
"""The rows of a tenant between two times, in seconds since the epoch. Raises SourceError, Stopped."""

Then = Callable[[Reached, float], Reached]
"""How far it has come, after how far it had and when the newest call ended, 0 if there is none."""


class Asked(Protocol):
    """Whoever is asked: where that is, as messages name it, and what the time is there, in seconds since the epoch."""

    where: str

    def now(self) -> float: ...


class Windowed:
    """A reading of an API that is asked window by window.

    ``tenants`` as agent.ini names them. One that fails does not hold up the others.
    """

    def __init__(
        self,
        tenants: Sequence[str],
        since: datetime | None,
        zone: tzinfo,
        asker: Asked,
        rows: ApiRows,
        ask: Ask,
        tiers: Tiers = HOSTED,
    ) -> None:
        self._tenants = tenants
        self._since = since
        self._zone = zone
        self._asker = asker
        self._rows = rows
        self._ask = ask
        self._tiers = tiers
        self._widths = {tenant: Width(tiers.width) for tenant in tenants}

    def begin(self, progress: Progress) -> Iterator[Batch]:
        """Says from when on new tenants are asked: a day before the first start, not before the first answer."""
        now = self._now()
        new = {
            tenant: self._reached(tenant, progress, now) for tenant in self._tenants if tenant not in progress.reached
        }
        if new:
            yield Batch([], [], progress.dump(new))
            progress.reached |= new

    def again_from(self, progress: Progress, moment: float) -> str:
        """The cursor of who asks all tenants from ``moment`` on, but for what their first start left out."""
        now = self._now()
        anew = {}
        for tenant in self._tenants:
            begin = max(int(moment), self._reached(tenant, progress, now).since)
            anew[tenant] = Reached(begin, begin, 0, (Sweep(int(now.surely)),) * len(self._tiers.sweeps))
        return progress.dump(anew)

    def round(
        self, progress: Progress, every: float, stop: Event, *, follow: bool, of: Sequence[str] = ()
    ) -> Iterator[Batch]:
        """All there is until now, ``of`` some of the tenants or of all.

        Raises SourceError once all tenants were tried, Stopped. After an error of only some of the tenants, or late in
        the round, the next round is ``every`` seconds later.
        """
        failed: dict[str, SourceError] = {}
        worked = False
        for tenant in of or self._tenants:
            try:
                for batch in self._tenant(tenant, progress, stop, follow):
                    worked = True
                    yield batch
            except (Wrong, TooMuch) as error:
                failed[tenant] = error
            except SourceError as error:
                # No answer at all: the next tenant would have none either.
                raise SourceError(str(error), _wait(error, every) if worked else error.wait) from error
        if failed:
            first = next(iter(failed.values()))
            raise SourceError(_named(failed), _wait(first, every) if worked else first.wait)

    def unread(self, progress: Progress) -> int:
        """The seconds in which calls ended that were not asked for yet, over all tenants. Asks nobody."""
        now = self._now()
        behind = (int(now.ours) - self._reached(tenant, progress, now).upto for tenant in self._tenants)
        return sum(seconds for seconds in behind if seconds > CURRENT)

    def check(self, of: Sequence[str] = ()) -> str:
        """What the last day has ``of`` some of the tenants or of all, in words. Raises SourceError."""
        found: list[CDR] = []
        rejects = 0
        reason, span = "", "day"
        stop = Event()
        now = self._asker.now()
        for tenant in of or self._tenants:
            try:
                try:
                    rows = self._ask(tenant, now - DAY, now + AHEAD, stop)
                except TooMuch:
                    rows, span = self._ask(tenant, now - OVERLAP, now + AHEAD, stop), "quarter of an hour"
            except (Wrong, TooMuch) as error:
                raise SourceError(_named({tenant: error})) from error
            batch = self._rows.batch(rows, tenant)
            found += [record for record in batch.records if isinstance(record, CDR)]
            rejects += len(batch.rejects)
            reason = reason or next((reject.reason for reject in batch.rejects), "")
        if rejects and not found:
            said = f"{count(rejects, 'call')} in the last {span}"
            raise SourceError(f"{self._asker.where}: {said}, none can be read: {reason}")
        said = f"{count(len(found), 'call')} in the last {span}"
        if rejects:
            said += f", {rejects:,} more that can't be read: {reason}"
        return f"{said}; the newest: {in_words(max(found, key=_end), self._zone)}" if found else said

    def piece(self, tenant: str, progress: Progress, end: int, stop: Event, *, follow: bool) -> Iterator[Batch]:
        """The next window of a tenant's past, which goes up to ``end`` and is no part of any round."""
        begin = progress.reached[tenant].upto
        for window in self._windows(tenant, begin, end, stop, follow):
            upto = end if window.last else int(window.end)

            def then(reached: Reached, latest: float, upto: int = upto) -> Reached:
                return replace(reached, upto=upto)

            yield from self._hand_over(tenant, window, progress, then, stop)
            return

    def _tenant(self, tenant: str, progress: Progress, stop: Event, follow: bool) -> Iterator[Batch]:
        now = self._now()
        reached = self._reached(tenant, progress, now)
        begin = resumed(reached, now, self._tiers)
        progress.reached[tenant] = reached
        # What is new first: a sweep that fails must not hold it up.
        for window in self._windows(tenant, begin, None, stop, follow):
            yield from self._hand_over(tenant, window, progress, window.moves, stop)
        for number in range(len(self._tiers.sweeps)):
            yield from self._sweep(tenant, number, begin, progress, stop, follow)

    def _sweep(
        self, tenant: str, number: int, end: int, progress: Progress, stop: Event, follow: bool
    ) -> Iterator[Batch]:
        progress.reached[tenant] = reached = to_sweep(progress.reached[tenant], number, end, self._now(), self._tiers)
        sweep = reached.sweeps[number]
        if not sweep.at or sweep.at >= end:
            # Not due, or the round itself has asked for all of it.
            progress.reached[tenant] = swept(reached, number, replace(sweep, at=0))
            return
        for window in self._windows(tenant, sweep.at, end, stop, follow):
            done = replace(sweep, at=0 if window.last else int(window.end))

            def then(reached: Reached, latest: float, done: Sweep = done) -> Reached:
                return swept(reached, number, done)

            yield from self._hand_over(tenant, window, progress, then, stop)

    def _windows(
        self, tenant: str, position: float, end: float | None, stop: Event, follow: bool
    ) -> Iterator["_Window"]:
        """Up to ``end``, or to now, which goes on while we ask."""
        width = self._widths[tenant]
        while True:
            clocks = self._now()
            until = max(clocks.surely if end is None else end, position)
            beyond = position + width.seconds
            last = beyond >= until
            if last:
                beyond = max(until, clocks.latest) + AHEAD if end is None else until
            asked = min(beyond, until) - position
            began = time.monotonic()
            try:
                rows = self._ask(tenant, position, beyond, stop)
            except (Wrong, TooMuch) as error:
                # The daemon says so and comes back for less; who runs but once has no second try.
                at_once = isinstance(error, TooMany) or not follow
                if width.narrower(asked) and at_once and _may_be_too_much(error):
                    continue
                raise
            took = time.monotonic() - began
            now = self._now(took)
            if now.apart:
                raise SourceError(self._asker.where + clocks_apart(now))
            # It may have told only now that its clock is ahead.
            last = last and (end is not None or now.latest <= beyond)
            width.answered(len(rows), asked, took)
            yield _Window(rows, beyond, last, now)
            if last:
                return
            position = beyond

    def _hand_over(
        self, tenant: str, window: "_Window", progress: Progress, then: Then, stop: Event
    ) -> Iterator[Batch]:
        """``then`` is how far it has come with the window's last row."""
        rows, latest = window.rows, 0.0
        for first in range(0, len(rows) or 1, MOST):
            batch = self._rows.batch(rows[first : first + MOST], f"{self._asker.where} {tenant}")
            latest = max(latest, self._latest(rows[first : first + MOST], batch, window.now))
            if first + MOST >= len(rows):
                before = progress.reached[tenant]
                after = then(before, latest)
                yield replace(batch, cursor=progress.dump({tenant: after}), size=max(0, after.upto - before.upto))
                progress.reached[tenant] = after
            elif batch.records or batch.rejects:
                yield batch
            self._rows.on_disk(batch)
            if stop.is_set():
                raise Stopped

    def _latest(self, rows: list[Any], batch: Batch, now: Now) -> float:
        """When the last call of these rows ended, of those that have ended by now; or began."""
        if began := self._tiers.began:
            return max((min(began(row), now.latest) for row in rows), default=0.0)
        ends = (_end(record) for record in batch.records if isinstance(record, CDR))
        return max((end for end in ends if end <= now.latest), default=0.0)

    def _reached(self, tenant: str, progress: Progress, now: Now) -> Reached:
        return known(progress.reached.get(tenant), self._since, self._zone, now, self._tiers)

    def _now(self, ago: float = 0.0) -> Now:
        """So many seconds ``ago``, by what is known of the clocks now."""
        return Now(time.time() - ago, self._asker.now() - ago)


@dataclass(frozen=True)
class _Window:
    """The calls of one window of one tenant or domain.

    ``rows`` of what ended before ``end``, asked for at ``now``.
    """

    rows: list[Any]
    end: float
    last: bool
    now: Now

    def moves(self, reached: Reached, latest: float) -> Reached:
        return moved(reached, self.end, self.now, latest)


def _may_be_too_much(error: Wrong | TooMuch) -> bool:
    """A server that runs out of memory or of time over an answer says so with a 500, 502 or 504."""
    return isinstance(error, TooMuch) or error.status >= 500


def clocks_apart(now: Now) -> str:
    """The end of a sentence that says so."""
    theirs, ours = (datetime.fromtimestamp(clock, UTC).strftime("%Y-%m-%d %H:%M") for clock in (now.theirs, now.ours))
    return f": the server's clock is at {theirs} UTC, this host's at {ours} UTC; set this host's (timedatectl status)"


def _end(cdr: CDR) -> float:
    return cdr.end.timestamp()


def _wait(error: SourceError, every: float) -> float:
    return max(jittered(every), error.wait or 0.0)


def _named(failed: dict[str, SourceError]) -> str:
    said = [f"{tenant}: {error}" for tenant, error in failed.items()]
    more = len(said) - NAMED
    return "; ".join(said[:NAMED]) + (f"; and {more} more" if more > 0 else "")
