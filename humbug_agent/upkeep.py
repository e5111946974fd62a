"""What the outbox needs before anything relies on it, and while the agent runs."""

import logging
import threading
import time
from datetime import datetime

from humbug_agent import history, schema
from humbug_agent.config import Config
from humbug_agent.outbox import Outbox
from humbug_agent.sources import make_sources

log = logging.getLogger(__name__)


def max_bytes(config: Config) -> int:
    return config.agent.max_size_mb * 2**20


def prepare(config: Config) -> None:
    """Look through the outbox before anything relies on it; a damaged one is moved aside. Raises OutboxError."""
    path = config.agent.outbox
    schema.finish_move(path)
    written = schema.written(path)
    wrong = schema.check(path)
    if wrong:
        _replace(config, wrong, written)
    with Outbox(path) as outbox:
        outbox.forget_health()
        while outbox.keep_wall_clock(config.agent.timezone):
            pass
        names = {destination.name for destination in config.destinations}
        for name, states in history.totals(outbox).deliveries.items():
            if name not in names and states["waiting"]:
                log.warning(
                    "%d calls wait for [destination %s], which is no longer in %s: put it back, or humbug-agent outbox "
                    "purge --destination %s",
                    states["waiting"],
                    name,
                    config.path,
                    name,
                )


def _replace(config: Config, wrong: str, written: float) -> None:
    """Move the damaged outbox aside, and say what its successor lacks. ``written``: seconds since the epoch."""
    path, zone = config.agent.outbox, config.agent.timezone
    sources = {source.name: source for source in make_sources(config)}
    known: set[str] = set()
    again: set[str] = set()

    def begins(name: str, cursor: str) -> str | None:
        # That of a source that is not in agent.ini now waits for it to come back.
        after = sources[name].again(cursor) if name in sources else cursor
        known.add(name)
        if after != cursor:
            again.add(name)
        return after

    aside, found = schema.move_aside(path, begins)
    # Whose cursor can't be read begins as at its first start.
    forgotten = sources.keys() - known if "cursors" in found.unreadable else set()
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
    for name in sorted(forgotten):
        if left_out := sources[name].leaves_out:
            since = datetime.fromtimestamp(found.accepted.get(name, written), zone)
            log.critical(
                "source %s: how far it was read can't be read of %s, so it begins as at its first start: calls from %s "
                "to now may be missing, for %s",
                name,
                aside,
                since.strftime("%Y-%m-%d %H:%M:%S"),
                left_out,
            )


def keep_house(outbox: Outbox, config: Config, stop: threading.Event) -> None:
    """Drop delivered calls that are older than keep_days; near the size limit, younger ones too. Raises OutboxError."""
    now = time.time()
    outbox.clock_was_set_back(now)
    dropped = 0
    while not stop.is_set() and (gone := outbox.forget_delivered(now - config.agent.keep_days * 86400)):
        dropped += gone
    limit = 0.9 * max_bytes(config)
    early = 0
    while not stop.is_set() and outbox.used_bytes() > limit and (gone := outbox.forget_delivered(now)):
        early += gone
    if early:
        log.warning("outbox %s: near max_size_mb; dropped %d delivered calls before keep_days", outbox.path, early)
    if dropped or early:
        outbox.shrink()
