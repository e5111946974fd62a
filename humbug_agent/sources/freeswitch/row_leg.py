"""A row of Master.csv as the leg, and the call, that it tells of."""

from dataclasses import replace
from datetime import tzinfo
from urllib.parse import unquote_to_bytes

from humbug_agent.cdr import CDR
from humbug_agent.sources.freeswitch.leg import NORMAL, Leg, call
from humbug_agent.sources.freeswitch.moments import moments
from humbug_agent.sources.freeswitch.rows import Row
from humbug_agent.text import AUTO, text

_ENCODED = ("caller_id_name", "caller_id_number", "destination_number", "context", "accountcode")
"""What our template has through url_encode."""

_FIELDS = {
    *_ENCODED, "uuid", "hangup_cause", "duration", "billsec", "start_stamp", "answer_stamp", "end_stamp",
    "start_uepoch", "answer_uepoch", "end_uepoch", "caller_id", "channel_name", "bridge_channel", "last_app",
    "last_arg", "userfield",
}  # fmt: skip
"""Columns with a field of their own; the others go to ``extra``."""

_STARTS = {"start_stamp", "start_epoch", "start_uepoch"}


def made(row: Row, zone: tzinfo, charset: str = AUTO) -> tuple[Leg, CDR]:
    """The leg, and its call; stamps are the ``zone``'s. Raises ValueError with what is wrong."""
    values = row.values
    if row.template.name == "safe":
        values = values | {name: unquote_to_bytes(values[name]) for name in _ENCODED}
    if "caller_id" in values:
        # Before it is decoded: a number that is no UTF-8 may be longer as a text of its own.
        values = values | {"caller_id": _name(values["caller_id"], values["caller_id_number"])}
    said = {name: text(value, charset) for name, value in values.items()}
    leg = _leg(said, zone)
    cdr = call(leg)
    if "hangup_cause" not in said:
        cdr = replace(cdr, extra=leg.extra)
    return leg, cdr


def _leg(said: dict[str, str], zone: tzinfo) -> Leg:
    number = said.get("caller_id_number", said.get("ani", ""))
    originator = said.get("originating_leg_uuid")
    # opencdrrate does not tell when it began to ring.
    begun = {} if _STARTS & said.keys() else {"start_stamp": said.get("answer_stamp") or said["end_stamp"]}
    when = moments(said | begun, zone)
    return Leg(
        uuid=said["uuid"],
        name=said.get("caller_id_name", said.get("caller_id", "")),
        number=number,
        destination=said["destination_number"],
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
        b_leg=None if originator is None else bool(originator),
        channel=said.get("channel_name", ""),
        dstchannel=said.get("bridge_channel", ""),
        lastapp=said.get("last_app", ""),
        lastdata=said.get("last_arg", ""),
        accountcode=said.get("accountcode", ""),
        userfield=said.get("userfield", ""),
        linkedid="" if originator is None else originator or said["uuid"],
        extra={name: value for name, value in said.items() if value and name not in _FIELDS},
    )


def _name(caller_id: bytes, number: bytes) -> bytes:
    """mod_cdr_csv writes `"name" <number>`, and the number alone where there is no name."""
    around = len(b'" <%b>' % number)
    return b"" if caller_id == number else caller_id[1:-around]
