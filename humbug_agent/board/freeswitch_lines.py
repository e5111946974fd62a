"""Gateways and registered phones of a FreeSWITCH, asked for rarely.

Source of the formats: FreeSWITCH's mod_sofia.c (xml_gateway_status: a tag and its value on a line of their own, where
names are not escaped, so that it need not be XML; sofia_state_names) and switch_core_sqldb.c (table registrations).
"""

import re
import time
from collections.abc import Iterator

from humbug_agent.board.freeswitch_words import rows
from humbug_agent.board.lines import Line, Lines
from humbug_agent.host.pbx_first import PHONES_SECONDS, TRUNKS_SECONDS
from humbug_agent.listening.esl.listener import Api
from humbug_agent.text import text

GATEWAYS, REGISTRATIONS = "sofia xmlstatus gateway", "show registrations as json"

_GATEWAY = re.compile(rb"^ *<gateway>\n(.*?)^ *</gateway>", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(rb"^ *<(name|state|status|pingfreq)>(.*)</\1>\r?$", re.MULTILINE)


class FreeswitchLines:
    """What is known of one FreeSWITCH. It tells neither which phones are missing, nor whose gateway a channel is."""

    def __init__(self, charset: str) -> None:
        self._charset = charset
        self._gateways: tuple[Line, ...] = ()
        self._phones: tuple[Line, ...] | None = None
        self._asked = 0.0
        self._due = {GATEWAYS: float("-inf"), REGISTRATIONS: float("-inf")}

    async def ask(self, api: Api) -> Lines:
        """What is due is asked for, the rest is as it was. Raises EslError."""
        now = time.monotonic()
        if now >= self._due[GATEWAYS]:
            self._gateways = tuple(_gateways(await api(GATEWAYS), self._charset))
            self._due[GATEWAYS], self._asked = now + TRUNKS_SECONDS, now
        if now >= self._due[REGISTRATIONS]:
            self._phones = _phones(await api(REGISTRATIONS), self._charset)
            self._due[REGISTRATIONS] = now + PHONES_SECONDS
        found = (*self._gateways, *(self._phones or ()))
        return Lines(found, self._asked, phones_told=self._phones is not None, missing_told=False)


def _gateways(answer: bytes, charset: str) -> Iterator[Line]:
    """None where mod_sofia is not loaded."""
    for block in _GATEWAY.findall(answer):
        said = {tag.decode(): text(value, charset) for tag, value in _FIELD.findall(block)}
        state, up = _state(said.get("state", ""), said.get("status", ""), said.get("pingfreq", "0") != "0")
        yield Line(technology="SIP", name=said.get("name", ""), trunk=True, state=state, up=up)


def _state(state: str, status: str, pinged: bool) -> tuple[str, bool | None]:
    """A gateway that does not register is known to be there by its answers to pings alone."""
    there = not status.startswith("DOWN")
    if state == "NOREG":
        return ("available" if there else "unavailable", there) if pinged else ("not monitored", None)
    if state == "REGED":
        return ("registered", True) if there else ("unavailable", False)
    return state.casefold().replace("_", " "), False


def _phones(answer: bytes, charset: str) -> tuple[Line, ...] | None:
    """Each once, from however many devices it is registered; None where the answer is no such list."""
    try:
        found = rows(answer, charset, ("reg_user", "realm"))
    except (ValueError, RecursionError):
        return None
    names = {f"{row['reg_user']}@{row['realm']}" for row in found}
    return tuple(Line(technology="SIP", name=name, trunk=False, state="registered", up=True) for name in sorted(names))
