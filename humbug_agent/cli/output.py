"""What the command line prints: aligned tables for people, JSON for machines, times in the PBX's zone."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Any
from unicodedata import combining, east_asian_width

import click

from humbug_agent.cdr import CDR, Damaged, Notice, Record, wall_clock
from humbug_agent.outbox.queries import Entry, Failure, KeptReject, Replay
from humbug_agent.text import AUTO, is_utf8, printable, text
from humbug_agent.words import iso


def table(header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their longest value; numbers, and a dash in the place of one, to the right."""
    rows = [[printable(str(value)) for value in line] for line in lines]
    widths = [max(_width(row[number]) for row in [list(header), *rows]) for number in range(len(header))]
    numeric = [_is_numeric([row[number] for row in rows]) for number in range(len(header))]
    click.secho(_line(header, widths, numeric), bold=True)
    for row in rows:
        click.echo(_line(row, widths, numeric))


def pairs(values: Iterable[tuple[str, object]]) -> None:
    """Name and value, a line each; of none, nothing."""
    everything = [(name, printable(str(value))) for name, value in values]
    width = max((len(name) for name, _ in everything), default=0)
    for name, value in everything:
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {value}")


def as_json(value: object) -> None:
    click.echo(json_text(value, indent=2))


def say(text: str, *, err: bool = False) -> None:
    """A line that may hold what others wrote."""
    click.echo(printable(text), err=err)


def json_list(values: Iterable[object]) -> None:
    """A JSON list that is written while it is made, however long it is."""
    first = True
    for value in values:
        click.echo(("[\n" if first else ",\n") + json_text(value), nl=False)
        first = False
    click.echo("[]" if first else "\n]")


def json_text(value: object, indent: int | None = None) -> str:
    """JSON, of whose texts a terminal obeys nothing either: all that is not printable is an escape of JSON's own.

    What a damaged file has in the place of something else is there as text.
    """
    said = json.dumps(value, ensure_ascii=not is_utf8(sys.stdout), indent=indent, default=str)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], said)


_UNPRINTABLE = re.compile(r"[^\n -~]")


def begun(found: Record | Damaged, zone: tzinfo) -> str:
    """When it began, as the PBX's clock showed it; with the offset where that was not the one of ``zone``."""
    if isinstance(found, Damaged):
        return str(_outline(found, zone)[1])
    shown = wall_clock(found.at if isinstance(found, Notice) else found.start, zone)
    usual = shown.utcoffset() == shown.astimezone(zone).utcoffset()
    return shown.strftime("%Y-%m-%d %H:%M:%S") if usual else shown.isoformat(" ", "seconds")


def zone_name(zone: tzinfo) -> str:
    """For the head of a column of times."""
    return getattr(zone, "key", str(zone)) or "the PBX's time"


def record(found: Record | Damaged, zone: tzinfo) -> dict[str, object]:
    """Every field of a call or notice by name, for JSON and for `show`; of a damaged one what is there."""
    if isinstance(found, Damaged):
        return {"damaged": found.reason, **{name: _as_it_is(value) for name, value in found.values.items()}}
    if isinstance(found, Notice):
        at = found.at.astimezone(zone).isoformat()
        return {"event": found.event, "at": at, "fields": dict(found.fields), "identity": found.identity.hex()}
    return call(found, zone)


def call(cdr: CDR, zone: tzinfo) -> dict[str, object]:
    return {
        "uniqueid": cdr.uniqueid,
        "linkedid": cdr.linkedid,
        "start": wall_clock(cdr.start, zone).isoformat(),
        "answer": wall_clock(cdr.answer, zone).isoformat() if cdr.answer else None,
        "end": wall_clock(cdr.end, zone).isoformat(),
        "src": cdr.src,
        "dst": cdr.dst,
        "dcontext": cdr.dcontext,
        "clid": cdr.clid,
        "channel": cdr.channel,
        "dstchannel": cdr.dstchannel,
        "lastapp": cdr.lastapp,
        "lastdata": cdr.lastdata,
        "duration": cdr.duration,
        "billsec": cdr.billsec,
        "disposition": cdr.disposition.value,
        "direction": cdr.direction.value,
        "accountcode": cdr.accountcode,
        "userfield": cdr.userfield,
        "extra": dict(cdr.extra),
        "identity": cdr.identity.hex(),
    }


def _as_it_is(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _outline(found: Record | Damaged, zone: tzinfo) -> tuple[object, ...]:
    if isinstance(found, Damaged):
        one = {name: _as_it_is(value) for name, value in found.values.items()}
        return one["uniqueid"], one["start"], one["src"], one["dst"], one["disposition"]
    if isinstance(found, Notice):
        return "", found.at.astimezone(zone).isoformat(), "", "", found.event
    start = wall_clock(found.start, zone).isoformat()
    return found.uniqueid, start, found.src, found.dst, found.disposition.value


def entry(found: Entry, zone: tzinfo) -> dict[str, Any]:
    """A line of `outbox list --json`. A notice has its name where a call has its disposition.

    One that is damaged has what there is, and why it is no call.
    """
    uniqueid, start, src, dst, disposition = _outline(found.record, zone)
    return {
        "id": found.id,
        "uniqueid": uniqueid,
        "source": found.source,
        "start": start,
        "src": src,
        "dst": dst,
        "disposition": disposition,
        "destination": found.destination,
        "state": found.state,
        "attempts": found.attempts,
        "due": iso(found.due, zone),
        "last_error": found.error or (f"damaged: {found.record.reason}" if isinstance(found.record, Damaged) else ""),
    }


def reject(found: KeptReject, zone: tzinfo, charset: str = AUTO) -> dict[str, object]:
    """A line of `outbox list --state rejected --json`."""
    return {
        "id": f"r{found.id}",
        "uniqueid": "",
        "source": found.source,
        "start": None,
        "src": "",
        "dst": "",
        "disposition": "",
        "destination": "",
        "state": "rejected",
        "attempts": 0,
        "due": None,
        "last_error": found.reason,
        "read": iso(found.at, zone),
        "place": found.place,
        "text": text(found.text, charset),
    }


def trail(
    found: Sequence[Entry], failed: Sequence[Failure], replayed: Sequence[Replay], zone: tzinfo
) -> dict[str, object]:
    """All that is known of one call's way."""
    first = found[0]
    return {
        "id": first.id,
        "call": record(first.record, zone),
        "source": first.source,
        "accepted": iso(first.accepted, zone),
        "deliveries": [
            {
                "destination": one.destination,
                "state": one.state,
                "attempts": one.attempts,
                "tried": iso(one.tried, zone),
                "due": iso(one.due, zone) if one.state == "waiting" else None,
                "status": one.status,
                "reply": one.reply,
                "last_error": one.error,
            }
            for one in found
        ],
        "failures": [
            {
                "at": iso(one.at, zone),
                "destination": one.destination,
                "status": one.status,
                "reply": one.reply,
                "error": one.error,
            }
            for one in failed
        ],
        "replays": [
            {
                "replayed": iso(one.at, zone),
                "destination": one.destination,
                "state": one.state,
                "attempts": one.attempts,
                "tried": iso(one.tried, zone),
                "status": one.status,
                "reply": one.reply,
                "last_error": one.error,
            }
            for one in replayed
        ],
    }


def _is_numeric(column: Sequence[str]) -> bool:
    return any(map(_is_number, column)) and all(value == "-" or _is_number(value) for value in column)


def _is_number(value: str) -> bool:
    return value.replace(",", "").isdigit()


def _width(text: str) -> int:
    """How many places of a terminal it takes."""
    return sum(2 if east_asian_width(c) in "WF" else 0 if combining(c) else 1 for c in text)


def _line(values: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    cells = []
    for value, width, number in zip(values, widths, numeric, strict=True):
        blank = " " * (width - _width(value))
        cells.append(blank + value if number else value + blank)
    return "  ".join(cells).rstrip()
