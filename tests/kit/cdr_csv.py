"""What the tests of the sources share: a model of cdr_csv, files as it writes them, and a reader that follows them."""

import os
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from threading import Event

from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Reject
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from tests.kit.calls import cdrs
from tests.kit.following import InThread
from tests.kit.paths import DATA

RECORDED = DATA / "asterisk22"
SHARED = ["accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata"]
SHARED += ["start", "answer", "end", "duration", "billsec", "disposition", "amaflags"]
NEW = ["peeraccount", "linkedid", "sequence"]
LAYOUTS = {
    16: SHARED,
    17: [*SHARED, "uniqueid"],
    18: [*SHARED, "uniqueid", "userfield"],
    19: [*SHARED, *NEW],
    20: [*SHARED, "uniqueid", *NEW],
    21: [*SHARED, "uniqueid", "userfield", *NEW],
}
BARE = ("duration", "billsec", "sequence")
CALL = {
    "accountcode": b"",
    "src": b"101",
    "dst": b"202",
    "dcontext": b"from-internal",
    "clid": b'"Bob \\"Bobby\\" O\'Neil, Jr." <101>',
    "channel": b"PJSIP/101-00000001",
    "dstchannel": b"",
    "lastapp": b"Dial",
    "lastdata": b"PJSIP/202,12",
    "start": b"2026-11-20 17:06:33",
    "answer": b"2026-11-20 17:06:35",
    "end": b"2026-11-20 17:06:43",
    "duration": b"10",
    "billsec": b"8",
    "disposition": b"ANSWERED",
    "amaflags": b"DOCUMENTATION",
    "uniqueid": b"1795194393.12",
    "userfield": b"",
    "peeraccount": b"",
    "linkedid": b"1795194393.12",
    "sequence": b"41",
}


def call(columns: int = 18, other: dict[str, bytes] | None = None, /, **changed: bytes) -> dict[str, bytes]:
    """What a call's columns say, without the quoting."""
    values = CALL | (other or {}) | changed
    return {name: values[name] for name in LAYOUTS[columns]}


def line(values: dict[str, bytes]) -> bytes:
    """The record as cdr_csv writes it."""
    return b",".join(_cell(name, value) for name, value in values.items()) + b"\n"


def _cell(name: str, value: bytes) -> bytes:
    if name in BARE or (name in ("answer", "end") and not value):
        return value
    return b'"' + value.replace(b'"', b'""') + b'"'


def numbered(*numbers: int, columns: int = 18) -> bytes:
    """One record for every number; equal numbers make equal records."""
    return b"".join(line(call(columns, dst=b"%d" % n, uniqueid=b"1795194393.%d" % n)) for n in numbers)


def dialled(records: Sequence[CDR]) -> list[int]:
    return [int(record.dst) for record in records]


_PIECES = [b'"', b",", b"\n", b"\r\n", b"\\", b"ab", b"7", b" ", "ü".encode(), b"\xfc", b"\xc3", b"<>", b";1"]
texts = st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join)
stamps = st.sampled_from([b"2026-11-20 17:06:33", b"2026-10-25 02:30:00", b"1999-12-31 23:59:59"])
numbers = st.integers(0, 99999).map(lambda number: b"%d" % number)
_COLUMNS = dict.fromkeys(CALL, texts) | {
    "start": stamps,
    "answer": st.just(b"") | stamps,
    "end": stamps,
    "duration": numbers,
    "billsec": numbers,
    "sequence": numbers,
    "disposition": st.sampled_from([b"ANSWERED", b"NO ANSWER", b"BUSY"]),
    "amaflags": st.sampled_from([b"DOCUMENTATION", b"BILLING"]),
    "uniqueid": st.sampled_from([b"1795194393.12", b"pbx-1-1795194393.7"]),
}
plain = st.sampled_from([b"", b"acme", b"sales-7"])


def calls(
    layouts: Iterable[int] = LAYOUTS, /, **other: st.SearchStrategy[bytes]
) -> st.SearchStrategy[dict[str, bytes]]:
    """Whole calls as `call` gives them, with any of ``layouts``."""
    columns = _COLUMNS | other
    everything = st.fixed_dictionaries({name: columns[name] for name in CALL})
    return st.builds(call, st.sampled_from(list(layouts)), everything)


def source(path: Path, start: str = "beginning", zone: tzinfo = UTC) -> AsteriskCsv:
    return AsteriskCsv(AsteriskCsvSettings(name="master", path=path, start=start, utc=False), zone)


class Store:
    """Keeps what the outbox would: calls and rejects by what identifies them, and the last cursor."""

    def __init__(self, path: Path, start: str = "beginning", cursor: str | None = None) -> None:
        self.source = source(path, start)
        self.cursor = cursor
        self.records: list[CDR] = []
        self.rejects: list[Reject] = []

    def batches(self, *, follow: bool = False, stop: Event | None = None) -> Generator[int]:
        for batch in self.source.read(self.cursor, stop or Event(), follow=follow):
            self.records += cdrs(batch.records)
            self.rejects += batch.rejects
            self.cursor = batch.cursor or self.cursor
            yield len(batch.records)

    def read(self) -> "Store":
        for _ in self.batches():
            pass
        return self

    @property
    def identities(self) -> list[bytes]:
        return [record.identity for record in self.records]

    @property
    def dialled(self) -> list[int]:
        return dialled(self.records)

    @property
    def new(self) -> list[int]:
        """Who was dialled, in the order of arrival, each call once."""
        return dialled(list({record.identity: record for record in reversed(self.records)}.values())[::-1])


class Following(Store, InThread):
    """A store that follows the file."""

    def have(self) -> str:
        return f"{self.dialled}, rejects {self.rejects}"

    def until_dialled(self, *numbers: int) -> None:
        self.until(lambda: self.dialled == [*numbers] and not self.rejects)


def append(path: Path, data: bytes) -> None:
    """As Asterisk does: open, one write, close."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def rotate(path: Path, *numbers: int) -> None:
    """Master.csv becomes .1, .1 becomes .2 and so on, packed or not; a new Master.csv gets records."""
    for number in range(20, 0, -1):
        for packed in ("", ".gz"):
            if (old := beside(path, f".{number}{packed}")).exists():
                old.rename(beside(path, f".{number + 1}{packed}"))
    path.rename(beside(path, ".1"))
    append(path, numbered(*numbers))
