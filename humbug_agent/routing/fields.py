"""What calls are told apart by in agent.ini: fields whose names are the same for every type of source.

A field can have several values, as a call has two channels: what is said of the field is true if it is of one of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from humbug_agent.board.device import device_names
from humbug_agent.cdr import Direction
from humbug_agent.flat import Flat, texts
from humbug_agent.numbers.e164 import e164
from humbug_agent.numbers.plain import plain


@dataclass(frozen=True, slots=True)
class Field:
    """One of them. ``values`` finds what a call says of it; the country is that of [numbers], None without one.

    ``made`` is what a CDR has that says a value, for a test call. ``words`` are all values that there are, none where
    it can be any text. ``number``: it is a telephone number. ``parts`` name the texts of a call that its values are;
    none where there can be any number of them.
    """

    values: Callable[[Flat, str | None], tuple[str, ...]]
    made: Callable[[str], dict[str, Any]]
    words: tuple[str, ...] = ()
    number: bool = False
    parts: tuple[str, ...] = ()

    def compared(self, value: str) -> str:
        """What somebody has set as a value, in the form that a call's values have."""
        return plain(value) if self.number else value


_read = lru_cache(maxsize=64)(texts)
"""``extra`` of a call, which every destination asks for one after the other. Raises ValueError where it is damaged."""

GATEWAY = "sofia/gateway/"
_GATEWAY = re.compile(rf"\b{GATEWAY}([^/,|\]]+)/")


def _extra(flat: Flat) -> Mapping[str, str]:
    return _read(flat.extra) if flat.extra else {}


def _domain(flat: Flat, _: str | None) -> tuple[str, ...]:
    return (_extra(flat).get("domain_name", ""),)


def _trunk(flat: Flat, _: str | None) -> tuple[str, ...]:
    """The devices of both channels: which of them is outside, few PBXs tell. FreeSWITCH names gateways elsewhere."""
    gateways = {*_GATEWAY.findall(flat.lastdata), _extra(flat).get("sip_gateway_name", "")} - {""}
    named = (*device_names(flat.channel), *device_names(flat.dstchannel), *(f"{GATEWAY}{one}" for one in gateways))
    return tuple(name for name in named if name)


def _of_trunk(said: str) -> dict[str, Any]:
    if said.startswith(GATEWAY):
        return {"extra": {"sip_gateway_name": said.removeprefix(GATEWAY)}}
    return {"channel": f"{said}-test"}


def _did(flat: Flat, country: str | None) -> tuple[str, ...]:
    """The number of ours that somebody outside has dialled. What is called is one only where the PBX says so."""
    extra = _extra(flat)
    inbound = flat.direction == Direction.INBOUND
    did = extra.get("did") or (extra.get("caller_destination") or flat.dst if inbound else "")
    return _forms(did, country)


def _forms(number: str, country: str | None) -> tuple[str, ...]:
    """`plain`, and with + where it is an outside number."""
    number = plain(number)
    found = e164(number, country)
    return (number,) if found in (number, number[1:]) else (number, f"+{found}")


FIELDS: Mapping[str, Field] = {
    "accountcode": Field(
        lambda flat, _: (flat.accountcode,), lambda said: {"accountcode": said}, parts=("accountcode",)
    ),
    "domain": Field(_domain, lambda said: {"extra": {"domain_name": said}}, parts=("domain",)),
    "tenant": Field(
        lambda flat, country: (flat.accountcode, *_domain(flat, country)),
        lambda said: {"accountcode": said},
        parts=("accountcode", "domain"),
    ),
    "trunk": Field(_trunk, _of_trunk),
    "did": Field(_did, lambda said: {"extra": {"did": said}}, number=True, parts=("did", "did with +")),
    "direction": Field(
        lambda flat, _: (flat.direction,),
        lambda said: {"direction": Direction(said)},
        words=tuple(Direction),
        parts=("direction",),
    ),
    "from": Field(
        lambda flat, country: _forms(flat.src, country),
        lambda said: {"src": said},
        number=True,
        parts=("from", "from with +"),
    ),
    "to": Field(
        lambda flat, country: _forms(flat.dst, country),
        lambda said: {"dst": said},
        number=True,
        parts=("to", "to with +"),
    ),
}
"""By their names in agent.ini. docs/destinations.md says what they are with each type of source."""


def said_of(field: str, flat: Flat, country: str | None) -> str:
    """What the call says of it, in words."""
    values = [repr(value) for value in dict.fromkeys(FIELDS[field].values(flat, country))]
    return f"{field} {' or '.join(values) or 'nothing'}"
