"""A Master.csv that grows as Asterisk's does and rotates as logrotate does it, and that remembers each of its calls.

Asterisk opens the file anew for each record and appends with one write. Rarely somebody sees half a record, and a
record whose file was opened just before logrotate renamed it ends up in the renamed file.
"""

import gzip
import os
import random
import re
import shutil
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

FIELDS = (
    *("Source", "Destination", "DestinationContext", "CallerID", "Channel", "DestinationChannel", "LastApplication"),
    *("LastData", "StartTime", "AnswerTime", "EndTime", "Duration", "BillableSeconds", "Disposition", "UniqueID"),
    "UserField",
)
"""What a call is compared by: the receiver's names for all that the file says, but accountcode and amaflags."""

Call = tuple[str, ...]

Clock = Callable[[], float]

TICK_SECONDS = 0.01
"""Longer than the steps in which a file system counts times."""

_EPOCH = 1795188800
_FIRST = datetime(2026, 11, 20, 16, 33, 20)
"""The same moment in Zurich: no record begins before its channel was made."""

ZONE = ZoneInfo("Europe/Zurich")
"""Where the agent of a campaign is, and its PBX."""
_NAMES = ("Desk 101", "Müller & Söhne", 'Jörg "Joe" Huber', "山田 太郎", "50% off; a=b+c", "O'Neill, Pat", "")
_USERFIELDS = (
    "",
    "note",
    "first line\nsecond line",
    'he said "yes"\r\nand hung up\n',
    "naïve café €",
    "a&b=c%20d+e;f",
    '"",\n"","',
    "x" * 200,
)


class Calls:
    """Makes records that differ in their uniqueid at least.

    With a ``clock`` they end when it shows (seconds since the epoch), else five begin each second from _FIRST on.
    """

    def __init__(self, rng: random.Random, clock: Clock | None) -> None:
        self._rng = rng
        self._clock = clock
        self._number = 0

    def next(self) -> tuple[bytes, Call]:
        """A record as it stands in the file, and what the receiver must make of it."""
        rng, self._number = self._rng, self._number + 1
        duration = rng.choice((0, 0, 1, 7, 65, 3600))
        began = int(self._clock()) - duration if self._clock else _EPOCH + self._number // 5
        answered = duration > 0 and rng.random() < 0.7
        billsec = rng.randrange(duration + 1) if answered else 0
        start, end = _shown(began), _shown(began + duration)
        answer = _shown(began + duration - billsec) if answered else ""
        coding = "latin-1" if rng.random() < 0.15 else "utf-8"
        name, userfield = (_fitting(rng.choice(values), coding) for values in (_NAMES, _USERFIELDS))
        src, dst = str(rng.randrange(100, 999)), rng.choice(("501", "+41443334455", "0041443334455", "*97", "s"))
        disposition = "ANSWERED" if answered else rng.choice(("NO ANSWER", "BUSY", "FAILED", "CONGESTION"))
        texts = [
            *("", src, dst, "from-internal", f'"{name}" <{src}>', f"PJSIP/{src}-{self._number:08x}"),
            *("PJSIP/trunk-1", "Dial", f"PJSIP/{dst}@trunk,30,tT"),
        ]
        tail = [disposition, "DOCUMENTATION", f"{began}.{self._number}", userfield]
        columns = [
            *(_quoted(text) for text in texts),
            *(_quoted(start), _quoted(answer) if answer else "", _quoted(end)),
            *(str(duration), str(billsec)),
            *(_quoted(text) for text in tail),
        ]
        call = (
            *(src, dst.lstrip("+"), *texts[3:], start, answer, end, str(duration), str(billsec)),
            *(disposition, tail[2], userfield),
        )
        return (",".join(columns) + "\n").encode(coding), call


def _shown(moment: int) -> str:
    """What the PBX's clock on the wall shows then."""
    return str(datetime.fromtimestamp(moment, ZONE).replace(tzinfo=None))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _fitting(text: str, coding: str) -> str:
    try:
        text.encode(coding)
    except UnicodeEncodeError:
        return "Zürich"
    return text


class Master:
    """The file itself. ``written`` holds each call whose record is wholly in it.

    While its disk is ``full``, of each record a beginning gets there, or mostly nothing: such calls are ``torn``.
    """

    def __init__(self, path: Path, rng: random.Random, pause: threading.Event, clock: Clock | None = None) -> None:
        self.path = path
        self.written: list[Call] = []
        self.torn: list[Call] = []
        self.full = False
        self.rotations = 0
        self.dateext = False
        self._rng = rng
        self._pause = pause
        self._calls = Calls(rng, clock)
        self._half_written = False

    def add(self) -> None:
        """One more call, in one of the ways in which it may get there; now and then with a twin right behind it.

        None has a twin in the next file that was written over a rotation, nor is the twin there: once such files are
        packed, or where such a file has nothing else in it, nothing tells them from a copy (see told_by_times).
        """
        record, call = self._calls.next()
        rotations = self.rotations
        self._append(record, call)
        if self._rng.random() < 0.04 and self.rotations == rotations:
            for _ in range(self._rng.choice((1, 1, 2))):
                behind = self._rng.random() < 0.1
                if behind:
                    self.rotate()
                rotations = self.rotations
                self._append(record, call, over_rotation=not behind)
                if self.rotations > rotations:
                    break

    def add_while(self, do: Callable[[], None]) -> None:
        """One more call, of which half is in the file before ``do`` is done and half after."""
        record, call = self._calls.next()
        with open(self.path, "ab", buffering=0) as file:
            file.write(record[:100])
            self._half_written = True
            do()
            file.write(record[100:])
            self._half_written = False
        self.written.append(call)

    def _append(self, record: bytes, call: Call, *, over_rotation: bool = True) -> None:
        how = self._rng.random()
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if self.full:
                os.write(handle, record[: self._rng.randrange(len(record)) if self._rng.random() < 0.15 else 0])
                self.torn.append(call)
                return
            if how < 0.03:
                seen = self._rng.randrange(1, len(record))
                os.write(handle, record[:seen])
                self._pause.wait(self._rng.uniform(0.0, 0.03))
                record = record[seen:]
            elif how < 0.04 and over_rotation:
                seen = self._rng.choice((0, len(record) // 2))
                os.write(handle, record[:seen])
                self.rotate()
                self._pause.wait(self._rng.uniform(0.0, 0.02))
                record = record[seen:]
            os.write(handle, record)
        finally:
            os.close(handle)
        self.written.append(call)

    def rotate(self) -> None:
        """As logrotate: numbers or dates, delaycompress, with and without create.

        Nothing is packed in the midst of a record: it is written in less time than passes between two rotations.
        """
        if not self.path.exists():
            return
        # No two of its files were last written to in the same tick of the clock: only copies are.
        self._pause.wait(TICK_SECONDS)
        if self.dateext:
            stamp = _FIRST + timedelta(minutes=self.rotations)
            youngest = self.path.rename(self._named(f"-{stamp:%Y%m%d-%H%M}"))
        else:
            for number in sorted(self._numbers(), reverse=True):
                for end in (".gz", ""):
                    old = self._named(f".{number}{end}")
                    if old.exists():
                        old.rename(self._named(f".{number + 1}{end}"))
            youngest = self.path.rename(self._named(".1"))
        self.rotations += 1
        if self._rng.random() < 0.5:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644))
        if self._rng.random() < 0.7 and not self._half_written:
            self._compress(youngest)

    def _named(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _numbers(self) -> set[int]:
        names = (re.fullmatch(r"\.(\d+)(\.gz)?", p.name[len(self.path.name) :]) for p in self.path.parent.iterdir())
        return {int(found[1]) for found in names if found}

    def _compress(self, youngest: Path) -> None:
        """All but the youngest, into a file of another name or, like gzip, right into the final one."""
        for old in self.path.parent.glob(f"{self.path.name}[.-]*"):
            if old == youngest or old.suffix == ".gz":
                continue
            status = old.stat()
            final = old.with_name(old.name + ".gz")
            aside = final if self._rng.random() < 0.5 else old.with_name("." + final.name)
            with open(old, "rb") as source, gzip.open(aside, "wb") as target:
                shutil.copyfileobj(source, target)
            os.utime(aside, ns=(status.st_atime_ns, status.st_mtime_ns))
            aside.rename(final)
            old.unlink()


class Writer(threading.Thread):
    """Keeps a Master busy in bursts of so many calls a second until `finish`."""

    def __init__(self, master: Master, rng: random.Random, rates: tuple[float, float] = (100, 400)) -> None:
        super().__init__(name="writer")
        self._rates = rates
        self._master = master
        self._rng = rng
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                if self._rng.random() < 0.04:
                    self._flood()
                gap = 1 / self._rng.uniform(*self._rates)
                for _ in range(self._rng.randrange(10, 120)):
                    self._master.add()
                    self._ended.wait(gap)
                if self._rng.random() < 0.5:
                    self._master.rotate()
                self._ended.wait(self._rng.uniform(0, 1))
        except BaseException as error:
            self._failure = error
            raise

    def _flood(self) -> None:
        """A few rotations close together, with many calls between."""
        for _ in range(self._rng.randrange(2, 5)):
            for _ in range(self._rng.randrange(50, 150)):
                self._master.add()
            self._master.rotate()

    def finish(self) -> None:
        self._ended.set()
        self.join()
        if self._failure:
            raise self._failure
