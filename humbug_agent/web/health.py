"""/healthz: why this agent is not well, in words."""

from collections.abc import Mapping, Sequence

from humbug_agent.board.model import View
from humbug_agent.status.document import Part, Status


def reasons(status: Status | None, error: str, views: Sequence[View]) -> list[str]:
    """A sentence for each thing that is wrong now; none: it is healthy.

    ``status`` is None when it could not be looked up, for the reason in ``error``.
    """
    # Dead letters and rejects are none: they stay until somebody deals with them, and all other calls pass meanwhile. A
    # monitor that is red for days because of one call shows no outage any more. /metrics counts them.
    found = [f"the outbox can't be read: {error}"] if status is None else list(_of_status(status))
    return [*found, *(f"board {view.name} is not live: {view.message}" for view in views if not view.live)]


def _of_status(status: Status) -> list[str]:
    full = status.outbox.used_bytes >= status.outbox.max_bytes
    return [
        *(["the outbox is full: reading pauses until calls are delivered or purged, or max_size_mb is raised"] * full),
        *_not_well("source", status.sources),
        *_not_well("destination", status.destinations),
    ]


def _not_well(kind: str, parts: Mapping[str, Part]) -> list[str]:
    """A part that has only just begun has done nothing wrong yet, nor does one that is no longer in agent.ini."""
    return [
        f"{kind} {name} is {one.state}" + (f": {one.message}" if one.message else "")
        for name, one in parts.items()
        if one.state not in ("ok", "starting", "removed")
    ]
