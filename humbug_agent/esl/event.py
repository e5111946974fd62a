"""An event, as the body of its frame -> its name and headers, as text.

Seen from a FreeSWITCH 1.11: in JSON a value is as the phone sent it, which need not be UTF-8; in plain text it is
percent-encoded, header by header, and an event's own body follows its headers.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from humbug_agent.cdr import text

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


def decode(data: bytes) -> Any:
    """What JSON says whose texts may be anything but UTF-8. Raises ValueError."""
    try:
        said = data.decode()
    except UnicodeDecodeError:
        # Every byte is a character, and back: so each text is judged for itself.
        return _mended(json.loads(data.decode("latin-1"), strict=False))
    return json.loads(said, strict=False)


def _mended(said: Any) -> Any:
    if isinstance(said, dict):
        return {_mended(header): _mended(value) for header, value in said.items()}
    if isinstance(said, list):
        return [_mended(value) for value in said]
    if isinstance(said, str):
        try:
            return text(said.encode("latin-1"))
        except UnicodeEncodeError:
            return said
    return said


class Event:
    """Raises ValueError for what is no event."""

    def __init__(self, body: bytes) -> None:
        self.headers: Mapping[str, Any] = _of_json(body) if body.lstrip()[:1] == b"{" else _of_plain(body)
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


def _of_json(body: bytes) -> Mapping[str, Any]:
    try:
        said = decode(body)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is no event of FreeSWITCH: it is nested too deeply") from error
    return said if isinstance(said, dict) else {}


def _of_plain(body: bytes) -> Mapping[str, Any]:
    headers, _, _ = body.partition(b"\n\n")
    values: dict[str, Any] = {}
    for line in headers.split(b"\n"):
        header, colon, value = line.partition(b": ")
        if colon:
            values.setdefault(text(header), text(unquote_to_bytes(value)))
    return values
