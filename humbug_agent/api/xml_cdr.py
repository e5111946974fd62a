"""A stored call as a row of FusionPBX's v_xml_cdr, the way its billing API shows it."""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from math import floor
from typing import Any

from humbug_agent.api.calls import StoredCall
from humbug_agent.cdr import Direction, Disposition

_NAMED = re.compile(r'"(.*)" *(?:<.*>)? *')

_DIRECTIONS = {
    Direction.INBOUND.value: "inbound",
    Direction.OUTBOUND.value: "outbound",
    Direction.INTERNAL.value: "local",
}

_CAUSES = {
    Disposition.ANSWERED.value: "NORMAL_CLEARING",
    Disposition.NO_ANSWER.value: "NO_ANSWER",
    Disposition.BUSY.value: "USER_BUSY",
    Disposition.CANCEL.value: "ORIGINATOR_CANCEL",
    Disposition.CONGESTION.value: "NORMAL_CIRCUIT_CONGESTION",
    Disposition.FAILED.value: "INTERWORKING",
    Disposition.ERROR.value: "INTERWORKING",
}
"""How FreeSWITCH says what Asterisk has a disposition for. INTERWORKING says that nothing more is known."""


def _whole(said: str) -> int | str:
    return int(said) if re.fullmatch(r"-?[0-9]{1,18}", said) else said


def _decimal(said: str) -> float | str:
    return float(said) if re.fullmatch(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?", said) else said


def _flag(said: str) -> bool | str:
    return {"1": True, "true": True, "0": False, "false": False}.get(said, said)


_KINDS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("mduration", "billmsec", "pdd_ms", "waitsec"), _whole),
    "rtp_audio_in_mos": _decimal,
    **dict.fromkeys(("voicemail_message", "missed_call"), _flag),
}
"""What the page has as other than text. What can't be such is told as it was said."""

PAGE = (
    "xml_cdr_uuid", "domain_uuid", "extension_uuid", "sip_call_id", "domain_name", "accountcode", "direction",
    "default_language", "context", "caller_id_name", "caller_id_number", "caller_destination", "source_number",
    "destination_number", "start_epoch", "start_stamp", "answer_stamp", "answer_epoch", "end_epoch", "end_stamp",
    "duration", "mduration", "billsec", "billmsec", "bridge_uuid", "read_codec", "read_rate", "write_codec",
    "write_rate", "remote_media_ip", "network_addr", "record_path", "record_name", "leg", "originating_leg_uuid",
    "pdd_ms", "rtp_audio_in_mos", "last_app", "last_arg", "voicemail_message", "missed_call",
    "call_center_queue_uuid", "cc_side", "cc_member_uuid", "cc_queue_joined_epoch", "cc_queue",
    "cc_member_session_uuid", "cc_agent_uuid", "cc_agent", "cc_agent_type", "cc_agent_bridged",
    "cc_queue_answered_epoch", "cc_queue_terminated_epoch", "cc_queue_canceled_epoch", "cc_cancel_reason", "cc_cause",
    "waitsec", "conference_name", "conference_uuid", "conference_member_id", "digits_dialed", "pin_number",
    "hangup_cause", "hangup_cause_q850", "sip_hangup_disposition", "xml",
)  # fmt: skip
"""The fields of the page, in its order."""


def row(call: StoredCall) -> dict[str, Any]:
    """null is what the PBX did not say. ``xml`` always is: that document has passwords in it, and is not stored."""
    flat, extra, zone = call.flat, call.extra, call.zone
    said = {name: _KINDS.get(name, str)(extra[name]) for name in PAGE if extra.get(name)}
    own = {
        "xml_cdr_uuid": _uuid(call),
        "accountcode": flat.accountcode,
        "direction": _DIRECTIONS.get(flat.direction) or extra.get("direction"),
        "context": flat.dcontext,
        "caller_id_name": name[1] if (name := _NAMED.fullmatch(flat.clid)) else "",
        "caller_id_number": flat.src,
        "destination_number": flat.dst,
        "start_epoch": str(floor(flat.start)),
        "start_stamp": _stamp(call.start, flat.start, flat.start_offset, zone),
        "answer_stamp": flat.answer and call.answer and _stamp(call.answer, flat.answer, flat.answer_offset, zone),
        "answer_epoch": str(floor(flat.answer or 0)),
        "end_epoch": str(floor(flat.end)),
        "end_stamp": _stamp(call.end, flat.end, flat.end_offset, zone),
        "duration": flat.duration,
        "billsec": flat.billsec,
        "originating_leg_uuid": _other_leg(call),
        "last_app": flat.lastapp,
        "last_arg": flat.lastdata,
        "hangup_cause": extra.get("hangup_cause") or _CAUSES[flat.disposition],
    }
    found = {**dict.fromkeys(PAGE), **said, **own, "xml": None}
    return {name: None if value == "" else value for name, value in found.items()}


def _uuid(call: StoredCall) -> str:
    """FreeSWITCH's own; of another PBX's call one that is made of its identity, which no other call has."""
    try:
        if str(uuid.UUID(call.flat.uniqueid)) == call.flat.uniqueid.lower():
            return call.flat.uniqueid
    except ValueError:
        pass
    return str(uuid.UUID(bytes=call.flat.identity))


def _other_leg(call: StoredCall) -> str | None:
    """What it is linked to, where that is another leg and no queue's session, which has a field of its own."""
    linked = call.flat.linkedid
    if linked in (call.flat.uniqueid, call.extra.get("cc_member_session_uuid")):
        return call.extra.get("originating_leg_uuid")
    return linked


def _stamp(shown: str, seconds: float, offset: int | None, zone: tzinfo) -> str:
    """As PostgreSQL shows it: ``2024-04-30 13:46:14+10``, with minutes where the offset has some."""
    if offset is None:
        shift = datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
        offset = round(shift.total_seconds()) if shift else 0
    sign, minutes = "-" if offset < 0 else "+", abs(offset) // 60
    return f"{shown}{sign}{minutes // 60:02}" + (f":{minutes % 60:02}" if minutes % 60 else "")
