"""What a receiver has of the calls: Humbug's format read a second time, with no line of the agent's own.

Source of the format: the vendor's page. The parameters are form-encoded; with ``encoded=1`` they stand in ``data``, as
``name=value&`` each, XORed with the repeating key, two hex digits a byte.
"""

from collections.abc import Mapping
from itertools import cycle
from urllib.parse import parse_qsl, unquote

NAMES = (
    *("Event", "Source", "Destination", "DestinationContext", "CallerID", "Channel", "DestinationChannel"),
    *("LastApplication", "LastData", "StartTime", "AnswerTime", "EndTime", "Duration", "BillableSeconds"),
    *("Disposition", "UniqueID", "UserField"),
)


class Oracle:
    """``calls``: what came, by its Idempotency-Key. ``arrivals`` counts repeats, too."""

    def __init__(self, api_key: str, encryption_key: str = "") -> None:
        self.calls: dict[str, dict[str, str]] = {}
        self.arrivals = 0
        self._api_key = api_key
        self._encryption_key = encryption_key.encode()

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[str]:
        """Keep the call of this request; its key. Raises ValueError when it is none, or was another one before."""
        key = headers["idempotency-key"]
        form = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict"))
        call = self._decoded(form) if self._encryption_key else form
        if (call["gateway"], form["gateway"]) != (self._api_key, self._api_key):
            raise ValueError("not with the gateway's key")
        if (form["encoded"], call["encoded"]) != ("1" if self._encryption_key else "0",) * 2:
            raise ValueError("not encoded as it says")
        fields = {name: call[name] for name in NAMES}
        if self.calls.setdefault(key, fields) != fields:
            raise ValueError(f"{key} was {self.calls[key]}, and is now {fields}")
        self.arrivals += 1
        return (key,)

    def _decoded(self, form: dict[str, str]) -> dict[str, str]:
        mixed = bytes.fromhex(form["data"])
        text = bytes(one ^ other for one, other in zip(mixed, cycle(self._encryption_key), strict=False)).decode()
        pairs = (pair.partition("=") for pair in text.split("&") if pair)
        return {name: unquote(value, errors="strict") for name, _, value in pairs}
