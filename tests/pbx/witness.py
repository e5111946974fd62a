"""What a real Asterisk wrote and told, as whoever judges the agent knows it: read without any of the agent's code."""

import csv
import io
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.pbx_ports import until

Call = tuple[str, ...]
"""What must be the same in the record, in the event and at the receiver; of line breaks, what is before the first."""

EVENT = (
    *("DestinationContext", "CallerID", "Channel", "DestinationChannel", "LastApplication", "LastData"),
    *("Duration", "BillableSeconds", "Disposition", "UniqueID"),
)
COLUMNS = (3, 4, 5, 6, 7, 8, 12, 13, 14, 16)


def written(pbx: Pbx) -> Counter[Call]:
    """The records of Master.csv, and of the files it was renamed to."""
    found: Counter[Call] = Counter()
    for file in pbx.written():
        text = file.read_bytes().decode("latin-1")
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            found[tuple(_seen(row[column].encode("latin-1")) for column in COLUMNS)] += 1
    return found


def received(rows: Iterator[dict[str, Any]]) -> Counter[Call]:
    return Counter(tuple(_seen(row[name].encode()) for name in EVENT) for row in rows)


class Witness:
    """Hears every Cdr event from its start on, whatever becomes of the agent; after a restart of Asterisk, again."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._ended = False
        self._manager: Manager | None = None
        self.told: list[tuple[float, Call]] = []
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while not self._ended:
            with suppress(OSError), Manager(self._pbx.ami_port, events=True, timeout=60) as manager:
                self._manager = manager
                while True:
                    found = manager.message()
                    if found.get("Event") == "Cdr" and "AMAFlags" in found:
                        self.told.append((time.time(), _event(found)))
            self._manager = None

    def await_ear(self) -> None:
        until(lambda: self._manager, "the witness to listen", 30)

    def __enter__(self) -> Self:
        self._thread.start()
        self.await_ear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        if self._manager:
            self._manager.hang_up()
        self._thread.join()


def _event(found: Mapping[str, str]) -> Call:
    return tuple(_seen(found[name].encode("utf-8", "surrogateescape")) for name in EVENT)


def _seen(value: bytes) -> str:
    line = value.split(b"\r\n")[0].strip()
    is_utf8 = not line.decode("utf-8", "ignore").isascii()
    # UTF-8 is cut in the midst of a character.
    return line.decode("utf-8", "replace") if is_utf8 else line.decode("latin-1")
