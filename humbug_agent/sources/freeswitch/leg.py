"""What all ways of FreeSWITCH's call records share: a leg, and the call that it is.

A record is one leg. Its uuid is the call's identity, so whichever ways tell of it, it is one call.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from humbug_agent.cdr import CDR, Direction, Disposition, digest
from humbug_agent.sources.zone_watch import ZoneWatch

NORMAL = "NORMAL_CLEARING"

REMEMBERED = 10_000
"""Legs whose uuids are remembered."""

ZONE_HINT = "is timezone (of this source, else of [agent]) that of FreeSWITCH?"
"""What to do where times are hours away from what they should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Text is as FreeSWITCH has it, decoded; times are aware, ``answer`` None for a leg that nobody answered.

    ``b_leg`` says whether another leg originated it, None where the record does not tell. ``agent_side`` is a queue's
    attempt to reach an agent. ``originated``, ``bridged`` and ``dialstatus`` are what became of the other leg:
    originate_disposition, last_bridge_hangup_cause, DIALSTATUS. ``sip_status`` is sip_term_status. ``shown`` is the
    start again as FreeSWITCH's clock showed it, read as the configured zone's; None where ``start`` was made of it.
    """

    uuid: str
    name: str = ""
    number: str = ""
    destination: str = ""
    context: str = ""
    start: datetime
    answer: datetime | None
    end: datetime
    duration: int
    billsec: int
    cause: str
    originated: str = ""
    bridged: str = ""
    dialstatus: str = ""
    sip_status: str = ""
    b_leg: bool | None = None
    agent_side: bool = False
    direction: str = ""
    channel: str = ""
    dstchannel: str = ""
    lastapp: str = ""
    lastdata: str = ""
    accountcode: str = ""
    userfield: str = ""
    linkedid: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    shown: datetime | None = None


def call(leg: Leg) -> CDR:
    """The leg as a call record. ``extra`` has its hangup_cause, too."""
    return CDR(
        identity=digest("freeswitch", leg.uuid),
        src=leg.number,
        dst=leg.destination,
        dcontext=leg.context,
        clid=f'"{leg.name}" <{leg.number}>' if leg.name else f"<{leg.number}>",
        channel=leg.channel,
        dstchannel=leg.dstchannel,
        lastapp=leg.lastapp,
        lastdata=leg.lastdata,
        start=leg.start,
        answer=leg.answer,
        end=leg.end,
        duration=leg.duration,
        billsec=leg.billsec,
        disposition=disposition(leg),
        direction=_DIRECTIONS.get(leg.direction, Direction.UNKNOWN),
        accountcode=leg.accountcode,
        uniqueid=leg.uuid,
        userfield=leg.userfield,
        linkedid=leg.linkedid,
        extra={**leg.extra, "hangup_cause": leg.cause},
    )


class Uuids:
    """The legs that were told lately, by their uuids: one of them may be used again, by who sets origination_uuid.

    Two legs of one uuid that began in other seconds and went to other numbers are two calls. As the uuid is a leg's
    identity, whichever way tells of it, the second one can't be a call of its own; so it is said that it is none.
    """

    def __init__(self) -> None:
        self._told: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def add(self, leg: Leg) -> None:
        """Raises ValueError where the uuid is another leg's."""
        start, destination = self._told.setdefault(leg.uuid, (int(leg.start.timestamp()), leg.destination))
        if start != int(leg.start.timestamp()) and destination != leg.destination:
            raise ValueError(
                f"its uuid was used before, by a call to another number that began at another time: FreeSWITCH's uuids "
                f"are what calls are known by. Who sets origination_uuid to {leg.uuid[:80]!r} again and again?"
            )
        self._told.move_to_end(leg.uuid)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def look(watch: ZoneWatch, leg: Leg) -> None:
    """Let ``watch`` notice a zone that is not FreeSWITCH's."""
    if leg.shown:
        watch.is_at(leg.shown.timestamp(), leg.start.timestamp())


def wanted(leg: Leg, legs: str, *, drop_doubles: bool) -> bool:
    """Whether agent.ini's ``legs`` (a, b, ab) and ``drop_doubles`` let it through.

    A leg that does not tell which it is counts as an A leg: by default FreeSWITCH writes no others.
    """
    return ("b" if leg.b_leg else "a") in legs and not (drop_doubles and _double(leg))


def disposition(leg: Leg) -> Disposition:
    """Answered is what has an answer time. A ring that nobody answered ends as NORMAL_CLEARING on the caller's leg."""
    if leg.answer:
        return Disposition.ANSWERED
    cause = leg.cause
    if cause == NORMAL:
        told = (leg.originated, leg.bridged, _DIALSTATUS.get(leg.dialstatus, leg.dialstatus))
        cause = next((one for one in told if one and one not in ("SUCCESS", NORMAL)), NORMAL)
    if cause == "CALL_REJECTED" and leg.sip_status == "403":
        return Disposition.FAILED
    return _DISPOSITIONS.get(cause, Disposition.FAILED)


def _double(leg: Leg) -> bool:
    """What no bill would have: a loopback's far half, a queue's attempt, a phone that another one was faster than."""
    loopback = leg.channel.startswith("loopback/") and leg.channel.endswith("-b")
    return loopback or leg.agent_side or (leg.cause == "LOSE_RACE" and leg.answer is None)


_DIRECTIONS = {"inbound": Direction.INBOUND, "outbound": Direction.OUTBOUND, "local": Direction.INTERNAL}
"""FusionPBX's call_direction. FreeSWITCH's own direction only says which way the leg goes through the switch."""

_DIALSTATUS = {"NOANSWER": "NO_ANSWER", "BUSY": "USER_BUSY", "CANCEL": "ORIGINATOR_CANCEL"}

_DISPOSITIONS = {
    **dict.fromkeys(
        (
            "NO_ANSWER", "NO_USER_RESPONSE", "SUBSCRIBER_ABSENT", NORMAL, "NORMAL_UNSPECIFIED", "ALLOTTED_TIMEOUT",
            "PROGRESS_TIMEOUT", "NO_PICKUP", "RECOVERY_ON_TIMER_EXPIRE", "USER_NOT_REGISTERED", "MEDIA_TIMEOUT",
        ),
        Disposition.NO_ANSWER,
    ),
    **dict.fromkeys(("USER_BUSY", "BUSY_EVERYWHERE", "CALL_REJECTED", "DECLINE", "REJECT_ALL"), Disposition.BUSY),
    **dict.fromkeys(
        (
            "ORIGINATOR_CANCEL", "LOSE_RACE", "PICKED_OFF", "BLIND_TRANSFER", "ATTENDED_TRANSFER", "MANAGER_REQUEST",
        ),
        Disposition.CANCEL,
    ),
    **dict.fromkeys(
        (
            "NORMAL_CIRCUIT_CONGESTION", "SWITCH_CONGESTION", "REQUESTED_CHAN_UNAVAIL", "NORMAL_TEMPORARY_FAILURE",
            "NETWORK_OUT_OF_ORDER", "PRE_EMPTED", "ACCESS_INFO_DISCARDED", "GATEWAY_DOWN",
        ),
        Disposition.CONGESTION,
    ),
}  # fmt: skip
"""The causes of an unanswered leg; all others are FAILED."""
