"""The two IPPS interfaces, as Taridium's page of 2010 describes them: what wallboards and CRMs poll.

A line a channel or a call, its fields parted by commas. Empty fields stay, their order is fixed, nothing is quoted; so
a comma or a control character within a value becomes a space. With ``sip_is_pjsip`` a SIP phone of a client is PJSIP's,
too, and an agent's PJSIP phone is called a SIP phone.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from humbug_agent.board.model import Channel, QueueCall, State, View
from humbug_agent.numbers.countries import country_name
from humbug_agent.numbers.settings import NumbersSettings

NO_CHANNEL = "ERROR: NO CHANNEL SUPPLIED"
NO_QUEUE = "ERROR: NO QUEUE NAME SUPPLIED"

_PARTING = re.compile(r"[,\x00-\x1f\x7f-\x9f\u2028\u2029]")


def channelinfo(asked: Mapping[str, str], views: Sequence[View], sip_is_pjsip: bool = False) -> str:
    """The body for ``asked``, the parameters: channel, useid."""
    names = _names(asked.get("channel", ""))
    if not names:
        return NO_CHANNEL
    named = len(names) > 1 or asked.get("useid") == "1"
    lines = []
    for name in names:
        meant = _pjsip(name.casefold()) if sip_is_pjsip else (name.casefold(),)
        found = (one for view in views for device in meant for one in view.devices.get(device, ()))
        busy = [one for one in found if one.state is not State.DOWN]
        fields = [_channel(one) for one in busy] or [(State.DOWN, "", "", "", "")]
        lines += [_line(name, *each) if named else _line(*each) for each in fields]
    return "".join(lines)


def queueactive(
    asked: Mapping[str, str], views: Sequence[View], numbers: NumbersSettings, zone: tzinfo, sip_is_pjsip: bool = False
) -> str:
    """The body for ``asked``, the parameters: queue_name, res_cc. Times are of ``zone``."""
    names = _names(asked.get("queue_name", ""))
    if not names:
        return NO_QUEUE
    wanted = {name.casefold() for name in names}
    queues = [queue for view in views for name, queue in view.queues.items() if name.casefold() in wanted]
    calls = sorted((call for queue in queues for call in queue.calls), key=lambda call: call.entered)
    lines = [_call(call, asked.get("res_cc") == "1", numbers, zone) for call in calls]
    return "".join(_line(*fields, _sip(agent) if sip_is_pjsip else agent) for *fields, agent in lines)


def _names(listed: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def _pjsip(name: str) -> tuple[str, ...]:
    """The devices that a client of SIP means by ``name``, in small letters."""
    return (name, f"pj{name}") if name.startswith("sip/") else (name,)


def _sip(agent: str) -> str:
    """As a client of SIP calls it."""
    return agent.removeprefix("PJ") if agent.startswith("PJSIP/") else agent


def _channel(channel: Channel) -> tuple[str, ...]:
    return channel.state, *channel.calling, channel.account, channel.uniqueid


def _call(call: QueueCall, resolve: bool, numbers: NumbersSettings, zone: tzinfo) -> tuple[str, ...]:
    country = country_name(call.number, numbers.domestic_max_length, numbers.default_country) if resolve else ""
    entered = datetime.fromtimestamp(call.entered, zone).strftime("%H:%M:%S")
    if not call.connected:
        return call.uniqueid, call.number, country, "WAITING", entered, "", ""
    waited = "" if call.waited is None else str(call.waited)
    return call.uniqueid, call.number, country, "CONNECTED", entered, waited, call.agent_shown


def _line(*fields: str) -> str:
    return ",".join(_PARTING.sub(" ", field) for field in fields) + "\n"
