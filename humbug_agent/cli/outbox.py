"""`humbug-agent outbox …`: what was read, what became of it, and making it right."""

import sys
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from humbug_agent.cdr import Damaged
from humbug_agent.cli.common import (
    MOST_ROWS,
    charset_of,
    config_option,
    configured,
    json_option,
    left_out,
    open_outbox,
)
from humbug_agent.cli.erasing import erase
from humbug_agent.cli.exporting import export_options, write_calls
from humbug_agent.cli.filters import chosen, filters, ids_of, only_rejects
from humbug_agent.text import text
from humbug_agent.words import count as counted
from humbug_agent.words import moment

if TYPE_CHECKING:
    from humbug_agent.config import Config
    from humbug_agent.outbox.outbox import Outbox
    from humbug_agent.outbox.queries import Entry, Filter, Progress

SHOWN = 50
TITLES = {"deliveries": "delivery", "failures": "failure", "replays": "before a replay", "left_out": "left out"}
"""The parts of a call's trail of which there may be several, and how each of them is headed."""


EXPORTED = (
    "id", "uniqueid", "source", "start", "src", "dst", "disposition", "destination", "state", "attempts", "due",
    "last_error", "linkedid", "answer", "end", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
    "duration", "billsec", "direction", "accountcode", "userfield", "extra", "identity",
)  # fmt: skip
"""The columns of `export`; of a notice, its fields are in ``extra``."""


@click.group()
@config_option
def outbox() -> None:
    """Look into the outbox, send again, drop, export. Also while the daemon runs."""


outbox.add_command(erase)


@outbox.command("list")
@filters()
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), help=f"The last so many; {SHOWN} unless --json.")
@config_option
@json_option
def list_(as_json: bool, limit: int | None, **options: Any) -> None:
    """Deliveries, the newest last; with --state rejected, what could not be understood."""
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    config = configured()
    zone = config.agent.timezone
    rejected = only_rejects(options)
    wanted = chosen(config, options)
    with open_outbox(config) as box:
        if rejected:
            found = queries.rejects(box)[-(limit or (0 if as_json else SHOWN)) :]
            if as_json:
                output.json_list(output.reject(one, zone, charset_of(config, one.source)) for one in found)
            else:
                lines = [
                    (
                        f"r{r.id}",
                        moment(r.at, zone),
                        r.place,
                        r.reason,
                        text(r.text, charset_of(config, r.source)),
                    )
                    for r in found
                ]
                output.table(("ID", f"READ ({output.zone_name(zone)})", "PLACE", "REASON", "TEXT"), lines)
            return
        if as_json:
            entries: Any = queries.newest(box, wanted, limit) if limit else queries.entries(box, wanted)
            output.json_list(output.entry(one, zone) for one in entries)
            return
        _list_for_people(box, wanted, limit or SHOWN, zone)


def _list_for_people(box: "Outbox", wanted: "Filter", limit: int, zone: tzinfo) -> None:
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    entries = queries.newest(box, wanted, limit)
    output.table(
        (
            "ID", f"START ({output.zone_name(zone)})", "SRC", "DST", "DISPOSITION",
            "UNIQUEID", "DESTINATION", "STATE", "TRIES", "LAST ERROR",
        ),
        [
            (
                e["id"], output.begun(one.record, zone), e["src"], e["dst"], e["disposition"],
                e["uniqueid"], e["destination"], e["state"], e["attempts"], e["last_error"],
            )
            for one, e in ((found, output.entry(found, zone)) for found in entries)
        ],
    )  # fmt: skip
    number = queries.count(box, wanted)
    if number > len(entries):
        click.echo(f"the last {len(entries)} of {number:,}; --limit shows more", err=True)


def _look_whether_there(box: "Outbox", calls: tuple[int, ...], rejects: tuple[int, ...]) -> None:
    """Raises ClickException naming those that are not: who mistypes an id must not take it for done."""
    from humbug_agent.outbox import queries

    meant = queries.Filter(ids=calls).all_meant() if calls else ()
    there = {one.id for wanted in meant for one in queries.entries(box, wanted)}
    kept = {one.id for one in queries.rejects(box, rejects)} if rejects else set()
    gone = [str(one) for one in calls if one not in there] + [f"r{one}" for one in rejects if one not in kept]
    if gone:
        raise click.ClickException(f"{', '.join(gone)}: not in the outbox")


@outbox.command()
@click.argument("ident", metavar="ID")
@click.option(
    "--journey",
    is_flag=True,
    help="All calls of its story: queues, forks, transfers. ID may be a linkedid or a uniqueid, too.",
)
@config_option
@json_option
def show(ident: str, journey: bool, as_json: bool) -> None:
    """The whole trail of one call: what it said, where it came from, each attempt, each answer."""
    from humbug_agent.cli import output as shown
    from humbug_agent.outbox import queries

    config = configured()
    zone = config.agent.timezone
    if journey:
        _show_journey(config, ident, as_json)
        return
    calls, rejects = ids_of((ident,))
    with open_outbox(config) as box:
        trail: dict[str, Any] | None = None
        if rejects and (found := queries.rejects(box, rejects)):
            trail = shown.reject(found[0], zone, charset_of(config, found[0].source))
        meant = queries.Filter(ids=calls).all_meant()
        if calls and (entries := [one for wanted in meant for one in queries.entries(box, wanted)]):
            trail = shown.trail(entries, queries.failures(box, calls[0]), queries.replays(box, calls[0]), zone)
            trail["left_out"] = _left_out(config, entries)
    if trail is None:
        raise click.ClickException(f"{ident}: not in the outbox")
    if as_json:
        shown.as_json(trail)
        return
    shown.pairs(
        (name, "" if value is None else value) for name, value in trail.items() if name not in ("call", *TITLES)
    )
    if "call" in trail:
        shown.pairs(trail["call"].items())
    for part, title in TITLES.items():
        for one in trail.get(part, ()):
            click.echo(f"\n{title}")
            shown.pairs((name, "" if value is None else value) for name, value in one.items())


def _left_out(config: "Config", entries: "Sequence[Entry]") -> list[dict[str, str]]:
    """The destinations that the call has not gone to, since they don't take it, and why."""
    from humbug_agent.cli.explaining import left_out

    record, gone = entries[0].record, {one.destination for one in entries}
    whys = {} if isinstance(record, Damaged) else left_out(config, record)
    return [{"destination": name, "why": why} for name, why in whys.items() if name not in gone]


def _show_journey(config: "Config", ident: str, as_json: bool) -> None:
    from humbug_agent.cli import output
    from humbug_agent.outbox import journeys

    zone = config.agent.timezone
    with open_outbox(config) as box:
        found = journeys.of_call(box, int(ident)) if ident.isdecimal() and len(ident) < 19 else None
        found = found or journeys.named(box, ident)
    if found is None:
        raise click.ClickException(f"{ident}: no call in the outbox has this as its id, linkedid or uniqueid")
    if as_json:
        output.as_json(found.as_json(zone))
        return
    begin = found.calls[0][1].start if found.calls else None
    output.table(
        (
            f"START ({output.zone_name(zone)})", "AFTER", "SRC", "DST", "DISPOSITION", "SECONDS", "TALKED",
            "APPLICATION", "CHANNEL", "DSTCHANNEL", "ID",
        ),
        [
            (
                output.begun(call, zone), int((call.start - begin).total_seconds()) if begin else 0,
                call.src, call.dst, call.disposition.value, call.duration, call.billsec,
                call.lastapp, call.channel, call.dstchannel, number,
            )
            for number, call in found.calls
        ],
    )  # fmt: skip
    if found.note:
        output.say(found.note, err=True)


@outbox.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters()
@click.option("--dry-run", is_flag=True, help="Only show how many there are, and the bodies.")
@config_option
@json_option
def replay(ids: tuple[str, ...], dry_run: bool, as_json: bool, **options: Any) -> None:
    """Send again, with today's settings: by ID, or what the options choose; dead ones unless said otherwise.

    With --state rejected, what could not be understood is read again; with --state untaken, calls that no destination
    took are given to those that take them now. A running daemon sends within a second; without one, `run --once` does.
    """
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    config = configured()
    calls, rejects = ids_of(ids)
    all_rejects = only_rejects(options, calls, rejects)
    if options["state"] is None and not ids:
        options["state"] = "dead"
    wanted = chosen(config, options, calls)
    number = 0
    bodies: Iterator[dict[str, str]] = iter(())
    with open_outbox(config) as box:
        _look_whether_there(box, calls, rejects)
        if rejects or all_rejects:
            number += _read_again(config, box, rejects, dry_run=dry_run)
        if calls or not (rejects or all_rejects):
            meant = wanted.all_meant()
            bodies = chain.from_iterable(_bodies(config, box, one) for one in meant) if dry_run else bodies
            waiting = sum(queries.count(box, one) for one in meant)
            with _bar("Replaying", 0 if dry_run else waiting) as bar:
                replayed = _would_be_replayed if dry_run else _replayed
                number += sum(replayed(config, box, one, bar.update) for one in meant)
        if as_json:
            output.as_json({"count": number, "dry_run": dry_run, "bodies": list(bodies)})
            return
        for one in bodies:
            output.say(f"{one['destination']}  {one['id']}  {one['body']}")
    click.echo(f"{number:,} would be sent again" if dry_run else f"{counted(number, 'waits', 'wait')} to be sent again")


def _replayed(config: "Config", box: "Outbox", wanted: "Filter", progress: "Progress") -> int:
    from humbug_agent.outbox import queries
    from humbug_agent.outbox.untaken import hand_out_anew

    if wanted.state == queries.UNTAKEN:
        return hand_out_anew(box, wanted, config.takers(), progress)
    return queries.replay(box, wanted, progress)


def _would_be_replayed(config: "Config", box: "Outbox", wanted: "Filter", _: "Progress") -> int:
    from humbug_agent.outbox import queries

    if wanted.state == queries.UNTAKEN:
        return sum(bool(_to(config, entry)) for entry in queries.entries(box, wanted))
    return queries.count(box, wanted)


def _to(config: "Config", entry: "Entry") -> list[str]:
    """The destinations that a replay would send it to."""
    from humbug_agent.cli.explaining import left_out
    from humbug_agent.outbox.queries import UNTAKEN

    if entry.state != UNTAKEN:
        return [entry.destination]
    if isinstance(entry.record, Damaged):
        return []
    why = left_out(config, entry.record)
    return [one.name for one in config.destinations if one.name not in why]


def _bar(label: str, length: int) -> Any:
    """Shows how far it came, where somebody sees it."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not (length and sys.stderr.isatty()))


def _bodies(config: "Config", box: "Outbox", wanted: "Filter") -> Iterator[dict[str, str]]:
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    destinations = {destination.name: destination for destination in config.make_destinations()}
    for entry in queries.entries(box, wanted):
        if isinstance(entry.record, Damaged):
            output.say(f"{entry.id}: would not be sent, the outbox is damaged: {entry.record.reason}", err=True)
            continue
        for name in _to(config, entry):
            if name in destinations:
                body = destinations[name].preview(entry.record).body
                yield {"id": str(entry.id), "destination": name, "body": body}


def _read_again(config: "Config", box: "Outbox", ids: tuple[int, ...], *, dry_run: bool) -> int:
    """Give rejects another chance with today's parser. Returns how many are calls now."""
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    sources = {source.name: source for source in config.make_sources()}
    understood = []
    for kept in queries.rejects(box, ids):
        batch = sources[kept.source].parse(kept.text) if kept.source in sources else None
        if batch and batch.records and not batch.rejects:
            understood.append(kept.id)
            if not dry_run:
                box.accept(kept.source, batch, config.takers())
        else:
            reason = "its source is no longer configured"
            if batch:
                reason = batch.rejects[0].reason if batch.rejects else left_out(config, kept.source)
            output.say(f"r{kept.id}: still no call: {reason}", err=True)
    if not dry_run:
        queries.drop_rejects(box, understood)
    return len(understood)


@outbox.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters()
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def purge(ids: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Drop deliveries, or rejects, for good: by ID, or what the options choose. A re-read does not bring them back."""
    from humbug_agent.outbox import dropping, queries

    if not ids and not any(options.values()):
        raise click.UsageError("say which: by ID, --state or another option")
    config = configured()
    calls, rejects = ids_of(ids)
    all_rejects = only_rejects(options, calls, rejects) and not rejects
    wanted = chosen(config, options, calls)
    with open_outbox(config) as box:
        _look_whether_there(box, calls, rejects)
        if all_rejects:
            rejects = tuple(queries.reject_ids(box))
        of_calls = bool(calls) or not (ids or all_rejects)
        meant = wanted.all_meant() if of_calls else ()
        number = len(rejects) + sum(queries.count(box, one) for one in meant)
        if number and not yes:
            click.confirm(f"Drop {number:,} for good?", abort=True, err=True)
        with _bar("Dropping", number) as bar:
            gone = queries.drop_rejects(box, rejects, bar.update)
            gone += sum(queries.purge(box, one, bar.update) for one in meant)
        dropping.shrink(dropping.Piecemeal(box))
    click.echo(f"{gone:,} dropped")


@outbox.command()
@filters(rejected=False)
@export_options
@config_option
def export(form: str, output: str, **options: Any) -> None:
    """All fields of the calls, as CSV with a header or as JSON, an object a line."""
    from humbug_agent.cli.output import entry, record
    from humbug_agent.outbox import queries

    config = configured()
    wanted, zone = chosen(config, options), config.agent.timezone
    with open_outbox(config) as box:
        lines = (entry(one, zone) | record(one.record, zone) for one in queries.entries(box, wanted))
        if form == "csv":
            lines = (line | {"extra": line.get("extra", line.get("fields", ""))} for line in lines)
        write_calls(lines, EXPORTED, form, output, queries.count(box, wanted))
