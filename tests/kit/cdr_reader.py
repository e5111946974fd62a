"""A reader of freeswitch_csv that keeps what the outbox would, also as a thread that follows the file."""

from collections.abc import Generator
from datetime import UTC, tzinfo
from pathlib import Path
from threading import Event
from typing import TypedDict, Unpack

from humbug_agent.cdr import CDR, Reject
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.freeswitch.csv.source import FreeswitchCsv
from tests.kit.calls import cdrs
from tests.kit.following import InThread
from tests.kit.paths import DATA

RECORDED = DATA / "freeswitch" / "csv"


class Changed(TypedDict, total=False):
    """What is not as by default; ``zone`` is the agent's."""

    zone: tzinfo
    template: str
    start: str
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None


def source(path: Path, **changed: Unpack[Changed]) -> FreeswitchCsv:
    settings = FreeswitchCsvSettings(
        name="cdr",
        path=path,
        template=changed.get("template", "auto"),
        start=changed.get("start", "beginning"),
        legs=changed.get("legs", "ab"),
        drop_doubles=changed.get("drop_doubles", False),
        timezone=changed.get("timezone"),
    )
    return FreeswitchCsv(settings, changed.get("zone", UTC))


class Reader:
    """``records`` and ``rejects`` as they came; ``calls`` has each call once, by its uuid."""

    def __init__(self, path: Path, cursor: str | None = None, **changed: Unpack[Changed]) -> None:
        self.source = source(path, **changed)
        self.cursor = cursor
        self.records: list[CDR] = []
        self.rejects: list[Reject] = []

    def batches(self, *, follow: bool = False, stop: Event | None = None) -> Generator[int]:
        for batch in self.source.read(self.cursor, stop or Event(), follow=follow):
            self.records += cdrs(batch.records)
            self.rejects += batch.rejects
            self.cursor = batch.cursor or self.cursor
            yield len(batch.records) + len(batch.rejects)

    def read(self) -> "Reader":
        for _ in self.batches():
            pass
        return self

    @property
    def calls(self) -> dict[str, CDR]:
        return {record.uniqueid: record for record in self.records}

    @property
    def dialled(self) -> list[str]:
        return [record.dst for record in self.records]

    @property
    def once(self) -> bool:
        return len({record.identity for record in self.records}) == len(self.records)


class Following(Reader, InThread):
    """A reader that follows the file."""

    def have(self) -> str:
        return f"{self.dialled}, rejects {self.rejects}"

    def until_read(self, rows: int) -> None:
        self.until(lambda: len(self.records) + len(self.rejects) == rows)

    def until_dialled(self, *numbers: int) -> None:
        self.until(lambda: self.dialled == [str(number) for number in numbers] and not self.rejects)
