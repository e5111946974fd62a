"""A row of Master.csv as the leg, and the call, that it tells of."""

import re
from collections.abc import Container
from dataclasses import replace
from datetime import tzinfo
from urllib.parse import unquote_to_bytes

from humbug_agent.cdr import CDR
from humbug_agent.sources.freeswitch.csv.rows import LegRow
from humbug_agent.sources.freeswitch.csv.template_text import BEGINS, CALLED, CALLERS, LENGTHS, TALKED
from humbug_agent.sources.freeswitch.leg import NORMAL, Leg, call
from humbug_agent.sources.freeswitch.moments import moments
from humbug_agent.text import AUTO, text

_FIELDS = {
    "caller_id_name", "caller_id_number", "destination_number", "context", "accountcode", "uuid", "hangup_cause",
    "duration", "billsec", "caller_id", "channel_name", "bridge_channel", "last_app", "last_arg", "userfield",
    "call_direction", "created_time", "answered_time", "hangup_time",
    *(f"{name}_{kind}" for name in ("start", "answer", "end") for kind in ("stamp", "epoch", "uepoch")),
}  # fmt: skip
"""Columns with a field of their own; the others go to ``extra``."""

_NUMBERS = tuple(name for name in CALLERS if name != "caller_id")
_CALLER_ID = re.compile(rb'"(.*)" <(.*)>', re.DOTALL)


def made(row: LegRow, zone: tzinfo, charset: str = AUTO) -> tuple[Leg, CDR]:
    """The leg, and its call; stamps are the ``zone``'s. Raises ValueError with what is wrong."""
    values = row.values | {name: unquote_to_bytes(row.values[name]) for name in row.template.encoded}
    said = {name: text(value, charset) for name, value in _with_caller(values).items()}
    leg = _leg(said, zone)
    cdr = call(leg)
    if "hangup_cause" not in said:
        cdr = replace(cdr, extra=leg.extra)
    return leg, cdr


def _leg(said: dict[str, str], zone: tzinfo) -> Leg:
    originator = said.get("originating_leg_uuid")
    # opencdrrate does not tell when it began to ring.
    kinds = (
        () if set(BEGINS) & said.keys() or set(LENGTHS) - set(TALKED) & said.keys() else ("stamp", "epoch", "uepoch")
    )
    never = {name for name, value in said.items() if value == "0"}
    begun = {f"start_{kind}": _first(said, f"answer_{kind}", f"end_{kind}", but=never) for kind in kinds}
    when = moments(said | begun, zone, said)
    return Leg(
        uuid=said["uuid"],
        name=said.get("caller_id_name", ""),
        number=_first(said, *_NUMBERS),
        destination=_first(said, *CALLED),
        context=said.get("context", ""),
        start=when.start,
        answer=when.answer,
        end=when.end,
        duration=when.duration,
        billsec=when.billsec,
        # opencdrrate has none. A call of which nothing else is known than that nobody answered it ends like this.
        cause=said.get("hangup_cause", NORMAL),
        originated=said.get("originate_disposition", ""),
        bridged=said.get("last_bridge_hangup_cause", ""),
        dialstatus=said.get("DIALSTATUS", ""),
        sip_status=said.get("sip_term_status", ""),
        b_leg=None if originator is None else bool(originator),
        agent_side=said.get("cc_side") == "agent",
        direction=said.get("call_direction", ""),
        channel=said.get("channel_name", ""),
        dstchannel=said.get("bridge_channel", ""),
        lastapp=said.get("last_app", ""),
        lastdata=said.get("last_arg", ""),
        accountcode=said.get("accountcode", ""),
        userfield=said.get("userfield", ""),
        linkedid="" if originator is None else originator or said["uuid"],
        extra={name: value for name, value in said.items() if value and name not in _FIELDS},
    )


def _with_caller(values: dict[str, bytes]) -> dict[str, bytes]:
    """Of a caller_id, name and number: mod_cdr_csv writes `"name" <number>`, the number alone where there is no name.

    Before it is decoded: a number that is no UTF-8 may be longer as a text of its own.
    """
    caller_id = values.get("caller_id")
    if caller_id is None:
        return values
    number = next((values[name] for name in _NUMBERS if values.get(name)), b"")
    whole = _CALLER_ID.fullmatch(caller_id) if not number else None
    if whole:
        number = whole[2]
    name = b"" if caller_id == (number or caller_id) else caller_id[1 : -len(b'" <%b>' % number)]
    return {"caller_id_name": name, "caller_id_number": number or caller_id, **values}


def _first(said: dict[str, str], *names: str, but: Container[str] = ()) -> str:
    """What the first says that says anything."""
    return next((said[name] for name in names if said.get(name) and name not in but), "")
