"""An AMI message, as the bytes between two blank lines -> its headers, as text."""

import re

from humbug_agent.text import AUTO, text

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def name(block: bytes) -> str:
    """An event's name, blank for what is no event."""
    first = block.partition(b"\r\n")[0]
    return text(first[7:]) if first.startswith(b"Event: ") else ""


def number(value: str) -> int:
    """A whole number of up to six digits, as seconds and hours are that a calendar can take; else 0."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0


class Headers:
    """Of several equal ones the first counts. An absent header is blank, as is one that Asterisk calls unknown."""

    def __init__(self, block: bytes, charset: str = AUTO) -> None:
        self._charset = charset
        self._values: dict[bytes, bytes] = {}
        for line in block.split(b"\r\n"):
            header, colon, value = line.partition(b":")
            if colon:
                self._values.setdefault(header, value)

    def __call__(self, header: str) -> str:
        """The value as it stands."""
        return text(self._raw(header), self._charset)

    def plain(self, header: str) -> str:
        r"""The value of a channel event, which is escaped as in C: ``O\'Neil``."""
        # Asterisk escapes bytes: in GBK, Big5 and Shift JIS half a character may be one that looks like a backslash.
        value = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), self._raw(header))
        return text(value, self._charset)

    def _raw(self, header: str) -> bytes:
        value = self._values.get(header.encode(), b"").removeprefix(b" ")
        return b"" if value in (b"<unknown>", b"unknown") else value

    def whole(self, header: str) -> int:
        """A whole number of up to six digits; 0 where there is none."""
        return number(self(header))
