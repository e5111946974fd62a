"""Boards -> the `boards` of /status.json: what the page shows."""

from datetime import tzinfo
from typing import Any

from humbug_agent.board.model import Channel, Queue, QueueCall, State, View
from humbug_agent.numbers.countries import country_name
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.words import iso


def board(view: View, numbers: NumbersSettings, zone: tzinfo, now: float) -> dict[str, Any]:
    """``now`` in seconds since the epoch; times come out in ``zone``."""
    return {
        "name": view.name,
        "over": view.over,
        "live": view.live,
        "message": view.message,
        "trouble": view.trouble,
        "age_seconds": round(now - view.confirmed, 1) if view.confirmed else None,
        "channels": len(view.channels),
        "calls": _calls(view, zone, now),
        "queues": [_queue(queue, numbers, zone, now) for queue in view.queues.values()],
    }


def _calls(view: View, zone: tzinfo, now: float) -> list[dict[str, Any]]:
    """Channels of one linkedid are one call; the oldest of them is who calls."""
    together: dict[str, list[Channel]] = {}
    for channel in view.channels:
        together.setdefault(channel.linkedid or channel.uniqueid, []).append(channel)
    queued = {call.uniqueid: call for queue in view.queues.values() for call in queue.calls}
    return [_call(channels, queued, zone, now) for channels in together.values()]


def _call(channels: list[Channel], queued: dict[str, QueueCall], zone: tzinfo, now: float) -> dict[str, Any]:
    first = next((one for one in channels if not one.callee), channels[0])
    others = [one for one in channels if one is not first]
    number, name = first.calling
    reached = [one for one in others if one.state is State.UP]
    queue = next((queued[one.uniqueid] for one in channels if one.uniqueid in queued), None)
    return {
        "id": first.linkedid or first.uniqueid,
        "from_number": number,
        "from_name": name,
        "to_number": first.exten or first.with_number,
        "to_name": reached[0].name if reached else "",
        "state": _state(first, others, queue is not None),
        "since": iso(first.since, zone),
        "seconds": round(now - first.since, 1),
        "devices": [one.device for one in channels],
        "queue": queue.queue if queue else "",
        "waiting": queue is not None and not queue.connected,
    }


def _state(first: Channel, others: list[Channel], queued: bool) -> State:
    if any(one.state is State.UP for one in others):
        return State.UP
    if any(one.state is State.RINGING for one in (first, *others)) and not queued:
        return State.RINGING
    return State.UP if first.state is State.UP else State.RING


def _queue(queue: Queue, numbers: NumbersSettings, zone: tzinfo, now: float) -> dict[str, Any]:
    waiting = [call for call in queue.calls if not call.connected]
    return {
        "name": queue.name,
        "longest_wait_seconds": round(max((now - call.entered for call in waiting), default=0.0), 1),
        "waiting": [
            {**_caller(call, numbers, zone), "position": place, "seconds": round(now - call.entered, 1)}
            for place, call in enumerate(waiting, 1)
        ],
        "connected": [
            {
                **_caller(call, numbers, zone),
                "waited_seconds": call.waited,
                "agent": call.agent,
                "agent_name": call.agent_name,
                "since": iso(call.since, zone),
                "seconds": round(now - call.since, 1),
            }
            for call in queue.calls
            if call.connected
        ],
        "members": [
            {
                "name": one.name,
                "interface": one.interface,
                "state": one.state,
                "paused": one.paused,
                "reason": one.reason,
            }
            for one in queue.members
        ],
    }


def _caller(call: QueueCall, numbers: NumbersSettings, zone: tzinfo) -> dict[str, Any]:
    return {
        "id": call.uniqueid,
        "number": call.number,
        "name": call.name,
        "country": country_name(call.number, numbers.domestic_max_length, numbers.default_country),
        "entered": iso(call.entered, zone),
    }
