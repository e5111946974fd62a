"""Finds out the status of an agent from its outbox and the PBX's files alone, whether the daemon runs or not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import tzinfo
from pathlib import Path

from humbug_agent.config import Config
from humbug_agent.host.codes import Code, said_by
from humbug_agent.outbox import queries
from humbug_agent.outbox.health import Health
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.status import coverage, taken
from humbug_agent.status.document import (
    DestinationStatus,
    FindingStatus,
    OutboxStatus,
    PageStatus,
    Part,
    Sighting,
    SourceStatus,
    Status,
)
from humbug_agent.words import iso, no_room

SETTLED_SECONDS = 300.0
"""What has been so for so long is a finding: what comes and goes is none."""

FOUND = "found"
"""The state of a part "finding CODE" of which the daemon found something."""

SEEN_HOURS = 24
"""For how long `status` looks back when it says which source saw which calls."""


def gather(config: Config, sources: Sequence[Source], now: float, pid: int | None) -> Status:
    """The status of the agent that agent.ini describes. ``pid`` is the running daemon's. Raises OutboxError."""
    names = [destination.name for destination in config.destinations]
    where = config.status.where if config.status else ""
    api = config.api.where if config.api else ""
    # A daemon goes on without the file, and knows when it read it.
    changed = 0.0 if pid else config.path.stat().st_mtime
    agent = config.agent
    return gather_from(
        agent.outbox, agent.timezone, agent.max_size_mb * 2**20, sources, names, where, changed, now, pid, api
    )


def gather_from(
    path: Path,
    zone: tzinfo,
    max_bytes: int,
    sources: Sequence[Source],
    destinations: Sequence[str],
    page: str,
    changed: float,
    now: float,
    pid: int | None,
    api: str = "",
) -> Status:
    """The same, of the outbox at ``path``. ``page`` and ``api`` are where agent.ini wants them, or blank, and
    ``changed`` when it was written.

    A daemon that runs tells itself what it reads and serves. ``sources`` and ``destinations`` are agent.ini's: of them,
    what the daemon does not know is "not taken". What only the outbox knows is "removed".
    """
    totals, read, health, used = queries.Totals(0, {}, {}, {}, {}), {}, {}, 0
    seen, doubts = coverage.Sightings(), {}
    went = taken.read_back(path, pid) if pid else None
    if path.exists():
        with Outbox(path) as outbox:
            totals, read = queries.totals(outbox), queries.read_so_far(outbox)
            health, used, doubts = outbox.health(), outbox.used_bytes(), outbox.doubts()
            names = _names([source.name for source in sources], health if pid else {}, "source")
            if len(names) > 1:
                seen = coverage.sightings(outbox, now - SEEN_HOURS * 3600)
    # What came before is not about the settings that stand there now.
    since = went.read if went else changed
    by_name = {source.name: source for source in sources}
    running = health if pid else {}
    sums = {state: sum(states[state] for states in totals.deliveries.values()) for state in queries.STATES}
    # Of what a daemon tells nothing that has only just begun.
    silent = "stopped" if pid is None else "not taken" if went else "starting"
    removed = "stopped" if pid is None else "removed"

    def stands(part: str, known: bool = True) -> Health:
        """What a daemon that is gone said last is not how things are."""
        return running.get(part, Health(part, silent if known else removed, "", 0.0))

    return Status(
        running=pid is not None,
        pid=pid,
        outbox=OutboxStatus(path=str(path), used_bytes=used, max_bytes=went.max_bytes if went else max_bytes),
        calls=totals.calls,
        untaken=totals.untaken,
        last_untaken=totals.last_untaken,
        rejects=sum(totals.rejects.values()),
        deliveries=sums,
        sources={
            name: _source(
                _part(stands(f"source {name}"), zone, now, Code.SOURCE),
                by_name.get(name),
                read.get(name),
                totals.rejects.get(name, 0),
                doubts.get(name, ""),
                now,
                zone,
            )
            for name in _names(list(by_name), running, "source")
        },
        sightings=[Sighting(sources=list(names), calls=number) for names, number in sorted(seen.items())],
        destinations={
            name: _destination(
                _part(stands(f"destination {name}", name in destinations), zone, now, Code.RECEIVER),
                name,
                totals,
                since,
                now,
                zone,
            )
            for name in _names([*destinations, *totals.deliveries], running, "destination")
        },
        page=_page((went.page if went else "") or page, _part(stands("page"), zone, now, Code.PAGE)),
        api=_page((went.api if went else "") or api, _part(stands("api"), zone, now, Code.PAGE)),
        boards={name: _part(stands(f"board {name}"), zone, now, None) for name in _names([], running, "board")},
        findings=[
            FindingStatus(code=name, message=found.message, since=iso(found.since, zone))
            for name in _names([], running, "finding")
            if (found := running[f"finding {name}"]).state == FOUND and now - found.since >= SETTLED_SECONDS
        ],
    )


def _names(given: Sequence[str], health: Mapping[str, Health], kind: str) -> list[str]:
    """Those given, and those of which the daemon tells, each once."""
    told = (part.removeprefix(f"{kind} ") for part in health if part.startswith(f"{kind} "))
    return list(dict.fromkeys([*given, *told]))


def _part(health: Health, zone: tzinfo, now: float, usual: Code | None) -> Part:
    """``usual``: what it mostly is where it does not work; None where `doctor` has no name for that."""
    code = ""
    if usual and health.state in ("failing", "paused") and now - health.since >= SETTLED_SECONDS:
        code = said_by(health.message, usual)
    return Part(state=health.state, message=health.message, since=iso(health.since, zone), code=code)


def _page(where: str, part: Part) -> PageStatus | None:
    return PageStatus(where=where, **asdict(part)) if where else None


def _source(
    part: Part,
    source: Source | None,
    read: queries.ReadSoFar | None,
    rejects: int,
    doubt: str,
    now: float,
    zone: tzinfo,
) -> SourceStatus:
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
    deaf = part.state == "ok" and part.message
    return SourceStatus(
        state=part.state,
        code=part.code or (Code.DEAF if deaf else Code.ZONE if doubt else ""),
        message="; ".join(filter(None, [part.message or trouble, doubt, crowded])),
        since=part.since,
        calls=read.calls if read else 0,
        rejects_ever=read.rejects if read else 0,
        rejects_unkept=read.unkept if read else 0,
        unread_bytes=unread if counts == "bytes" else None,
        unread_seconds=unread if counts == "seconds" else None,
        last_read=iso(read.at, zone) if read else None,
        age_seconds=round(now - read.at) if read else None,
        cursor=_without_token(read.cursor) if read else None,
        rejects=rejects,
    )


def _without_token(cursor: str) -> str:
    try:
        found = json.loads(cursor)
    except (ValueError, RecursionError):
        # A damaged one may hold a token all the same.
        return "***" if "token" in cursor else cursor
    if not isinstance(found, dict) or "token" not in found:
        return cursor
    return json.dumps(found | {"token": "***"})  # nosec B105 # a mask


def _destination(
    part: Part, name: str, totals: queries.Totals, since: float, now: float, zone: tzinfo
) -> DestinationStatus:
    """``since`` is when agent.ini was read, or written where no daemon has."""
    oldest, last_error = totals.oldest.get(name), totals.last_error.get(name)
    number = totals.deliveries.get(name, {})
    return DestinationStatus(
        **asdict(part),
        waiting=number.get("waiting", 0),
        sent=number.get("sent", 0),
        dead=number.get("dead", 0),
        oldest_waiting=iso(oldest, zone),
        oldest_waiting_seconds=round(now - oldest) if oldest else None,
        last_error=last_error[1] if last_error else "",
        last_error_at=iso(last_error[0], zone) if last_error else None,
        last_error_outdated=bool(last_error and last_error[0] < since),
    )
