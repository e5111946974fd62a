"""Boards -> the `boards` of /status.json: what the page shows."""

import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import tzinfo
from typing import Any

from humbug_agent.board.lines import Lines
from humbug_agent.board.model import Channel, Figures, Member, Queue, QueueCall, State, View
from humbug_agent.board.settings import QueuesSettings, Thresholds
from humbug_agent.numbers.countries import country_name
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.words import iso

MOST_MISSING = 50


@dataclass(frozen=True, slots=True)
class Since:
    """A time that runs, in seconds, told by when it began: so nothing differs from moment to moment but what happens.

    ``at`` is in seconds since the epoch.
    """

    at: float

    def seconds(self, now: float) -> float:
        """The PBX's clock may be ahead of ours."""
        return round(max(now - self.at, 0.0), 1)


STEP_SECONDS = 1.0


class Clock:
    """What is told of the clock that nobody sets, by the one that somebody may set while a page is open.

    ``apart`` is the same number until that happens: so nothing differs that has not changed.
    """

    def __init__(self) -> None:
        self.apart = 0.0
        self.look()

    def look(self) -> None:
        apart = time.time() - time.monotonic()
        if abs(apart - self.apart) > STEP_SECONDS:
            self.apart = apart

    def since(self, moment: float) -> Since | None:
        """0 is none."""
        return Since(moment + self.apart) if moment else None


CLOCK = Clock()


def board(view: View, numbers: NumbersSettings, thresholds: QueuesSettings, zone: tzinfo) -> dict[str, Any]:
    """JSON, but for times that run, each of which is a Since. Other times come out in ``zone``."""
    return {
        "name": view.name,
        "over": view.over,
        "live": view.live,
        "message": view.message,
        "trouble": view.trouble,
        "age_seconds": CLOCK.since(view.confirmed),
        "channels": len(view.channels),
        "totals": _totals(view),
        "calls": _calls(view, zone),
        "lines": _lines(view.lines, view) if view.lines else None,
        "queues": [_queue(queue, numbers, thresholds.of(queue.name), zone) for queue in view.queues.values()],
    }


def _totals(view: View) -> dict[str, Any]:
    """Over all queues. Whoever is in several of them is one agent, and answers with the same phone in all."""
    queues = view.queues.values()
    waiting = [call for queue in queues for call in _waiting(queue)]
    figures = [queue.figures for queue in queues if queue.figures]
    agents: dict[str, Member] = {}
    for one in (one for queue in queues for one in queue.members):
        # Paused in one of them only, it takes calls in the others.
        if one.interface not in agents or agents[one.interface].paused:
            agents[one.interface] = one
    return {
        "waiting": len(waiting),
        "longest_wait_seconds": _longest(waiting),
        "connected": sum(call.connected for queue in queues for call in queue.calls),
        "completed": sum(one.completed for one in figures) if figures else None,
        "abandoned": sum(one.abandoned for one in figures) if figures else None,
        "agents": dict(sorted(Counter(one.shown for one in agents.values()).items())),
    }


def _calls(view: View, zone: tzinfo) -> list[dict[str, Any]]:
    """Channels of one linkedid are one call; the oldest of them is who calls."""
    together: dict[str, list[Channel]] = {}
    for channel in view.channels:
        together.setdefault(channel.linkedid or channel.uniqueid, []).append(channel)
    queued = {call.uniqueid: call for queue in view.queues.values() for call in queue.calls}
    places = {call.uniqueid: place for queue in view.queues.values() for place, call in enumerate(_waiting(queue), 1)}
    return [_call(channels, queued, places, zone) for channels in together.values()]


def _waiting(queue: Queue) -> list[QueueCall]:
    return [call for call in queue.calls if not call.connected]


def _call(
    channels: list[Channel], queued: dict[str, QueueCall], places: dict[str, int], zone: tzinfo
) -> dict[str, Any]:
    first = next((one for one in channels if not one.callee), channels[0])
    others = [one for one in channels if one is not first]
    number, name = first.calling
    queue = next((queued[one.uniqueid] for one in channels if one.uniqueid in queued), None)
    waiting = queue is not None and not queue.connected
    return {
        "id": first.linkedid or first.uniqueid,
        "from_number": number,
        "from_name": name,
        "to_number": first.exten or first.with_number,
        "to_name": _answering(queue, others),
        "state": _state(first, others, queue is not None),
        "since": iso(first.since, zone),
        "seconds": Since(first.since),
        "devices": [one.device for one in channels],
        "legs": [_leg(one) for one in channels],
        "queue": queue.queue if queue else "",
        "waiting": waiting,
        "waiting_seconds": Since(queue.entered) if queue and waiting else None,
        "waited_seconds": queue.waited if queue else None,
        "position": places[queue.uniqueid] if queue and waiting else None,
    }


def _answering(queue: QueueCall | None, others: list[Channel]) -> str:
    """The name of who answered: an agent's is the queue's word for it, the phone may have another."""
    if queue and queue.agent_name:
        return queue.agent_name
    return next((one.name for one in others if one.state is State.UP), "")


def _leg(one: Channel) -> dict[str, Any]:
    """One of the channels of a call, in the order in which they came."""
    return {
        "device": one.device,
        "state": one.state,
        "number": one.number,
        "name": one.name,
        "application": one.application,
        "seconds": Since(one.since),
    }


def _state(first: Channel, others: list[Channel], queued: bool) -> State:
    if any(one.state is State.UP for one in others):
        return State.UP
    if any(one.state is State.RINGING for one in (first, *others)) and not queued:
        return State.RINGING
    return State.UP if first.state is State.UP else State.RING


def _queue(queue: Queue, numbers: NumbersSettings, thresholds: Thresholds, zone: tzinfo) -> dict[str, Any]:
    waiting = _waiting(queue)
    return {
        "name": queue.name,
        "longest_wait_seconds": _longest(waiting),
        "waiting": [
            {**_caller(call, numbers, zone), "position": place, "seconds": Since(call.entered)}
            for place, call in enumerate(waiting, 1)
        ],
        "connected": [
            {
                **_caller(call, numbers, zone),
                "waited_seconds": call.waited,
                "agent": call.agent,
                "agent_name": call.agent_name,
                "since": iso(call.since, zone),
                "seconds": Since(call.since),
            }
            for call in queue.calls
            if call.connected
        ],
        "figures": _figures(queue.figures) if queue.figures else None,
        "thresholds": asdict(thresholds),
        "members": [_member(one) for one in queue.members],
    }


def _lines(lines: Lines, view: View) -> dict[str, Any]:
    """Trunks and phones. Of the phones that are not there only so many are named."""
    phones = [one for one in lines.found if not one.trunk]
    missing = sorted(f"{one.technology}/{one.name}" for one in phones if not one.up)
    counted = {
        "registered": len(phones) - len(missing),
        "all": len(phones) if lines.missing_told else None,
        "missing": missing[:MOST_MISSING],
    }
    return {
        "trunks": [
            {
                "id": f"{one.technology}/{one.name}",
                "name": one.name,
                "technology": one.technology,
                "state": one.state,
                "up": one.up,
                "channels": len(view.devices.get(one.device.casefold(), ())) if one.device else None,
            }
            for one in lines.found
            if one.trunk
        ],
        "phones": counted if lines.phones_told else None,
        "lacks": list(lines.lacks),
        "age_seconds": CLOCK.since(lines.asked),
    }


def _figures(said: Figures) -> dict[str, Any]:
    return {
        "completed": said.completed,
        "abandoned": said.abandoned,
        "hold_seconds": said.hold,
        "talk_seconds": said.talk,
        "service_level_percent": said.level if said.level_known else None,
        "service_level_seconds": said.target or None,
    }


def _member(one: Member) -> dict[str, Any]:
    return {
        "name": one.name,
        "interface": one.interface,
        "state": one.state,
        "paused": one.paused,
        "reason": one.reason,
        "state_seconds": _since(one.since),
        "penalty": one.penalty,
        "calls_taken": one.taken,
        "last_call_seconds": _since(one.last_call),
        "last_pause_seconds": _since(one.last_pause),
        "login_seconds": _since(one.login),
    }


def _since(moment: float) -> Since | None:
    return Since(moment) if moment else None


def _longest(waiting: list[QueueCall]) -> Since | float:
    return Since(min(call.entered for call in waiting)) if waiting else 0.0


def _caller(call: QueueCall, numbers: NumbersSettings, zone: tzinfo) -> dict[str, Any]:
    return {
        "id": call.uniqueid,
        "number": call.number,
        "name": call.name,
        "country": country_name(call.number, numbers.domestic_max_length, numbers.default_country),
        "entered": iso(call.entered, zone),
    }
