"""Directories of documents as FreeSWITCH leaves them, and a reader of them that keeps what the outbox would."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC
from functools import cache
from pathlib import Path
from threading import Event

from humbug_agent.cdr import CDR, Reject
from humbug_agent.sources.freeswitch.json.settings import FreeswitchJsonSettings
from humbug_agent.sources.freeswitch.json.source import FreeswitchJson
from tests.kit.following import InThread
from tests.kit.fs_modules import changed, json_document, raw_tree


def settings(path: Path, after: str = "keep", legs: str = "a", drop_doubles: bool = True) -> FreeswitchJsonSettings:
    return FreeswitchJsonSettings(
        name="documents", path=path, after=after, legs=legs, drop_doubles=drop_doubles, timezone=None
    )


@cache
def _template() -> bytes:
    tree = raw_tree()
    return json_document(changed(tree, {"uuid": "THE-UUID"}, uuid="THE-UUID"), values=True)


def numbered(number: int) -> tuple[str, bytes]:
    """A call's uuid and its document."""
    name = str(uuid.UUID(int=number))
    return name, _template().replace(b"THE-UUID", name.encode()) + b"\n"


def write(folder: Path, *numbers: int) -> None:
    """Each there whole at once: one that is found half written is read again, as its own tests tell."""
    for number in numbers:
        name, document = numbered(number)
        half = folder / f"a_{name}.half"
        half.write_bytes(document)
        half.rename(folder / f"a_{name}.cdr.json")


def old(path: Path) -> Path:
    """Last written an hour ago."""
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    return path


def names(folder: Path) -> set[str]:
    return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Store:
    def __init__(self, path: Path, after: str = "keep", cursor: str | None = None, **other: object) -> None:
        self.source = FreeswitchJson(settings(path, after, **other), UTC)  # type: ignore[arg-type]
        self.cursor = cursor
        self.records: list[CDR] = []
        self.rejects: list[Reject] = []

    def batches(self, *, follow: bool = False, stop: Event | None = None) -> Iterator[int]:
        for batch in self.source.read(self.cursor, stop or Event(), follow=follow):
            self.records += [record for record in batch.records if isinstance(record, CDR)]
            self.rejects += batch.rejects
            self.cursor = batch.cursor or self.cursor
            yield len(batch.records)

    def read(self) -> "Store":
        for _ in self.batches():
            pass
        return self

    @property
    def numbers(self) -> list[int]:
        """Of the calls, in no order, each as often as it came."""
        return sorted(uuid.UUID(record.uniqueid).int for record in self.records)

    def marks(self) -> dict[str, list]:
        return json.loads(self.cursor or "{}")["known"]


class Following(Store, InThread):
    """A store that follows the directory."""

    def have(self) -> str:
        return f"{self.numbers}, rejects {self.rejects}"
