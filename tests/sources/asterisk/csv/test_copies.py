"""Equal records on both sides of a border: whether a file is a copy, the same one again, or holds calls of its own.

What can be told of files that begin alike is when they were made and written, and whether they were read.
"""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from humbug_agent.sources.files import rotation
from tests.kit.cdr_csv import Following, Store, append, beside, numbered, rotate

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nobody_writes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LATE_SECONDS", 0.0)


def tick(path: Path) -> None:
    """Wait until the file system's clock has moved on."""
    clock = path.with_name("clock")
    clock.touch()
    before = clock.stat().st_mtime_ns
    while clock.stat().st_mtime_ns == before:
        clock.touch()


def gzip_c(source: Path, target: Path) -> None:
    target.write_bytes(gzip.compress(source.read_bytes()))


def gzip_k(source: Path, target: Path) -> None:
    gzip_c(source, target)
    os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))


COPIES: dict[str, Callable[[Path, Path], object]] = {
    "cp": shutil.copyfile,
    "cp -p": shutil.copy2,
    "gzip -c": gzip_c,
    "gzip -k": gzip_k,
}


class Reader:
    """An agent that is started for each reading, and all that it has got."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path)

    def read(self) -> int:
        """How many calls there are by now."""
        self.store.read()
        again = Store(self.path, cursor=self.store.cursor)
        again.records, again.rejects = self.store.records, self.store.rejects
        self.store = again
        assert not again.rejects
        tick(self.path)
        return len(set(again.identities))


@pytest.mark.parametrize("how", list(COPIES))
@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("of", ["the log", "a rotated one", "the last one"])
@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("name", [".copy", ".bak", ".9"])
def test_a_copy_of_equal_records_alone_adds_nothing(
    path: Path, how: str, equal: int, of: str, read: bool, name: str
) -> None:
    reader = Reader(path)
    append(path, numbered(*[7] * equal))
    tick(path)
    source, calls = path, equal
    if of != "the log":
        source = path.rename(beside(path, ".1"))
    if of == "a rotated one":
        append(path, numbered(8))
        calls += 1
    tick(path)
    if read:
        assert reader.read() == calls
    COPIES[how](source, beside(path, name))
    tick(path)
    assert reader.read() == calls
    append(path, numbered(9))
    assert reader.read() == calls + 1
    append(path, numbered(9, 10))
    assert reader.read() == calls + 3


@pytest.mark.parametrize("how", ["cp", "cp -p"])
@pytest.mark.parametrize("equal", [1, 3])
def test_nor_does_one_of_a_log_that_has_grown_since(path: Path, how: str, equal: int) -> None:
    append(path, numbered(*[7] * equal))
    tick(path)
    COPIES[how](path, beside(path, ".copy"))
    tick(path)
    append(path, numbered(8))
    assert Reader(path).read() == equal + 1


@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("every", [1, 2, 9])
@pytest.mark.parametrize("packed", [False, True])
def test_files_that_are_numbered_upwards_are_read_once(path: Path, equal: int, every: int, packed: bool) -> None:
    reader = Reader(path)
    for number in range(1, 10):
        append(path, numbered(*[number] * equal))
        tick(path)
        if number % every == 0:
            assert reader.read() == number * equal
        path.rename(beside(path, f".{number}"))
        if packed and number > 1:
            gzip_k(beside(path, f".{number - 1}"), beside(path, f".{number - 1}.gz"))
            beside(path, f".{number - 1}").unlink()
        tick(path)
        if number % every == 0:
            assert reader.read() == number * equal
    assert reader.read() == 9 * equal


def has(reader: Store, number: int) -> Callable[[], bool]:
    return lambda: number in reader.dialled


def test_so_they_are_by_who_follows_them(path: Path) -> None:
    with Following(path) as reader:
        for number in range(1, 7):
            append(path, numbered(number))
            reader.until(has(reader, number))
            path.rename(beside(path, f".{number}"))
        append(path, numbered(7))
        reader.until(has(reader, 7))
    assert len(set(reader.identities)) == 7


@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("live", [False, True])
def test_old_files_that_are_touched_are_known(path: Path, equal: int, live: bool) -> None:
    reader = Reader(path)
    for number in range(1, 5):
        append(path, numbered(*[number] * equal))
        tick(path)
        path.rename(beside(path, f".{'abcd'[number - 1]}"))
    if live:
        append(path, numbered(5))
    calls = reader.read()
    assert calls == 4 * equal + live
    for touched in ("b", "a", "d"):
        beside(path, f".{touched}").touch()
        assert reader.read() == calls
    append(path, numbered(6))
    assert reader.read() == calls + 1


@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("read", [False, True])
def test_a_log_that_is_touched_has_no_more_calls(path: Path, equal: int, read: bool) -> None:
    reader = Reader(path)
    append(path, numbered(*[7] * equal))
    tick(path)
    if read:
        reader.read()
    else:
        shutil.copyfile(path, beside(path, ".copy"))
    assert reader.read() == equal
    path.touch()
    assert reader.read() == equal


@pytest.mark.parametrize("how", list(COPIES))
@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("read", [False, True])
def test_calls_equal_to_those_before_copytruncate_are_calls(path: Path, how: str, equal: int, read: bool) -> None:
    reader = Reader(path)
    append(path, numbered(*[7] * equal))
    tick(path)
    if read:
        assert reader.read() == equal
    COPIES[how](path, beside(path, ".1"))
    os.truncate(path, 0)
    tick(path)
    append(path, numbered(*[7] * equal))
    assert reader.read() == 2 * equal
    append(path, numbered(7, 8))
    assert reader.read() == 2 * equal + 2


def test_so_they_are_for_who_follows_it(path: Path) -> None:
    append(path, numbered(7))
    with Following(path) as reader:
        reader.until(lambda: len(reader.records) == 1)
        tick(path)
        shutil.copyfile(path, beside(path, ".1"))
        with path.open("r+b", buffering=0) as file:
            tick(path)
            file.write(numbered(7))  # One write: no moment at which it is empty.
        reader.until(lambda: len(set(reader.identities)) == 2)
        append(path, numbered(8))
        reader.until(lambda: len(set(reader.identities)) == 3)
    assert Store(path, cursor=reader.cursor).read().dialled == []


@pytest.mark.parametrize("how", ["emptied", "made anew", "deleted"])
@pytest.mark.parametrize("before", [[7], [1, 7], [7, 7]])
@pytest.mark.parametrize("after", [[7], [7, 7], [7, 8]])
@pytest.mark.parametrize("seen", [1, 2])
def test_a_call_equal_to_the_last_one_is_a_call_when_the_log_was_seen_to_be_gone(
    path: Path, how: str, before: list[int], after: list[int], seen: int
) -> None:
    reader = Reader(path)
    append(path, numbered(*before))
    reader.read()
    if how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
    if how == "made anew":
        path.touch()
    for _ in range(seen):
        assert reader.read() == len(before)
    append(path, numbered(*after))
    assert reader.read() == len(before + after)
    rotate(path, 9)
    assert reader.read() == len(before + after) + 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("equal", [1, 3])
@pytest.mark.parametrize("read", [False, True])
def test_calls_on_both_sides_of_a_rotation_are_calls(path: Path, packed: bool, equal: int, read: bool) -> None:
    reader = Reader(path)
    append(path, numbered(*[7] * equal))
    for rotations in range(1, 4):
        tick(path)
        if read:
            assert reader.read() == rotations * equal
        rotate(path, *[7] * equal)
        if packed:
            gzip_k(beside(path, ".1"), beside(path, ".1.gz"))
            beside(path, ".1").unlink()
    assert reader.read() == 4 * equal


def test_nor_is_it_known_where_an_older_copy_was_not_read(path: Path) -> None:
    reader = Reader(path)
    append(path, numbered(7))
    reader.read()
    shutil.copyfile(path, beside(path, ".copy"))
    tick(path)
    append(path, numbered(8))
    assert reader.read() == 2
    os.truncate(path, 0)
    assert reader.read() == 2
    append(path, numbered(8))
    assert reader.read() == 3
