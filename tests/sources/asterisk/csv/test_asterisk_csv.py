"""Reading Master.csv and its rotated files, again and again from cursors: no call lost, none doubled."""

import gzip
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.cdr_csv import Following, Store, append, beside, call, line, numbered, rotate, source

pytestmark = pytest.mark.slow


def many() -> bytes:
    """3 MB with every record a few times, near and far: several batches, and more than the window of counting."""
    chosen = random.Random(7)
    return b"".join(numbered(chosen.randrange(at // 4, at // 4 + 40)) for at in range(13000))


def test_a_first_start_reads_rotated_files_oldest_first(path: Path, compress: Callable[[Path, str], None]) -> None:
    for number, suffix in enumerate([".10", ".9", ".2", ".1", "-20261118", "-20261119", ""]):
        beside(path, suffix).write_bytes(numbered(2 * number, 2 * number + 1))
    compress(beside(path, ".10"), "gz")
    compress(beside(path, ".9"), "bz2")
    compress(beside(path, "-20261118"), "xz")
    reader = Store(path).read()
    assert reader.dialled == list(range(14))
    assert Store(path, cursor=reader.cursor).read().dialled == []


@pytest.mark.parametrize(
    "name",
    [
        *("ACME.csv", "ACME.csv.1", "Mas.1", "Master.1.csv", ".Master.csv.swp", ".Master.csv.1.gz"),
        *("Master.csv.x.csv", "Master.csv.x.csv.1", "Master.csv.1.CSV.gz", "Master.csv.csv"),
        *("Master.csv.swp", "Master.csv.tmp", "Master.csv.1.gz.tmp", "Master.csv.part", "Master.csv.1.filepart"),
    ],
)
def test_files_beside_it_that_are_not_its_own_are_never_read(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(numbered(1))
    path.write_bytes(numbered(2))
    assert Store(path).read().dialled == [2]


def test_what_was_rotated_twice_while_away_is_read_on(path: Path, compress: Callable[[Path, str], None]) -> None:
    append(path, numbered(1))
    reader = Store(path).read()
    append(path, numbered(2))
    rotate(path, 3)
    rotate(path, 4)
    compress(beside(path, ".2"), "gz")
    assert Store(path, cursor=reader.cursor).read().dialled == [2, 3, 4]


def test_a_file_that_is_being_compressed_is_read_once(path: Path) -> None:
    append(path, numbered(1))
    rotate(path, 2)
    beside(path, ".1.gz").write_bytes(gzip.compress(numbered(1))[:20])
    reader = Store(path).read()
    assert (reader.dialled, reader.rejects) == ([1, 2], [])


@pytest.mark.parametrize("how", ["cut", "garbage"])
@pytest.mark.parametrize("pack", ["gz", "bz2", "xz"])
def test_of_a_packed_file_that_breaks_off_the_readable_part_arrives_and_a_reject(
    path: Path, compress: Callable[[Path, str], None], pack: str, how: str
) -> None:
    beside(path, ".1").write_bytes(numbered(*range(1000)))
    append(path, numbered(5000))
    compress(beside(path, ".1"), pack)
    packed = beside(path, f".1.{pack}")
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2] if how == "cut" else data[:4] + b"garbage" * 50)
    reader = Store(path).read()
    assert reader.dialled == [*range(len(reader.dialled) - 1), 5000]
    assert "breaks off" in reader.rejects[-1].reason
    assert str(packed) in reader.rejects[-1].where
    if (pack, how) == ("gz", "cut"):
        assert len(reader.dialled) > 100
    again = Store(path).read()
    assert [reject.key for reject in again.rejects] == [reject.key for reject in reader.rejects]
    assert Store(path, cursor=reader.cursor).read().dialled == []
    assert source(path).unread(reader.cursor) == 0


def test_a_rotated_file_that_ends_in_half_a_record_gives_it_as_a_reject(path: Path) -> None:
    append(path, numbered(1) + numbered(2)[:90])
    reader = Store(path).read()
    assert (reader.dialled, reader.rejects) == ([1], [])
    rotate(path, 3)
    reader.read()
    assert reader.dialled == [1, 3]
    assert [reject.text for reject in reader.rejects] == [numbered(2)[:90]]
    assert f"{beside(path, '.1')}, byte {len(numbered(1))}" == reader.rejects[0].where


def test_copytruncate_while_away_loses_nothing_that_the_copy_holds(path: Path) -> None:
    append(path, numbered(1, 2))
    reader = Store(path).read()
    append(path, numbered(3))
    shutil.copy(path, beside(path, ".1"))
    os.truncate(path, 0)
    append(path, numbered(4, 5, 6, 7, 8))
    assert Store(path, cursor=reader.cursor).read().dialled == [3, 4, 5, 6, 7, 8]


def test_a_file_trimmed_to_its_last_lines_adds_nothing_but_the_new(path: Path) -> None:
    append(path, numbered(1, 2, 2, 3, 3, 3, 4, 4))
    reader = Store(path).read()
    known = set(reader.identities)
    for keep in (7, 5, 4, 1):
        path.with_name("new").write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[-keep:]))
        path.with_name("new").rename(path)
        again = Store(path, cursor=reader.cursor).read()
        assert set(again.identities) <= known
        assert len(set(again.identities)) == len(again.identities) == keep
    append(path, numbered(5))
    assert 5 in Store(path, cursor=again.cursor).read().dialled


def test_twins_are_two_calls_and_the_same_two_whenever_they_are_read(path: Path) -> None:
    append(path, numbered(1, 1, 2, 1))
    first = Store(path).read()
    assert len(set(first.identities)) == 4
    rotate(path, 1, 3)
    assert Store(path).read().identities[:4] == first.identities
    assert len(set(Store(path).read().identities)) == 6


def test_twins_on_both_sides_of_a_rotation_are_two_calls_across_a_restart(path: Path) -> None:
    append(path, numbered(7))
    rotate(path, 1)
    reader = Store(path).read()
    append(path, numbered(7))
    reader = Store(path, cursor=reader.cursor)
    assert reader.read().identities[0] not in Store(beside(path, ".1")).read().identities


@pytest.mark.parametrize("packed", [False, True])
def test_equal_records_in_three_files_are_three_calls_across_restarts(path: Path, packed: bool) -> None:
    append(path, numbered(1, 7))
    first = Store(path).read()
    rotate(path, 7)
    second = Store(path, cursor=first.cursor).read()
    # The newest file now begins with all that had been read of the one before.
    rotate(path, 7, 8)
    if packed:
        status = beside(path, ".1").stat()
        beside(path, ".1.gz").write_bytes(gzip.compress(beside(path, ".1").read_bytes()))
        os.utime(beside(path, ".1.gz"), ns=(status.st_atime_ns, status.st_mtime_ns))
        beside(path, ".1").unlink()
    third = Store(path, cursor=second.cursor).read()
    assert [first.dialled, second.dialled, third.dialled] == [[1, 7], [7], [7, 8]]
    assert len({*first.identities, *second.identities, *third.identities}) == 5


def test_equal_records_that_are_whole_files_are_counted_right_when_all_are_packed(path: Path) -> None:
    append(path, numbered(7))
    # A file system's clock ticks every few milliseconds only.
    os.utime(path, (10**9, 10**9))
    first = Store(path).read()
    rotate(path, 7)
    second = Store(path, cursor=first.cursor).read()
    rotate(path, 7, 8)
    for number in (1, 2):
        plain, packed = beside(path, f".{number}"), beside(path, f".{number}.gz")
        status = plain.stat()
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        plain.unlink()
    third = Store(path, cursor=second.cursor).read()
    assert third.dialled == [7, 8]
    assert len({*first.identities, *second.identities, *third.identities}) == 4


def test_a_restart_at_every_batch_gives_the_same_identities(path: Path) -> None:
    path.write_bytes(many())
    whole = Store(path).read()
    assert len(set(whole.identities)) == len(whole.identities) == 13000
    cursor, identities, restarts = None, [], 0
    while True:
        reader = Store(path, cursor=cursor)
        reading = reader.batches()
        if not next(reading, 0):
            break
        reading.close()
        identities += reader.identities
        cursor = reader.cursor
        restarts += 1
    assert restarts > 5
    assert identities == whole.identities


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(1, 3), max_size=6), max_size=6), st.lists(st.booleans(), min_size=6))
def test_restarts_while_equal_records_arrive_change_no_identity(pieces: list[list[int]], restarts: list[bool]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "Master.csv"
        reader = Store(path)
        for piece, restart in zip(pieces, restarts, strict=False):
            append(path, b"x\n" * (len(piece) % 2) + numbered(*piece))
            if restart:
                reader.read()
        reader.read()
        whole = Store(path).read()
        assert reader.identities == whole.identities
        assert sorted(reject.key for reject in reader.rejects) == sorted(reject.key for reject in whole.rejects)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_whatever_happens_between_readings_each_call_comes_once(draw: st.DataObject) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "Master.csv"
        reader, number = Store(path), 0
        for _ in range(draw.draw(st.integers(1, 8))):
            match draw.draw(st.sampled_from(["write", "half", "read", "rotate", "pack", "copytruncate", "twins"])):
                case "write" | "twins" as what:
                    number += 1
                    append(path, numbered(number) * (2 if what == "twins" else 1))
                case "half":
                    number += 1
                    append(path, numbered(number)[:120])
                    reader.read()
                    append(path, numbered(number)[120:])
                case "read":
                    reader.read()
                case "rotate" if path.exists() and path.stat().st_size:
                    number += 1
                    rotate(path, number)
                case "pack" if (plain := beside(path, ".1")).exists():
                    beside(path, ".1.gz").write_bytes(gzip.compress(plain.read_bytes()))
                    plain.unlink()
                case "copytruncate" if path.exists() and path.stat().st_size:
                    rotate(path)
                    beside(path, ".1").rename(path)
                    shutil.copy(path, beside(path, ".1"))
                    os.truncate(path, 0)
        reader.read()
        whole = Store(path).read()
        assert sorted(reader.identities) == sorted(whole.identities)
        assert len(set(whole.identities)) == len(whole.identities)
        assert set(reader.dialled) == set(range(1, number + 1))
        assert not reader.rejects


@settings(deadline=None, max_examples=5)
@given(st.lists(st.integers(0, 6), max_size=4))
def test_what_was_not_acknowledged_comes_again(abandoned: list[int]) -> None:
    data = many()
    with TemporaryDirectory() as directory:
        path = Path(directory) / "Master.csv"
        beside(path, ".1.gz").write_bytes(gzip.compress(data[: data.index(b"\n", 10**6) + 1], 1))
        path.write_bytes(data[data.index(b"\n", 10**6) + 1 :])
        whole = Store(path).read()
        cursor, identities = None, []
        for count in [*abandoned, 10**6]:
            stop = Event()
            reading = source(path).read(cursor, stop, follow=False)
            for number, batch in enumerate(reading):
                if number == count:
                    stop.set()
                    break
                identities += [record.identity for record in batch.records]
                cursor = batch.cursor or cursor
            reading.close()
        assert identities == whole.identities


def test_stop_in_the_middle_of_a_backlog_ends_it_before_the_next_batch(path: Path) -> None:
    path.write_bytes(many())
    stop = Event()
    reader = Store(path)
    reading = reader.batches(stop=stop)
    next(reading)
    stop.set()
    assert list(reading) == []
    rest = Store(path, cursor=reader.cursor).read()
    assert reader.identities + rest.identities == Store(path).read().identities


@pytest.mark.parametrize("there", ["absent", "empty", "full", "half"])
def test_start_at_the_end_reads_what_comes_after_even_when_restarted_before(path: Path, there: str) -> None:
    beside(path, ".1").write_bytes(numbered(8))
    os.utime(beside(path, ".1"), (1, 1))
    if there != "absent":
        path.write_bytes({"empty": b"", "full": numbered(9), "half": numbered(9) + numbered(1)[:50]}[there])
    assert source(path, start="end").unread(None) == 0
    reader = Store(path, start="end")
    for _ in range(3):
        reader.read()
        assert reader.cursor
    assert reader.dialled == []
    append(path, numbered(1)[50:] if there == "half" else numbered(1))
    rotate(path, 2)
    assert reader.read().dialled == [1, 2]
    assert reader.read().dialled == [1, 2]


def test_unread_counts_what_was_not_read_unpacked(path: Path, compress: Callable[[Path, str], None]) -> None:
    assert source(path).unread(None) == 0
    append(path, numbered(1, 2))
    reader = Store(path).read()
    assert source(path).unread(None) == len(numbered(1, 2))
    assert source(path).unread(reader.cursor) == 0
    append(path, numbered(3) + numbered(4)[:60])
    assert source(path).unread(reader.cursor) == len(numbered(3)) + 60
    append(path, numbered(4)[60:])
    rotate(path, 5)
    compress(beside(path, ".1"), "gz")
    assert source(path).unread(reader.cursor) == len(numbered(3, 4, 5))
    assert source(path).unread(None) == len(numbered(1, 2, 3, 4, 5))


def test_a_directory_in_the_place_of_the_file_is_an_error_that_names_it(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OSError, match=r"Master\.csv"):
        Store(path).read()


def test_an_impossible_record_is_a_reject_and_the_next_one_a_call(path: Path) -> None:
    append(path, line(call(start=b"2026-02-30 00:00:00")) + numbered(1))
    reader = Store(path).read()
    assert reader.dialled == [1]
    assert "2026-02-30" in reader.rejects[0].reason


def test_parse_reads_one_record_with_or_without_its_line_break(path: Path) -> None:
    append(path, numbered(1))
    for text in (numbered(1), numbered(1)[:-1]):
        batch = source(path).parse(text)
        assert [record.identity for record in batch.records] == Store(path).read().identities
    assert source(path).parse(b"nonsense").rejects[0].text == b"nonsense"


def test_following_a_backlog_and_then_the_live_file_gives_the_identities_of_one_reading(path: Path) -> None:
    data = many()[:600_000]
    data = data[: data.rindex(b"\n") + 1]
    path.write_bytes(data)
    with Following(path) as reader:
        for number in (1, 1, 2):
            append(path, numbered(number))
        reader.until(lambda: len(reader.records) == data.count(b"\n") + 3)
    assert reader.identities == Store(path).read().identities
