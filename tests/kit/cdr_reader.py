"""A reader of freeswitch_csv that keeps what the outbox would, also as a thread that follows the file."""

from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

from humbug_agent.cdr import CDR, Reject
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.freeswitch.csv.source import FreeswitchCsv
from tests.kit.paths import DATA

RECORDED = DATA / "freeswitch" / "csv"


def source(path: Path, zone: tzinfo = UTC, **changed: Any) -> FreeswitchCsv:
    settings = {"template": "auto", "start": "beginning", "legs": "ab", "drop_doubles": False, "timezone": None}
    return FreeswitchCsv(FreeswitchCsvSettings(name="cdr", path=path, **settings | changed), zone)


class Reader:
    """``records`` and ``rejects`` as they came; ``calls`` has each call once, by its uuid."""

    def __init__(self, path: Path, cursor: str | None = None, **settings: Any) -> None:
        self.source = source(path, **settings)
        self.cursor = cursor
        self.records: list[CDR] = []
        self.rejects: list[Reject] = []

    def batches(self, *, follow: bool = False, stop: Event | None = None) -> Iterator[int]:
        for batch in self.source.read(self.cursor, stop or Event(), follow=follow):
            self.records += batch.records
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


class Following(Reader):
    """Follows the file in a thread of its own, as the pump does, until the `with` ends."""

    def __enter__(self) -> "Following":
        self.stop = Event()
        self._news = Condition()
        self.failure: Exception | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            for _ in self.batches(follow=True, stop=self.stop):
                with self._news:
                    self._news.notify_all()
        except Exception as error:  # noqa: BLE001  # handed to the test
            self.failure = error
        with self._news:
            self._news.notify_all()

    def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        with self._news:
            self._news.wait_for(lambda: condition() or not self._thread.is_alive(), seconds)
        assert condition(), f"waited {seconds} s; have {self.dialled}, rejects {self.rejects}, {self.failure!r}"

    def until_dialled(self, *numbers: int) -> None:
        self.until(lambda: self.dialled == [str(number) for number in numbers] and not self.rejects)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
