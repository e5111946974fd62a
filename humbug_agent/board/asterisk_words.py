"""The headers of AMI's channel and queue messages -> what the board knows.

Source of the formats: recorded from Asterisk 16 and 22. Text in channel events and lists is escaped as in C, in a
QueueEntry it is not.
"""

from collections.abc import Iterable

from humbug_agent.board.device import device_names
from humbug_agent.board.model import Channel, Figures, Member, QueueCall, State
from humbug_agent.listening.ami.headers import Headers, number

QUEUES_OWN = "AppQueue"
"""The application of a channel that a queue called, also by way of who picks that call up."""

CALLED = ("AppDial", "AppDial2", QUEUES_OWN)
"""The application of a channel that was called by another one."""

_STATES = {
    "2": State.RING,  # off hook
    "3": State.RING,  # dialling
    "4": State.RING,
    "5": State.RINGING,
    "6": State.UP,
    "7": State.UP,  # it hears the busy tone
    "8": State.RING,  # dialling while off hook
    "9": State.RINGING,  # about to ring
}

_MEMBER_STATES = {
    "1": "idle",
    "2": "in use",
    "3": "busy",
    "4": "invalid",
    "5": "unavailable",
    "6": "ringing",
    "7": "in use, ringing",
    "8": "on hold",
}


def channel(said: Headers, known: Channel | None, now: float) -> Channel:
    """What a channel event or a CoreShowChannel says; what it doesn't is as ``known``."""
    state = _STATES.get(said("ChannelState"), State.DOWN)
    application = said("Application") or (known.application if known else "")
    return Channel(
        uniqueid=said("Uniqueid"),
        channel=said("Channel"),
        state=state,
        number=said.plain("CallerIDNum"),
        name=said.plain("CallerIDName"),
        with_number=said.plain("ConnectedLineNum"),
        with_name=said.plain("ConnectedLineName"),
        account=said.plain("AccountCode"),
        exten=said.plain("Exten"),
        application=application,
        bridge=said("BridgeId") or said("BridgeUniqueid") or (known.bridge if known else ""),
        linkedid=said("Linkedid"),
        callee=state is State.RINGING or application in CALLED or (known is not None and known.callee),
        since=known.since if known else now - lasted(said),
    )


def queue_call(said: Headers, entered: float) -> QueueCall:
    """Who a queue event is about, as a waiting caller."""
    return QueueCall(
        uniqueid=said("Uniqueid"),
        queue=said("Queue"),
        channel=said("Channel"),
        number=said.plain("CallerIDNum"),
        name=said.plain("CallerIDName"),
        entered=entered,
    )


def member(said: Headers) -> Member:
    """A QueueMember of the list, which calls it Location, or a QueueMember… event."""
    interface, state_interface = said("Interface") or said("Location"), said("StateInterface")
    paused, last_pause = said("Paused") == "1", _moment(said("LastPause"))
    return Member(
        queue=said("Queue"),
        interface=interface,
        name=_named(said("MemberName") or said("Name"), interface, state_interface),
        state=_MEMBER_STATES.get(said("Status"), "unknown"),
        paused=paused,
        reason=said("PausedReason"),
        state_interface=state_interface,
        penalty=said.whole("Penalty"),
        taken=_count(said("CallsTaken")) if said("CallsTaken") else None,
        last_call=_moment(said("LastCall")),
        last_pause=last_pause,
        login=_moment(said("LoginTime")),
        since=last_pause if paused else 0.0,
    )


def figures(said: Headers) -> Figures:
    """A QueueParams."""
    return Figures(
        completed=_count(said("Completed")),
        abandoned=_count(said("Abandoned")),
        hold=_count(said("Holdtime")),
        talk=_count(said("TalkTime")),
        level=_percent(said("ServicelevelPerf")),
        target=said.whole("ServiceLevel"),
    )


def _named(name: str, interface: str, state_interface: str) -> str:
    """Where a member has no name, Asterisk takes its interface. ``Local/1337@from-queue/n`` is nobody: the phone whose
    state it has is, or else 1337.
    """
    if not interface.startswith("Local/") or (name and not name.startswith("Local/")):
        return name
    technology, resource, _ = state_interface.partition("/")
    return state_interface if resource and technology != "Local" else _extension(interface)


def agent_name(members: Iterable[Member], queue: str, device: str, said: str = "") -> str:
    """The name of the member of ``queue`` who is reached at ``device``. ``said`` is what Asterisk calls it."""
    if said and not said.startswith("Local/"):
        return said
    those = sorted(members, key=lambda one: one.queue != queue)
    exact = [one for one in those if device in (one.interface, _without_options(one.interface), one.state_interface)]
    number = device.partition("/")[2]
    called = [one for one in those if one.interface.startswith("Local/") and _extension(one.interface) == number]
    known = next(iter([*exact, *called]), None)
    return known.name if known else _named(said, device, "")


def _without_options(interface: str) -> str:
    """``Local/1337@from-queue`` of ``Local/1337@from-queue/n``, as its channels are called."""
    extension, at, context = interface.partition("@")
    return f"{extension}@{context.partition('/')[0]}" if at and interface.startswith("Local/") else interface


def _extension(local: str) -> str:
    """``1337`` of ``Local/1337@from-queue/n``."""
    return local.removeprefix("Local/").partition("@")[0]


def agent(said: Headers) -> str:
    """TECHNOLOGY/RESOURCE of who takes a queue's call."""
    return device_names(said("DestChannel"))[0] or said("Interface")


def _count(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 11 else 0


def _moment(value: str) -> float:
    """Whole seconds since the epoch; 0 is none."""
    return float(_count(value))


def _percent(value: str) -> float:
    whole, _, tenths = value.partition(".")
    return min(_count(whole) + _count(tenths[:1]) / 10, 100.0)


def lasted(said: Headers) -> int:
    """Seconds since a channel of the list began, which has them as ``00:00:03``; 0 where it is not told."""
    parts = [number(part) for part in said("Duration").split(":")]
    return parts[0] * 3600 + parts[1] * 60 + parts[2] if len(parts) == 3 else 0
