"""A rotated file is known by what it holds: its name needs only begin with the log's."""

import bz2
import errno
import gzip
import logging
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.files import position, unpacking
from humbug_agent.sources.files.rotation import Shelf
from tests.kit.cdr_csv import Following, Store, append, beside, numbered, rotate, source

pytestmark = pytest.mark.slow


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


def pack(file: Path, suffix: str) -> Path:
    """The packed file beside the plain one with its times; then the plain one goes."""
    status = file.stat()
    packed = file.with_name(file.name + suffix)
    packed.write_bytes(PACKERS[suffix](file.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    file.unlink()
    return packed


def logrotate(path: Path, suffix: str) -> None:
    """With compress and delaycompress."""
    for number in range(9, 0, -1):
        for end in ("", suffix):
            if (old := beside(path, f".{number}{end}")).exists():
                old.rename(beside(path, f".{number + 1}{end}"))
    path.rename(beside(path, ".1"))
    if (older := beside(path, ".2")).exists():
        pack(older, suffix)


def aged(file: Path, seconds: int) -> None:
    """Written so long ago: tests are quicker than a file system's clock."""
    written = file.stat().st_mtime - seconds
    os.utime(file, (written, written))


@pytest.mark.parametrize("suffix", list(PACKERS))
def test_three_rotations_while_away_are_read_whatever_packs_them(path: Path, suffix: str) -> None:
    append(path, numbered(*range(6)))
    first = Store(path).read()
    append(path, numbered(*range(6, 9)))
    for number in range(3):
        logrotate(path, suffix)
        append(path, numbered(*range(9 + 6 * number, 15 + 6 * number)))
    then = Store(path, cursor=first.cursor).read()
    assert first.dialled + then.dialled == list(range(27))
    assert len({*first.identities, *then.identities}) == 27
    assert not then.rejects


NAMES = [
    *(".old", ".bak", "~", ".save", "_20261120", ".Nov2026", "-2026-W47", ".20261120T170633Z", "-20261120", ".1"),
    *("20261120", ".20-11-2026", "-1795194393", " (copy)", ".orig.2", ".~1~", ".2026-11-20_17:06:33", "@1", ".1.bak"),
]


@pytest.mark.parametrize("suffix", NAMES)
@pytest.mark.parametrize("packed", ["", *PACKERS])
@pytest.mark.parametrize("behind", ["", ".sent"])
def test_under_any_name_it_is_read_on(path: Path, suffix: str, packed: str, behind: str) -> None:
    append(path, numbered(*range(10)))
    first = Store(path).read()
    append(path, numbered(10, 11))
    away = path.rename(beside(path, suffix))
    if packed:
        away = pack(away, packed)
    away.rename(away.with_name(away.name + behind))
    append(path, numbered(11, 12))
    then = Store(path, cursor=first.cursor).read()
    assert then.dialled == [10, 11, 11, 12]
    assert len({*first.identities, *then.identities}) == 14
    assert Store(path, cursor=then.cursor).read().dialled == []


def test_they_are_read_in_the_order_in_which_they_were_written(path: Path) -> None:
    for number, suffix in enumerate(("-2026-W47", ".Dec2025", ".old", ".20112026", ".9", ".8", "~", ".Apr2026", "")):
        append(beside(path, suffix), numbered(number))
        aged(beside(path, suffix), 1000 - 10 * number)
    assert Store(path).read().dialled == list(range(9))


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(8)), st.data())
def test_numbers_and_dates_go_before_times(order: list[int], data: st.DataObject) -> None:
    """Packing and copying may leave any time."""
    suffixes = data.draw(
        st.sampled_from(
            [[f".{number}" for number in range(8, 0, -1)], [f"-2026{month:02}01" for month in range(1, 9)]],
        )
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "Master.csv"
        for number, suffix in enumerate(suffixes):
            append(beside(path, suffix), numbered(number))
            os.utime(beside(path, suffix), (10**9 + order[number], 10**9 + order[number]))
        append(path, numbered(8))
        assert Store(path).read().dialled == list(range(9))


@pytest.mark.parametrize("suffix", [".md5", ".sha256", ".txt", ".old", ".1.asc"])
def test_what_holds_no_call_is_none_of_its_files_and_said_to_be(
    path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    beside(path, suffix).write_bytes(b"d41d8cd98f00b204e9800998ecf8427e  Master.csv\n")
    append(path, numbered(1))
    reader = Store(path).read()
    assert (reader.dialled, reader.rejects) == ([1], [])
    assert any(str(beside(path, suffix)) in record.getMessage() for record in caplog.records)


def test_the_log_itself_is_its_own_also_where_a_full_disk_left_no_call_in_it(path: Path) -> None:
    path.write_bytes(b'"","101","501","from-int')
    shelf = Shelf(path, lambda _: 0)
    (log,) = shelf.entries()
    assert shelf.known_as(log)
    assert shelf.notes == []


def test_folders_pipes_and_links_in_a_circle_beside_it_are_no_obstacle(path: Path) -> None:
    beside(path, ".d").mkdir()
    os.mkfifo(beside(path, ".pipe"))
    beside(path, ".circle").symlink_to(beside(path, ".circle"))
    append(path, numbered(1))
    assert Store(path).read().dialled == [1]


@pytest.mark.parametrize("packer", list(PACKERS))
@pytest.mark.parametrize("name", [".1", ".1.gz", ".old", ".1.xz"])
def test_how_it_is_packed_is_seen_in_the_file_and_not_in_its_name(path: Path, packer: str, name: str) -> None:
    beside(path, name).write_bytes(PACKERS[packer](numbered(1, 2)))
    append(path, numbered(3))
    assert Store(path).read().dialled == [1, 2, 3]


def test_a_plain_file_may_be_called_packed(path: Path) -> None:
    append(beside(path, ".1.gz"), numbered(1))
    append(path, numbered(2))
    assert Store(path).read().dialled == [1, 2]


@pytest.mark.parametrize("packer", list(PACKERS))
def test_one_that_is_being_packed_is_read_once_and_whole(path: Path, packer: str) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(lambda: reader.dialled == [1])
        data = PACKERS[packer](numbered(*range(2, 2000)))
        packed = beside(path, f".1{packer}")
        packed.write_bytes(data[: len(data) // 2])
        path.rename(beside(path, ".2"))
        append(path, numbered(2000))
        packed.write_bytes(data)
        reader.until(lambda: len(set(reader.dialled)) == 2000)
    assert not reader.rejects


@pytest.mark.parametrize("program", ["zstd", "lz4"])
def test_a_program_unpacks_what_nothing_else_here_does(
    path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    magic, _, command = unpacking._KINDS[program]
    monkeypatch.setitem(unpacking._KINDS, program, (magic, None, command))
    data = b"".join(numbered(number) for number in range(20_000))
    packed = subprocess.run([program, "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    beside(path, ".2").write_bytes(packed)
    beside(path, ".1").write_bytes(packed[: len(packed) // 2])
    append(path, numbered(50_000))
    first = Store(path)
    reading = first.batches()
    next(reading)
    reading.close()
    then = Store(path, cursor=first.cursor).read()
    assert set(first.dialled + then.dialled) == {*range(20_000), 50_000}
    assert len({*first.identities, *then.identities}) == 20_001
    assert ["breaks off" in reject.reason for reject in then.rejects[-1:]] == [True]


@pytest.mark.parametrize("packer", [".zst", ".gz"])
def test_of_one_that_breaks_off_what_can_be_unpacked_arrives_and_a_reject(path: Path, packer: str) -> None:
    data = PACKERS[packer](b"".join(numbered(number) for number in range(20_000)))
    beside(path, f".1{packer}").write_bytes(data[: 9 * len(data) // 10])
    append(path, numbered(50_000))
    reader = Store(path).read()
    assert len(reader.dialled) > 1000
    assert reader.dialled == [*range(len(reader.dialled) - 1), 50_000]
    assert "breaks off" in reader.rejects[-1].reason


def without_zstd(patched: pytest.MonkeyPatch, path: Path) -> None:
    """A host on which nothing unpacks it: neither a package nor a program."""
    magic, _, command = unpacking._KINDS["zstd"]
    patched.setitem(unpacking._KINDS, "zstd", (magic, None, command))
    patched.setenv("PATH", str(path.parent))


@pytest.mark.parametrize("suffix", [".1.zst", ".old", "-20261120.zst"])
def test_what_cant_be_unpacked_here_is_told_with_what_to_install_and_read_later(
    path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, numbered(1))
    beside(path, suffix).write_bytes(zstd(numbered(7, 8)))
    aged(beside(path, suffix), 100)
    with pytest.MonkeyPatch.context() as without:
        without_zstd(without, path)
        first = Store(path).read()
        assert first.dialled == [1]
        assert not first.rejects
        trouble = first.source.trouble()
        with pytest.raises(SourceError) as refused:
            first.source.check()
    for said in (trouble, str(refused.value), caplog.text):
        assert str(beside(path, suffix)) in said
        assert "can't be unpacked" in said
        assert "apt install zstd" in said
    logrotate(path, ".zst")
    append(path, numbered(2))
    then = Store(path, cursor=first.cursor).read()
    assert sorted(then.dialled) == [2, 7, 8]
    assert then.source.trouble() == ""


@pytest.mark.parametrize("name", ["Master.csv", "calls.csv", "cdr"])
@pytest.mark.parametrize("packer", ["", ".gz"])
def test_rotated_files_beside_what_it_is_a_link_to_are_its_own(path: Path, name: str, packer: str) -> None:
    target = path.parent / "data" / name
    target.parent.mkdir()
    path.symlink_to(target)
    append(target, numbered(1, 2))
    first = Store(path).read()
    append(target, numbered(3))
    rotate(target, 3, 4)
    if packer:
        pack(beside(target, ".1"), packer)
    then = Store(path, cursor=first.cursor).read()
    assert first.dialled + then.dialled == [1, 2, 3, 3, 4]
    assert len({*first.identities, *then.identities}) == 5
    assert Store(path).read().dialled == [1, 2, 3, 3, 4]


def test_a_link_is_followed_where_it_leads(path: Path) -> None:
    target = path.parent / "data" / "calls.csv"
    target.parent.mkdir()
    path.symlink_to(target)
    with Following(path) as reader:
        append(target, numbered(1))
        reader.until(lambda: reader.dialled == [1])
        for number in range(2, 5):
            rotate(target, number)
            reader.until_dialled(*range(1, number + 1))


def test_a_link_in_the_same_folder_is_not_read_twice(path: Path) -> None:
    target = beside(path, ".2026-11")
    append(target, numbered(1, 2))
    path.symlink_to(target)
    reader = Store(path).read()
    assert reader.dialled == [1, 2]
    os.link(target, beside(path, ".bak"))
    assert Store(path, cursor=reader.cursor).read().dialled == []


def test_a_file_that_is_mounted_by_itself_is_told(path: Path) -> None:
    append(path, numbered(1))
    other = path.with_name("elsewhere")
    append(other, numbered(1))
    done = subprocess.run(["mount", "--bind", other, path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        with pytest.raises(SourceError, match="mounted as a single file") as refused:
            source(path).check()
    finally:
        subprocess.run(["umount", path], check=True)
    assert str(path.parent) in str(refused.value)
    assert "1 rotated" not in source(path).check()


def looked_at(path: Path, files: int) -> int:
    """How many listings, looks and opens the first start needs."""
    for number in range(files, 0, -1):
        append(beside(path, f".{number}"), numbered(number))
        aged(beside(path, f".{number}"), 10 * number)
    append(path, numbered(0))
    done = 0

    def count(event: str, what: tuple[object, ...]) -> None:
        nonlocal done
        # What is made of a descriptor that is open opens nothing.
        done += counting and event in ("open", "os.listdir", "os.scandir") and not isinstance(what[0], int)

    counting = True
    sys.addaudithook(count)
    stats = 0
    real = Path.stat

    def stat(self: Path, **how: bool) -> os.stat_result:
        nonlocal stats
        stats += 1
        return real(self, **how)

    with patch.object(Path, "stat", stat):
        assert len(set(Store(path).read().identities)) == files + 1
    counting = False
    return done + stats


def test_a_first_start_grows_with_the_number_of_files_and_not_faster(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = looked_at(tmp_path / "few" / "Master.csv", 40), looked_at(tmp_path / "many" / "Master.csv", 400)
    assert many < 11 * few
    assert many < 8 * 400


def test_an_empty_log_beside_many_rotated_files_costs_a_few_looks(path: Path) -> None:
    for number in range(300, 0, -1):
        append(beside(path, f".{number}"), numbered(number))
        aged(beside(path, f".{number}"), 100 + number)
    path.touch()
    os.utime(path.parent, (10**9, 10**9))
    shelf = Shelf(path, lambda _: 1)
    shelf.following(None, None, finished=False, broken=set())
    looks = 0
    real = Path.stat

    def stat(self: Path, **how: bool) -> os.stat_result:
        nonlocal looks
        looks += 1
        return real(self, **how)

    with patch.object(Path, "stat", stat):
        assert not shelf.something_came(None, set())
    assert looks < 10


WARNINGS = {
    "truncated": "truncated in place",
    "filled again": "written anew in place",
    "replaced": "another file of the same name",
    "packed by what is not here": "can't be unpacked",
}


@pytest.mark.parametrize("what", list(WARNINGS))
def test_the_warning_names_what_was_seen(
    path: Path, what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, numbered(*range(10, 20)))
    first = Store(path).read()
    if what == "truncated":
        os.truncate(path, 0)
        append(path, numbered(20))
    elif what == "filled again":
        os.truncate(path, 0)
        append(path, numbered(*range(20, 40)))
    elif what == "replaced":
        beside(path, "x").write_bytes(numbered(*range(20, 40)))
        shutil.move(beside(path, "x"), path)
    else:
        rotate(path, 20)
        beside(path, ".1.zst").write_bytes(zstd(beside(path, ".1").read_bytes()))
        beside(path, ".1").unlink()
        without_zstd(monkeypatch, path)
    Store(path, cursor=first.cursor).read()
    said = [record.getMessage() for record in caplog.records if "had been read" in record.getMessage()]
    assert len(said) == 1
    assert WARNINGS[what] in said[0]
    assert str(path) in said[0]
    assert "copytruncate" in said[0] or what not in ("truncated", "filled again")
    assert "copytruncate" not in said[0] or what in ("truncated", "filled again")


def test_a_file_that_we_may_not_read_is_told_where_it_may_hold_calls(path: Path) -> None:
    append(path, numbered(1))
    append(beside(path, ".bak"), numbered(2))
    real = position.open_file

    def refuse(name: Path) -> object:
        if name == beside(path, ".bak"):
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return real(name)

    with patch.object(position, "open_file", refuse):
        assert Store(path).read().dialled == [1]


def test_what_grows_all_the_time_keeps_nobody_from_reading(path: Path) -> None:
    """FreeSWITCH writes on to a file that was renamed, and a PBX at its busiest several records a listing."""
    append(path, numbered(1))
    append(beside(path, ".1"), numbered(2))
    real = os.stat

    def stat(name: Path, **how: bool) -> os.stat_result:
        if Path(name).name.startswith("Master.csv"):
            append(Path(name), numbered(3))
        return real(name, **how)

    shelf = Shelf(path, lambda _: 1)
    with patch.object(os, "stat", stat):
        ahead, _ = shelf.following(None, None, finished=False, broken=set())
    assert [stretch.entry.path for stretch in ahead] == [beside(path, ".1"), path]
