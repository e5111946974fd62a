"""What the outbox needs before anything relies on it, and while the agent runs."""

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path

from humbug_agent.config import Config
from humbug_agent.doctor.watch import Watch
from humbug_agent.host.pbx_first import step_far_back
from humbug_agent.outbox import dropping, queries, schema, spill
from humbug_agent.outbox.dropping import Piecemeal
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.repeats import Sayings, to
from humbug_agent.sources.contract import CursorError
from humbug_agent.words import clock, count, said

log = logging.getLogger(__name__)

FIRST_LOOK_SECONDS = 5.0
LOOK_SECONDS = 7 * 86400.0
KEEP_HOUSE_SECONDS = 60.0

SPARE_BYTES = 2**20
"""Less room than this in the outbox is not given back: the next calls take it."""

TOLD_AGAIN_SECONDS = 9 * 86400.0
"""Sources that ask a hosted PBX ask for a week again, once a day."""


def max_bytes(config: Config) -> int:
    return config.agent.max_size_mb * 2**20


def prepare(config: Config, damage: str = "", *, briefly: bool = False, doubted: bool = False) -> None:
    """Look through the outbox before anything relies on it; a damaged one is moved aside. Raises OutboxError.

    ``damage`` is what was found wrong with it while it was used: a look through it need not find that. ``briefly``, a
    large one is not looked through now: `look_through` is to do it beside all else. One that is ``doubted`` seemed to
    be damaged, and is looked through with its indexes.
    """
    path = config.agent.outbox
    schema.finish_move(path)
    is_new = not schema.status(path)
    written = schema.written(path)
    if wrong := _wrong(path, damage, briefly=briefly, doubted=doubted):
        _replace(config, wrong, written)
    with Outbox(path) as outbox:
        if is_new:
            _tell_new(config)
        outbox.forget_health()
        if buried := outbox.bury_damaged():
            log.error(
                "outbox %s: damaged: %s in no state that there is, and dead now; see humbug-agent outbox list --state "
                "dead",
                path,
                count(buried, "delivery was", "deliveries were"),
            )
        while outbox.keep_wall_clock(config.agent.timezone):
            pass
        names = {destination.name for destination in config.destinations}
        for name, states in queries.by_state(outbox).items():
            if name not in names and states["waiting"]:
                log.warning(
                    "%s for [destination %s], which is no longer in %s: put it back, or humbug-agent outbox "
                    "purge --destination %s",
                    count(states["waiting"], "call waits", "calls wait"),
                    name,
                    config.path,
                    name,
                )
    try:
        config.make_own_key()
    except OSError as error:
        raise schema.OutboxError(
            f"{config.own_key}: {error.strerror}; there the daemon keeps the key of what mask and names hide"
        ) from error
    try:
        bring_in(config)
    except schema.OutboxDamaged:
        raise
    except schema.OutboxError as error:
        # House-keeping tries again.
        log.error("%s; what was kept at an earlier stop waits beside it", error)


def _wrong(path: Path, damage: str, *, briefly: bool, doubted: bool) -> str | None:
    """The damage of the outbox in words: ``damage``, if that was found before, else what a look finds, or None.

    One that seems damaged is looked at again once its disk can be read: SQLite says the same of both. That disk may
    fail at the next look, too, so one look that finds nothing is enough. Raises OutboxError.
    """
    with suppress(schema.OutboxError):
        if not damage and not _found(path, briefly=briefly, doubted=doubted):
            return None
    schema.await_readable(path)
    if damage or not _found(path, doubted=doubted):
        return damage or None
    schema.await_readable(path)
    return _found(path, doubted=doubted)


def _found(path: Path, *, briefly: bool = False, doubted: bool) -> str | None:
    """What one look finds wrong, with the indexes of one that is doubted, or None. Raises OutboxError."""
    if (wrong := schema.check(path, briefly=briefly)) or not doubted:
        return wrong
    try:
        schema.compare_indexes(path, threading.Event())
    except schema.OutboxDamaged as error:
        return error.found
    return None


def bring_in(config: Config) -> None:
    """Put into the outbox what could not be put there at an earlier stop. Raises OutboxError."""
    spill.bring_in(config.agent.outbox, config.takers(), max_bytes(config))


def _tell_new(config: Config) -> None:
    """It may be so by a slip, and what another outbox knows to be sent is sent again then."""
    sources = zip(config.sources, config.make_sources(), strict=True)
    logs = [settings.written() for settings, source in sources if not source.leaves_out]
    if names := ", ".join(str(log_) for log_ in logs if log_):
        # A directory of documents has none.
        rotated = ", rotated files included" if any(log_ and not log_.is_dir() for log_ in logs) else ""
        log.info("outbox %s is new: everything that is in %s is read and sent%s", config.agent.outbox, names, rotated)


def begins_empty(new: Path, old: Path) -> str:
    """What a daemon that has worked on the ``old`` outbox does with another; blank where there is nothing to say."""
    if new == old or new.exists():
        return ""
    return (
        f"outbox {new} is new and begins empty: everything that can still be read is read and sent again, and calls "
        f"that wait in {old} stay there. To go on with the old one, stop the agent, move {old} to {new} (and {old}-wal "
        f"to {new}-wal, if there is one), and start it"
    )


def _replace(config: Config, wrong: str, written: float) -> None:
    """Move the damaged outbox aside, and say what its successor lacks. ``written``: seconds since the epoch."""
    path, zone = config.agent.outbox, config.agent.timezone
    sources = {source.name: source for source in config.make_sources()}
    known: set[str] = set()
    again: set[str] = set()
    damaged: set[str] = set()

    def begins(name: str, cursor: str) -> str | None:
        # That of a source that is not in agent.ini now waits for it to come back.
        try:
            after = sources[name].again(cursor) if name in sources else cursor
        except CursorError:
            damaged.add(name)
            return None
        known.add(name)
        if after != cursor:
            again.add(name)
        return after

    aside, found = schema.move_aside(path, begins, config.takers())
    # Whose cursor can't be read begins as at its first start.
    forgotten = sources.keys() - known if "cursors" in found.unreadable else damaged
    again |= {name for name in forgotten if sources[name].again("") is None}
    log.critical(
        "outbox %s: damaged (%s). Moved to %s; what it still holds goes on. Read again: %s; going on from where they "
        "were: %s",
        path,
        wrong,
        aside,
        ", ".join(sorted(again)) or "no source",
        ", ".join(sorted(known - again)) or "no source",
    )
    if found.lost or found.unreadable & {"calls", "deliveries"}:
        log.critical(
            "outbox %s: %s can't be read. The sources that are read again bring theirs; those of the others may be "
            "missing; sqlite3 FILE .recover may get more out of it",
            aside,
            f"{found.lost:,} of the calls that waited or were dead" if found.lost else "some of its calls",
        )
    if found.unsure:
        log.critical(
            "outbox %s: of %s it can't be read whether they were delivered: they are sent, perhaps again",
            path,
            count(found.unsure, "call"),
        )
    for name in sorted(forgotten):
        if left_out := sources[name].leaves_out:
            since = found.accepted.get(name, written)
            log.critical(
                "source %s: how far it was read can't be read of %s, so it begins as at its first start: calls from %s "
                "to now may be missing, for %s",
                name,
                aside,
                clock(since, zone),
                left_out,
            )


def look_through(path: Path, stop: threading.Event) -> None:
    """Compare the outbox's indexes and its counts with its tables, soon after the start and then once a week, until
    ``stop``.

    Raises OutboxDamaged: what a look at the start does not see is met later, and by chance.
    """
    # It is the only thing that reads the whole file: anything else comes first.
    step_far_back()
    wait = FIRST_LOOK_SECONDS
    while not stop.wait(wait):
        wait = LOOK_SECONDS
        try:
            schema.compare_indexes(path, stop)
            with Outbox(path) as outbox:
                outbox.db.conn.set_progress_handler(stop.is_set, 100_000)
                queries.count_anew(outbox)
        except schema.OutboxDamaged:
            raise
        except schema.OutboxError as error:
            if not stop.is_set():
                log.warning("%s; it was not looked through", error)


def keep_house_always(config: Config, stop: threading.Event) -> None:
    """Keep house once a minute, until ``stop``. Raises OutboxDamaged; other trouble with files it waits out."""
    sayings, watch = Sayings(to(log)), Watch(config)
    while not stop.is_set():
        sayings.tick()
        try:
            with Outbox(config.agent.outbox) as outbox:
                # A look at millions of rows is no piece.
                outbox.db.conn.set_progress_handler(stop.is_set, 100_000)
                keep_house(outbox, config, stop)
                watch.look(outbox)
            bring_in(config)
        except schema.OutboxDamaged:
            raise
        except (schema.OutboxError, OSError) as error:
            if not stop.is_set():
                sayings.say("outbox", logging.ERROR, said(error), kind=said(error))
        stop.wait(KEEP_HOUSE_SECONDS)


def keep_house(outbox: Outbox, config: Config, stop: threading.Event) -> None:
    """Drop delivered calls that are older than keep_days; near the size limit, younger ones too. Raises OutboxError.

    So that none is sent twice their identities stay for two years; near the size limit the oldest of them go earlier.
    ``stop`` ends it early.
    """
    now = time.time()
    work = Piecemeal(outbox, stop)
    dropping.forget_old_identities(work, now)
    dropping.forget_delivered(work, now - config.agent.keep_days * 86400)
    limit = max_bytes(config) * 9 // 10
    if outbox.used_bytes() > limit:
        _make_room(work, config, limit, now)
    if outbox.free_bytes() > max(outbox.used_bytes() // 8, SPARE_BYTES):
        dropping.shrink(work)


def _make_room(work: Piecemeal, config: Config, limit: int, now: float) -> None:
    outbox = work.outbox

    def enough() -> bool:
        return outbox.used_bytes() <= limit

    room = limit // 2
    before = dropping.make_room(work, room, dropping.hour(now))
    early = dropping.forget_delivered(work, now, enough)
    if early:
        dropped = count(early, "delivered call")
        log.warning("outbox %s: near max_size_mb; dropped %s before keep_days", outbox.path, dropped)
    while not enough() and room > limit // 64 and not work.stop.is_set():
        # Calls that wait come first, but for what hosted PBXs tell again.
        room //= 2
        before = max(before, dropping.make_room(work, room, dropping.hour(now - TOLD_AGAIN_SECONDS)))
    if before:
        log.warning(
            "outbox %s: near max_size_mb; calls that were dropped before %s are not known any more. A file from then "
            "that is read again is sent again",
            outbox.path,
            clock(before * 3600, config.agent.timezone),
        )
