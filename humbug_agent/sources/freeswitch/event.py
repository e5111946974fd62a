"""What a CHANNEL_HANGUP_COMPLETE event says about a leg: the same facts as its document, by other names."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from humbug_agent.esl.event import Event, name
from humbug_agent.sources.freeswitch.documents import EXTRA, EXTRA_PROFILE
from humbug_agent.sources.freeswitch.leg import Leg

HANGUP = "CHANNEL_HANGUP_COMPLETE"

_PROFILE = {
    "network_addr": "Caller-Network-Addr",
    "ani": "Caller-ANI",
    "rdnis": "Caller-RDNIS",
    "source": "Caller-Source",
}
"""What a document's caller_profile has -> the header."""

_TIMES = {"start": "Created", "answer": "Answered", "end": "Hangup"}

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def leg(body: bytes, zone: tzinfo) -> Leg | None:
    """The leg that an event tells of, None where the dialplan wants no record of it. Raises ValueError."""
    if name(body) != HANGUP:
        raise ValueError(f"it is no {HANGUP} event")
    said = Event(body)

    def variable(header: str) -> str:
        return said(f"variable_{header}")

    uuid = variable("uuid") or said("Unique-ID")
    cause = variable("hangup_cause") or said("Hangup-Cause")
    if not uuid or not cause:
        raise ValueError(f"it has no {'hangup_cause' if uuid else 'Unique-ID'}")
    if "Caller-Destination-Number" not in said.headers:
        raise ValueError("it has no Caller-Destination-Number, so it does not tell who called whom")
    originator = variable("originating_leg_uuid")
    if _opted_out(variable, cause, b_leg=bool(originator)):
        return None
    start, answer, end = (_moment(said, which, zone) for which in _TIMES)
    if not start or not end:
        raise ValueError(f"it has no time of its {'end' if start else 'start'}")
    return Leg(
        uuid=uuid,
        name=said("Caller-Caller-ID-Name"),
        number=said("Caller-Caller-ID-Number"),
        destination=said("Caller-Destination-Number"),
        context=said("Caller-Context"),
        start=start,
        answer=answer,
        end=end,
        duration=_seconds(variable("duration"), start, end),
        billsec=_seconds(variable("billsec"), answer, end),
        cause=cause,
        originated=variable("originate_disposition"),
        bridged=variable("last_bridge_hangup_cause"),
        dialstatus=variable("DIALSTATUS"),
        sip_status=variable("sip_term_status") or variable("last_bridge_proto_specific_hangup_cause")[4:],
        b_leg=bool(originator),
        agent_side=variable("cc_side") == "agent",
        direction=variable("call_direction"),
        channel=variable("channel_name") or said("Channel-Name"),
        dstchannel=variable("bridge_channel"),
        lastapp=variable("last_app"),
        lastdata=variable("last_arg"),
        accountcode=variable("accountcode"),
        userfield=variable("userfield"),
        linkedid=originator or variable("cc_member_session_uuid") or uuid,
        extra=_extra(said),
    )


def _opted_out(variable: Callable[[str], str], cause: str, *, b_leg: bool) -> bool:
    """What FreeSWITCH's own CDR modules heed, and its events don't."""
    process = variable("process_cdr").lower()
    if process in ("a_only", "b_only"):
        return b_leg == (process == "a_only")
    return process in ("false", "no", "off", "0") or cause in re.split("[|,]", variable("skip_cdr_causes"))


def _moment(said: Event, which: str, zone: tzinfo) -> datetime | None:
    """By what is most exact. None for what never happened."""
    for header, fraction in (
        (f"variable_{which}_uepoch", 1_000_000),
        (f"variable_{which}_epoch", 1),
        (f"Caller-Channel-{_TIMES[which]}-Time", 1_000_000),
    ):
        if value := said(header):
            seconds, rest = divmod(_whole(header, value), fraction)
            return _at(seconds, rest, zone) if seconds > 0 else None
    stamp = said(f"variable_{which}_stamp")
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone) if stamp else None


def _at(seconds: int, microseconds: int, zone: tzinfo) -> datetime:
    try:
        return (datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)).astimezone(zone)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{seconds} seconds since the epoch are no time") from error


def _whole(header: str, value: str) -> int:
    if not _WHOLE.fullmatch(value):
        raise ValueError(f"its {header} is {value[:40]!r}, which is no whole number")
    return int(value)


def _seconds(value: str, begin: datetime | None, end: datetime) -> int:
    """FreeSWITCH subtracts whole seconds."""
    if value:
        return _whole("duration", value)
    return int(end.timestamp()) - int(begin.timestamp()) if begin else 0


def _extra(said: Event) -> dict[str, str]:
    found = {one: said(f"variable_{one}") for one in EXTRA}
    found |= {one: said(header) for one, header in _PROFILE.items() if one in EXTRA_PROFILE}
    found["switchname"] = said("FreeSWITCH-Switchname")
    return {one: value for one, value in found.items() if value}
