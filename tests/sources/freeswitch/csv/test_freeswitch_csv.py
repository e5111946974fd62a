"""Reading Master.csv as FreeSWITCH keeps it, through rotation, moves and time away: each call once, none lost."""

import gzip
import logging
import os
import random
import shutil
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.sources.contract import SourceError
from tests.kit.calls import cdrs
from tests.kit.cdr_reader import RECORDED, Following, Reader, source
from tests.kit.mod_cdr_csv import TEXTS, Module, call, row, rows

pytestmark = pytest.mark.slow

STAMPS = [f"2026-11-20-16-5{minute}-00" for minute in range(10)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "cdr-csv").mkdir()
    return tmp_path / "cdr-csv" / "Master.csv"


def example(*numbers: int) -> bytes:
    return rows("example", *numbers)


def test_rows_are_read_as_they_are_written(path: Path) -> None:
    module = Module(path)
    with Following(path) as reader:
        for number in range(1, 4):
            module.write(example(number))
            reader.until_dialled(*range(1, number + 1))


@pytest.mark.parametrize("template", TEXTS)
def test_half_a_row_waits_for_the_other_half(path: Path, template: str) -> None:
    module = Module(path)
    odd = row(template, call(2, destination_number=b"2", caller_id_name=b"one\ntwo"))
    module.write(rows(template, 1) + odd[:30])
    with Following(path) as reader:
        reader.until_dialled(1)
        module.write(odd[30:-1])
        module.write(odd[-1:] + rows(template, 3)[:-1])
        reader.until_dialled(1, 2)
        module.write(rows(template, 3)[-1:])
        reader.until_dialled(1, 2, 3)


def test_rotation_loses_nothing(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    with Following(path) as reader:
        reader.until_dialled(1)
        module.write(example(2))
        module.rotate(STAMPS[0])
        module.rotate(STAMPS[1])
        module.write(example(3))
        module.rotate(STAMPS[2])
        module.write(example(4))
        reader.until_dialled(1, 2, 3, 4)
        module.write(example(5))
        reader.until_dialled(1, 2, 3, 4, 5)
    assert reader.once


def test_rotations_while_away_are_read_oldest_first_with_empty_ones_between(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    reader = Reader(path).read()
    for number, stamp in enumerate(STAMPS[:6], 2):
        module.write(example(number) if number % 2 else b"")
        module.rotate(stamp)
    module.write(example(99))
    assert Reader(path, cursor=reader.cursor).read().dialled == ["3", "5", "7", "99"]
    assert Reader(path).read().dialled == ["1", "3", "5", "7", "99"]
    last = Reader(path).read()
    assert source(path).unread(last.cursor) == 0
    assert Reader(path, cursor=last.cursor).read().dialled == []


def test_a_rotated_file_that_ends_in_half_a_row_gives_a_reject_and_the_call(path: Path) -> None:
    module = Module(path)
    module.write(example(1) + example(2)[:50])
    module.rotate(STAMPS[0])
    module.write(example(2, 3))
    reader = Reader(path).read()
    assert reader.dialled == ["1", "2", "3"]
    assert [reject.text for reject in reader.rejects] == [example(2)[:50]]
    assert f"{STAMPS[0]}, byte {len(example(1))}" in reader.rejects[0].where
    assert [reject.key for reject in Reader(path).read().rejects] == [reject.key for reject in reader.rejects]


def test_after_a_move_without_hup_the_moved_file_is_read_on(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    with Following(path) as reader:
        reader.until_dialled(1)
        path.rename(f"{path}.1")
        for number in (2, 3):
            module.write(example(number))
            reader.until_dialled(*range(1, number + 1))
        path.touch()
        module.write(example(4))
        reader.until_dialled(1, 2, 3, 4)
        module.reopen()
        module.write(example(5))
        reader.until_dialled(1, 2, 3, 4, 5)
    assert reader.once


@pytest.mark.parametrize("created", [True, False])
def test_a_moved_file_is_read_on_after_a_restart(path: Path, created: bool) -> None:
    module = Module(path)
    module.write(example(1))
    path.rename(f"{path}.1")
    if created:
        path.touch()
    first = Reader(path).read()
    assert first.dialled == ["1"]
    module.write(example(2))
    with Following(path, cursor=first.cursor) as reader:
        reader.until_dialled(2)
        module.write(example(3)[:60])
        module.write(example(3)[60:])
        reader.until_dialled(2, 3)
        module.reopen()
        module.write(example(4))
        reader.until_dialled(2, 3, 4)


def test_rows_in_a_deleted_file_are_read_by_who_has_it_open(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    with Following(path) as reader:
        reader.until_dialled(1)
        path.unlink()
        module.write(example(2))
        reader.until_dialled(1, 2)
        module.reopen()
        module.write(example(3))
        reader.until_dialled(1, 2, 3)


def test_two_rotations_in_one_second_lose_what_freeswitch_lost_and_no_more(path: Path) -> None:
    module = Module(path)
    module.write(example(1))
    with Following(path) as reader:
        reader.until_dialled(1)
        module.rotate(STAMPS[0])
        module.write(example(2))
        module.rotate(STAMPS[0])
        module.write(example(3))
        module.rotate(STAMPS[0])
        module.write(example(4))
        reader.until(lambda: {"1", "3", "4"} <= set(reader.dialled))
    assert not reader.rejects
    assert reader.once


def test_an_inode_that_is_used_again_is_another_file(path: Path) -> None:
    module = Module(path)
    module.write(example(1, 2))
    reader = Reader(path).read()
    with path.open("r+b") as file:  # the same inode, whatever the file system does
        file.truncate(0)
        file.write(example(11, 12, 13))
    assert Reader(path, cursor=reader.cursor).read().dialled == ["11", "12", "13"]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    directory = tmp_path / "log" / "cdr-csv"
    with Following(directory) as reader:
        directory.mkdir(parents=True)
        Module(directory / "Master.csv").write(example(1))
        reader.until_dialled(1)
    assert sum("FreeSWITCH makes it" in message for message in caplog.messages) <= 1


def test_without_a_file_there_is_nothing_to_read(path: Path) -> None:
    assert Reader(path).read().dialled == []
    assert Reader(path, start="end").read().dialled == []


def test_a_directory_means_its_master_and_no_other_file(path: Path) -> None:
    path.write_bytes(example(1))
    for name in ("ACME.csv", "ACME.csv.2026-11-20-16-53-52", "1000.csv", "Master.csv.x.csv", "Master.csv.tmp"):
        path.with_name(name).write_bytes(example(2))
    path.with_name(f"Master.csv.{STAMPS[0]}").write_bytes(example(0))
    assert Reader(path.parent).read().dialled == ["0", "1"]
    reader = Reader(path.parent).read()
    assert Reader(path, cursor=reader.cursor).read().dialled == []


@pytest.mark.parametrize("template", TEXTS)
@pytest.mark.parametrize("rotated", [True, False])
def test_start_at_the_end_sends_nothing_old(path: Path, template: str, rotated: bool) -> None:
    module = Module(path)
    module.write(rows(template, 1) + row(template, call(2, caller_id_name=b"a\nb")))
    if rotated:
        module.rotate(STAMPS[0])
    os.utime(path, (1, 1))
    reader = Reader(path, start="end").read()
    assert reader.dialled == []
    module.write(rows(template, 3))
    again = Reader(path, start="end", cursor=reader.cursor).read()
    assert (again.dialled, again.rejects) == (["3"], [])
    assert source(path, start="end").unread(None) == 0


def test_start_at_the_end_of_a_file_that_was_moved_goes_on_there(path: Path) -> None:
    module = Module(path)
    module.write(example(1, 2))
    path.rename(f"{path}.1")
    first = Reader(path, start="end").read()
    module.write(example(3))
    with Following(path, start="end", cursor=first.cursor) as reader:
        reader.until_dialled(3)
    assert first.dialled == []


def test_archives_that_somebody_packs_are_read(path: Path) -> None:
    module = Module(path)
    for number, stamp in enumerate(STAMPS[:3]):
        module.write(example(number))
        module.rotate(stamp)
    old = path.with_name(f"Master.csv.{STAMPS[0]}")
    old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    module.write(example(9))
    assert Reader(path).read().dialled == ["0", "1", "2", "9"]


def test_a_packed_archive_that_breaks_off_gives_a_reject(path: Path) -> None:
    data = gzip.compress(
        b"".join(row("example", call(n, caller_id_name=os.urandom(9).hex().encode())) for n in range(500))
    )
    path.with_name("Master.csv.1.gz").write_bytes(data[: len(data) // 2])
    path.write_bytes(example(1000))
    reader = Reader(path).read()
    assert reader.calls
    assert reader.dialled[-1] == "1000"
    assert "breaks off" in reader.rejects[-1].reason


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 1.3 MB in two files, with line breaks in names."""
    path = tmp_path_factory.mktemp("big") / "Master.csv"
    chosen = random.Random(5)
    written = [
        row("example", call(number, caller_id_name=chosen.choice([b"Bob", b"li\nne", b'a "b" c'])))
        for number in range(7000)
    ]
    path.with_name(f"Master.csv.{STAMPS[0]}").write_bytes(b"".join(written[:3500]))
    path.write_bytes(b"".join(written[3500:]))
    return path


@settings(max_examples=8)
@given(st.lists(st.integers(1, 3), max_size=8))
def test_killed_at_any_batch_and_started_again_each_call_is_read_once(big: Path, lives: list[int]) -> None:
    cursor, uuids = None, []
    for batches in [*lives, 1000]:
        reader = Reader(big, cursor=cursor)
        for number, _ in enumerate(reader.batches()):
            if number + 1 == batches:
                break
        # The last batch of a life may not have got to the disk.
        cursor = reader.cursor
        uuids += [record.uniqueid for record in reader.records]
        assert not reader.rejects
    assert len(uuids) == len(set(uuids)) == 7000


def test_what_is_read_again_adds_nothing(big: Path) -> None:
    first, second = Reader(big).read(), Reader(big).read()
    assert [record.identity for record in first.records] == [record.identity for record in second.records]


def test_a_copy_that_is_trimmed_adds_nothing_but_the_new(path: Path) -> None:
    module = Module(path)
    module.write(example(*range(10)))
    reader = Reader(path).read()
    module.write(example(10))
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    module.write(example(11))
    again = Reader(path, cursor=reader.cursor).read()
    assert set(again.calls) - set(reader.calls) == {call(10)["uuid"].decode(), call(11)["uuid"].decode()}


def test_legs_and_doubles_are_left_out_as_configured(path: Path) -> None:
    a, b = call(1), call(2, originating_leg_uuid=call(1)["uuid"], direction=b"outbound")
    fork = b | {"uuid": call(3)["uuid"], "hangup_cause": b"LOSE_RACE", "answer_uepoch": b"0"}
    path.write_bytes(b"".join(row("safe", values) for values in (fork, b, a)))
    uuid = {number: call(number)["uuid"].decode() for number in (1, 2, 3)}
    assert set(Reader(path, legs="a").read().calls) == {uuid[1]}
    assert set(Reader(path, legs="b", drop_doubles=True).read().calls) == {uuid[2]}
    assert set(Reader(path, legs="ab").read().calls) == set(uuid.values())


def test_a_line_is_explained_with_or_without_its_end() -> None:
    for template in TEXTS:
        line = row(template, call(7))
        for text in (line, line.rstrip(b"\n")):
            (record,) = cdrs(source(Path("Master.csv")).parse(text).records)
            assert record.uniqueid == call(7)["uuid"].decode()
    batch = source(Path("Master.csv")).parse(b"no row")
    assert (batch.records, batch.rejects[0].text) == ([], b"no row")


def test_check_says_what_is_there(path: Path) -> None:
    checked = source(path.parent)
    with pytest.raises(SourceError, match="does not exist"):
        checked.check()
    path.touch()
    assert "empty" in checked.check()
    path.write_bytes((RECORDED / "example" / "Master.csv").read_bytes())
    path.with_name(f"Master.csv.{STAMPS[0]}").touch()
    assert checked.check() == f"{path}: 13,362 bytes, template example, 1 rotated file beside Master.csv"
    assert checked.trouble() == ""


@pytest.mark.parametrize(
    ("template", "said"),
    [("asterisk", "has rows of template example, and not of asterisk"), ("safe", "has rows of template example")],
)
def test_check_names_the_template_that_is_there(path: Path, template: str, said: str) -> None:
    path.write_bytes(example(1, 2))
    assert said in source(path, template=template).trouble()


def test_check_says_when_no_template_fits(path: Path) -> None:
    path.write_bytes(b'"2026-11-20","1001","custom"\n' * 30)
    assert "no row of a template that is known" in source(path).trouble()


def test_check_names_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert "mod_cdr_csv" in source(tmp_path / "none" / "cdr-csv").trouble()
    assert source(tmp_path / "none" / "Master.csv").trouble()


def test_stop_ends_it(path: Path) -> None:
    path.write_bytes(example(1))
    stop = Event()
    batches = source(path).read(None, stop, follow=True)
    next(batches)
    stop.set()
    assert list(batches) == []


def test_another_call_of_a_uuid_that_was_used_before_is_told_to_be_none(path: Path) -> None:
    """Who sets origination_uuid may set the same one twice."""
    later = {"start_stamp": b"2026-11-21 10:00:00", "answer_stamp": b"", "end_stamp": b"2026-11-21 10:00:04"}
    same = row("example", call(1))
    moved = row("example", call(1, destination_number=b"8300"))
    other = row("example", call(1, destination_number=b"8300", **later))
    Module(path).write(same + moved + same + other + example(2))
    reader = Reader(path).read()
    assert {one.uniqueid[:8] for one in reader.records} == {"00000001", "00000002"}
    assert [one.text for one in reader.rejects] == [other.rstrip()]
    assert "its uuid was used before" in reader.rejects[0].reason
