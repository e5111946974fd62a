"""The leg that a document tells of, or an event, which holds the same by other names."""

from datetime import tzinfo

from humbug_agent.sources.freeswitch.forms import Document
from humbug_agent.sources.freeswitch.leg import Leg
from humbug_agent.sources.freeswitch.moments import moments, shown

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


def made(document: Document, zone: tzinfo) -> Leg:
    """``document``'s values are decoded. ``zone`` is FreeSWITCH's, for what has no epochs.

    Raises ValueError, which says what is wrong with it.
    """
    variables, profile = document.variables, document.profile
    uuid = variables.get("uuid") or profile.get("uuid", "")
    cause = variables.get("hangup_cause", "")
    if not uuid or not cause:
        raise ValueError(f"has no {'hangup_cause' if uuid else 'uuid'}")
    when = moments(variables, zone, document.times)
    originator = variables.get("originating_leg_uuid", "")
    bridge_sip = variables.get("last_bridge_proto_specific_hangup_cause", "")
    return Leg(
        uuid=uuid,
        name=profile.get("caller_id_name", ""),
        number=profile.get("caller_id_number", ""),
        destination=profile.get("destination_number", ""),
        context=profile.get("context", ""),
        start=when.start,
        answer=when.answer,
        end=when.end,
        duration=when.duration,
        billsec=when.billsec,
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
        shown=shown(variables.get("start_stamp", ""), zone),
    )


def _extra(document: Document) -> dict[str, str]:
    variables = document.variables
    kept = {name: variables[name] for name in EXTRA if variables.get(name)}
    kept |= {name: document.profile[name] for name in EXTRA_PROFILE if document.profile.get(name)}
    return kept | ({"switchname": document.switchname} if document.switchname else {})
