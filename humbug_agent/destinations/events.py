"""A call or a notice as JSON, as docs/destinations/webhook.schema.json has it: the same wherever JSON goes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from humbug_agent.flat import CALL, OF_THE_RECORD, TEST, Flat, texts

VERSION = 1
"""Of the events' form. Whatever a receiver that knows an earlier one would misread makes it a higher one."""

FIELDS = tuple(name for name in OF_THE_RECORD if name != "identity")
"""What is said of a call, in this order. What identifies it stands beside them, as ``id``."""

KINDS = {CALL: "call.ended", TEST: "call.test"}
NOTICE = "pbx.notice"

_TIMES = ("start", "answer", "end")


def event(flat: Flat, zone: tzinfo, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """What it has in common with others of other types comes first. ``zone`` is that of times that don't say.

    Raises ValueError, TypeError, OverflowError or OSError where it is none.
    """
    return {
        "type": KINDS.get(flat.event, NOTICE),
        "version": VERSION,
        "id": flat.identity.hex(),
        "timestamp": _time(flat.end, flat.end_offset, zone),
        "data": data(flat, zone, fields),
    }


def data(flat: Flat, zone: tzinfo, fields: Sequence[str] = FIELDS) -> dict[str, Any]:
    """The fields that were chosen; of a notice its event and what that says."""
    if flat.is_notice():
        return {"event": flat.event, "fields": texts(flat.extra)}
    said: dict[str, Any] = {name: getattr(flat, name) for name in fields}
    for name in _TIMES:
        if said.get(name) is not None:
            said[name] = _time(said[name], getattr(flat, f"{name}_offset"), zone)
    if "extra" in said:
        said["extra"] = texts(flat.extra) if flat.extra else {}
    return said


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_texts(flat: Flat, zone: tzinfo, fields: Sequence[str] = FIELDS) -> dict[str, str]:
    """`data` for people: what is no text as JSON."""
    return {
        name: value if isinstance(value, str) else as_json(value) for name, value in data(flat, zone, fields).items()
    }


def _time(seconds: float, offset: int | None, zone: tzinfo) -> str:
    there = zone if offset is None else timezone(timedelta(seconds=offset))
    return datetime.fromtimestamp(seconds, UTC).astimezone(there).isoformat()
