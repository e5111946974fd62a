"""The options by which `outbox …` chooses deliveries and rejects, and what their values mean."""

import re
import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import time as clock
from typing import TYPE_CHECKING, Any

import click

from humbug_agent.cdr import MOMENTS

if TYPE_CHECKING:
    from humbug_agent.config import Config
    from humbug_agent.outbox.queries import Filter

REJECTED = "rejected"
UNTAKEN = "untaken"
TIMES = "30m, 2h, 3d or 1w ago; today; yesterday; 2026-11-20, 2026-11-20 17:00 or 2026-11-20 17:00:59"
SECONDS = {"m": 60, "min": 60, "h": 3600}
DAY = 86_400
DAYS = {"d": 1, "w": 7}

_Command = Callable[..., None]


def filters(*, rejected: bool = True) -> Callable[[_Command], _Command]:
    """The options that choose deliveries; the command gets them as keyword arguments."""
    states = ["waiting", "sent", "dead", UNTAKEN, *([REJECTED] if rejected else [])]
    options = [
        click.option("--state", type=click.Choice(states), help="Only in this state."),
        click.option("--destination", metavar="NAME", help="Only to this destination."),
        click.option("--uniqueid", help="Only with this uniqueid."),
        click.option("--number", help="Only from or to a number that ends so."),
        click.option("--since", metavar="TIME", help=f"Only calls begun since: {TIMES}."),
        click.option("--until", metavar="TIME", help="Only calls begun before; the same forms."),
    ]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def chosen(config: "Config", options: dict[str, Any], ids: tuple[int, ...] = ()) -> "Filter":
    """What the options choose of calls. Raises click.UsageError, OutboxError."""
    from humbug_agent.outbox.queries import Filter

    if options["state"] == UNTAKEN and options["destination"] is not None:
        raise click.UsageError("--state untaken goes without --destination: no destination takes these calls")
    _check_destination(config, options["destination"])
    zone = config.agent.timezone
    since, until = (seconds_of(name, options[name], zone) for name in ("since", "until"))
    plain = {name: options[name] for name in ("state", "destination", "uniqueid", "number")}
    return Filter(**plain, ids=ids, since=since, until=until)


def only_rejects(options: dict[str, Any], calls: tuple[int, ...] = (), rejects: tuple[int, ...] = ()) -> bool:
    """Whether it is about rejects alone, which have no number, no time, no destination. Raises click.UsageError."""
    asked = [name for name in ("destination", "uniqueid", "number", "since", "until") if options[name] is not None]
    if options["state"] == REJECTED:
        if calls or asked:
            raise click.UsageError("--state rejected goes with no other choice but ids such as r3")
        return True
    if rejects and (asked or options["state"]):
        raise click.UsageError(f"r{rejects[0]} is a reject: it goes with no other choice but --state rejected")
    return False


def ids_of(said: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Calls' and rejects' ids; a reject's begins with r, as `outbox list` shows it."""
    for one in said:
        if not re.fullmatch(r"r?[0-9]{1,18}", one):
            raise click.BadParameter(f"{one!r} is no id of outbox list, such as 17 or r3")
    calls = tuple(int(one) for one in said if one.isdigit())
    return calls, tuple(int(one[1:]) for one in said if not one.isdigit())


def _check_destination(config: "Config", name: str | None) -> None:
    """A destination that is no longer in agent.ini is known as long as the outbox holds deliveries to it."""
    from humbug_agent.outbox import queries
    from humbug_agent.outbox.outbox import Outbox

    known = [destination.name for destination in config.destinations]
    if name is None or name in known:
        return
    if config.agent.outbox.exists():
        with Outbox(config.agent.outbox) as box:
            known += [other for other in queries.destinations(box) if other not in known]
    if name not in known:
        raise click.BadParameter(f"{name!r} is not known; there are {', '.join(known)}", param_hint="--destination")


def seconds_of(name: str, said: str | None, zone: tzinfo) -> float | None:
    if said is None:
        return None
    try:
        return _within(moment(said, zone, time.time(), last=name == "until"))
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{said!r} is no time; known are {TIMES}", param_hint=f"--{name}") from None


def _within(at: float) -> float:
    """A day or two from where there are no calls and no dates any more."""
    return min(max(at, MOMENTS.start + 2 * DAY), MOMENTS.stop - 2 * DAY)


def day_since(said: str, zone: tzinfo) -> float:
    """When the day began, in ``zone``, of the time that ``said`` means. Raises click.BadParameter."""
    at = seconds_of("since", said, zone) or 0.0
    day = datetime.fromtimestamp(at, UTC).astimezone(zone).date()
    return _instant(datetime.combine(day, clock()), zone, last=False)


def moment(said: str, zone: tzinfo, now: float, *, last: bool) -> float:
    """The time that ``said`` means on a clock of ``zone``; ``now`` and the result are seconds since the epoch.

    Minutes and hours ago are of real time; days and weeks ago have the same time of day. Where the clock showed it
    twice, it is the ``last`` time or the first; where it jumped over it, the moment of the jump. Raises ValueError.
    """
    words = said.strip().lower()
    if ago := re.fullmatch(r"([0-9]{1,9}) ?(m|min|h)", words):
        return now - int(ago[1]) * SECONDS[ago[2]]
    here = datetime.fromtimestamp(now, UTC).astimezone(zone).replace(tzinfo=None)
    if ago := re.fullmatch(r"([0-9]{1,9}) ?([dw])", words):
        days = min(int(ago[1]) * DAYS[ago[2]], (here - datetime.min).days)
        return _instant(here - timedelta(days=days), zone, last=last)
    if words in ("today", "yesterday"):
        day = here.date() - timedelta(days=words == "yesterday")
        return _instant(datetime.combine(day, clock()), zone, last=last)
    shown = datetime.fromisoformat(said.strip())
    return shown.timestamp() if shown.tzinfo else _instant(shown, zone, last=last)


def _instant(shown: datetime, zone: tzinfo, *, last: bool) -> float:
    first, second = (shown.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if first <= second:
        return second if last else first
    # The clock never showed it: it was put forward between these two.
    between = range(int(second), int(first) + 1)
    return between[bisect_left(between, True, key=lambda at: _shown(at, zone) > shown)]


def _shown(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)
