"""The rotated files that need no reading any more, as a position keeps them.

What is kept of a file tells it by its beginning, which stays when it is packed or copied; behind a colon stands which
file it is: its inode, the moment in which it was made, and its size. That stays when it is renamed or touched, and is
left out where the file system does not tell when a file was made: an inode alone is no identity. Then, behind a minus,
stands there of which state the file was when it was found out how long it is, which for a packed one takes long.

Behind another colon stands how far it was read, in unpacked bytes: what begins alike and is longer may be the whole of
a file that was still being copied then. That is left out for files that are not wanted, and was by older agents.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from humbug_agent.sources.files.position import OpenFile

WHOLE = math.inf
"""How far a file was read that is known whatever its length."""


def short(said: bytes, size: int = 6) -> str:
    return blake2b(said, digest_size=size).hexdigest()


def told(file: OpenFile, begins: bytes) -> str:
    """What tells this file, which ``begins`` so, from the others."""
    if not file.born:
        return short(begins)
    which = f"{file.key} {file.born} {file.status().st_size}"
    return f"{short(begins)}:{short(which.encode(), 4)}"


def kept(told: str, state: str, length: float) -> str:
    """What is kept of a file that was read so far."""
    beginning, _, which = told.partition(":")
    return told if length == WHOLE else f"{beginning}:{which or '-' + state}:{int(length)}"


@dataclass(frozen=True, slots=True)
class There:
    """A file that is there now. ``old``: it was last written to before it was made, by what packed or copied it.

    ``length`` finds out how long it is, unpacked; ``state`` changes when it is written to.
    """

    told: str
    state: str
    old: bool
    length: Callable[[], int]


class Known:
    """The rotated files that a position remembers as read."""

    def __init__(self, known: Sequence[str]) -> None:
        self._files: dict[str, float] = {}
        self._lengths: dict[str, list[float]] = defaultdict(list)
        for told, length in map(_parted, known):
            if ":" in told:
                self._files[told] = max(length, self._files.get(told, 0))
            else:
                self._lengths[told].append(length)
        for told, length in self._files.items():
            self._lengths[_beginning(told)].append(length)

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def same(self, told: str) -> bool:
        """Whether this very file is among them."""
        return told in self._files

    def alike(self, told: str) -> int:
        """How many of them begin as this one."""
        return len(self._lengths.get(_beginning(told), ()))

    def has_all_of(self, file: There) -> bool:
        """Whether one of them begins as this one, and was read as far as this one goes."""
        if not self.alike(file.told) or self.same(file.told) or self._measured(file) in self._files:
            return bool(self.alike(file.told))
        far = max(self._lengths[_beginning(file.told)])
        return far == WHOLE or file.length() <= far

    def is_longer_than_read(self, file: There) -> bool:
        """Whether one of them begins as this one, and none was read so far."""
        return bool(self.alike(file.told)) and not self.has_all_of(file)

    def still(self, there: Iterable[There]) -> tuple[str, ...]:
        """Those of them that are there now. One that was packed is from now on known as the file that it became."""
        others, found = [], []
        left = {beginning: list(lengths) for beginning, lengths in self._lengths.items()}
        for file in there:
            one = file.told if self.same(file.told) else self._measured(file)
            if (length := self._files.get(one)) is None:
                others.append(file)
                continue
            found.append(kept(file.told, file.state, length) if one == file.told else f"{one}:{int(length)}")
            if length in (lengths := left[_beginning(one)]):
                lengths.remove(length)
        for file in sorted(others, key=lambda file: not file.old):
            beginning = _beginning(file.told)
            if not (lengths := left.get(beginning, [])):
                continue
            goes = WHOLE if max(lengths) == WHOLE else file.length()
            length = min((one for one in lengths if one >= goes), default=max(lengths))
            lengths.remove(length)
            if length < goes:
                # What is behind that was not read.
                found.append(f"{beginning}::{int(length)}")
            else:
                found.append(kept(file.told if file.old else beginning, file.state, length))
        return tuple(found)

    @staticmethod
    def _measured(file: There) -> str:
        return f"{_beginning(file.told)}:-{file.state}"


def _parted(one: str) -> tuple[str, float]:
    """What tells the file, and how far it was read."""
    beginning, _, behind = one.partition(":")
    which, _, length = behind.partition(":")
    return f"{beginning}:{which}" if which else beginning, int(length[:18]) if length.isdecimal() else WHOLE


def _beginning(one: str) -> str:
    return one.partition(":")[0]
