"""What the outbox needs before anything relies on it, and while the agent runs."""

import logging
import threading
import time

from humbug_agent import history, schema
from humbug_agent.config import AsteriskCsvSettings, Config
from humbug_agent.outbox import Outbox

log = logging.getLogger(__name__)


def max_bytes(config: Config) -> int:
    return config.agent.max_size_mb * 2**20


def prepare(config: Config) -> None:
    """Look through the outbox before anything relies on it; a damaged one is moved aside. Raises OutboxError."""
    path = config.agent.outbox
    schema.finish_move(path)
    wrong = schema.check(path)
    if wrong:
        # Where the admin said that the past is of no interest, it must not be sent now; elsewhere all is read again.
        aside = schema.move_aside(
            path, {s.name for s in config.sources if isinstance(s, AsteriskCsvSettings) and s.start == "end"}
        )
        log.critical(
            "outbox %s: damaged (%s). Moved to %s; what it still holds goes on, and files are read again",
            path,
            wrong,
            aside,
        )
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
