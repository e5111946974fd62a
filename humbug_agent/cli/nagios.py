"""`status --nagios`: a line and an exit code for Nagios and its like.

Source of the format: the Monitoring Plugins' development guidelines, "Plugin output".
"""

import os
from collections.abc import Sequence
from pathlib import Path

from humbug_agent.ini import ConfigError
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.status.document import Status
from humbug_agent.status.overview import overview
from humbug_agent.status.troubles import NEAR_FULL, Level
from humbug_agent.text import printable
from humbug_agent.words import OTHER_USER, age, count, said

LONGEST = 200
"""Characters of a sentence: NRPE cuts the line after 1,024 bytes, and the numbers come last."""

MOST = 3
"""Sentences."""


def answer(path: Path) -> tuple[str, Level]:
    """The line, and the exit code. Never raises OutboxError, OSError, ConfigError: what can't be told is UNKNOWN."""
    try:
        found = overview(path)
    except ConfigError as error:
        # Who may not read it does not see the daemon either; and where it is no file, there is none to be seen.
        level = Level.CRITICAL if os.access(path, os.R_OK) and not path.is_dir() else Level.UNKNOWN
        stands = ["the agent is not running"] if level is Level.CRITICAL else []
        return f"{level.name} - {_in_words([*stands, *error.mistakes])}", level
    except PermissionError as error:
        return f"{Level.UNKNOWN.name} - {_short(f'{said(error)}; {OTHER_USER}')}", Level.UNKNOWN
    except (OutboxError, OSError) as error:
        return f"{Level.UNKNOWN.name} - {_short(said(error))}", Level.UNKNOWN
    level = max((trouble.level for trouble in found.wrong), default=Level.OK)
    wrong = _in_words([trouble.shown for trouble in found.wrong]) or _summary(found.status)
    return f"{level.name} - {wrong} | {' '.join(_numbers(found.status))}", level


def _in_words(wrong: Sequence[str]) -> str:
    more = [f"and {len(wrong) - MOST} more"] if len(wrong) > MOST else []
    return "; ".join([*map(_short, wrong[:MOST]), *more])


def _short(sentence: str) -> str:
    """On one line, without what parts the words from the numbers."""
    whole = printable(" ".join(sentence.split())).replace("|", "/")
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"


def _summary(status: Status) -> str:
    oldest = _oldest(status)
    return f"{count(status.calls, 'call')}, {status.deliveries['waiting']:,} waiting" + (
        f", the oldest for {age(oldest)}" if oldest else ""
    )


def _oldest(status: Status) -> int:
    """Seconds that the call waits that has waited for longest; a clock may have been set back meanwhile."""
    return max(0, *(one.oldest_waiting_seconds or 0 for one in status.destinations.values()), 0)


def _numbers(status: Status) -> list[str]:
    """``label=value[unit];warning;critical;least;most``."""
    outbox, deliveries = status.outbox, status.deliveries
    most = outbox.max_bytes
    unread = sum(one.unread_bytes or 0 for one in status.sources.values())
    return [
        f"waiting={deliveries['waiting']};;;0",
        f"dead={deliveries['dead']};0;;0",
        f"rejects={status.rejects};0;;0",
        f"oldest_waiting_seconds={_oldest(status)}s;;;0",
        f"outbox_bytes={outbox.used_bytes}B;{int(NEAR_FULL * most)};{most};0;{most}",
        f"unread_bytes={unread}B;;;0",
        f"calls={status.calls};;;0",
        f"sent={deliveries['sent']};;;0",
    ]
