"""An event, as the body of its frame -> its name and headers, as text.

Seen from a FreeSWITCH 1.11: in JSON a value is as the phone sent it, which need not be UTF-8; in plain text it is
percent-encoded, header by header, and an event's own body follows its headers.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from humbug_agent.text import AUTO, carried, mended, text

_NAME = re.compile(
    rb'\{\s*(?:"Event-Subclass":\s*"[^"]*",\s*)?"Event-Name":\s*"([^"]*)"'
    rb"|(?:Event-Subclass: [^\n]*\n)?Event-Name: ([^\n]*)"
)
_UNIQUE_ID = re.compile(rb'"Unique-ID":"([^"]*)"|^Unique-ID: ([^\n]*)', re.MULTILINE)
_CORE = re.compile(rb'Core-UUID(?:":\s*"|: )([0-9a-f-]{36})')


def name(body: bytes) -> str:
    """Its Event-Name, blank for what is no event."""
    found = _NAME.match(body)
    return text(found[1] or found[2] or b"") if found else ""


def unique_id(body: bytes) -> str:
    """Which channel it is about, without taking all of it apart: a value can't look like a header."""
    found = _UNIQUE_ID.search(body)
    return text(found[1] or found[2] or b"") if found else ""


def core(body: bytes) -> str:
    """Which run of FreeSWITCH told it; blank where it does not say."""
    found = _CORE.search(body, 0, 500)
    return text(found[1]) if found else ""


def decode(data: bytes, charset: str = AUTO) -> Any:
    """What JSON says whose texts may be anything but UTF-8. Raises ValueError."""
    said = carried(data, charset)
    found = json.loads(said, strict=False)
    # Of an event's hundreds of texts there is hardly ever one to mend.
    return found if said.isascii() and "\\u" not in said else _mended(found, charset)


def _mended(said: Any, charset: str) -> Any:
    if isinstance(said, str):
        return mended(said, charset)
    if isinstance(said, dict):
        return {_mended(header, charset): _mended(value, charset) for header, value in said.items()}
    return [_mended(value, charset) for value in said] if isinstance(said, list) else said


class Event:
    """Raises ValueError for what is no event."""

    def __init__(self, body: bytes, charset: str = AUTO) -> None:
        read = _of_json if body.lstrip()[:1] == b"{" else _of_plain
        self.headers: Mapping[str, Any] = read(body, charset)
        if "Event-Name" not in self.headers:
            raise ValueError("it is no event of FreeSWITCH: it has no Event-Name")

    def __call__(self, header: str) -> str:
        """The value as it stands; blank where there is none."""
        value = self.headers.get(header, "")
        if isinstance(value, list):
            # As FreeSWITCH itself writes it wherever a value is one text.
            return "ARRAY::" + "|:".join(map(str, value))
        return value if isinstance(value, str) else str(value)

    def whole(self, header: str) -> int:
        """A whole number; 0 where there is none."""
        value = self(header)
        return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0


def _of_json(body: bytes, charset: str) -> Mapping[str, Any]:
    try:
        said = decode(body, charset)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is no event of FreeSWITCH: it is nested too deeply") from error
    return said if isinstance(said, dict) else {}


def _of_plain(body: bytes, charset: str) -> Mapping[str, Any]:
    headers, _, _ = body.partition(b"\n\n")
    values: dict[str, Any] = {}
    for line in headers.split(b"\n"):
        header, colon, value = line.partition(b": ")
        if colon:
            values.setdefault(text(header), text(unquote_to_bytes(value), charset))
    return values
