"""`reconcile`: what the PBX has, what the outbox has, and what each destination accepted."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import islice

import click

from humbug_agent.cli import output
from humbug_agent.cli.common import open_outbox
from humbug_agent.cli.filters import day_since
from humbug_agent.config import Config
from humbug_agent.daemon.housekeeping import max_bytes
from humbug_agent.flat import shown as clock_shown
from humbug_agent.host.daemon_user import acting_as, daemons_user
from humbug_agent.outbox import lock, queries
from humbug_agent.outbox.comparing import Differing
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.reconcile.compare import Asked, Progress, Reconciliation
from humbug_agent.reconcile.counts import STATES, DayCounts, shown
from humbug_agent.sources.contract import Source
from humbug_agent.text import printable
from humbug_agent.words import count, iso

SHOWN = 50
"""Calls that are listed one by one for people, and reasons."""

COLUMNS = {
    "pbx": "PBX", "outbox": "OUTBOX", "dropped": "DROPPED", "left_out": "LEFT OUT", "unread": "UNREAD",
    "missing": "MISSING", "brought": "BROUGHT IN", "not_told": "NOT TOLD",
}  # fmt: skip

ALWAYS = ("pbx", "outbox", "missing")
"""The others are shown where there is any."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many of a source's calls stand as they do; ``destination`` is blank where it is about none."""

    source: str
    state: str
    destination: str
    calls: int
    reason: str


def reconcile(config: Config, since: str, name: str | None, *, send: bool, as_json: bool) -> int:
    """Returns the exit code. Root asks as the daemon's user what that may read, and databases, which know him by name.

    Raises click.UsageError, OutboxError.
    """
    names = [source.name for source in config.sources]
    if name is not None and name not in names:
        raise click.UsageError(f"no [source {name}] in {config.path}; there are {', '.join(names)}")
    begin = day_since(since, config.agent.timezone)
    # It makes none.
    open_outbox(config).close()
    asked = [source for source in config.sources if source.name in ([name] if name else names)]
    # As in `check`: by its files, or by who asks, what it tells may be otherwise.
    differs = any(source.reads or source.knows_users for source in asked)
    user = daemons_user(config.agent.outbox, lock.running(config.agent.outbox)) if differs else None
    with acting_as(user), Outbox(config.agent.outbox, durable=send, max_bytes=max_bytes(config)) as outbox:
        found = Reconciliation(config, outbox, Asked(begin, [name] if name else names, send))
        found.run(_showing)
        if as_json:
            _as_json(found, outbox, begin, config.agent.timezone)
        else:
            _for_people(found, outbox, config.agent.timezone)
    for source, counts in found.counts.items():
        if counts.error:
            click.echo(f"{click.style('Error:', fg='red')} source {source}: {printable(counts.error)}", err=True)
    return 1 if _wrong(found) or any(one.error for one in found.counts.values()) else 0


@contextmanager
def _showing(source: Source, length: int) -> Iterator[Progress]:
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=f"Reading {source.name}", file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


def _wrong(found: Reconciliation) -> list[str]:
    """What an admin has to look at, in words."""
    totals = [one.total() for one in found.counts.values()]
    missing = sum(one.missing for one in totals)
    rejects = sum(one.rejects for one in found.counts.values())
    lost = sum(one.rejects_missing for one in found.counts.values())
    dead = sum(one.deliveries[name, "dead"] for one in totals for name in found.destinations)
    return [
        said
        for number, said in (
            (missing, f"{count(missing, 'call')} missing"),
            (lost, f"{count(lost, 'record')} that can't be understood, not even kept as rejects"),
            (rejects, count(rejects, "reject")),
            (dead, f"{count(dead, 'delivery', 'deliveries')} refused for good"),
        )
        if number
    ]


def _reasons(found: Reconciliation, outbox: Outbox, *, listed: bool) -> Iterator[Reason]:
    """``listed``: those, too, that are listed one by one."""
    if listed:
        for source, state, destination, reason, brought, number in found.comparison.reasons(SHOWN):
            yield Reason(source, "brought in" if brought else state, destination, number, reason)
    errors = queries.totals(outbox).last_error
    for source, counts in found.counts.items():
        for (state, reason), number in counts.reasons.most_common(SHOWN):
            yield Reason(source, state, "", number, reason)
        total = counts.total()
        if total.not_told:
            why = "the outbox has them, by this source earlier or by another one, and this one does not tell them now"
            yield Reason(source, "not told", "", total.not_told, why)
        for name in found.destinations:
            if waiting := total.deliveries[name, "waiting"]:
                why = errors[name][1] if name in errors else "on their way"
                yield Reason(source, "waiting", name, waiting, why)
            if none := total.outbox - sum(total.deliveries[name, state] for state in STATES):
                left_out = "left out by its only, " if name in found.destinations.only else ""
                why = f"{left_out}came before this destination was added, or purged for it"
                yield Reason(source, "not sent", name, none, why)


def _for_people(found: Reconciliation, outbox: Outbox, zone: tzinfo) -> None:
    totals = [one.total() for one in found.counts.values()]
    columns = [name for name in COLUMNS if name in ALWAYS or any(getattr(one, name) for one in totals)]
    names = found.destinations
    header = [*("DAY", "SOURCE"), *(COLUMNS[name] for name in columns)]
    header += [f"{name} {state.upper()}" if len(names) > 1 else state.upper() for name in names for state in STATES]
    output.table(header, _lines(found, columns))
    listed = list(islice(found.comparison.differing(), SHOWN + 1))
    if reasons := list(_reasons(found, outbox, listed=len(listed) > SHOWN)):
        click.echo()
        lines = [(one.source, one.state, one.destination, f"{one.calls:,}", one.reason) for one in reasons]
        output.table(("SOURCE", "STATE", "DESTINATION", "CALLS", "REASON"), lines)
    if listed:
        click.echo()
        output.table(
            (f"START ({output.zone_name(zone)})", "SOURCE", "SRC", "DST", "UNIQUEID", "STATE", "ID", "REASON"),
            [_line(one, zone) for one in listed[:SHOWN]],
        )
        if len(listed) > SHOWN:
            click.echo(f"the first {SHOWN}; --json has all", err=True)
    click.echo()
    for source, counts in found.counts.items():
        for note in counts.notes:
            output.say(f"source {source}: {note}")
    brought = sum(one.brought for one in totals)
    if brought:
        click.echo(f"{count(brought, 'call')} brought in; humbug-agent status shows them being delivered")
    if wrong := _wrong(found):
        advice = "; with --send they are brought in" if any(one.missing for one in totals) and not brought else ""
        click.secho(f"{', '.join(wrong)}{advice}", fg="red")
    elif not any(one.error for one in found.counts.values()):
        click.secho("nothing is missing", fg="green")


def _lines(found: Reconciliation, columns: Sequence[str]) -> Iterator[list[str]]:
    order = {source: number for number, source in enumerate(found.counts)}
    days = [(day, source) for source, one in found.counts.items() for day in one.days]
    for day, source in sorted(days, key=lambda one: (one[0], order[one[1]])):
        yield [shown(day), source, *_numbers(found.counts[source].days[day], columns, found.destinations)]
    for source, counts in found.counts.items():
        yield ["total", source, *_numbers(counts.total(), columns, found.destinations)]


def _numbers(counts: DayCounts, columns: Sequence[str], destinations: Iterable[str]) -> list[str]:
    values: list[int | None] = [getattr(counts, name) for name in columns]
    if counts.pbx is None:
        values = [value if name == "outbox" else None for name, value in zip(columns, values, strict=True)]
    values += [counts.deliveries[name, state] for name in destinations for state in STATES]
    return ["-" if value is None else f"{value:,}" for value in values]


def _line(one: Differing, zone: tzinfo) -> tuple[str, ...]:
    start = clock_shown(one.start, one.start_offset, zone) if one.start is not None else ""
    state = "brought in" if one.brought else f"dead at {one.destination}" if one.destination else one.state
    where = f"{one.reason} ({one.place})" if one.place else one.reason
    return start, one.source, one.src, one.dst, one.uniqueid, state, one.id, where


def _as_json(found: Reconciliation, outbox: Outbox, begin: float, zone: tzinfo) -> None:
    names = found.destinations
    head = {
        "since": iso(begin, zone),
        "complete": not _wrong(found) and not any(one.error for one in found.counts.values()),
        "sources": {
            source: {
                "total": one.total().as_json(names),
                "rejects": one.rejects,
                "rejects_missing": one.rejects_missing,
                "notes": one.notes,
                "error": one.error,
            }
            for source, one in found.counts.items()
        },
        "days": [
            {"day": shown(day), "source": source, **counts.as_json(names)}
            for source, one in found.counts.items()
            for day, counts in sorted(one.days.items())
        ],
        "reasons": [
            {
                "source": one.source,
                "state": one.state,
                "destination": one.destination,
                "calls": one.calls,
                "reason": one.reason,
            }
            for one in _reasons(found, outbox, listed=True)
        ],
    }
    # However many there are, they are never all in memory.
    begun = output.json_text(head, indent=2).removesuffix("\n}")
    click.echo(f'{begun},\n  "differing": ', nl=False)
    output.json_list(_differing(one, zone) for one in found.comparison.differing())
    click.echo("}")


def _differing(one: Differing, zone: tzinfo) -> dict[str, object]:
    clock = zone if one.start_offset is None else timezone(timedelta(seconds=one.start_offset))
    return {
        "source": one.source,
        "state": one.state,
        "brought_in": one.brought,
        "destination": one.destination,
        "reason": one.reason,
        "start": datetime.fromtimestamp(one.start, clock).isoformat() if one.start is not None else None,
        "src": one.src,
        "dst": one.dst,
        "uniqueid": one.uniqueid,
        "disposition": one.disposition,
        "place": one.place,
        "id": one.id,
        "identity": one.identity.hex(),
    }
