"""A reader that follows Master.csv through whatever happens to the file, in a thread as the pump runs it."""

import gzip
import os
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.cdr_csv import Following, Store, append, beside, call, line, numbered, rotate

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "cdr-csv").mkdir()
    return tmp_path / "cdr-csv" / "Master.csv"


def got(reader: Store, *numbers: int) -> Callable[[], bool]:
    return lambda: reader.new == list(numbers) and not reader.rejects


def once(reader: Store) -> bool:
    return len(set(reader.identities)) == len(reader.identities)


def test_records_are_read_as_they_are_written(path: Path) -> None:
    with Following(path) as reader:
        for number in range(1, 6):
            append(path, numbered(number))
            reader.until(got(reader, *range(1, number + 1)))
    assert once(reader)


def test_half_a_record_waits_for_the_other_half(path: Path) -> None:
    two = line(call(dst=b"2", userfield=b"one\ntwo"))
    append(path, numbered(1) + two[:100])
    with Following(path) as reader:
        reader.until(got(reader, 1))
        for at in range(100, len(two), 20):
            append(path, two[at : at + 20])
        append(path, numbered(3)[:-1])
        reader.until(got(reader, 1, 2))
        append(path, b"\n")
        reader.until(got(reader, 1, 2, 3))
    assert once(reader)


def test_rotation_by_renaming_loses_nothing(path: Path) -> None:
    append(path, numbered(1, 2))
    with Following(path) as reader:
        reader.until(got(reader, 1, 2))
        append(path, numbered(3))
        path.rename(beside(path, ".1"))
        append(path, numbered(4))
        reader.until(got(reader, 1, 2, 3, 4))
        beside(path, ".1").rename(beside(path, ".2"))
        path.rename(beside(path, ".1"))
        append(path, numbered(5))
        reader.until(got(reader, 1, 2, 3, 4, 5))
    assert once(reader)


def test_who_had_the_file_open_when_it_was_renamed_may_still_write(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader, path.open("ab", buffering=0) as slow:
        reader.until(got(reader, 1))
        path.rename(beside(path, "-20261120"))
        append(path, numbered(3))
        slow.write(numbered(2)[:50])
        slow.write(numbered(2)[50:])
        reader.until(got(reader, 1, 2, 3))
    assert once(reader)


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_rotated_twice_is_read_before_there_is_a_new_log(
    path: Path, packed: bool, compress: Callable[[Path, str], None]
) -> None:
    """Between two looks, a log was made, written and renamed as well: nothing stands under its name that could tell."""
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        path.rename(beside(path, ".2"))
        if packed:
            compress(beside(path, ".2"), "gz")
        made = path.with_name("made")
        append(made, numbered(2, 3))
        made.rename(beside(path, ".1"))
        reader.until(got(reader, 1, 2, 3))
    assert once(reader)


@pytest.mark.parametrize("pack", ["gz", "bz2", "xz"])
def test_rotation_with_compression_loses_nothing(path: Path, pack: str, compress: Callable[[Path, str], None]) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        append(path, numbered(2))
        path.rename(beside(path, ".1"))
        append(path, numbered(3))
        compress(beside(path, ".1"), pack)
        reader.until(got(reader, 1, 2, 3))
    assert once(reader)


def test_copytruncate_loses_nothing_that_the_copy_holds(path: Path) -> None:
    append(path, numbered(1, 2))
    with Following(path) as reader:
        reader.until(got(reader, 1, 2))
        append(path, numbered(3))
        shutil.copy(path, beside(path, ".1"))
        os.truncate(path, 0)
        append(path, numbered(*range(4, 30)))
        reader.until(got(reader, *range(1, 30)))
    assert once(reader)


@pytest.mark.parametrize("more", [1, 40])
def test_truncation_is_noticed_though_the_file_outgrows_its_old_size(
    path: Path, more: int, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, numbered(1, 2, 3))
    with Following(path) as reader:
        reader.until(got(reader, 1, 2, 3))
        with path.open("r+b", buffering=0) as file:  # one write: no moment at which it is empty
            file.write(numbered(*range(11, 11 + more)))
            file.truncate()
        reader.until(got(reader, 1, 2, 3, *range(11, 11 + more)))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert all("truncated" in warning and str(path) in warning for warning in warnings)
    each, again = reader.dialled[: 3 + more], reader.dialled[3 + more :]
    assert each == [1, 2, 3, *range(11, 11 + more)]
    if more == 1:
        # Where it became shorter, a reader that looks between the two system calls sees what is left of the old file
        # again, and may see it change twice.
        assert (again, len(warnings)) in (([], 1), ([2, 3], 1), ([2, 3, 11], 2))
    else:
        assert (again, len(warnings)) == ([], 1)
    assert len(set(reader.identities)) == 3 + more


def test_deletion_is_no_end_and_no_loss(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        for number in range(2, 5):
            path.unlink()
            append(path, numbered(number))
            reader.until(got(reader, *range(1, number + 1)))
    assert once(reader)


def test_an_inode_that_is_used_again_is_another_file(path: Path) -> None:
    append(path, numbered(1, 2))
    first = Store(path).read()
    inode = path.stat().st_ino
    for _ in range(50):
        path.unlink()
        append(path, numbered(11, 12, 13))
        if path.stat().st_ino == inode:
            break
    else:
        path.write_bytes(numbered(1, 2))
        first = Store(path).read()
        path.write_bytes(numbered(11, 12, 13))
    assert Store(path, cursor=first.cursor).read().dialled == [11, 12, 13]


@pytest.mark.parametrize("directory", [True, False])
def test_a_file_that_is_not_there_yet_is_waited_for(path: Path, directory: bool) -> None:
    if not directory:
        path.parent.rmdir()
    with Following(path) as reader:
        reader.until(lambda: True)
        path.parent.mkdir(exist_ok=True)
        append(path, numbered(1))
        reader.until(got(reader, 1))


def test_a_directory_that_is_renamed_and_made_anew_is_read(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        for number in range(2, 4):
            path.parent.rename(path.parent.with_name(f"old{number}"))
            path.parent.mkdir()
            append(path, numbered(number))
            reader.until(got(reader, *range(1, number + 1)))
    assert once(reader)


def test_start_at_the_end_skips_what_is_there_once_only(path: Path) -> None:
    append(path, numbered(1, 2))
    append(beside(path, ".1"), numbered(9))
    with Following(path, start="end") as reader:
        reader.until(lambda: reader.cursor)
    append(path, numbered(3))
    with Following(path, start="end", cursor=reader.cursor) as reader:
        append(path, numbered(4))
        reader.until(got(reader, 3, 4))


def test_stop_ends_reading_whatever_it_waits_for(path: Path) -> None:
    for there in ("nothing", "the directory", "the log"):
        if there == "nothing":
            path.parent.rmdir()
        elif there == "the directory":
            path.parent.mkdir()
        else:
            append(path, numbered(1))
        with Following(path) as reader:
            if path.exists():
                reader.until(got(reader, 1))
            reader.stop.set()
            assert reader.ended(2)
            assert reader.failure is None


def test_stop_ends_reading_in_the_second_after_a_rotation_and_loses_nothing(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        path.rename(beside(path, ".1"))
        append(beside(path, ".1"), numbered(2)[:50])
        append(path, numbered(3))
        reader.stop.set()
        assert reader.ended(2)
    append(beside(path, ".1"), numbered(2)[50:])
    after = Store(path, cursor=reader.cursor).read()
    assert sorted(reader.dialled + after.dialled) == [1, 2, 3]
    assert not after.rejects


def seconds_until_read(reader: Following, path: Path, number: int) -> float:
    written = time.monotonic()
    append(path, numbered(number))
    reader.until(lambda: number in reader.dialled)
    return time.monotonic() - written


def test_a_line_is_read_without_waiting_for_the_poll(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        waits = [seconds_until_read(reader, path, number) for number in range(2, 13)]
    assert statistics.median(waits) < 0.3


def test_a_line_is_read_soon_when_the_directory_was_replaced(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(got(reader, 1))
        path.parent.rename(path.parent.with_name("old"))
        path.parent.mkdir()
        assert seconds_until_read(reader, path, 2) < 3.5
        assert statistics.median(seconds_until_read(reader, path, number) for number in range(3, 12)) < 0.5


def test_a_directory_in_the_place_of_the_file_is_an_error_that_is_told(path: Path) -> None:
    path.mkdir()
    with Following(path) as reader:
        assert reader.ended(3)
    assert isinstance(reader.failure, OSError)
    assert str(path) in str(reader.failure)


@pytest.mark.parametrize("late", [False, True])
def test_rotation_while_a_backlog_is_read_skips_no_file(path: Path, late: bool) -> None:
    append(path, numbered(1))
    rotate(path, 2)
    rotate(path, 3)
    reader = Store(path)
    reading = reader.batches()
    for _ in range(2 if late else 1):
        next(reading)
    rotate(path, 4)
    for _ in reading:
        pass
    reader.read()
    assert reader.new == [1, 2, 3, 4]


def test_compression_while_a_backlog_is_read_does_not_end_it(path: Path, compress: Callable[[Path, str], None]) -> None:
    append(path, numbered(1))
    rotate(path, 2)
    rotate(path, 3)
    reader = Store(path)
    for _ in reader.batches():
        if beside(path, ".1").exists():
            compress(beside(path, ".1"), "gz")
    assert reader.new == [1, 2, 3]


def test_a_dead_link_beside_it_does_not_keep_the_file_from_being_read(path: Path) -> None:
    beside(path, ".1").symlink_to(path.with_name("gone"))
    append(path, numbered(1))
    assert Store(path).read().dialled == [1]


def test_a_copy_beside_it_doubles_no_call(path: Path) -> None:
    # `cp Master.csv Master.csv-20261120` before some work; or copytruncate, between copying and truncating.
    append(path, numbered(1, 2, 2, *range(10, 30)))
    shutil.copy(path, beside(path, "-20261120"))
    append(path, numbered(3))
    reader = Store(path).read()
    assert reader.new == [1, 2, 2, *range(10, 30), 3]


@pytest.mark.parametrize("packed", [False, True])
def test_rotated_files_without_a_record_are_no_obstacle(path: Path, packed: bool) -> None:
    append(path, numbered(1))
    reader = Store(path).read()
    rotate(path)
    rotate(path)
    rotate(path, 2)
    if packed:
        for empty in (beside(path, ".1"), beside(path, ".2")):
            beside(path, f"{empty.name.removeprefix(path.name)}.gz").write_bytes(gzip.compress(empty.read_bytes()))
            empty.unlink()
    assert Store(path, cursor=reader.cursor).read().dialled == [2]
    assert Store(path).read().dialled == [1, 2]


def test_files_that_rotate_while_another_is_waited_for_are_all_read(path: Path) -> None:
    # A renamed file is left a second for late writers; meanwhile the next ones come and go, packed, their inodes free.
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(lambda: reader.dialled == [1])
        for number in range(2, 18):
            rotate(path, number)
            for older in range(2, 4):
                if (plain := beside(path, f".{older}")).exists():
                    beside(path, f".{older}.gz").write_bytes(gzip.compress(plain.read_bytes()))
                    plain.unlink()
        reader.until(lambda: set(range(1, 18)) <= set(reader.dialled), 20)
