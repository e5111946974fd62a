"""The leg that a document tells of, or an event, which holds the same by other names."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from humbug_agent.sources.freeswitch.forms import Document
from humbug_agent.sources.freeswitch.leg import Leg

EXTRA = (
    "hangup_cause_q850", "sip_hangup_disposition", "sip_term_status", "originate_disposition",
    "originate_failed_cause", "last_bridge_hangup_cause", "DIALSTATUS", "direction", "originating_leg_uuid",
    "bridge_uuid", "read_codec", "write_codec", "mduration", "billmsec", "waitmsec", "hold_accum_seconds",
    "sip_call_id", "sip_user_agent", "sip_gateway_name", "domain_name", "record_path", "record_name", "cc_queue",
    "cc_side", "cc_agent", "cc_cause", "cc_cancel_reason", "cc_queue_joined_epoch", "cc_queue_answered_epoch",
    "cc_member_session_uuid", "last_sent_callee_id_name", "last_sent_callee_id_number",
)  # fmt: skip
"""The variables that go into ``extra``. A document has some hundred and fifty."""

EXTRA_PROFILE = ("network_addr", "ani", "rdnis", "source")

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_STAMP = "%Y-%m-%d %H:%M:%S"


def made(document: Document, zone: tzinfo) -> Leg:
    """``document``'s values are decoded. ``zone`` is FreeSWITCH's, for what has no epochs.

    Raises ValueError, which says what is wrong with it.
    """
    variables, profile = document.variables, document.profile
    uuid = variables.get("uuid") or profile.get("uuid", "")
    cause = variables.get("hangup_cause", "")
    if not uuid or not cause:
        raise ValueError(f"has no {'hangup_cause' if uuid else 'uuid'}")
    times = _Times(variables, document.times, zone)
    start, answer, end = times.at("start", "created"), times.at("answer", "answered"), times.at("end", "hangup")
    if not start or not end:
        raise ValueError(f"has no time of its {'end' if start else 'start'}")
    originator = variables.get("originating_leg_uuid", "")
    bridge_sip = variables.get("last_bridge_proto_specific_hangup_cause", "")
    return Leg(
        uuid=uuid,
        name=profile.get("caller_id_name", ""),
        number=profile.get("caller_id_number", ""),
        destination=profile.get("destination_number", ""),
        context=profile.get("context", ""),
        start=start,
        answer=answer,
        end=end,
        duration=_seconds(variables.get("duration"), start, end),
        billsec=_seconds(variables.get("billsec"), answer, end),
        cause=cause,
        originated=variables.get("originate_disposition", ""),
        bridged=variables.get("last_bridge_hangup_cause", ""),
        dialstatus=variables.get("DIALSTATUS", ""),
        sip_status=variables.get("sip_term_status") or bridge_sip.removeprefix("sip:"),
        b_leg=bool(originator),
        agent_side=variables.get("cc_side") == "agent",
        direction=variables.get("call_direction", ""),
        channel=variables.get("channel_name") or profile.get("chan_name", ""),
        dstchannel=variables.get("bridge_channel", ""),
        lastapp=variables.get("last_app", ""),
        lastdata=variables.get("last_arg", ""),
        accountcode=variables.get("accountcode", ""),
        userfield=variables.get("userfield", ""),
        linkedid=originator or variables.get("cc_member_session_uuid") or uuid,
        extra=_extra(document),
        shown=times.shown("start"),
    )


class _Times:
    """Of a leg, by what is most exact: microseconds since the epoch, seconds, then local time."""

    def __init__(self, variables: Mapping[str, str], times: Mapping[str, str], zone: tzinfo) -> None:
        self._variables = variables
        self._times = times
        self._zone = zone

    def at(self, name: str, event: str) -> datetime | None:
        """None: it never happened. Raises ValueError."""
        for said, fraction in (
            (self._variables.get(f"{name}_uepoch"), 1_000_000),
            (self._variables.get(f"{name}_epoch"), 1),
            (self._times.get(f"{event}_time"), 1_000_000),
        ):
            if said:
                return self._moment(_whole(f"{name} time", said), fraction)
        stamp = self._variables.get(f"{name}_stamp")
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=self._zone) if stamp else None

    def shown(self, name: str) -> datetime | None:
        """The same as FreeSWITCH's clock showed it; None where that is not said, or not understood."""
        try:
            return datetime.strptime(self._variables.get(f"{name}_stamp", ""), _STAMP).replace(tzinfo=self._zone)
        except ValueError:
            return None

    def _moment(self, count: int, fraction: int) -> datetime | None:
        if count <= 0:
            return None
        seconds, rest = divmod(count, fraction)
        try:
            moment = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ValueError(f"{seconds} seconds since the epoch are no time") from error
        return (moment + timedelta(microseconds=rest)).astimezone(self._zone)


def _whole(name: str, said: str) -> int:
    if not _WHOLE.fullmatch(said):
        raise ValueError(f"{name} is {said[:40]!r}, which is no whole number")
    return int(said)


def _seconds(said: str | None, begin: datetime | None, end: datetime) -> int:
    """FreeSWITCH subtracts whole seconds."""
    if said:
        return _whole("a duration", said)
    return int(end.timestamp()) - int(begin.timestamp()) if begin else 0


def _extra(document: Document) -> dict[str, str]:
    variables = document.variables
    kept = {name: variables[name] for name in EXTRA if variables.get(name)}
    kept |= {name: document.profile[name] for name in EXTRA_PROFILE if document.profile.get(name)}
    return kept | ({"switchname": document.switchname} if document.switchname else {})
