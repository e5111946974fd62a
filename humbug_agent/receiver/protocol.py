"""Humbug's protocol read strictly: a request's body -> its parameters, and what is wrong with them.

A second reading of the vendor's page, which shares nothing with the sender's.
"""

import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote_to_bytes

EVENTS = ("Reload", "Shutdown", "Alarm", "AlarmClear")
"""What the vendor's own collector sends besides calls: these of AMI's events, with their own fields."""

NUMBERS = ("Duration", "BillableSeconds")
TIMES = ("StartTime", "AnswerTime", "EndTime")
COLUMNS = (
    *("Event", "Source", "Destination", "DestinationContext", "CallerID", "Channel", "DestinationChannel"),
    *("LastApplication", "LastData", *TIMES, *NUMBERS, "Disposition", "UniqueID", "UserField", "event_time"),
    "Description",
)
OPTIONAL = ("DestinationChannel", "LastApplication", "LastData", "UserField", "event_time", "Description")
REQUIRED = ("gateway", "encoded", *(name for name in COLUMNS if name not in OPTIONAL))
OUTER = ("gateway", "encoded", "data", "event_time")
KNOWN = frozenset((*COLUMNS, *OUTER))
# The last two are as the vendor's page spells them.
DISPOSITIONS = ("ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CANCEL", "ERROR", "CONGESTION", "CONGENSTION", "ANSWER")
UNKNOWN = "a parameter is not known here: names are case-sensitive, and a & within a value is written %26"

MOST_PARAMETERS = 100


class ReceiverError(Exception):
    """The receiver can't do what is asked of it; the text says why and holds no secret."""


class Faults(ReceiverError):
    """A request that breaks the protocol; ``faults`` has a sentence for each mistake."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class WrongKey(ReceiverError):
    """The API key or the encryption key of a request is not the one that is configured."""


def decode(body: bytes, key: str | None) -> dict[str, str]:
    """The parameters of a form body, in the order they were sent, ``data`` replaced by what it holds.

    ``key`` is the encryption key that encoded=1 needs. Raises Faults, or WrongKey where ``data`` was encoded with
    another key.
    """
    said: list[str] = []
    parameters = _pairs(body.replace(b"+", b" "), said)
    encoded = parameters.get("encoded")
    if encoded is None:
        said.append("encoded is missing")
    elif encoded == "1":
        parameters = _encoded(parameters, key, said)
    elif encoded != "0":
        said.append("encoded is neither 0 nor 1")
    if said:
        raise Faults(list(dict.fromkeys(said)))
    return parameters


def _pairs(text: bytes, said: list[str]) -> dict[str, str]:
    """``name=value&…`` taken apart. No sentence quotes an unknown name: a crafted ``data`` shows the key there."""
    found: dict[str, str] = {}
    pieces = [piece for piece in text.split(b"&", MOST_PARAMETERS + 1) if piece]
    if len(pieces) > MOST_PARAMETERS:
        said.append(f"there are more than {MOST_PARAMETERS} parameters")
        return found
    for piece in pieces:
        raw_name, _, raw_value = piece.partition(b"=")
        name = _unquoted(raw_name).decode("utf-8", "replace")
        shown = name if name in KNOWN else "a parameter"
        if name in found:
            said.append(f"{shown} is given twice")
        try:
            found[name] = _unquoted(raw_value).decode("utf-8")
        except UnicodeDecodeError:
            found[name] = ""
            said.append(f"{shown} is not UTF-8")
    return found


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text) if b"%" in text else text


def _encoded(outer: dict[str, str], key: str | None, said: list[str]) -> dict[str, str]:
    digits = outer.get("data")
    if "gateway" not in outer:
        said.append("gateway is missing beside data")
    if not outer.keys() <= set(OUTER):
        said.append(f"beside {', '.join(OUTER)} nothing stands in the body of an encoded call")
    if not key:
        said.append("the call is encoded, and no encryption key is configured here")
    if digits is None:
        said.append("data is missing")
    elif len(digits) % 2:
        said.append("data has an odd number of digits")
    if digits and not re.fullmatch("[0-9A-Fa-f]*", digits):
        said.append("data is not hexadecimal")
    if said or not key or digits is None:
        return {}
    text = _xor(binascii.unhexlify(digits), key.encode("utf-8"))
    if not text.startswith(b"gateway="):
        raise WrongKey("the encryption key is not the one configured here")
    inner = _pairs(text, said)
    if not same(inner.get("gateway", ""), outer["gateway"]):
        raise WrongKey("the encryption key is not the one configured here, or two API keys are given")
    if inner.get("encoded") != "1":
        said.append("encoded is not 1 within data")
    if "event_time" in inner:
        said.append("event_time stands within data and belongs beside it")
    return inner | {name: value for name, value in outer.items() if name == "event_time"}


def _xor(data: bytes, key: bytes) -> bytes:
    stream = (key * (len(data) // len(key) + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8"), other.encode("utf-8"))


def faults(parameters: Mapping[str, str]) -> list[str]:
    """A sentence for each mistake in decoded parameters; none quotes a value. Empty: the call is a good one."""
    if parameters.get("Event") in EVENTS:
        return _event_faults(parameters)
    said = [f"{name} is missing" for name in REQUIRED if name not in parameters]
    if parameters.get("encoded", "0") not in ("0", "1"):
        said.append("encoded is neither 0 nor 1")
    if parameters.get("Event", "Cdr") != "Cdr":
        said.append(f"Event is not one of Cdr, {', '.join(EVENTS)}")
    for name in (*TIMES, "event_time"):
        value = parameters.get(name)
        if value is not None and not _is_time(value) and (value or name != "AnswerTime"):
            said.append(f"{name} is not a date and time such as 2011-12-01 23:59:59")
    for name in NUMBERS:
        if not re.fullmatch("-?[0-9]{1,18}", parameters.get(name, "0")):
            said.append(f"{name} is not a whole number")
    if parameters.get("Disposition", "ERROR") not in DISPOSITIONS:
        said.append(f"Disposition is not one of {', '.join(DISPOSITIONS)}")
    if not parameters.get("UniqueID", "absent").strip():
        said.append("UniqueID is blank")
    if not parameters.keys() <= KNOWN - {"data"}:
        said.append(UNKNOWN)
    return said


def _event_faults(parameters: Mapping[str, str]) -> list[str]:
    said = [f"{name} is missing" for name in ("gateway", "encoded", "event_time") if name not in parameters]
    if not _is_time(parameters.get("event_time", "2011-12-01 23:59:59")):
        said.append("event_time is not a date and time such as 2011-12-01 23:59:59")
    return said


def _is_time(value: str) -> bool:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
