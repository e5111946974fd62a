"""What stands between the agent and its kernel, and lets system calls fail: the side of the test, see shim.c."""

import errno
import mmap
import os
import shutil
import struct
import subprocess
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

CLASSES = ("outbox", "pbx", "socket")
CALLS = ("open", "read", "write", "sync", "truncate", "rename", "unlink", "stat", "list", "connect", "send", "receive")

ALWAYS = 1_000_000

_NUMBER = struct.Struct("<q")
_SEED = struct.Struct("<QQ")
_STEP = struct.Struct("<qq")
_RULE = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_RULES = _NUMBER.size + _SEED.size
_COUNTS = _RULES + len(CLASSES) * len(CALLS) * _RULE.size
_STEPS = _COUNTS + len(CLASSES) * len(CALLS) * _COUNT.size

_WRITES = ("open", "write", "truncate", "rename", "unlink")


@cache
def library() -> Path:
    """The shim, compiled once for this process. Skips the test where there is no C compiler, but not in CI."""
    compiler = shutil.which("cc")
    if not compiler:
        if os.environ.get("CI"):
            pytest.fail("there is no C compiler (cc)")
        pytest.skip("there is no C compiler (cc)")
    made = Path(mkdtemp(prefix="shim-")) / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return made


class Shim:
    """The system calls of an agent whose outbox and whose PBX's files have paths that begin so.

    What is said here holds at once, also for an agent that runs. Files are told apart by the names under which they
    are opened; sockets are those of TCP that the agent opens itself.
    """

    def __init__(self, home: Path, outbox: Path, pbx: Path, seed: int) -> None:
        self.record = home / "changes"
        self._environment = {
            "LD_PRELOAD": str(library()),
            "SHIM_CONTROL": str(home / "control"),
            "SHIM_OUTBOX": str(outbox),
            "SHIM_PBX": str(pbx),
        }
        (home / "control").write_bytes(bytes(mmap.PAGESIZE))
        with open(home / "control", "r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        _SEED.pack_into(self._page, _NUMBER.size, seed, 0)
        self._ahead = 0.0

    def environment(self) -> dict[str, str]:
        """For the agent: with what fails, and with the record of changes."""
        return os.environ | self._environment | {"SHIM_RECORD": str(self.record)}

    def quiet_environment(self) -> dict[str, str]:
        """For whom nothing fails, and only the clock is the agent's."""
        return os.environ | self._environment | {"SHIM_QUIET": "1"}

    def let_fail(self, of: str, call: str, error: int, rate: int = ALWAYS) -> None:
        """So many in a million calls of this kind fail with this errno from now on."""
        _RULE.pack_into(self._page, self._rule(of, call), error, rate)

    def be_full(self, of: str) -> None:
        """As where there is no room: of some writes half fits."""
        for call in ("open", "write", "truncate"):
            self.let_fail(of, call, errno.ENOSPC)

    def be_read_only(self, of: str) -> None:
        """As after ``errors=remount-ro``."""
        for call in _WRITES:
            self.let_fail(of, call, errno.EROFS)

    def be_unreadable(self, of: str) -> None:
        self.let_fail(of, "open", errno.EACCES)

    def heal(self) -> None:
        """Nothing fails any more. The clock stays as it is."""
        for of in CLASSES:
            for call in CALLS:
                self.let_fail(of, call, 0, 0)

    def set_clock(self, ahead: float) -> None:
        """The time of day is so many seconds ahead of this host's from now on, and so are the times of files."""
        (number,) = _NUMBER.unpack_from(self._page, 0)
        since = time.time_ns() if number else 0
        _STEP.pack_into(self._page, _STEPS + number * _STEP.size, since, int(ahead * 1e9))
        _NUMBER.pack_into(self._page, 0, number + 1)
        self._ahead = ahead

    def now(self) -> float:
        """Seconds since the epoch, by that clock."""
        return time.time() + self._ahead

    def failed(self, *of: str) -> int:
        """How many calls have failed by this."""
        numbers = _COUNT.iter_unpack(self._page[_COUNTS : _COUNTS + len(CLASSES) * len(CALLS) * _COUNT.size])
        each = [number for (number,) in numbers]
        return sum(each[CLASSES.index(one) * len(CALLS) + n] for one in of or CLASSES for n in range(len(CALLS)))

    def close(self) -> None:
        self._page.close()

    def _rule(self, of: str, call: str) -> int:
        return _RULES + (CLASSES.index(of) * len(CALLS) + CALLS.index(call)) * _RULE.size
