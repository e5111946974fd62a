"""What `status` prints for people: tables, and below them what is to be said of each part."""

from typing import Any

import click

from humbug_agent.cli import output
from humbug_agent.status import coverage
from humbug_agent.status.standing import SEEN_HOURS
from humbug_agent.text import printable
from humbug_agent.words import age, count


def print_for_people(found: dict[str, Any]) -> None:
    """What `overview` found, as tables."""
    outbox, deliveries, page, ini = found["outbox"], found["deliveries"], found["page"], found["agent_ini"]
    output.pairs(
        [
            ("agent", f"running, pid {found['pid']}" if found["running"] else "not running"),
            *([("agent.ini", f"{ini['path']}, read {ini['read'].replace('T', ' ')}")] if ini["read"] else []),
            ("outbox", outbox["path"]),
            ("size", f"{outbox['used_bytes'] / 2**20:,.1f} of {outbox['max_bytes'] / 2**20:,.0f} MB"),
            ("calls", f"{found['calls']:,}"),
            ("deliveries", ", ".join(f"{number:,} {state}" for state, number in deliveries.items())),
            ("rejects", f"{found['rejects']:,}"),
            *([("page", f"{page['where']}, {page['state']}")] if page else []),
            *((f"board {name}", one["state"]) for name, one in found["boards"].items()),
        ]
    )
    click.echo()
    output.table(
        ("SOURCE", "STATE", "CALLS", "REJECTS", "UNREAD", "LAST READ"),
        [
            (
                name, one["state"], f"{one['calls']:,}", f"{one['rejects']:,}",
                _unread(one),
                "never" if one["age_seconds"] is None else f"{age(one['age_seconds'])} ago",
            )
            for name, one in found["sources"].items()
        ],
    )  # fmt: skip
    if found["sightings"]:
        seen = coverage.Sightings({tuple(one["sources"]): one["calls"] for one in found["sightings"]})
        click.echo(f"\ncalls of the last {SEEN_HOURS} hours: {coverage.in_words(seen)}")
    click.echo()
    output.table(
        ("DESTINATION", "STATE", "WAITING", "SENT", "DEAD", "OLDEST WAITING"),
        [
            (
                name, one["state"], f"{one['waiting']:,}", f"{one['sent']:,}", f"{one['dead']:,}",
                "" if one["oldest_waiting_seconds"] is None else f"for {age(one['oldest_waiting_seconds'])}",
            )
            for name, one in found["destinations"].items()
        ],
    )  # fmt: skip
    if ini["message"]:
        click.echo(f"\n{printable(ini['message'])}")
    if page and page["message"]:
        click.echo(f"\npage: {printable(page['message'])}")
    for kind in ("board", "source", "destination"):
        for name, one in found[f"{kind}s"].items():
            if one["message"]:
                click.echo(f"\n{kind} {name}: {printable(one['message'])}")
            if one.get("last_error") and one["last_error"] != one["message"]:
                at = one["last_error_at"].replace("T", " ")
                if one["last_error_outdated"]:
                    at += f", before agent.ini was {'read' if ini['read'] else 'changed'}"
                click.echo(f"\n{kind} {name}, last error, {at}: {printable(one['last_error'])}")


def _unread(one: dict[str, Any]) -> str:
    if one["unread_bytes"] is not None:
        return count(one["unread_bytes"], "byte")
    if one["unread_seconds"]:
        return f"{age(one['unread_seconds'])} of calls"
    return "" if one["unread_seconds"] is None else "0"
