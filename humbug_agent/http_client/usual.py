"""The usual answer: HTTP/1.1, its end told by Content-Length or by whole chunks, and nothing in it that needs thought.

Of all that is sent nearly everything is answered so. What is not is read by http.client, as `wire` has it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

MOST_FIELDS = 50
LONGEST_SIZE = 8
"""Bytes of a line that says how long a chunk is."""

_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,9}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,6})\r\n")

_FRAMING = (b"content-length", b"transfer-encoding", b"connection")
_NEEDS_THOUGHT = {b"content-encoding", b"retry-after", b"upgrade", b"trailer"}


class Unusual(Exception):
    """It is no answer of that kind, or something came behind it."""


class _Head(NamedTuple):
    """What the head of an answer says."""

    status: int
    length: int | None
    """Of the text; None: it comes in chunks."""


def read(data: bytes) -> tuple[int, bytes] | None:
    """Status and text of the answer that ``data`` is, to its last byte; None: more is to come. Raises Unusual."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Unusual
    status, length = _head(data[:end])
    if length is None:
        text = _unchunked(data, end + 4)
        return None if text is None else (status, text)
    left = end + 4 + length - len(data)
    if left < 0:
        raise Unusual
    return None if left else (status, data[end + 4 :])


@lru_cache(maxsize=64)
def _head(said: bytes) -> _Head:
    """From one second to the next all heads are mostly the same. Raises Unusual."""
    first, *lines = said.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or len(lines) > MOST_FIELDS:
        raise Unusual
    framing: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or (name := field[1].lower()) in _NEEDS_THOUGHT or name in framing:
            raise Unusual
        if name in _FRAMING:
            framing[name] = field[2]
    return _Head(int(status[1]), _length(int(status[1]), framing))


def _length(status: int, framing: dict[bytes, bytes]) -> int | None:
    length, coding, connection = map(framing.get, _FRAMING)
    if connection is not None and connection.lower() != b"keep-alive":
        raise Unusual
    if status in (204, 304):
        if coding is not None or length not in (None, b"0"):
            raise Unusual
        return 0
    if coding is not None and length is None and coding.lower() == b"chunked":
        return None
    if coding is not None or length is None or not _LENGTH.fullmatch(length):
        raise Unusual
    return int(length)


def _unchunked(data: bytes, at: int) -> bytes | None:
    pieces: list[bytes] = []
    while size := _SIZE.match(data, at):
        begin = size.end()
        end = begin + int(size[1], 16)
        if len(data) < end + 2:
            return None
        at = end + 2
        if data[end:at] != b"\r\n" or (begin == end and at < len(data)):
            raise Unusual
        if begin == end:
            return b"".join(pieces)
        pieces.append(data[begin:end])
    if b"\n" in data[at:] or len(data) - at > LONGEST_SIZE:
        raise Unusual
    return None
