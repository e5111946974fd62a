"""How things stand: what `status` tells, from the outbox and the files alone, whether the daemon runs or not."""

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

import click

from humbug_agent import gaps, history, show
from humbug_agent.config import Config
from humbug_agent.outbox import Health, Outbox
from humbug_agent.sources.contract import Source, SourceError

SEEN_HOURS = 24
"""For how long `status` looks back when it says which source saw which calls."""


def standing(config: Config, sources: Sequence[Source], now: float, pid: int | None) -> dict[str, Any]:
    """The object of `status --json`. ``pid`` is the running daemon's. Raises OutboxError."""
    path, zone = config.agent.outbox, config.agent.timezone
    totals, read, health, used = history.Totals(0, {}, {}, {}, {}), {}, {}, 0
    seen = gaps.Sightings()
    if path.exists():
        with Outbox(path) as outbox:
            totals, read = history.totals(outbox), history.read_so_far(outbox)
            health, used = outbox.health(), outbox.used_bytes()
            if len(sources) > 1:
                seen = gaps.sightings(outbox, now - SEEN_HOURS * 3600)
    names = [destination.name for destination in config.destinations]
    sums = {state: sum(states[state] for states in totals.deliveries.values()) for state in history.STATES}
    return {
        "running": pid is not None,
        "pid": pid,
        "outbox": {"path": str(path), "used_bytes": used, "max_bytes": config.agent.max_size_mb * 2**20},
        "calls": totals.calls,
        "rejects": sum(totals.rejects.values()),
        "deliveries": sums,
        "sources": {
            s.name: {
                **_source(s, read.get(s.name), _state(health, f"source {s.name}", pid), now, zone),
                "rejects": totals.rejects.get(s.name, 0),
            }
            for s in sources
        },
        "sightings": [{"sources": list(names), "calls": number} for names, number in sorted(seen.items())],
        "destinations": {
            name: _destination(name, totals, _state(health, f"destination {name}", pid), now, zone)
            for name in [*names, *(name for name in totals.deliveries if name not in names)]
        },
    }


def _state(health: Mapping[str, Health], part: str, pid: int | None) -> Health:
    """What a daemon that is gone said last is not how things are."""
    if pid is None:
        return Health(part, "stopped", "", 0.0)
    return health.get(part, Health(part, "starting", "", 0.0))


def _source(source: Source, read: history.ReadSoFar | None, health: Health, now: float, zone: tzinfo) -> dict[str, Any]:
    trouble = source.trouble()
    try:
        unread = source.unread(read.cursor if read else None)
    except (OSError, SourceError) as error:
        unread, trouble = None, trouble or str(error)
    return {
        "state": health.state,
        "message": health.message or trouble,
        "since": show.iso(health.since, zone),
        "calls": read.calls if read else 0,
        "rejects_ever": read.rejects if read else 0,
        "unread_bytes": unread if source.unread_in == "bytes" else None,
        "unread_seconds": unread if source.unread_in == "seconds" else None,
        "last_read": show.iso(read.at, zone) if read else None,
        "age_seconds": round(now - read.at) if read else None,
        "cursor": _without_token(read.cursor) if read else None,
    }


def _without_token(cursor: str) -> str:
    try:
        found = json.loads(cursor)
    except ValueError:
        return cursor
    if not isinstance(found, dict) or "token" not in found:
        return cursor
    return json.dumps(found | {"token": "***"})


def _unread(one: dict[str, Any]) -> str:
    if one["unread_bytes"] is not None:
        return f"{one['unread_bytes']:,} bytes"
    if one["unread_seconds"]:
        return f"{show.age(one['unread_seconds'])} of calls"
    return "" if one["unread_seconds"] is None else "0"


def _destination(name: str, totals: history.Totals, health: Health, now: float, zone: tzinfo) -> dict[str, Any]:
    oldest, last_error = totals.oldest.get(name), totals.last_error.get(name)
    return {
        "state": health.state,
        "message": health.message,
        "since": show.iso(health.since, zone),
        **totals.deliveries.get(name, dict.fromkeys(history.STATES, 0)),
        "oldest_waiting": show.iso(oldest, zone),
        "oldest_waiting_seconds": round(now - oldest) if oldest else None,
        "last_error": last_error[1] if last_error else "",
        "last_error_at": show.iso(last_error[0], zone) if last_error else None,
    }


def print_for_people(found: dict[str, Any]) -> None:
    """The same as tables."""
    outbox, deliveries = found["outbox"], found["deliveries"]
    show.pairs(
        [
            ("agent", f"running, pid {found['pid']}" if found["running"] else "not running"),
            ("outbox", outbox["path"]),
            ("size", f"{outbox['used_bytes'] / 2**20:,.1f} of {outbox['max_bytes'] / 2**20:,.0f} MB"),
            ("calls", f"{found['calls']:,}"),
            ("deliveries", ", ".join(f"{number:,} {state}" for state, number in deliveries.items())),
            ("rejects", f"{found['rejects']:,}"),
        ]
    )
    click.echo()
    show.table(
        ("SOURCE", "STATE", "CALLS", "REJECTS", "UNREAD", "LAST READ"),
        [
            (
                name, one["state"], f"{one['calls']:,}", f"{one['rejects']:,}",
                _unread(one),
                "never" if one["age_seconds"] is None else f"{show.age(one['age_seconds'])} ago",
            )
            for name, one in found["sources"].items()
        ],
    )  # fmt: skip
    if found["sightings"]:
        seen = gaps.Sightings({tuple(one["sources"]): one["calls"] for one in found["sightings"]})
        click.echo(f"\ncalls of the last {SEEN_HOURS} hours: {gaps.in_words(seen)}")
    click.echo()
    show.table(
        ("DESTINATION", "STATE", "WAITING", "SENT", "DEAD", "OLDEST WAITING"),
        [
            (
                name, one["state"], f"{one['waiting']:,}", f"{one['sent']:,}", f"{one['dead']:,}",
                "" if one["oldest_waiting_seconds"] is None else f"for {show.age(one['oldest_waiting_seconds'])}",
            )
            for name, one in found["destinations"].items()
        ],
    )  # fmt: skip
    for kind in ("source", "destination"):
        for name, one in found[f"{kind}s"].items():
            if one["message"]:
                click.echo(f"\n{kind} {name}: {show.printable(one['message'])}")
            if one.get("last_error"):
                at = one["last_error_at"].replace("T", " ")
                click.echo(f"\n{kind} {name}, last error, {at}: {show.printable(one['last_error'])}")
