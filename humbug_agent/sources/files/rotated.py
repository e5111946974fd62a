"""Which files beside a log are its rotated ones, by their names, and in which order they were written.

One is beside the log, or beside what the log is a link to, and its name is the log's with anything behind it. Left out
are those by whose name somebody is still at work on them, and those of other accounts, which a PBX writes beside it.
"""

import contextlib
import errno
import math
import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from humbug_agent.sources.files import unpacking
from humbug_agent.sources.files.position import names

_PACKED = re.compile(rf"[.](?:{'|'.join(unpacking.SUFFIXES)})$", re.IGNORECASE)

_UNFINISHED = re.compile(
    r"(?:^|[._~-])(?:tmp|temp|part|partial|filepart|download|crdownload|sw[opx]|lock|lck)(?![^._~-])", re.IGNORECASE
)
"""What copying, packing and editing programs put behind the name of a file that is not whole yet."""

_COUNTED = re.compile(r"[.-]([0-9]{1,5})")
"""logrotate's own numbers, which no clock can disorder: a file's number is another one after the next rotation."""

_STAMPED = re.compile(r"[.-]([0-9][0-9._:T-]*)")
"""Names that stay with a file, and of which the cursors of older agents know some."""

_DATED = re.compile(r"[._-]?((?:19|20)[0-9]{2})[._-]?([0-9]{2})[._-]?([0-9]{2})([0-9._:TZ-]*)")

_NO_FILE = errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG
"""It is gone, or a link that leads nowhere, in a circle, or where we may not go, or no name of a file."""

Key = tuple[int, int]
"""Device and inode: a name may stand for another file by now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was at one moment. ``stamp`` stands behind the log's name, without what packing put there.

    ``shared``: another file has the same stamp, such as ``.2.gz`` beside ``.2.zst`` since other programs pack.
    """

    path: Path
    stamp: str
    live: bool
    key: Key
    mode: int
    written: float
    size: int
    shared: bool = False

    @property
    def counted(self) -> bool:
        return bool(_COUNTED.fullmatch(self.stamp))

    @property
    def name(self) -> str:
        """What tells this file from the others for good; blank where another one has or will have the same name."""
        stamped = _STAMPED.fullmatch(self.stamp)
        if self.counted or self.shared:
            return ""
        return stamped[1] if stamped else self.stamp if _day(self.stamp) else ""

    @property
    def usual(self) -> bool:
        """Whether nothing but a rotation makes such a name."""
        return bool(_STAMPED.fullmatch(self.stamp))

    @property
    def unpacked(self) -> Path:
        """The name that it had, or will have, while it is not packed; its own where it is not."""
        return self.path.with_name(_PACKED.sub("", self.path.name)) if self.stamp else self.path

    def again(self) -> "Entry":
        """What has the name now. Raises OSError."""
        return replace(_entry(self.path, self.stamp, live=self.live), shared=self.shared)


def listed(log: Path, real: str = "") -> list[Entry]:
    """The log, where it is there, and what may be its rotated files. Raises OSError.

    One of these is what it was a link to when it was read (``real``), if it is a link to another file by now.
    """
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found.append(_entry(log, "", live=True))
    left = [("", Path(real))] if real else []
    for base in names(log, real):
        for stamp, path in [*_beside(base), *left]:
            try:
                entry = _entry(path, stamp, live=False)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
            else:
                if stat.S_ISREG(entry.mode):
                    found.append(entry)
        left = []
    return found


def _beside(base: Path) -> list[tuple[str, Path]]:
    """The files that may be rotated ones of ``base``, with their stamps; a plain one before the packed ones of it."""
    others = re.compile(re.escape(base.suffix or "/") + r"(?![a-z0-9])", re.IGNORECASE)
    found = []
    try:
        listed = sorted(entry.name for entry in os.scandir(base.parent) if entry.name.startswith(base.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in listed:
        behind = name[len(base.name) :]
        # An account that is called Master.csv.x has its calls in Master.csv.x.csv as well.
        if behind and not (_UNFINISHED.search(behind) or others.search(behind)):
            found.append((_PACKED.sub("", behind), base.with_name(name)))
    return found


def rotated(entries: Collection[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.live]


def _entry(path: Path, stamp: str, *, live: bool) -> Entry:
    status = path.stat()
    key = status.st_dev, status.st_ino
    return Entry(path, stamp, live, key, status.st_mode, status.st_mtime, status.st_size)


def in_order(entries: Collection[Entry]) -> list[Entry]:
    """Oldest first, by when they were written; but logrotate's numbers, and dates, among themselves by these.

    None of those is younger than the next one, whatever time packing or copying left it.
    """
    found = sorted(rotated(entries), key=lambda entry: (_order(entry.stamp), entry.written, entry.stamp))
    written: dict[Path, float] = {}
    next_one = (0, math.inf)
    for entry in reversed(found):
        kind = _order(entry.stamp)[0]
        at = min(entry.written, next_one[1]) if kind == next_one[0] < _UNTOLD else entry.written
        written[entry.path] = at
        next_one = kind, at
    # Of equal times the order stays.
    found.sort(key=lambda entry: written[entry.path])
    return [*found, *(entry for entry in entries if entry.live)]


_UNTOLD = 2


def _order(stamp: str) -> tuple[int, int, str]:
    """What names are ordered by, oldest first: logrotate's numbers, dates, and names that tell no order."""
    if counted := _COUNTED.fullmatch(stamp):
        return 0, -int(counted[1]), ""
    day = _day(stamp)
    return (1, 0, day) if day else (_UNTOLD, 0, "")


def _day(stamp: str) -> str:
    """What names with a date, and perhaps a time, are ordered by; blank for another name."""
    dated = _DATED.fullmatch(stamp)
    if not dated:
        return ""
    with contextlib.suppress(ValueError):
        date(int(dated[1]), int(dated[2]), int(dated[3]))
        return "".join(dated.groups())
    return ""
