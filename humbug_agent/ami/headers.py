"""An AMI message, as the bytes between two blank lines -> its headers, as text."""

import re

from humbug_agent.cdr import text

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def name(block: bytes) -> str:
    """An event's name, blank for what is no event."""
    first = block.partition(b"\r\n")[0]
    return text(first[7:]) if first.startswith(b"Event: ") else ""


def number(value: str) -> int:
    """A whole number of up to six digits, as seconds and hours are that a calendar can take; else 0."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0


class Headers:
    """Of several equal ones the first counts. An absent header is blank, as is one that Asterisk calls unknown."""

    def __init__(self, block: bytes) -> None:
        self._values: dict[bytes, bytes] = {}
        for line in block.split(b"\r\n"):
            header, colon, value = line.partition(b":")
            if colon:
                self._values.setdefault(header, value)

    def __call__(self, header: str) -> str:
        """The value as it stands."""
        value = text(self._values.get(header.encode(), b"").removeprefix(b" "))
        return "" if value in ("<unknown>", "unknown") else value

    def plain(self, header: str) -> str:
        r"""The value of a channel event, which is escaped as in C: ``O\'Neil``."""
        value = self(header)
        return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), value) if "\\" in value else value

    def whole(self, header: str) -> int:
        """A whole number of up to six digits; 0 where there is none."""
        return number(self(header))
