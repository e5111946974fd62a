"""A row of FusionPBX's table v_xml_cdr as a call, whether its database tells it or an API before it.

The table has less than the document that FusionPBX's import made the row of. What it calls duration is billsec, and a
call that nobody answered was answered in 1970.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from humbug_agent.cdr import CDR
from humbug_agent.sources.freeswitch.leg import NORMAL, Leg, call
from humbug_agent.sources.polling.rows import ApiRow

_NUMBER = re.compile(r"([0-9]{1,10})(?:\.[0-9]*)?")

_FIELDS = {
    "xml_cdr_uuid", "caller_id_name", "caller_id_number", "destination_number", "context", "accountcode",
    "hangup_cause", "last_app", "last_arg", "duration", "billsec", "start_epoch", "start_stamp", "answer_epoch",
    "answer_stamp", "end_epoch", "end_stamp", "xml", "json", "call_flow",
}  # fmt: skip
"""Those that do not go to ``extra``: they have a field of their own. But for xml, json and call_flow, FreeSWITCH's
document that the row was made from: tens of kilobytes of variables for each call, passwords among them."""


def of_row(row: ApiRow, zone: tzinfo) -> CDR:
    """``zone`` is that of stamps that name none. Raises ValueError."""
    cdr = call(leg_of(row, zone))
    return cdr if "hangup_cause" in row else replace(cdr, extra=row.rest(_FIELDS))


def leg_of(row: ApiRow, zone: tzinfo) -> Leg:
    """The same as a leg. Raises ValueError."""
    start, answer, end = (_moment(row, name, zone) for name in ("start", "answer", "end"))
    if start is None or end is None:
        raise ValueError(f"has no time of its {'start' if start is None else 'end'}")
    return Leg(
        uuid=row.required("xml_cdr_uuid"),
        name=row.text("caller_id_name"),
        number=row.text("caller_id_number"),
        destination=row.text("destination_number"),
        context=row.text("context"),
        start=start,
        answer=answer,
        end=end,
        # What the row calls so can be the same as billsec.
        duration=_between(start, end),
        billsec=_whole(row, "billsec") if "billsec" in row else _between(answer or end, end),
        # Of a call whose cause is not shown nothing else is known than that nobody answered it.
        cause=row.text("hangup_cause") or NORMAL,
        agent_side=row.text("cc_side") == "agent",
        b_leg={"a": False, "b": True}.get(row.text("leg")),
        direction=row.text("direction"),
        lastapp=row.text("last_app"),
        lastdata=row.text("last_arg"),
        accountcode=row.text("accountcode"),
        linkedid=row.text("originating_leg_uuid") or row.text("cc_member_session_uuid"),
        extra=row.rest(_FIELDS),
    )


def _moment(row: ApiRow, name: str, zone: tzinfo) -> datetime | None:
    """None: it never happened. Raises ValueError."""
    if f"{name}_epoch" in row:
        seconds = _whole(row, f"{name}_epoch")
        return datetime.fromtimestamp(seconds, UTC).astimezone(zone) if seconds else None
    if f"{name}_stamp" not in row:
        return None
    stamp = row.text(f"{name}_stamp")
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise ValueError(f"{name}_stamp {stamp!r} is not a time") from None
    # A call that nobody answered can have been answered in 1970.
    if moment.year <= 1970:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(zone)


def _whole(row: ApiRow, name: str) -> int:
    """Of what PostgreSQL may have as a number with decimals. Raises ValueError."""
    value = row.required(name)
    if not (found := _NUMBER.fullmatch(value)):
        raise ValueError(f"{name} {value!r} is not a whole number")
    return int(found[1])


def _between(start: datetime, end: datetime) -> int:
    return max(0, int(end.timestamp()) - int(start.timestamp()))
