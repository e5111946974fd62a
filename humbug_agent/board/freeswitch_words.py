"""FreeSWITCH's events, lists and states -> what the board knows.

Source of the formats: recorded from FreeSWITCH 1.11.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from humbug_agent.board.device import device_names
from humbug_agent.board.model import Channel, Figures, Member, QueueCall, State
from humbug_agent.listening.esl.event import Event, decode
from humbug_agent.text import text

Row = Mapping[str, str]

_PLACEHOLDERS = ("Outbound Call", "Inbound Call")
"""What FreeSWITCH calls whom it knows no name of."""

_TALKING = ("ACTIVE", "HELD", "UNHELD")
_RINGING = ("RINGING", "RING_WAIT", "EARLY")

_MEMBER_STATES = {"Waiting": "idle", "Receiving": "ringing", "In a queue call": "in use", "Idle": "unavailable"}

_CONTACT = re.compile(r"(?:\[[^]]*\]|\{[^}]*\}|<[^>]*>)*([^,|]+)")
"""``[leg_timeout=10]sofia/internal/9001@10.0.0.5``: the first one of what may be several."""


def hung_up(said: Event) -> bool:
    """Its record may take long, and until then it is in every list."""
    return said("Answer-State") == "hangup" or said("Channel-Call-State") == "HANGUP"


def channel(said: Event, known: Channel | None, linkedid: str) -> Channel:
    """What a channel's event says; what it doesn't is as ``known``."""
    called = _called(said("Call-Direction"), said("Channel-Name"))
    answered = said("Answer-State") == "answered"
    return _channel(
        called,
        uniqueid=said("Unique-ID"),
        channel=said("Channel-Name"),
        state=State.UP if answered else _state(said("Channel-Call-State"), called),
        caller=(said("Caller-Caller-ID-Number"), said("Caller-Caller-ID-Name")),
        callee=(said("Caller-Callee-ID-Number"), said("Caller-Callee-ID-Name")),
        account=said("variable_accountcode") or (known.account if known else ""),
        exten=said("Caller-Destination-Number"),
        application=said("variable_current_application") or (known.application if known else ""),
        bridge=known.bridge if known else "",
        linkedid=linkedid,
        since=known.since
        if known
        else (said.whole("Caller-Channel-Created-Time") or said.whole("Event-Date-Timestamp")) / 1e6,
    )


def listed(row: Row, known: Channel | None, linkedid: str) -> Channel:
    """What a row of ``show channels`` says."""
    called = _called(row["direction"], row["name"])
    state = _state(row["callstate"], called)
    return _channel(
        called,
        uniqueid=row["uuid"],
        channel=row["name"],
        state=state,
        caller=(row.get("cid_num", ""), row.get("cid_name", "")),
        callee=(row.get("callee_num", ""), row.get("callee_name", "")),
        account=row.get("accountcode", ""),
        exten=row.get("dest", ""),
        application=row.get("application", ""),
        bridge=row.get("call_uuid", "") if state is State.UP else "",
        linkedid=linkedid,
        since=known.since if known else float(whole(row, "created_epoch")),
    )


def _called(direction: str, name: str) -> bool:
    """Whether FreeSWITCH called it. It calls a loopback's far half, too, which is where that call comes in again."""
    return direction == "outbound" or (name.startswith("loopback/") and name.endswith("-b"))


def _state(callstate: str, called: bool) -> State:
    if callstate in _TALKING:
        return State.UP
    if callstate in _RINGING:
        return State.RINGING if called else State.RING
    return State.RING if callstate == "DIALING" and not called else State.DOWN


def _channel(
    called: bool,
    *,
    uniqueid: str,
    channel: str,
    state: State,
    caller: tuple[str, str],
    callee: tuple[str, str],
    account: str,
    exten: str,
    application: str,
    bridge: str,
    linkedid: str,
    since: float,
) -> Channel:
    """A leg that was called has the caller's number and name for its own, too."""
    callee_name = "" if callee[1] in _PLACEHOLDERS else callee[1]
    own, other = ((callee[0] or exten, callee_name), caller) if called else (caller, (callee[0], callee_name))
    return Channel(
        uniqueid=uniqueid,
        channel=channel,
        state=state,
        number=own[0],
        name=own[1],
        with_number=other[0],
        with_name=other[1],
        account=account,
        exten=exten,
        application=application,
        bridge=bridge,
        linkedid=linkedid,
        callee=called,
        since=since,
    )


def queue_call(said: Event) -> QueueCall:
    """Who an event of mod_callcenter is about, as a waiting caller."""
    joined = said.whole("CC-Member-Joined-Time") or said.whole("variable_cc_queue_joined_epoch")
    return QueueCall(
        uniqueid=said("CC-Member-Session-UUID"),
        queue=said("CC-Queue"),
        channel=said("Channel-Name") if said("Unique-ID") == said("CC-Member-Session-UUID") else "",
        number=said("CC-Member-CID-Number"),
        name=said("CC-Member-CID-Name"),
        entered=float(joined or said.whole("Event-Date-Timestamp") // 1_000_000),
    )


def connected(waiting: QueueCall, agent: str, name: str, answered: int) -> QueueCall:
    """``answered`` is when, in seconds since the epoch."""
    waited = max(answered - int(waiting.entered), 0)
    return replace(waiting, agent=agent, agent_name=name, waited=waited, since=float(answered))


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of mod_callcenter: who takes the calls of queues.

    ``session`` is the uuid of the channel on which it talks to a caller.
    """

    name: str
    contact: str = ""
    status: str = ""
    state: str = ""
    session: str = ""
    outside: bool = False
    """Whether it talks, and to nobody of a queue."""

    changed: float = 0.0
    """Since when it has this status, in seconds since the epoch."""

    taken: int | None = None
    """Calls of all its queues."""

    last_call: float = 0.0
    alone: bool = True
    """Whether it is in one queue only, so that those were of that queue."""

    @property
    def device(self) -> str:
        """TECHNOLOGY/RESOURCE; its name where nobody can tell."""
        found = _CONTACT.match(self.contact)
        called = found[1].strip() if found else ""
        if called.startswith("user/"):
            return f"SIP/{called[5:].partition('@')[0]}"
        return device_names(called)[0] if "/" in called and "$" not in called else self.name

    def member(self, queue: str) -> Member:
        state = _MEMBER_STATES.get(self.state, "unknown")
        away, paused = self.status in ("Logged Out", ""), self.status == "On Break"
        return Member(
            queue=queue,
            interface=self.device,
            name=self.name,
            state="unavailable" if away else "in use" if state == "idle" and self.outside else state,
            paused=paused,
            reason=self.status if paused else "",
            taken=self.taken if self.alone else None,
            last_call=self.last_call,
            last_pause=self.changed if paused else 0.0,
            since=self.changed if paused else 0.0,
        )


def agent(row: Row) -> Agent:
    return Agent(
        name=row["name"],
        contact=row.get("contact", ""),
        status=row.get("status", ""),
        state=row.get("state", ""),
        session=row.get("uuid", ""),
        outside=whole(row, "external_calls_count") > 0,
        changed=float(whole(row, "last_status_change")),
        taken=whole(row, "calls_answered") if "calls_answered" in row else None,
        last_call=float(whole(row, "last_bridge_end")),
    )


def figures(row: Row) -> Figures | None:
    """What mod_callcenter has counted of a queue since it was loaded; old ones count nothing."""
    if "calls_answered" not in row:
        return None
    return Figures(completed=whole(row, "calls_answered"), abandoned=whole(row, "calls_abandoned"))


CHANNEL = ("uuid", "name", "direction", "callstate")


def rows(answer: bytes, charset: str, needed: Sequence[str] = CHANNEL) -> list[Row]:
    """Of a ``show … as json``, which has no rows where there are none of them. Raises ValueError."""
    said = decode(answer, charset)
    found = said.get("rows", []) if isinstance(said, dict) and "row_count" in said else None
    if not isinstance(found, list):
        raise ValueError("no rows")
    return [row for row in found if isinstance(row, dict) and all(isinstance(row.get(one), str) for one in needed)]


def table(answer: bytes, free: bytes, charset: str, *needed: bytes) -> Iterator[Row]:
    """Of one of mod_callcenter's lists, whose values may hold what parts them: the surplus is ``free``'s.

    An empty list has no header line. What lacks one of these columns, ``free`` and those ``needed``, is no such list.
    """
    first, _, rest = answer.partition(b"\n")
    columns = first.split(b"|")
    if not {free, *needed} <= set(columns):
        return
    at, begun = columns.index(free), b""
    for line in rest.split(b"\n"):
        if not begun and line in (b"+OK", b""):
            continue
        # A name may hold a line break, too.
        begun = begun + b"\n" + line if begun else line
        values = begun.split(b"|")
        surplus = len(values) - len(columns)
        if surplus >= 0:
            value = b"|".join(values[at : at + surplus + 1])
            values = [*values[:at], value, *values[at + surplus + 1 :]]
            yield {text(column): text(value, charset) for column, value in zip(columns, values, strict=True)}
            begun = b""


def whole(row: Row, column: str) -> int:
    """A whole number; 0 where there is none."""
    value = row.get(column, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0
