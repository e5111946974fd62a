"""A small Asterisk: what is true in it, its events, which are under way for a while, and its lists, which are not."""

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Truth = dict[str, dict[Any, Any]]
LINGERS = 0.025
"""Seconds for which a channel may be listed after it was said that it hung up: seen of Asterisk 16."""

WORDS = {"0": "down", "4": "ring", "5": "ringing", "6": "up"}


def message(event: str, **headers: object) -> bytes:
    """An event without the blank line at its end. A ``_`` in a header's name stands for a ``-``."""
    lines = [f"Event: {event}", *(f"{header.replace('_', '-')}: {value}" for header, value in headers.items())]
    return "\r\n".join(lines).encode()


def escaped(text: str) -> str:
    """As Asterisk escapes names in channel events and lists."""
    return "".join({"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(one, one) for one in _quoted(text))


def _quoted(text: str) -> str:
    for one in "\\'\"?":
        text = text.replace(one, "\\" + one)
    return text


@dataclass(kw_only=True)
class Chan:
    uniqueid: str
    channel: str
    linkedid: str
    state: str
    number: str
    name: str
    born: float
    with_number: str = ""
    with_name: str = ""
    account: str = ""
    exten: str = "531"
    application: str = ""
    data: str = ""
    bridge: str = ""
    callee: bool = False

    def headers(self, prefix: str = "") -> dict[str, object]:
        said = {
            "Channel": self.channel,
            "ChannelState": self.state,
            "ChannelStateDesc": WORDS[self.state].capitalize(),
            "CallerIDNum": self.number or "<unknown>",
            "CallerIDName": escaped(self.name) or "<unknown>",
            "ConnectedLineNum": self.with_number or "<unknown>",
            "ConnectedLineName": escaped(self.with_name) or "<unknown>",
            "Language": "en",
            "AccountCode": self.account,
            "Context": "from-internal",
            "Exten": self.exten,
            "Priority": "2",
            "Uniqueid": self.uniqueid,
            "Linkedid": self.linkedid,
        }
        return {prefix + header: value for header, value in said.items()}


@dataclass(kw_only=True)
class Caller:
    """Of a queue: waiting, and then talking to the channel ``agent``."""

    chan: Chan
    queue: str
    joined: float
    number: int
    agent: Chan | None = None
    held: int = 0


class SmallAsterisk:
    """``pending`` are the events under way, oldest first, each with the time of what it tells."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self.channels: dict[str, Chan] = {}
        self.waiting: dict[str, list[Caller]] = {"support": [], "sales": []}
        self.talking: dict[str, Caller] = {}
        self.members: dict[tuple[str, str], tuple[str, str, str]] = {}
        self.pending: deque[tuple[float, bytes]] = deque()
        self.joins: Counter[str] = Counter()
        self.lingering: dict[str, tuple[float, Chan]] = {}

    def _tell(self, event: str, headers: dict[str, object], **more: object) -> None:
        self.pending.append((self._clock(), message(event, Privilege="call,all", **headers, **more)))

    # Channels.

    def call(self, device: str, number: str, name: str, of: Chan | None = None) -> Chan:
        at = next(self._numbers)
        uniqueid = f"1795194317.{at}"
        chan = Chan(
            uniqueid=uniqueid,
            channel=f"{device}-{at:08x}",
            linkedid=of.linkedid if of else uniqueid,
            state="0" if of else "4",
            number=number,
            name=name,
            born=self._clock(),
        )
        self.channels[uniqueid] = chan
        self._tell("Newchannel", chan.headers())
        return chan

    def dial(self, caller: Chan, device: str, application: str = "AppDial") -> Chan:
        callee = self.call(device, caller.exten, "", caller)
        callee.application, callee.data, callee.callee = application, "(Outgoing Line)", True
        self._tell("NewCallerid", callee.headers(), CID_CallingPres="0 (Presentation Allowed, Not Screened)")
        self.connected_line(callee, caller.number, caller.name)
        self._tell("DialBegin", caller.headers() | callee.headers("Dest"), DialString="204")
        return callee

    def connected_line(self, chan: Chan, number: str, name: str) -> None:
        chan.with_number, chan.with_name = number, name
        self._tell("NewConnectedLine", chan.headers())

    def account(self, chan: Chan, code: str) -> None:
        old, chan.account = chan.account, code
        self._tell("NewAccountCode", chan.headers(), OldAccountCode=old)

    def state(self, chan: Chan, state: str) -> None:
        chan.state = state
        self._tell("Newstate", chan.headers())

    def rename(self, chan: Chan) -> None:
        old, chan.channel = chan.channel, f"{chan.channel.partition('-')[0]}-{next(self._numbers):08x}"
        self._tell("Rename", {"Channel": old, "Newname": chan.channel, "Uniqueid": chan.uniqueid})

    def bridge(self, *chans: Chan) -> None:
        bridge = f"bridge-{next(self._numbers)}"
        for chan in chans:
            self.unbridge(chan)
            chan.bridge = bridge
            # All in it are the oldest call from now on, which is told of who enters alone.
            within = [one for one in self.channels.values() if one.bridge == bridge]
            oldest = min((one.linkedid for one in within), key=lambda one: [int(part) for part in one.split(".")])
            for one in within:
                one.linkedid = oldest
            self._tell("BridgeEnter", {"BridgeUniqueid": bridge, "BridgeType": "basic"} | chan.headers())

    def unbridge(self, chan: Chan) -> None:
        if chan.bridge:
            self._tell("BridgeLeave", {"BridgeUniqueid": chan.bridge, "BridgeType": "basic"} | chan.headers())
            chan.bridge = ""

    def hang_up(self, chan: Chan) -> None:
        for caller in self._callers(chan):
            self._tell("QueueCallerAbandon", chan.headers(), Queue=caller.queue, Position=1, HoldTime=1)
            self._leaves(caller)
        self.unbridge(chan)
        del self.channels[chan.uniqueid]
        self.lingering[chan.uniqueid] = self._clock(), chan
        self._tell("Hangup", chan.headers(), Cause=16, Cause_txt="Normal Clearing")
        # Asterisk learns of it by this very event, so it comes behind.
        for caller in list(self.talking.values()):
            if caller.agent is chan or caller.chan is chan:
                self._complete(caller)

    # Queues.

    def _callers(self, chan: Chan) -> list[Caller]:
        return [caller for queue in self.waiting.values() for caller in queue if caller.chan is chan]

    def talks(self, chan: Chan) -> bool:
        """Whether it is a caller or an agent in a queue's conversation."""
        return any(chan in (caller.chan, caller.agent) for caller in self.talking.values())

    def free(self, chan: Chan) -> bool:
        """Whether it may join a queue."""
        return not chan.callee and self.idle(chan)

    def idle(self, chan: Chan) -> bool:
        return not self.talks(chan) and not self._callers(chan)

    def join(self, chan: Chan, queue: str, position: int = 2**31) -> Caller:
        self.unbridge(chan)
        chan.application, chan.data = "Queue", f"{queue},,,,30"
        caller = Caller(chan=chan, queue=queue, joined=self._clock(), number=next(self._numbers))
        self.waiting[queue].insert(position - 1, caller)
        self.joins[chan.uniqueid] += 1
        count = len(self.waiting[queue])
        self._tell("QueueCallerJoin", chan.headers(), Queue=queue, Position=min(position, count), Count=count)
        return caller

    def _leaves(self, caller: Caller) -> None:
        self.waiting[caller.queue].remove(caller)
        self._tell("QueueCallerLeave", caller.chan.headers(), Queue=caller.queue, Position=1, Count=0)

    def put_in_place(self, caller: Caller, chan: Chan) -> None:
        """An attended transfer into the queue, by who waits there: of who waits from now on, no event tells."""
        gone, caller.chan = caller.chan, chan
        self.unbridge(chan)
        chan.application, chan.data = gone.application, gone.data
        del self.channels[gone.uniqueid]
        self._tell("Hangup", gone.headers(), Cause=16, Cause_txt="Normal Clearing")

    def optimize(self, source: Chan, near: Chan, far: Chan) -> None:
        """The Local channel of these halves goes: ``source``, which talks to one, takes the place of the other."""
        one, two = sorted((near, far), key=list(self.channels.values()).index)
        told = source.headers("Source") | one.headers("LocalOne") | two.headers("LocalTwo")
        self._tell("LocalOptimizationBegin", told, DestUniqueId=two.uniqueid, Id=0)
        bridge = far.bridge
        self.unbridge(source)
        self.unbridge(far)
        source.bridge = bridge
        self._tell("BridgeEnter", {"BridgeUniqueid": bridge, "BridgeType": "basic"} | source.headers())
        for caller in list(self.talking.values()):
            if caller.chan is far:
                self.talking[source.uniqueid] = self.talking.pop(far.uniqueid)
                caller.chan = source
            if caller.agent is far:
                caller.agent = source
        self.unbridge(near)
        for half in (one, two):
            del self.channels[half.uniqueid]
            self._tell("Hangup", half.headers(), Cause=16, Cause_txt="Normal Clearing")

    def taken_out(self, caller: Caller, by: Chan) -> None:
        """AMI's Bridge takes a caller who waits, of which that they have a bridge is all it tells."""
        self.waiting[caller.queue].remove(caller)
        self.bridge(caller.chan, by)

    def gives_up(self, caller: Caller) -> None:
        """It is told to go on in the dialplan."""
        self._leaves(caller)
        caller.chan.application, caller.chan.data = "Playback", "sorry"

    def connect(self, caller: Caller, device: str, member: str) -> None:
        """An agent answers. `joined_by_bridge` comes behind."""
        agent = self.dial(caller.chan, device, "AppQueue")
        self.state(agent, "5")
        self.state(agent, "6")
        self._leaves(caller)
        caller.agent, caller.held = agent, int(self._clock() - caller.joined)
        self.talking[caller.chan.uniqueid] = caller
        both = caller.chan.headers() | agent.headers("Dest")
        more = {"Queue": caller.queue, "Interface": device, "MemberName": member, "HoldTime": caller.held}
        self._tell("AgentConnect", both | more, RingTime=1)

    def half_connected(self) -> list[Caller]:
        return [caller for caller in self.talking.values() if not caller.chan.bridge]

    def joined_by_bridge(self, caller: Caller) -> None:
        assert caller.agent
        self.bridge(caller.chan, caller.agent)

    def _complete(self, caller: Caller) -> None:
        assert caller.agent
        del self.talking[caller.chan.uniqueid]
        both = caller.chan.headers() | caller.agent.headers("Dest")
        self._tell("AgentComplete", both, Queue=caller.queue, HoldTime=1, TalkTime=3, Reason="caller")
        if caller.chan.uniqueid in self.channels:
            self.unbridge(caller.chan)
            caller.chan.application, caller.chan.data = "Playback", "thanks"

    def member(self, queue: str, interface: str, name: str, status: str, paused: str) -> None:
        event = "QueueMemberStatus" if (queue, interface) in self.members else "QueueMemberAdded"
        self.members[queue, interface] = name, status, paused
        told = {"Queue": queue, "MemberName": name, "Interface": interface, "Status": status, "Paused": paused}
        self._tell(event, dict(told), PausedReason="")

    def no_member(self, queue: str, interface: str) -> None:
        if found := self.members.pop((queue, interface), None):
            self._tell("QueueMemberRemoved", {"Queue": queue, "MemberName": found[0], "Interface": interface})

    def queued(self) -> set[str]:
        """Who waits or talks to an agent."""
        return {one.chan.uniqueid for queue in self.waiting.values() for one in queue} | self.talking.keys()

    # What is asked of it.

    def core_show_channels(self) -> list[bytes]:
        """As Asterisk writes it, without ActionID and without what is around it."""
        lingering = [chan for at, chan in self.lingering.values() if self._clock() - at < LINGERS]
        return [message("CoreShowChannel", **self._listed(chan)) for chan in [*self.channels.values(), *lingering]]

    def _listed(self, chan: Chan) -> dict[str, object]:
        minutes, seconds = divmod(int(self._clock() - chan.born), 60)
        return chan.headers() | {
            "Application": chan.application,
            "ApplicationData": chan.data,
            "Duration": f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}",
            "BridgeId": chan.bridge,
        }

    def queue_status(self) -> list[bytes]:
        return list(self._queue_status())

    def _queue_status(self) -> Iterator[bytes]:
        # Both times are whole seconds.
        now = int(self._clock())
        for queue, callers in self.waiting.items():
            yield message("QueueParams", Queue=queue, Calls=len(callers))
            for (of, interface), (name, status, paused) in self.members.items():
                if of == queue:
                    yield message(
                        "QueueMember",
                        Queue=queue,
                        Name=name,
                        Location=interface,
                        StateInterface=interface,
                        Status=status,
                        Paused=paused,
                        PausedReason="",
                    )
            for position, caller in enumerate(callers, 1):
                chan = caller.chan
                yield message(
                    "QueueEntry",
                    Queue=queue,
                    Position=position,
                    Channel=chan.channel,
                    Uniqueid=chan.uniqueid,
                    CallerIDNum=chan.number or "unknown",
                    CallerIDName=chan.name or "unknown",
                    ConnectedLineNum="unknown",
                    Wait=now - int(caller.joined),
                    Priority=0,
                )

    # What is true.

    def truth(self) -> Truth:
        """In the words of `board_wire.shown`."""
        return {
            "channels": {
                chan.uniqueid: (
                    *(chan.channel, WORDS[chan.state], chan.number, chan.name, chan.with_number, chan.with_name),
                    *(chan.account, chan.exten, chan.bridge, chan.linkedid, chan.callee),
                )
                for chan in self.channels.values()
            },
            "waiting": {
                queue: [one.chan.uniqueid for one in callers] for queue, callers in self.waiting.items() if callers
            },
            "connected": {
                one.chan.uniqueid: (one.queue, one.agent.channel.rpartition("-")[0])
                for one in self.talking.values()
                if one.agent
            },
            "members": {key: (name, status, paused == "1") for key, (name, status, paused) in self.members.items()},
        }
