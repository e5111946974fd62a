"""How things stand: what `status` tells, from the outbox and the files alone, whether the daemon runs or not."""

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from humbug_agent import gaps, history, show, taken
from humbug_agent.config import Config
from humbug_agent.outbox import Health, Outbox
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.text import printable
from humbug_agent.words import count, no_room

SEEN_HOURS = 24
"""For how long `status` looks back when it says which source saw which calls."""


def standing(config: Config, sources: Sequence[Source], now: float, pid: int | None) -> dict[str, Any]:
    """The object of `status --json`. ``pid`` is the running daemon's. Raises OutboxError."""
    names = [destination.name for destination in config.destinations]
    where = config.status.where if config.status else ""
    # A daemon goes on without the file, and knows when it read it.
    changed = 0.0 if pid else config.path.stat().st_mtime
    agent = config.agent
    return standing_on(
        agent.outbox, agent.timezone, agent.max_size_mb * 2**20, sources, names, where, changed, now, pid
    )


def standing_on(
    path: Path,
    zone: tzinfo,
    max_bytes: int,
    sources: Sequence[Source],
    destinations: Sequence[str],
    page: str,
    changed: float,
    now: float,
    pid: int | None,
) -> dict[str, Any]:
    """The same, of the outbox at ``path``. ``page`` is where agent.ini wants it, or blank, and
    ``changed`` when it was written.

    A daemon that runs tells itself what it reads and serves. ``sources`` and ``destinations`` are agent.ini's: of them,
    what the daemon does not know is "not taken". What only the outbox knows is "removed".
    """
    totals, read, health, used = history.Totals(0, {}, {}, {}, {}), {}, {}, 0
    seen, doubts = gaps.Sightings(), {}
    went = taken.read_back(path, pid) if pid else None
    if path.exists():
        with Outbox(path) as outbox:
            totals, read = history.totals(outbox), history.read_so_far(outbox)
            health, used, doubts = outbox.health(), outbox.used_bytes(), outbox.doubts()
            names = _names([source.name for source in sources], health if pid else {}, "source")
            if len(names) > 1:
                seen = gaps.sightings(outbox, now - SEEN_HOURS * 3600)
    # What came before is not about the settings that stand there now.
    since = went.read if went else changed
    by_name = {source.name: source for source in sources}
    running = health if pid else {}
    sums = {state: sum(states[state] for states in totals.deliveries.values()) for state in history.STATES}
    # Of what a daemon tells nothing that has only just begun.
    silent = "stopped" if pid is None else "not taken" if went else "starting"
    removed = "stopped" if pid is None else "removed"

    def stands(part: str, known: bool = True) -> Health:
        """What a daemon that is gone said last is not how things are."""
        return running.get(part, Health(part, silent if known else removed, "", 0.0))

    return {
        "running": pid is not None,
        "pid": pid,
        "outbox": {"path": str(path), "used_bytes": used, "max_bytes": went.max_bytes if went else max_bytes},
        "calls": totals.calls,
        "rejects": sum(totals.rejects.values()),
        "deliveries": sums,
        "sources": {
            name: {
                **_source(by_name.get(name), read.get(name), stands(f"source {name}"), doubts.get(name, ""), now, zone),
                "rejects": totals.rejects.get(name, 0),
            }
            for name in _names(list(by_name), running, "source")
        },
        "sightings": [{"sources": list(names), "calls": number} for names, number in sorted(seen.items())],
        "destinations": {
            name: _destination(name, totals, stands(f"destination {name}", name in destinations), since, now, zone)
            for name in _names([*destinations, *totals.deliveries], running, "destination")
        },
        "page": _page((went.page if went else "") or page, stands("page"), zone),
        "boards": {name: _part(stands(f"board {name}"), zone) for name in _names([], running, "board")},
    }


def _names(given: Sequence[str], health: Mapping[str, Health], kind: str) -> list[str]:
    """Those given, and those of which the daemon tells, each once."""
    told = (part.removeprefix(f"{kind} ") for part in health if part.startswith(f"{kind} "))
    return list(dict.fromkeys([*given, *told]))


def _part(health: Health, zone: tzinfo) -> dict[str, Any]:
    return {"state": health.state, "message": health.message, "since": show.iso(health.since, zone)}


def _page(where: str, health: Health, zone: tzinfo) -> dict[str, Any] | None:
    return {"where": where, **_part(health, zone)} if where else None


def _source(
    source: Source | None, read: history.ReadSoFar | None, health: Health, doubt: str, now: float, zone: tzinfo
) -> dict[str, Any]:
    """``source`` is None where agent.ini does not tell how to look at it, ``doubt`` what is said of its clock."""
    trouble, unread, counts = "", None, ""
    crowded = no_room(read.unkept) if read and read.unkept else ""
    if source:
        counts = source.unread_in
        try:
            trouble = source.trouble()
            unread = source.unread(read.cursor if read else None)
        except (OSError, SourceError) as error:
            trouble = trouble or in_words(error)
    return {
        "state": health.state,
        "message": "; ".join(filter(None, [health.message or trouble, doubt, crowded])),
        "since": show.iso(health.since, zone),
        "calls": read.calls if read else 0,
        "rejects_ever": read.rejects if read else 0,
        "rejects_unkept": read.unkept if read else 0,
        "unread_bytes": unread if counts == "bytes" else None,
        "unread_seconds": unread if counts == "seconds" else None,
        "last_read": show.iso(read.at, zone) if read else None,
        "age_seconds": round(now - read.at) if read else None,
        "cursor": _without_token(read.cursor) if read else None,
    }


def _without_token(cursor: str) -> str:
    try:
        found = json.loads(cursor)
    except (ValueError, RecursionError):
        # A damaged one may hold a token all the same.
        return "***" if "token" in cursor else cursor
    if not isinstance(found, dict) or "token" not in found:
        return cursor
    return json.dumps(found | {"token": "***"})  # nosec B105 # a mask


def _unread(one: dict[str, Any]) -> str:
    if one["unread_bytes"] is not None:
        return count(one["unread_bytes"], "byte")
    if one["unread_seconds"]:
        return f"{show.age(one['unread_seconds'])} of calls"
    return "" if one["unread_seconds"] is None else "0"


def _destination(
    name: str, totals: history.Totals, health: Health, since: float, now: float, zone: tzinfo
) -> dict[str, Any]:
    """``since`` is when agent.ini was read, or written where no daemon has."""
    oldest, last_error = totals.oldest.get(name), totals.last_error.get(name)
    return {
        **_part(health, zone),
        **totals.deliveries.get(name, dict.fromkeys(history.STATES, 0)),
        "oldest_waiting": show.iso(oldest, zone),
        "oldest_waiting_seconds": round(now - oldest) if oldest else None,
        "last_error": last_error[1] if last_error else "",
        "last_error_at": show.iso(last_error[0], zone) if last_error else None,
        "last_error_outdated": bool(last_error and last_error[0] < since),
    }


def print_for_people(found: dict[str, Any]) -> None:
    """What `overview` found, as tables."""
    outbox, deliveries, page, ini = found["outbox"], found["deliveries"], found["page"], found["agent_ini"]
    show.pairs(
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
