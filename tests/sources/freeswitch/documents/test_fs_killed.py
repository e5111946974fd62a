"""A directory that is filled while the agent is killed again and again."""

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.queries import Filter, entries
from tests.kit.calls import cdrs
from tests.kit.fs_folder import numbered
from tests.kit.host import wait_until
from tests.kit.paths import KIT

pytestmark = pytest.mark.slow

COUNT = 3000
LIVES = 8


@contextmanager
def agent(folder: Path, outbox: Path, after: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, KIT / "fs_agent.py", folder, outbox, after]) as process:
        try:
            yield process
        finally:
            process.kill()


def fill(folder: Path) -> None:
    """In two pieces each, as a writer that is interrupted."""
    for number in range(COUNT):
        name, document = numbered(number)
        with open(folder / f"a_{name}.cdr.json", "wb", buffering=0) as file:
            file.write(document[:5000])
            file.write(document[5000:])
        if number % 10 == 0:
            time.sleep(0.01)


def stored(path: Path) -> list[int]:
    with Outbox(path) as outbox:
        return sorted(
            uuid.UUID(record.uniqueid).int for record in cdrs(entry.record for entry in entries(outbox, Filter()))
        )


def count(path: Path) -> int:
    with Outbox(path) as outbox:
        return int(outbox.select("SELECT count(*) FROM calls")[0][0])


@pytest.mark.parametrize("after", ["delete", "move", "keep"])
def test_each_document_is_a_call_once_whatever_is_killed(after: str, tmp_path: Path) -> None:
    folder, path = tmp_path / "json_cdr", tmp_path / "outbox.db"
    folder.mkdir()
    Outbox(path).close()
    writer = threading.Thread(target=fill, args=(folder,))
    writer.start()

    def until_more() -> None:
        before = count(path)
        wait_until(lambda: count(path) > before or not writer.is_alive(), 30)

    for _ in range(LIVES):
        with agent(folder, path, after):
            until_more()
            time.sleep(random.uniform(0, 0.15))
    writer.join()
    with agent(folder, path, after):
        wait_until(lambda: count(path) == COUNT, 30)
        if after != "keep":
            wait_until(lambda: not [*folder.glob("*.json")])
    assert stored(path) == [*range(COUNT)]
    with Outbox(path) as outbox:
        assert outbox.select("SELECT count(*) FROM deliveries")[0][0] == COUNT
        assert outbox.select("SELECT count(*) FROM rejects")[0][0] == 0
    left = {"delete": 0, "move": COUNT, "keep": COUNT}[after]
    assert len(list(folder.rglob("*.cdr.json"))) == left
