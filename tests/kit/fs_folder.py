"""Directories of documents as FreeSWITCH leaves them, and a reader of them that keeps what the outbox would."""

import json
import os
import time
import uuid
from collections.abc import Callable, Generator
from datetime import UTC
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from humbug_agent.cdr import CDR, Reject
from humbug_agent.sources.freeswitch.json.settings import FreeswitchJsonSettings
from humbug_agent.sources.freeswitch.json.source import FreeswitchJson
from tests.kit.calls import cdrs
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
    def __init__(
        self,
        path: Path,
        after: str = "keep",
        cursor: str | None = None,
        *,
        legs: str = "a",
        drop_doubles: bool = True,
    ) -> None:
        self.source = FreeswitchJson(settings(path, after, legs, drop_doubles), UTC)
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
    def numbers(self) -> list[int]:
        """Of the calls, in no order, each as often as it came."""
        return sorted(uuid.UUID(record.uniqueid).int for record in self.records)

    def marks(self) -> dict[str, tuple[int, int, int, list[str]]]:
        """As the cursor has them, by subdirectory: its inode, its mark, the number below that, the keys from it on."""
        known: dict[str, list[Any]] = json.loads(self.cursor or "{}")["known"]
        return {sub: (inode, mark, below, keys) for sub, (inode, mark, below, keys) in known.items()}


def has(store: Store, number: int) -> Callable[[], bool]:
    return lambda: number in store.numbers


class Following(Store, InThread):
    """A store that follows the directory."""

    def have(self) -> str:
        return f"{self.numbers}, rejects {self.rejects}"
