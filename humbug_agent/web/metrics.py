"""/metrics for Prometheus: what `status` tells and what the board shows, as numbers.

What is not known has no sample: a 0 would be a statement.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.metrics_core import Metric

from humbug_agent import __version__
from humbug_agent.board.lines import Lines
from humbug_agent.board.model import Queue, State, View
from humbug_agent.board.settings import NO_THRESHOLDS, QueuesSettings
from humbug_agent.http_server.prometheus import Samples, counter, exposition, gauge
from humbug_agent.status.document import DestinationStatus, Part, SourceStatus, Status

MOST_QUEUES = 200
"""So many queues of a board have series of their own, the first ones by name; the rest is summed up under OTHERS."""

MOST_TRUNKS = 200
OTHERS = "(others)"
MEMBER_STATES = frozenset(
    ("idle", "in use", "in use, ringing", "ringing", "busy", "on hold", "unavailable", "invalid", "paused")
)
"""What is none of these counts as unknown: a feeder's words must not make series without end."""


def metrics(
    status: Status | None,
    error: str,
    views: Sequence[View],
    sent: Mapping[str, tuple[int, int]],
    thresholds: QueuesSettings = NO_THRESHOLDS,
) -> tuple[bytes, str]:
    """The body and its content type.

    ``status`` None, or an ``error``, leaves of the outbox only that it can't be
    read. ``sent`` is destination -> (calls delivered, attempts failed) since the agent's start.
    """
    known = None if error else status
    families = [
        gauge("humbug_info", "The agent's version.", ["version"], [((__version__,), 1)]),
        gauge("humbug_outbox_up", "1 while the outbox can be read, else 0.", [], [((), known is not None)]),
        *(_of_status(known) if known else ()),
        *_of_sent(sent),
        *_of_boards(views, thresholds, time.time()),
    ]
    return exposition(families)


def _of_status(status: Status) -> Iterator[Metric]:
    yield gauge(
        "humbug_outbox_bytes",
        "What the outbox holds, delivered calls that are kept for replay included.",
        [],
        [((), status.outbox.used_bytes)],
    )
    yield gauge("humbug_outbox_max_bytes", "max_size_mb: then reading pauses.", [], [((), status.outbox.max_bytes)])
    yield gauge(
        "humbug_untaken_calls",
        "Calls in the outbox that no destination takes, since the only of each leaves them out.",
        [],
        [((), status.untaken)],
    )
    yield from _of_sources(status.sources)
    yield from _of_destinations(status.destinations)


def _of_sources(sources: Mapping[str, SourceStatus]) -> Iterator[Metric]:
    def each(number: Callable[[SourceStatus], float | None]) -> Samples:
        return (((name,), number(one)) for name, one in sources.items())

    label = ["source"]
    yield gauge(
        "humbug_source_up",
        "1 while the source is read, else 0.",
        label,
        (((n,), _up(one)) for n, one in sources.items()),
    )
    # Counted at the source, since the outbox was made: calls that are dropped from the outbox stay counted.
    yield counter(
        "humbug_calls_total",
        "Calls that the source was the first to bring since the outbox was made; events that it forwards count, too.",
        label,
        each(lambda one: one.calls),
    )
    yield counter(
        "humbug_rejects_total",
        "Records not understood since the outbox was made; they are kept as rejects. Read again, they count again.",
        label,
        each(lambda one: one.rejects_ever),
    )
    yield gauge(
        "humbug_rejects",
        "Records not understood that are kept now: without those that were replayed or purged.",
        label,
        each(lambda one: one.rejects),
    )
    yield gauge(
        "humbug_source_unread_bytes",
        "What the PBX has written and the agent has not read.",
        label,
        each(lambda one: one.unread_bytes),
    )
    yield gauge(
        "humbug_source_unread_seconds",
        "Of a hosted PBX: the time whose calls it was not asked for yet. It is a lot at first, and then next to none.",
        label,
        each(lambda one: one.unread_seconds),
    )
    yield gauge(
        "humbug_source_last_read_age_seconds",
        "Since the last call was read; it grows when nobody calls, too.",
        label,
        each(lambda one: one.age_seconds),
    )


def _of_destinations(destinations: Mapping[str, DestinationStatus]) -> Iterator[Metric]:
    label = ["destination"]
    yield gauge(
        "humbug_destination_up",
        "1 while the destination takes calls, 0 while it fails or is paused.",
        label,
        (((name,), _up(one)) for name, one in destinations.items()),
    )
    # Gauges: sent calls are dropped after keep_days, dead ones by hand, and a replay makes both wait again.
    yield gauge(
        "humbug_deliveries",
        "Deliveries in the outbox now: waiting, sent (kept for replay) or dead (refused for good).",
        [*label, "state"],
        (
            ((name, state), number)
            for name, one in destinations.items()
            for state, number in (("waiting", one.waiting), ("sent", one.sent), ("dead", one.dead))
        ),
    )
    yield gauge(
        "humbug_oldest_waiting_seconds",
        "How long the oldest call that is not delivered has waited, 0 when none waits.",
        label,
        (((name,), one.oldest_waiting_seconds or 0) for name, one in destinations.items()),
    )


def _up(part: Part) -> bool | None:
    """None for one that has not said anything yet. A destination that agent.ini no longer has never will."""
    return None if part.state in ("starting", "removed") else part.state == "ok"


def _of_sent(sent: Mapping[str, tuple[int, int]]) -> Iterator[Metric]:
    label = ["destination"]
    yield counter(
        "humbug_delivered_total",
        "Calls delivered since the agent was started.",
        label,
        (((name,), delivered) for name, (delivered, _) in sent.items()),
    )
    yield counter(
        "humbug_delivery_attempts_failed_total",
        "Attempts to deliver a call that failed since the agent was started; the call is tried again, or is dead.",
        label,
        (((name,), failed) for name, (_, failed) in sent.items()),
    )


def _of_boards(views: Sequence[View], thresholds: QueuesSettings, now: float) -> Iterator[Metric]:
    live = [view for view in views if view.live]
    yield gauge(
        "humbug_board_live",
        "1 while the PBX tells its channels and queues, else 0.",
        ["board"],
        (((view.name,), view.live) for view in views),
    )
    yield gauge(
        "humbug_board_confirmed_age_seconds",
        "Since the PBX was last asked for all channels and queues; what happens in between it tells by itself.",
        ["board"],
        (((view.name,), time.monotonic() - view.confirmed) for view in views if view.confirmed),
    )
    yield gauge(
        "humbug_channels",
        "Channels of the PBX now: ring is the caller's before the answer, ringing the called one's.",
        ["board", "state"],
        (sample for view in live for sample in _channels(view)),
    )
    yield from _of_lines([(view, view.lines) for view in live if view.lines])
    yield from _of_queues([(view.name, _queues(view)) for view in live], thresholds, now)


def _of_lines(told: Sequence[tuple[View, Lines]]) -> Iterator[Metric]:
    trunks = [
        ((view.name, one.technology, one.name), view, one)
        for view, lines in told
        for one in [one for one in lines.found if one.trunk][:MOST_TRUNKS]
    ]
    label = ["board", "technology", "trunk"]
    yield gauge(
        "humbug_trunk_up",
        "1 while the trunk is registered or can be reached, 0 while it is not; none where the PBX does not look.",
        label,
        ((of, one.up) for of, _, one in trunks),
    )
    yield gauge(
        "humbug_trunk_channels",
        "Channels of the trunk now.",
        label,
        ((of, len(view.devices.get(one.device.casefold(), ()))) for of, view, one in trunks if one.device),
    )
    yield gauge(
        "humbug_phones",
        "Phones by whether they are registered and can be reached, or missing.",
        ["board", "state"],
        (((view.name, state), number) for view, lines in told for state, number in _phones(lines)),
    )


def _phones(lines: Lines) -> Iterable[tuple[str, int]]:
    there = [bool(one.up) for one in lines.found if not one.trunk]
    if lines.phones_told:
        yield "registered", sum(there)
        if lines.missing_told:
            yield "missing", len(there) - sum(there)


def _channels(view: View) -> Samples:
    count = Counter(channel.state for channel in view.channels)
    return (((view.name, state.value), count[state]) for state in State)


def _queues(view: View) -> dict[str, list[Queue]]:
    """Name -> the queues that its series count."""
    found: dict[str, list[Queue]] = {}
    for number, (name, queue) in enumerate(view.queues.items()):
        # A real queue may have that name, too: two series alike would spoil all of /metrics.
        found.setdefault(name if number < MOST_QUEUES else OTHERS, []).append(queue)
    return found


def _of_queues(
    boards: Sequence[tuple[str, Mapping[str, Sequence[Queue]]]], thresholds: QueuesSettings, now: float
) -> Iterator[Metric]:
    each = [((board, name), queues) for board, named in boards for name, queues in named.items()]
    yield gauge(
        "humbug_queue_calls",
        "Callers in the queue now, by whether they wait or are connected to a member.",
        ["board", "queue", "state"],
        (((*of, state), number) for of, queues in each for state, number in _calls(queues)),
    )
    yield gauge(
        "humbug_queue_longest_wait_seconds",
        "How long the caller who has waited longest has waited, 0 when none waits.",
        ["board", "queue"],
        ((of, _longest_wait(queues, now)) for of, queues in each),
    )
    yield gauge(
        "humbug_queue_members",
        "Members of the queue by the state of their device, or paused; all states but idle only while some are in it.",
        ["board", "queue", "state"],
        (((*of, state), number) for of, queues in each for state, number in _members(queues)),
    )
    yield gauge(
        "humbug_queue_alarm",
        "How a figure stands that agent.ini has a threshold for: 0 well, 1 a warning, 2 critical.",
        ["board", "queue", "figure"],
        (((*of, figure), severity) for of, queues in each for figure, severity in _alarms(queues, thresholds, now)),
    )
    yield from _of_figures(each)


def _of_figures(each: Sequence[tuple[tuple[str, str], Sequence[Queue]]]) -> Iterator[Metric]:
    """Averages and shares of several queues are none."""
    known = [(of, [queue.figures for queue in queues if queue.figures]) for of, queues in each]
    alone = [(of, figures[0]) for of, figures in known if len(figures) == 1]
    label = ["board", "queue"]
    yield counter(
        "humbug_queue_completed_total",
        "Calls of the queue that were answered and are over, since the PBX was started or its figures were reset.",
        label,
        ((of, sum(one.completed for one in figures)) for of, figures in known if figures),
    )
    yield counter(
        "humbug_queue_abandoned_total",
        "Callers who left the queue before anybody answered, since the PBX was started or its figures were reset.",
        label,
        ((of, sum(one.abandoned for one in figures)) for of, figures in known if figures),
    )
    yield gauge(
        "humbug_queue_hold_seconds",
        "The PBX's average of how long callers waited until they were answered; later ones count more.",
        label,
        ((of, one.hold) for of, one in alone),
    )
    yield gauge(
        "humbug_queue_talk_seconds",
        "The PBX's average of how long answered callers talked; later ones count more.",
        label,
        ((of, one.talk) for of, one in alone),
    )
    yield gauge(
        "humbug_queue_service_level_ratio",
        "Which share of the completed calls was answered within humbug_queue_service_level_seconds.",
        label,
        ((of, one.level / 100) for of, one in alone if one.level_known),
    )
    yield gauge(
        "humbug_queue_service_level_seconds",
        "Within how many seconds a call of this queue should be answered, as the PBX is told (servicelevel).",
        label,
        ((of, one.target) for of, one in alone if one.target),
    )


def _calls(queues: Sequence[Queue]) -> Iterable[tuple[str, int]]:
    connected = sum(call.connected for queue in queues for call in queue.calls)
    waiting = sum(len(queue.calls) for queue in queues) - connected
    return ("waiting", waiting), ("connected", connected)


def _longest_wait(queues: Sequence[Queue], now: float) -> float:
    return max((now - call.entered for queue in queues for call in queue.calls if not call.connected), default=0.0)


def _alarms(queues: Sequence[Queue], thresholds: QueuesSettings, now: float) -> Iterable[tuple[str, int]]:
    """Of each figure the worst."""
    found: dict[str, int] = {}
    for queue in queues:
        for figure, severity in thresholds.of(queue.name).judged(queue, now).items():
            found[figure] = max(severity, found.get(figure, 0))
    return found.items()


def _members(queues: Sequence[Queue]) -> Iterable[tuple[str, int]]:
    members = [member for queue in queues for member in queue.members]
    states = (member.shown for member in members)
    count = Counter(state if state in MEMBER_STATES else "unknown" for state in states)
    # That nobody is idle is what an alert asks for; a 0 of everything else would be a thousand lines.
    return {"idle": 0, **count}.items()
