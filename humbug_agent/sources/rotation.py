"""Which files hold what a log's reader has not read yet, oldest first.

Known are logrotate's names (`Master.csv.1`, `Master.csv.2.gz`, `Master.csv-20261120`) and whatever else is the name
with digits and their usual separators behind it; files of other accounts, which Asterisk writes beside it, are not.
"""

import contextlib
import logging
import re
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from humbug_agent.sources.place import COMPRESSED, OpenFile, Place

log = logging.getLogger(__name__)

_SUFFIX = re.compile(r"[.-]([0-9][0-9._:T-]*?)(" + "|".join(map(re.escape, COMPRESSED)) + r")?")
_COUNTED = re.compile(r"[0-9]{1,5}")
"""logrotate's own numbers, which no clock can disorder: a file's number is another one after the next rotation."""

LATE_SECONDS = 1.0
"""How long after a rename somebody may still write who had opened the file before."""

Key = tuple[int, int]
"""Device and inode: a name may stand for another file by now."""


Broken = tuple[Path, Key, float]
"""A compressed file of which not even the beginning can be unpacked, and when it was written."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A file to read from ``offset`` on; ``continues``: its first record comes right behind what was read last.

    ``known`` are the rotated files that need no reading any more, for the places in this one.
    """

    path: Path
    offset: int
    key: Key
    known: tuple[str, ...]
    continues: bool = False


def rotated(path: Path) -> list[Path]:
    """The rotated files of ``path``, oldest first; of one that is being compressed, the one that is whole."""
    found: dict[str, Path] = {}
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        suffix = _SUFFIX.fullmatch(name[len(path.name) :]) if name.startswith(path.name) else None
        if suffix:
            # The plain name sorts before the compressed one, and stays.
            found.setdefault(suffix[1], path.with_name(name))
    return [found[stamp] for stamp in sorted(found, key=_age)]


def _age(stamp: str) -> tuple[int, int, str]:
    if _COUNTED.fullmatch(stamp):
        return (0, -int(stamp), "")
    return (1, 0, stamp)


def known_as(path: Path, file: Path) -> str:
    """What tells a rotated file of ``path`` from the others, also when it is packed: its stamp, else its beginning."""
    suffix = _SUFFIX.fullmatch(file.name[len(path.name) :])
    said = suffix[1].encode() if suffix else b""
    if _is_counted(path, file):
        with contextlib.suppress(FileNotFoundError), OpenFile(file) as opened:
            said = opened.beginning()
    return blake2b(said, digest_size=6).hexdigest()


def all_known(path: Path) -> tuple[str, ...]:
    """The rotated files that are there now, for a place of which none is wanted."""
    return tuple(known_as(path, file) for file in rotated(path))


def following(path: Path, place: Place | None, *, finished: bool, broken: Set[Broken]) -> tuple[Stretch | None, bool]:
    """The file to read next, None when there is none yet, and whether the place was found.

    ``finished``: the file that the place is in has been read to its end, unless it is still the one that grows.
    Without a place: the oldest file. Where no file holds what had been read, and where a file was rotated while nobody
    looked and sorts among older ones (its name is of a clock that was set back since): whatever is not known, from its
    beginning; what had been read of it is recognised later, call by call. ``broken`` are left out. Raises OSError.
    """
    files = _snapshot(path)
    number = _find(files, place) if place else None
    there = [known_as(path, file) for file, _ in files if file != path]
    known = tuple(one for one in place.known if one in there) if place else ()
    if place and number is not None:
        file, key = files[number]
        if not finished or file == path:
            return Stretch(file, place.offset, key, known), True
        known = (*known, known_as(path, file))
    found = number is not None or place is None
    for other in _rest(path, files, number, place):
        file, key = files[other]
        if file == path or not ((file, key, _written(file)) in broken or _is_empty(file)):
            return Stretch(file, 0, key, known, continues=number is not None and other > number), found
    return None, found


def _rest(path: Path, files: list[tuple[Path, Key]], number: int | None, place: Place | None) -> Iterator[int]:
    """Which files are to be read after the one with this number, oldest first. None: the place is in none of them."""
    for other, (file, _) in enumerate(files):
        after = number is not None and other > number
        read = place and file != path and is_read(path, file, place.known, after=after)
        # With the place lost, what was written to since may hold what came behind it.
        written_since = place and number is None and _written(file) >= place.written
        if other != number and (not read or written_since):
            yield other


def is_read(path: Path, file: Path, known: Collection[str], *, after: bool) -> bool:
    """Whether the rotated file needs no reading; ``after``: it sorts behind one that was being read."""
    # Of two that begin alike one may be known, and the other would be taken for it.
    return known_as(path, file) in known and not (after and _is_counted(path, file))


def _is_counted(path: Path, file: Path) -> bool:
    suffix = _SUFFIX.fullmatch(file.name[len(path.name) :])
    return bool(suffix and _COUNTED.fullmatch(suffix[1]))


def given_up(stretch: Stretch) -> Broken:
    return stretch.path, stretch.key, _written(stretch.path)


def open_following(
    path: Path, place: Place | None, *, finished: bool, broken: Set[Broken]
) -> tuple[OpenFile | None, Stretch | None, bool]:
    """The same, opened. A name may stand for another file from one moment to the next, and an inode too."""
    while True:
        stretch, found = following(path, place, finished=finished, broken=broken)
        if stretch is None:
            return None, None, found
        with contextlib.suppress(FileNotFoundError):
            file = OpenFile(stretch.path, stretch.offset)
            # As long as it is open no other file has its inode.
            again = following(path, place, finished=finished, broken=broken)
            if file.key == stretch.key and again == (stretch, found):
                file.known = stretch.known
                return file, stretch, found
            file.close()


def unread_bytes(path: Path, place: Place | None) -> int:
    """How many bytes wait; compressed files count with what they unpack to."""
    files = _snapshot(path)
    number = _find(files, place) if place else None
    begun = _size(files[number][0], place.offset) if place and number is not None else 0
    if number is not None and files[number][0] == path:
        return begun
    return begun + sum(_size(files[other][0], 0) for other in _rest(path, files, number, place))


def _find(files: list[tuple[Path, Key]], place: Place) -> int | None:
    """Which of the files holds what had been read."""
    # It was written to when it was or later (packing keeps that time). Of several such, the one with its inode, which
    # alone proves nothing; else the oldest: to read too much adds nothing, too little loses.
    same = (place.device, place.inode)

    def likely(number: int) -> tuple[bool, bool, int]:
        file, key = files[number]
        return _written(file) < place.written - 1e-6, key != same, number

    for number in sorted(range(len(files)), key=likely):
        if _holds(*files[number], place):
            return number
    return None


def _snapshot(path: Path) -> list[tuple[Path, Key]]:
    """The files, oldest first, as they were at one moment: a rotation renames one after the other."""
    before: list[tuple[Path, Key]] | None = None
    while (now := _listed(path)) != before:
        before = now
    return now


def _listed(path: Path) -> list[tuple[Path, Key]]:
    found = []
    for file in [*rotated(path), path]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = file.stat()
            found.append((file, (status.st_dev, status.st_ino)))
    return found


def _holds(file: Path, key: Key, place: Place) -> bool:
    try:
        with OpenFile(file, place.offset) as opened:
            return opened.key == key and opened.holds(place)
    except FileNotFoundError:
        return False


def _is_empty(file: Path) -> bool:
    """Whether nothing was ever written to a rotated file, nor will be: there is no place in it to remember."""
    try:
        with OpenFile(file) as opened:
            return not (opened.touched_within(LATE_SECONDS) or opened.peek(1) or opened.broken)
    except FileNotFoundError:
        return False


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(file: Path, offset: int) -> int:
    """Bytes from ``offset`` to the end."""
    try:
        with OpenFile(file, offset) as opened:
            return opened.unread()
    except FileNotFoundError:
        return 0
