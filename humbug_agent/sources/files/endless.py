"""A line without an end, such as a disk can make.

Its beginning and its end are kept as rejects: all of it would be thousands of them.
"""

import logging
from typing import Protocol, TypeVar

from humbug_agent.sources.files.position import OpenFile

log = logging.getLogger(__name__)

KEPT = 64 * 1024
"""Bytes of such a line. A piece that begins within them is kept whole."""


P = TypeVar("P")


class Piece(Protocol):
    """A ``text`` that was found, ``at`` so many bytes behind the beginning of the data."""

    @property
    def at(self) -> int: ...
    @property
    def text(self) -> bytes: ...


class Endless:
    """The memory of a line without an end, from one piece of it to the next.

    ``junk`` is the class of what is no record.
    """

    def __init__(self, junk: type[Piece]) -> None:
        self._junk = junk
        self._file = (0, 0)
        self._begin = self._end = self._said = -1

    def shortened(self, found: list[P], taken: int, file: OpenFile) -> list[P]:
        """What was found from the file's offset on, in ``taken`` bytes, unless it is the midst of such a line."""
        at = file.offset
        last = found[-1] if found else None
        if not isinstance(last, self._junk) or last.at + len(last.text.rstrip(b"\r\n")) < taken:
            self._end = -1
            return found
        goes_on = last.at == 0 and (self._file, self._end) == (file.key, at)
        self._begin = self._begin if goes_on else at + last.at
        self._file, self._end = file.key, at + taken
        if at - self._begin < KEPT:
            return found
        if self._said != self._begin:
            self._said = self._begin
            log.warning(
                "%s, byte %d: a line without an end; of what is no call in it only the beginning and the end are kept",
                file.path,
                self._begin,
            )
        return []
