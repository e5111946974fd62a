"""FreeSWITCH's archives when the clock went back, and a file that was moved away empty: each call once, none lost."""

import os
from pathlib import Path

import pytest

from tests.kit.cdr_reader import Following, Reader
from tests.kit.mod_cdr_csv import Module, rows

pytestmark = pytest.mark.slow

NOON = 1_795_176_000


def example(*numbers: int) -> bytes:
    return rows("example", *numbers)


def rotate(module: Module, path: Path, stamp: str, when: int) -> None:
    os.utime(path, (when, when))
    module.rotate(stamp)


def test_the_hour_that_comes_twice_in_autumn_loses_no_archive(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    first = Reader(path).read()
    rotate(module, path, "2026-10-25-02-50-00", NOON)
    module.write(example(2))
    rotate(module, path, "2026-10-25-02-10-00", NOON + 1200)
    module.write(example(3))
    assert Reader(path, cursor=first.cursor).read().dialled == ["2", "3"]


@pytest.mark.parametrize("back", [3600, 26 * 365 * 86400])
def test_archives_of_an_earlier_clock_are_read(path: Path, back: int) -> None:
    module = Module(path)
    module.write(example(1))
    rotate(module, path, "2026-11-19-12-00-00", NOON - 86400)
    module.write(example(2))
    first = Reader(path).read()
    module.write(example(3))
    rotate(module, path, "2026-11-20-12-00-00", NOON)
    module.write(example(4))
    rotate(module, path, "2000-11-20-11-00-00", NOON - back)
    module.write(example(5))
    os.utime(path, (NOON - back, NOON - back))
    with Following(path, cursor=first.cursor) as reader:
        reader.until_dialled(3, 4, 5)
        module.write(example(6))
        reader.until_dialled(3, 4, 5, 6)
    assert Reader(path, cursor=reader.cursor).read().dialled == []


def test_a_younger_file_of_an_earlier_clock_ends_the_one_before(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    os.utime(path, (NOON * 2, NOON * 2))
    with Following(path) as reader:
        reader.until_dialled(1)
        module.rotate("2026-11-20-12-00-00")
        module.write(example(2))
        reader.until_dialled(1, 2)


@pytest.mark.parametrize("before", [True, False])
def test_a_file_that_was_moved_away_empty_is_read_on(path: Path, before: bool) -> None:
    module = Module(path)
    if before:
        module.write(example(1))
        module.rotate("2026-11-20-12-00-00")
    module.write(b"")
    path.rename(f"{path}.1")
    path.touch()
    with Following(path) as reader:
        old = [1] if before else []
        reader.until_dialled(*old)
        module.write(example(2))
        reader.until_dialled(*old, 2)
        module.write(example(3))
        reader.until_dialled(*old, 2, 3)
        module.reopen()
        module.write(example(4))
        reader.until_dialled(*old, 2, 3, 4)


def test_a_moved_file_that_got_its_first_row_too_late_is_read_after_the_next_rotation(path: Path) -> None:
    module = Module(path)
    module.write(b"")
    path.rename(f"{path}.1")
    Path(f"{path}.1").write_bytes(b"")
    module.reopen()
    module.write(example(2))
    first = Reader(path).read()
    Path(f"{path}.1").write_bytes(example(1))
    module.rotate("2026-11-20-12-00-00")
    module.write(example(3))
    assert Reader(path, cursor=first.cursor).read().dialled == ["1", "3"]
