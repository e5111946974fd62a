"""Prints the status of an agent for people: tables, and below them the messages of its parts."""

import click

from humbug_agent.cli import output
from humbug_agent.status import coverage
from humbug_agent.status.document import Part, SourceStatus, Status
from humbug_agent.status.gather import SEEN_HOURS
from humbug_agent.status.overview import Overview
from humbug_agent.text import printable
from humbug_agent.words import age, count


def print_for_people(found: Overview) -> None:
    status, ini = found.status, found.agent_ini
    outbox, page, api = status.outbox, status.page, status.api
    output.pairs(
        [
            ("agent", f"running, pid {status.pid}" if status.running else "not running"),
            *([("agent.ini", f"{ini.path}, read {ini.read.replace('T', ' ')}")] if ini.read else []),
            ("outbox", outbox.path),
            ("size", f"{outbox.used_bytes / 2**20:,.1f} of {outbox.max_bytes / 2**20:,.0f} MB"),
            ("calls", f"{status.calls:,}"),
            ("deliveries", ", ".join(f"{number:,} {state}" for state, number in status.deliveries.items())),
            ("rejects", f"{status.rejects:,}"),
            *([("untaken", _untaken(status))] if status.untaken else []),
            *([("page", f"{page.where}, {page.state}")] if page else []),
            *([("api", f"{api.where}, {api.state}")] if api else []),
            *((f"board {name}", one.state) for name, one in status.boards.items()),
        ]
    )
    click.echo()
    output.table(
        ("SOURCE", "STATE", "CALLS", "REJECTS", "UNREAD", "LAST READ"),
        [
            (
                name, one.state, f"{one.calls:,}", f"{one.rejects:,}",
                _unread(one),
                "never" if one.age_seconds is None else f"{age(one.age_seconds)} ago",
            )
            for name, one in status.sources.items()
        ],
    )  # fmt: skip
    if status.sightings:
        seen = coverage.Sightings({tuple(one.sources): one.calls for one in status.sightings})
        click.echo(f"\ncalls of the last {SEEN_HOURS} hours: {coverage.in_words(seen)}")
    click.echo()
    output.table(
        ("DESTINATION", "STATE", "WAITING", "SENT", "DEAD", "OLDEST WAITING"),
        [
            (
                name, one.state, f"{one.waiting:,}", f"{one.sent:,}", f"{one.dead:,}",
                "" if one.oldest_waiting_seconds is None else f"for {age(one.oldest_waiting_seconds)}",
            )
            for name, one in status.destinations.items()
        ],
    )  # fmt: skip
    if ini.message:
        click.echo(f"\n{printable(ini.message)}")
    for finding in status.findings:
        click.echo(f"\n{finding.code}: {printable(finding.message)}")
    if page and page.message:
        click.echo(f"\n{_named('page', page)}")
    if api and api.message:
        click.echo(f"\n{_named('api', api)}")
    for kind, parts in (("board", status.boards), ("source", status.sources), ("destination", status.destinations)):
        for name, part in parts.items():
            if part.message:
                click.echo(f"\n{_named(f'{kind} {name}', part)}")
    for name, to in status.destinations.items():
        if to.last_error_at and to.last_error not in ("", to.message):
            at = to.last_error_at.replace("T", " ")
            if to.last_error_outdated:
                at += f", before agent.ini was {'read' if ini.read else 'changed'}"
            click.echo(f"\ndestination {name}, last error, {at}: {printable(to.last_error)}")


def _untaken(status: Status) -> str:
    calls = count(status.untaken, "call")
    return f"{calls} that no destination takes, the last is {status.last_untaken}: outbox list --state untaken"


def _named(name: str, part: Part) -> str:
    return f"{name}: {printable(part.message)}" + (f" [{part.code}]" if part.code else "")


def _unread(one: SourceStatus) -> str:
    if one.unread_bytes is not None:
        return count(one.unread_bytes, "byte")
    if one.unread_seconds:
        return f"{age(one.unread_seconds)} of calls"
    return "" if one.unread_seconds is None else "0"
