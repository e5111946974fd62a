"""`run --once`: read what is there, try to deliver all that waits, say how it ended."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from humbug_agent.config import Config
from humbug_agent.daemon import agent, housekeeping
from humbug_agent.outbox import lock, queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxDamaged, OutboxError, OutboxFull
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.words import count

log = logging.getLogger(__name__)


def run_once(config: Config) -> int:
    """Returns the exit code: 0 when everything is delivered, 1 when calls wait or are dead, or a source failed.

    Says how many deliveries this run made; what waits, is dead or a reject is all that the outbox holds now. Raises
    AgentError, OutboxError.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with lock.locked(config.agent.outbox, config.path):
        housekeeping.prepare(config)
        try:
            sent, troubles = _read_and_deliver(config, stop)
        except OutboxDamaged as error:
            housekeeping.prepare(config, error.found)
            sent, troubles = _read_and_deliver(config, stop)
        with Outbox(config.agent.outbox) as outbox:
            totals, read = queries.totals(outbox), queries.read_so_far(outbox)
    for trouble in troubles:
        log.error("%s", trouble)
    for source, settings in zip(config.make_sources(), config.sources, strict=True):
        # A log that was read before may have been rotated just now; its directory stays.
        gone = settings.reads is not None and not settings.reads.parent.is_dir()
        if (source.name not in read or gone) and (reason := _why_nothing(source)):
            log.warning("source %s: %s", source.name, reason)
    waiting, dead = (sum(states[state] for states in totals.deliveries.values()) for state in ("waiting", "dead"))
    rejects = sum(totals.rejects.values())
    click.echo(f"{sent:,} sent, {waiting:,} waiting, {dead:,} dead, {count(rejects, 'reject')}")
    for left, words, state in (
        (waiting, "still to be sent, by the next run", "waiting"),
        (dead, "refused for good", "dead"),
        (rejects, "not understood", "rejected"),
        (totals.untaken, "taken by no destination", "untaken"),
    ):
        if left:
            click.echo(f"{left:,} {words}: humbug-agent outbox list --state {state} shows why", err=True)
    return 1 if troubles or waiting or dead else 0


def _read_and_deliver(config: Config, stop: threading.Event) -> tuple[int, Sequence[Exception]]:
    """How many deliveries were made, and why not all was read. Raises OutboxDamaged, OutboxError."""
    sent = 0
    while True:
        new, troubles = _read(config, stop)
        for trouble in troubles:
            if isinstance(trouble, OutboxDamaged):
                raise trouble
        sent += _deliver(config, stop)
        # What was delivered may go, and make room for the rest.
        if not (new and any(isinstance(trouble, OutboxFull) for trouble in troubles)):
            return sent, troubles


def _read(config: Config, stop: threading.Event) -> tuple[int, Sequence[Exception]]:
    """How many calls were new, and why not all was read."""
    with Outbox(config.agent.outbox, durable=True, max_bytes=housekeeping.max_bytes(config)) as outbox:
        housekeeping.keep_house(outbox, config, stop)
        total, before = _unread(config, outbox) if _terminal() else 0, queries.totals(outbox).calls
        with click.progressbar(length=total, label="Reading", file=sys.stderr, hidden=not _terminal()) as bar:
            try:
                agent.read_once(config, outbox, stop, bar.update)
            except ExceptionGroup as failed:
                return queries.totals(outbox).calls - before, failed.exceptions
            except OutboxError as error:
                return queries.totals(outbox).calls - before, [error]
        return queries.totals(outbox).calls - before, []


def _unread(config: Config, outbox: Outbox) -> int:
    total = 0
    for source in config.make_sources():
        with suppress(SourceError, OSError):
            total += source.unread(outbox.cursor(source.name)) or 0
    return total


def _deliver(config: Config, stop: threading.Event) -> int:
    with Outbox(config.agent.outbox) as outbox:
        # Whoever starts a run wants to see now whether it works by now, not to wait for a backoff.
        queries.wait_no_longer(outbox, time.time())
        due = queries.count(outbox, queries.Filter(state="waiting"))
        with click.progressbar(length=due, label="Delivering", file=sys.stderr, hidden=not _terminal()) as bar:
            return agent.deliver_once(config, outbox, stop, bar.update)


def _why_nothing(source: Source) -> str:
    """Why nothing was ever read from it; nothing to say when it could be."""
    try:
        source.check()
    except (SourceError, OSError) as error:
        return in_words(error)
    return ""


def _terminal() -> bool:
    return sys.stderr.isatty()
