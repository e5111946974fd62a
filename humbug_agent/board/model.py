"""The board: channels and queues as they are now. One thread feeds it, any thread reads it.

Times are seconds since the epoch. What the PBX does not know is an empty text.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from humbug_agent.board.device import device_names
from humbug_agent.board.lines import Lines

STEP_SECONDS = 1.0
"""A clock that goes on otherwise by more than that was set."""


class State(StrEnum):
    """IPPS's words. `RING` is the caller's channel before the answer, `RINGING` the callee's."""

    DOWN = "down"
    RING = "ring"
    RINGING = "ringing"
    UP = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One leg of a call that is up now, as the PBX tells it.

    ``number`` and ``name`` are the channel's own caller ID, ``with_number`` and ``with_name`` the other end's.

    ``callee`` says that the PBX called it; ``exten`` is what was dialled on it; ``bridge`` is shared by those who hear
    each other; ``linkedid`` by all channels of one call.
    """

    uniqueid: str
    channel: str
    state: State
    number: str = ""
    name: str = ""
    with_number: str = ""
    with_name: str = ""
    account: str = ""
    exten: str = ""
    application: str = ""
    bridge: str = ""
    linkedid: str = ""
    callee: bool = False
    since: float = 0.0

    @property
    def device(self) -> str:
        """TECHNOLOGY/RESOURCE: the channel without what tells it from others of the same device."""
        return device_names(self.channel)[0]

    @property
    def calling(self) -> tuple[str, str]:
        """Number and name of who calls: of a callee's channel they are the other end's, where those are known."""
        if self.callee and self.with_number:
            return self.with_number, self.with_name
        return self.number, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCall:
    """A caller in a queue, waiting, or connected to ``agent`` (TECHNOLOGY/RESOURCE) after ``waited`` whole seconds.

    ``agent_name`` is that of the queue's member.

    ``waited`` is None while nobody has answered, and where this program came too late to see it.
    """

    uniqueid: str
    queue: str
    channel: str
    number: str = ""
    name: str = ""
    entered: float
    agent: str = ""
    agent_name: str = ""
    waited: int | None = None
    since: float = 0.0
    """Since when it is connected; 0 while it waits."""

    @property
    def connected(self) -> bool:
        return bool(self.agent)

    @property
    def agent_shown(self) -> str:
        """Who the agent is in one word: a Local channel is nobody's device."""
        return (self.agent.startswith("Local/") and self.agent_name) or self.agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A queue member; ``state`` is in words: idle, in use, ringing, unavailable, …

    ``state_interface`` is whose state that is, where it is not the interface's own. ``taken`` counts the calls of this
    queue that it has taken since ``login``, None where the PBX does not tell. ``last_call``, ``last_pause`` and
    ``login`` are moments, 0 where there was none or it is not told.
    """

    queue: str
    interface: str
    name: str
    state: str
    paused: bool = False
    reason: str = ""
    state_interface: str = ""
    penalty: int = 0
    taken: int | None = None
    last_call: float = 0.0
    last_pause: float = 0.0
    login: float = 0.0
    since: float = 0.0
    """Since when it is as `shown`; 0 where that began before anybody listened."""

    @property
    def shown(self) -> str:
        """In one word how it is: whoever is paused gets no calls, whatever the phone does."""
        return "paused" if self.paused else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the PBX has counted of a queue, since it was started or these figures were reset there.

    ``completed`` calls were answered and are over, ``abandoned`` ones left before anybody answered. ``hold`` and
    ``talk`` are its averages, in whole seconds, in which later calls count more. ``level`` percent of the completed
    calls were answered within ``target`` seconds; a ``target`` of 0 is none. Averages that it does not tell are None.
    """

    completed: int
    abandoned: int
    hold: int | None = None
    talk: int | None = None
    level: float = 0.0
    target: int = 0

    @property
    def level_known(self) -> bool:
        """A share of no calls, or of those within no time, is none."""
        return bool(self.completed and self.target)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue with the callers who wait in it, or talk, and the members who take them.

    ``calls`` as they stand in the queue, ``members`` by name. ``figures`` are None where the PBX tells none.
    """

    name: str
    calls: tuple[QueueCall, ...] = ()
    members: tuple[Member, ...] = ()
    figures: Figures | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The board at one moment. Unless it is ``live`` it shows nothing, and ``message`` says why. ``trouble`` says it in
    a few words where it is something else than that the PBX can't be reached.

    ``confirmed`` is when the PBX was last asked for everything, by the clock that nobody sets; 0 for never. ``over`` is
    what it tells it by. ``devices`` are channels by each name that they can be asked for by, in small letters.
    ``lines`` are None while the PBX has told of none.
    """

    name: str
    over: str
    live: bool
    message: str
    confirmed: float
    channels: tuple[Channel, ...] = ()
    queues: Mapping[str, Queue] = field(default_factory=lambda: MappingProxyType({}))
    devices: Mapping[str, tuple[Channel, ...]] = field(default_factory=lambda: MappingProxyType({}))
    trouble: str = ""
    lines: Lines | None = None


class Board:
    """What one PBX has told. Its feeder changes it, step by step or as a whole; everybody else takes a `view`.

    ``over`` is what the PBX tells it by, as its admin calls that.
    """

    def __init__(self, name: str, over: str = "AMI") -> None:
        self.name = name
        self.over = over
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}
        self._calls: dict[str, QueueCall] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._figures: Mapping[str, Figures] = {}
        self._queues: frozenset[str] = frozenset()
        self._lines: Lines | None = None
        self._message, self._trouble = "not connected yet", ""
        self._confirmed = 0.0
        self._view: View | None = None
        self._viewed = 0.0
        self._changed = False
        self._apart = time.time() - time.monotonic()

    # For the feeder.

    def channels(self) -> tuple[Channel, ...]:
        return tuple(self._channels.values())

    def calls(self) -> tuple[QueueCall, ...]:
        return tuple(self._calls.values())

    def channel(self, uniqueid: str) -> Channel | None:
        return self._channels.get(uniqueid)

    def call(self, uniqueid: str) -> QueueCall | None:
        return self._calls.get(uniqueid)

    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    def keep_time(self) -> None:
        """Where the clock was set, all moments are moved with it, so that everything lasts as long as it has.

        A PBX on this host has begun to count otherwise, too, so what it tells from then on of how long is no help.
        """
        apart = time.time() - time.monotonic()
        step = apart - self._apart
        if abs(step) < STEP_SECONDS:
            return
        self._apart = apart

        def moved(moment: float) -> float:
            return moment + step if moment else 0.0

        with self._changing():
            self._channels = {key: replace(one, since=moved(one.since)) for key, one in self._channels.items()}
            self._calls = {
                key: replace(one, entered=moved(one.entered), since=moved(one.since))
                for key, one in self._calls.items()
            }
            self._members = {key: replace(one, since=moved(one.since)) for key, one in self._members.items()}

    def put(self, channel: Channel) -> None:
        with self._changing():
            self._channels[channel.uniqueid] = channel

    def hang_up(self, uniqueid: str) -> None:
        """The channel is gone, and whoever it was is in no queue any more."""
        with self._changing():
            self._channels.pop(uniqueid, None)
            self._calls.pop(uniqueid, None)

    def put_call(self, call: QueueCall, position: int = 0) -> None:
        """One that is known where it stands, a new one at the end of its queue; or as the one at ``position`` of those
        who wait there, from 1.
        """
        with self._changing():
            self._calls[call.uniqueid] = call
            if position:
                waiting = [one for one in self._calls.values() if one.queue == call.queue and not one.connected]
                for one in waiting[position - 1 : -1]:
                    self._calls[one.uniqueid] = self._calls.pop(one.uniqueid)

    def leave(self, uniqueid: str) -> None:
        with self._changing():
            self._calls.pop(uniqueid, None)

    def put_member(self, member: Member) -> None:
        with self._changing():
            self._members[member.queue, member.interface] = self._timed(member)

    def put_figures(self, queue: str, figures: Figures) -> None:
        with self._changing():
            self._figures = {**self._figures, queue: figures}

    def put_lines(self, lines: Lines | None) -> None:
        with self._changing():
            self._lines = lines

    def drop_member(self, queue: str, interface: str) -> None:
        with self._changing():
            self._members.pop((queue, interface), None)

    def replace_channels(self, channels: Iterable[Channel], calls: Iterable[QueueCall]) -> None:
        """These are all channels, and whoever is in a queue is one of these calls."""
        with self._changing():
            self._channels = {channel.uniqueid: channel for channel in channels}
            self._calls = {call.uniqueid: call for call in calls}

    def replace(
        self,
        channels: Iterable[Channel],
        queues: Iterable[str],
        calls: Iterable[QueueCall],
        members: Iterable[Member],
        figures: Mapping[str, Figures] = MappingProxyType({}),
    ) -> None:
        """All of it anew, as the PBX just told it: from now on this is live. ``calls`` in the order of their queues,
        ``figures`` by queue.
        """
        with self._changing():
            self._channels = {channel.uniqueid: channel for channel in channels}
            self._calls = {call.uniqueid: call for call in calls}
            self._members = {(member.queue, member.interface): self._timed(member) for member in members}
            self._queues, self._figures = frozenset(queues), figures
            self._confirmed, self._message = time.monotonic(), ""

    def away(self, message: str, trouble: str = "") -> None:
        """Nothing is known about now, for the reason in ``message`` and ``trouble``, until `replace` is called."""
        with self._changing():
            self._channels, self._calls, self._members, self._figures = {}, {}, {}, {}
            self._queues, self._message, self._trouble = frozenset(), message, trouble

    # For everybody.

    def view(self, max_age: float = 0.0) -> View:
        """How it stands now, or stood within the last ``max_age`` seconds. Any thread may call it."""
        with self._lock:
            if self._view is None or (self._changed and time.monotonic() - self._viewed >= max_age):
                self._view, self._viewed, self._changed = self._look(), time.monotonic(), False
            return self._view

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            self._changed = True
            yield

    def _timed(self, member: Member) -> Member:
        """With the moment at which it became as it is, where the PBX has not told it."""
        known = self._members.get((member.queue, member.interface))
        if known is None:
            return member
        if known.shown == member.shown and (not member.since or known.last_pause == member.last_pause):
            return replace(member, since=known.since or member.since)
        return replace(member, since=member.since or time.time())

    def _look(self) -> View:
        if self._message:
            return View(self.name, self.over, False, self._message, self._confirmed, trouble=self._trouble)
        channels = tuple(sorted(self._channels.values(), key=lambda channel: (channel.since, channel.uniqueid)))
        devices: defaultdict[str, list[Channel]] = defaultdict(list)
        for channel in channels:
            for name in {name.casefold() for name in device_names(channel.channel)}:
                devices[name].append(channel)
        calls: defaultdict[str, list[QueueCall]] = defaultdict(list)
        for call in self._calls.values():
            calls[call.queue].append(call)
        members: defaultdict[str, list[Member]] = defaultdict(list)
        for member in sorted(self._members.values(), key=lambda member: (member.name, member.interface)):
            members[member.queue].append(member)
        names = sorted(self._queues | calls.keys() | members.keys())
        queues = {
            name: Queue(name, tuple(calls[name]), tuple(members[name]), self._figures.get(name)) for name in names
        }
        of_devices = {device: tuple(channels) for device, channels in devices.items()}
        return View(
            self.name,
            self.over,
            True,
            "",
            self._confirmed,
            channels,
            MappingProxyType(queues),
            MappingProxyType(of_devices),
            lines=self._lines,
        )
