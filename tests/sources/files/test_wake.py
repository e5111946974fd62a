"""When a source looks into its file again: at once for a call, and not before a flood of them has gathered."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent.host.pbx_first import FLOOD_REST
from humbug_agent.sources.files.wake import FLOOD_LOOK_SECONDS, POLL_SECONDS, REST_SECONDS, Waker
from tests.kit.cdr_csv import Store, numbered

pytestmark = pytest.mark.slow

RECORD = b"x" * 219 + b"\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "Master.csv"
    path.write_bytes(RECORD)
    return path


@pytest.fixture
def waker(log: Path) -> Iterator[Waker]:
    with Waker(log) as waker:
        # The watch begins, and the file is seen as it is.
        waker.wait(threading.Event())
        waker.wait(threading.Event())
        yield waker


def append(log: Path, records: int, record: bytes = RECORD) -> None:
    with log.open("ab") as file:
        file.write(record * records)


def waits(waker: Waker, seconds: float) -> list[float]:
    """How many seconds after the beginning it said, for so long, that something may have changed."""
    stop = threading.Event()
    began = time.monotonic()
    threading.Timer(seconds, stop.set).start()
    said = []
    while not stop.is_set():
        waker.wait(stop)
        said.append(time.monotonic() - began)
    return said


@pytest.mark.alone
def test_a_call_is_looked_at_at_once(log: Path, waker: Waker) -> None:
    began = time.monotonic()
    append(log, 1)
    waker.wait(threading.Event())
    assert time.monotonic() - began < 0.5


def test_a_few_at_once_are_no_flood(log: Path, waker: Waker) -> None:
    began = time.monotonic()
    for _ in range(3):
        append(log, 5)
        waker.wait(threading.Event())
    assert time.monotonic() - began < FLOOD_REST / 2


def test_a_flood_is_looked_at_once_and_then_when_it_has_gathered(log: Path, waker: Waker) -> None:
    over = threading.Event()

    def flood() -> None:
        while not over.wait(0.002):
            append(log, 7)

    writer = threading.Thread(target=flood)
    writer.start()
    said = waits(waker, 2 * FLOOD_REST + 0.5)
    over.set()
    writer.join()
    # A few looks until it shows what it is, and one each time it has gathered.
    gathered = [moment for moment in said if moment > FLOOD_REST / 2]
    assert len(said) - len(gathered) <= 1 + FLOOD_LOOK_SECONDS / REST_SECONDS
    assert 1 <= len(gathered) <= 3
    assert min(gathered) >= FLOOD_REST


def test_nobody_but_who_waits_is_woken(log: Path, waker: Waker) -> None:
    """Each thread more that is woken by a record costs as much as reading it does."""
    before = threading.active_count()
    append(log, 1)
    waker.wait(threading.Event())
    assert threading.active_count() == before


def looked_at_at_once(waker: Waker) -> bool:
    began = time.monotonic()
    waker.wait(threading.Event())
    return time.monotonic() - began < 0.5


@pytest.mark.alone
def test_a_file_that_takes_the_place_of_the_one_before_is_watched(log: Path, waker: Waker) -> None:
    log.rename(log.with_name("Master.csv.1"))
    assert looked_at_at_once(waker)
    append(log, 1)
    # It is there, it is watched from now on, and a call is written to it.
    assert looked_at_at_once(waker)
    assert looked_at_at_once(waker)
    append(log, 1)
    assert looked_at_at_once(waker)


@pytest.mark.alone
def test_what_is_written_beside_the_file_wakes_nobody(log: Path, waker: Waker) -> None:
    """With accountlogs each record goes into a file of its account, too."""
    beside = log.with_name("sales.csv")
    began = time.monotonic()
    for _ in range(3):
        append(beside, 1)
    waker.wait(threading.Event())
    assert time.monotonic() - began > 0.9 * POLL_SECONDS


@pytest.mark.alone
def test_behind_a_flood_a_call_is_looked_at_soon(log: Path, waker: Waker) -> None:
    for _ in range(20):
        append(log, 50)
    waits(waker, FLOOD_REST + 4 * REST_SECONDS)
    stop = threading.Event()
    waker.wait(stop)
    append(log, 1)
    began = time.monotonic()
    waker.wait(stop)
    assert time.monotonic() - began < 0.5


def test_a_flood_that_begins_while_a_call_is_kept_gathers(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(numbered(1))
    reader, stop = Store(path), threading.Event()
    threading.Timer(2, stop.set).start()
    batches = 0
    for _ in reader.batches(follow=True, stop=stop):
        # The PBX goes on while a batch is put on disk.
        append(path, 100, numbered(1))
        batches += 1
    assert batches <= 4
