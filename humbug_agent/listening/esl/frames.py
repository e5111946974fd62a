"""The bytes of an event socket -> frames: header lines, a blank line, and as many bytes as Content-Length says."""

from collections.abc import Iterator
from dataclasses import dataclass

from humbug_agent.text import text

MOST_HEADERS = 64 * 2**10
MOST_BODY = 16 * 2**20
"""Bytes. An event has some ten thousand, a list of channels a thousand for each of them."""

_END = b"\n\n"
_BEGINNING = b"Content-"
"""Of whatever a FreeSWITCH says first."""

SHOWN = 60


class FrameError(Exception):
    """What comes is no event socket's, or can't be kept; the text goes on after the connection's name."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the event socket's protocol: headers, and a body where there is one.

    ``kind`` is its Content-Type, ``reply`` its Reply-Text.
    """

    kind: str
    reply: str
    body: bytes


class Frames:
    """Takes what was read, in pieces of any size."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._head: tuple[str, str, int] | None = None
        self._begun = False

    @property
    def unfinished(self) -> bool:
        return bool(self._data) or self._head is not None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises FrameError."""
        self._data += data
        at = 0
        try:
            while True:
                if self._head is None:
                    end = self._data.find(_END, max(at, self._searched))
                    if end < 0:
                        self._searched = max(at, len(self._data) - 1)
                        self._judge(at)
                        return
                    self._judge(at)
                    self._head = _head(bytes(self._data[at:end]))
                    at = self._searched = end + len(_END)
                kind, reply, length = self._head
                if len(self._data) - at < length:
                    return
                self._head = None
                body = bytes(memoryview(self._data)[at : at + length])
                at = self._searched = at + length
                yield Frame(kind, reply, body)
        finally:
            del self._data[:at]
            self._searched = max(self._searched - at, 0)

    def _judge(self, at: int) -> None:
        beginning = bytes(self._data[at : at + SHOWN])
        if not self._begun and not beginning.startswith(_BEGINNING[: len(beginning)]):
            raise FrameError(f"is no event socket: it begins with {beginning.decode('latin-1')!r}")
        self._begun = self._begun or len(beginning) >= len(_BEGINNING)
        if len(self._data) - at > MOST_HEADERS and self._data.find(_END, at, at + MOST_HEADERS) < 0:
            raise FrameError("sends what is no event socket's")


def _head(head: bytes) -> tuple[str, str, int]:
    values = dict(line.partition(b": ")[::2] for line in head.split(b"\n"))
    kind, reply, length = (text(values.get(name, b"")) for name in (b"Content-Type", b"Reply-Text", b"Content-Length"))
    length = length.strip()
    if length and not (length.isascii() and length.isdigit()):
        raise FrameError(f"sends a message whose Content-Length is {length[:SHOWN]!r}")
    # More digits than Python would make a number of are too many in any case.
    if len(length) > 12 or int(length or "0") > MOST_BODY:
        raise FrameError(f"sends a message of {length[:SHOWN]} bytes, which is more than any real one")
    return kind.strip(), reply.strip(), int(length or "0")
