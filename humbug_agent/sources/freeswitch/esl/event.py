"""What a CHANNEL_HANGUP_COMPLETE event says about a leg: the same facts as its document, by other names."""

import re
from collections.abc import Callable
from datetime import tzinfo

from humbug_agent.listening.esl.event import Event, name
from humbug_agent.sources.freeswitch.document_leg import made
from humbug_agent.sources.freeswitch.forms import Document
from humbug_agent.sources.freeswitch.leg import NORMAL, Leg
from humbug_agent.text import AUTO

HANGUP = "CHANNEL_HANGUP_COMPLETE"

_VARIABLE = "variable_"

_PROFILE = {
    "uuid": "Unique-ID",
    "chan_name": "Channel-Name",
    "caller_id_name": "Caller-Caller-ID-Name",
    "caller_id_number": "Caller-Caller-ID-Number",
    "destination_number": "Caller-Destination-Number",
    "context": "Caller-Context",
    "network_addr": "Caller-Network-Addr",
    "ani": "Caller-ANI",
    "rdnis": "Caller-RDNIS",
    "source": "Caller-Source",
}
_TIMES = {
    "created_time": "Caller-Channel-Created-Time",
    "answered_time": "Caller-Channel-Answered-Time",
    "hangup_time": "Caller-Channel-Hangup-Time",
}
"""What a document's caller_profile and times have -> the header."""


def leg(body: bytes, zone: tzinfo, charset: str = AUTO) -> Leg | None:
    """The leg that an event tells of, None where the dialplan wants no record of it. Raises ValueError."""
    if name(body) != HANGUP:
        raise ValueError(f"it is no {HANGUP} event")
    said = Event(body, charset)
    if "Caller-Destination-Number" not in said.headers:
        raise ValueError("has no Caller-Destination-Number, which says who was called")
    document = _document(said)
    found = made(document, zone)

    def variable(one: str) -> str:
        return document.variables.get(one, "")

    bridged = said("Other-Type") == "originatee"
    return None if _opted_out(variable, found.cause, b_leg=bool(found.b_leg), bridged=bridged) else found


def _document(said: Event) -> Document:
    """As FreeSWITCH's modules would have written it."""
    variables = {one.removeprefix(_VARIABLE): said(one) for one in said.headers if one.startswith(_VARIABLE)}
    variables["hangup_cause"] = variables.get("hangup_cause") or said("Hangup-Cause")
    profile = {one: said(header) for one, header in _PROFILE.items()}
    times = {one: said(header) for one, header in _TIMES.items()}
    return Document(False, variables, profile, times, said("FreeSWITCH-Switchname"))


def _opted_out(variable: Callable[[str], str], cause: str, *, b_leg: bool, bridged: bool) -> bool:
    """What FreeSWITCH heeds before it asks its CDR modules, and its events don't. b_only means all that called nobody.

    Causes above 127 that the dialplan gives by number are not known here, so their calls are told.
    """
    process = variable("process_cdr").lower()
    if process in ("a_only", "b_only"):
        return b_leg if process == "a_only" else bridged
    if process and process not in _TRUE and not (_NUMBER.fullmatch(process) and float(process) >= 1):
        return True
    skipped = {one.strip(" ").upper() for one in variable("skip_cdr_causes").split("|")} - {""}
    # Every cause above 127 has the q850 number of NORMAL_CLEARING.
    number = variable("hangup_cause_q850") if cause == NORMAL or variable("hangup_cause_q850") != "16" else ""
    return bool(skipped & {cause, number})


_TRUE = ("true", "t", "yes", "on", "enabled", "active", "allow")
_NUMBER = re.compile(r"\d+(\.\d*)?")
