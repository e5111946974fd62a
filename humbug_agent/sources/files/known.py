"""The rotated files that need no reading any more, as a position keeps them.

What is kept of a file tells it by its beginning, which stays when it is packed or copied; behind a colon stands which
file it is: its inode, the moment in which it was made, and its size. That stays when it is renamed or touched, and is
left out where the file system does not tell when a file was made: an inode alone is no identity.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from humbug_agent.sources.files.position import OpenFile


def short(said: bytes, size: int = 6) -> str:
    return blake2b(said, digest_size=size).hexdigest()


def kept(file: OpenFile, begins: bytes) -> str:
    """What is kept of this file, which ``begins`` so."""
    if not file.born:
        return short(begins)
    which = f"{file.key} {file.born} {file.status().st_size}"
    return f"{short(begins)}:{short(which.encode(), 4)}"


@dataclass(frozen=True, slots=True)
class There:
    """A file that is there now. ``old``: it was last written to before it was made, by what packed or copied it."""

    kept: str
    old: bool


class Known:
    """The rotated files that a position remembers as read."""

    def __init__(self, known: Sequence[str]) -> None:
        self._files = {one for one in known if ":" in one}
        self._beginnings = Counter(map(_beginning, known))

    def __bool__(self) -> bool:
        return bool(self._beginnings)

    def same(self, one: str) -> bool:
        """Whether this very file is among them."""
        return one in self._files

    def alike(self, one: str) -> int:
        """How many of them begin as this one."""
        return self._beginnings[_beginning(one)]

    def still(self, there: Iterable[There]) -> tuple[str, ...]:
        """Those of them that are there now. One that was packed is from now on known as the file that it became."""
        others, found = [], []
        for file in there:
            if self.same(file.kept):
                found.append(file.kept)
            else:
                others.append(file)
        left = self._beginnings - Counter(map(_beginning, found))
        for file in sorted(others, key=lambda file: not file.old):
            beginning = _beginning(file.kept)
            if left[beginning]:
                left[beginning] -= 1
                found.append(file.kept if file.old else beginning)
        return tuple(found)


def _beginning(one: str) -> str:
    return one.partition(":")[0]
