"""freeswitch_json: a directory of documents, however many, whole or half, kept, moved or deleted."""

import os
import time
from pathlib import Path

import pytest

from humbug_agent.sources.freeswitch.json import source as directory
from tests.kit.calls import cdrs
from tests.kit.fs_folder import Following, Store, has, names, numbered, old, settings, write
from tests.kit.fs_modules import ANSWERED, RECORDED, UUID, recorded
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


def test_recorded_documents_are_calls(folder: Path) -> None:
    for path in RECORDED.rglob("*.cdr.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    scenarios = len([path for path in RECORDED.iterdir() if path.is_dir()])
    found = Store(folder).read().records
    assert len({record.identity for record in found}) == scenarios
    everything = Store(folder, legs="ab", drop_doubles=False).read().records
    assert len({record.identity for record in everything}) == len(list(RECORDED.rglob("*.json")))


def test_keep_reads_each_once_over_restarts(folder: Path) -> None:
    write(folder, *range(50))
    first = Store(folder).read()
    assert first.numbers == [*range(50)]
    assert Store(folder, cursor=first.cursor).read().numbers == []
    write(folder, 77)
    again = Store(folder, cursor=first.cursor).read()
    assert again.numbers == [77]
    assert Store(folder, cursor=again.cursor).read().numbers == []


def test_keep_forgets_names_when_time_has_passed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humbug_agent.sources.freeswitch.json.listing.SLACK_NS", 0)
    write(folder, *range(200))
    time.sleep(0.02)
    write(folder, 200)
    store = Store(folder).read()
    ((_, _, below, keys),) = store.marks().values()
    assert below + len(keys) == 201
    assert len(keys) < 20
    write(folder, 201)
    assert Store(folder, cursor=store.cursor).read().numbers == [201]


def test_a_document_moved_in_with_its_old_time_is_read(folder: Path, tmp_path: Path) -> None:
    write(folder, 1)
    store = Store(folder).read()
    write(tmp_path, 2)
    (late,) = tmp_path.glob("*.json")
    old(late).rename(folder / late.name)
    assert Store(folder, cursor=store.cursor).read().numbers == [2]


def test_a_clock_set_back_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 1, 2)
    store = Store(folder).read()
    ((inode, mark, below, _),) = store.marks().values()
    hour = 3600 * 10**9
    # As if all until now had been stamped by a clock that was an hour ahead.
    ahead = f'{{"path":"{folder}","known":{{"":[{inode},{mark + hour},{below + 2},[]]}},"owed":[]}}'
    write(folder, 3)
    assert Store(folder, cursor=ahead).read().numbers == [1, 2, 3]


def test_something_that_appears_in_the_past_is_read(folder: Path) -> None:
    write(folder, 1)
    store = Store(folder).read()
    ((inode, mark, below, keys),) = store.marks().values()
    later = mark + 10**9 * 60
    os.utime(folder)
    # One document is known from before a mark that both are older than, as after a clock that was wrong for a while.
    write(folder, 2)
    cursor = f'{{"path":"{folder}","known":{{"":[{inode},{mark},0,["{keys[0]}"]]}},"owed":[]}}'
    assert Store(folder, cursor=cursor).read().numbers == [2]
    assert later > mark
    assert below == 0


def test_another_directory_of_that_name_is_read_whole(folder: Path) -> None:
    write(folder, 1)
    store = Store(folder).read()
    folder.rename(folder.with_name("before"))
    folder.mkdir()
    write(folder, 2)
    assert Store(folder, cursor=store.cursor).read().numbers == [2]
    assert Store(folder.with_name("before"), cursor=store.cursor).read().numbers == [1]


def test_delete_and_move_leave_the_directory_empty(folder: Path) -> None:
    write(folder, 1, 2)
    assert Store(folder, "delete").read().numbers == [1, 2]
    assert names(folder) == set()
    write(folder, 3)
    rotated = folder / "2026-11-20-17-05-08"
    rotated.mkdir()
    write(rotated, 4)
    assert Store(folder, "move").read().numbers == [3, 4]
    assert names(folder) == {
        f"done/a_{numbered(3)[0]}.cdr.json",
        f"done/{rotated.name}/a_{numbered(4)[0]}.cdr.json",
    }
    assert Store(folder, "move").read().numbers == []


def test_nothing_is_deleted_before_the_acknowledgement(folder: Path) -> None:
    write(folder, 1, 2)
    reading = Store(folder, "delete").batches()
    assert [next(reading), next(reading)] == [0, 2]
    assert len(names(folder)) == 2
    reading.close()
    assert len(names(folder)) == 2
    assert Store(folder, "delete").read().numbers == [1, 2]


def test_a_document_that_changes_before_the_acknowledgement_stays(folder: Path) -> None:
    write(folder, 1)
    (path,) = folder.iterdir()
    reading = Store(folder, "delete").batches()
    assert [next(reading), next(reading)] == [0, 1]
    path.write_bytes(path.read_bytes() + b"\n")
    assert next(reading, None) is None
    assert path.exists()


def test_legs_that_are_not_wanted_are_put_away_as_well(folder: Path) -> None:
    (folder / "d8e9e3b8.cdr.json").write_bytes(recorded("answered_callee/d8e9e3b8-7457-4212-add4-d8d82bf9afe1"))
    assert Store(folder, "delete").read().records == []
    assert names(folder) == set()


@pytest.mark.usefixtures("hasty")
def test_rotated_directories_come_and_go(folder: Path) -> None:
    with Following(folder) as store:
        for number in range(3):
            rotated = folder / f"2026-11-20-17-05-0{number}"
            rotated.mkdir()
            write(rotated, number)
            store.until(has(store, number))
        write(folder / "2026-11-20-17-05-00", 9)
        store.until(has(store, 9))
        for path in (folder / "2026-11-20-17-05-01").iterdir():
            path.unlink()
        (folder / "2026-11-20-17-05-01").rmdir()
        store.until(lambda: set(store.marks()) == {"", "2026-11-20-17-05-00", "2026-11-20-17-05-02"})
        (folder / "other").mkdir()
        write(folder / "other", 10)
        write(folder, 11)
        store.until(has(store, 11))
    assert store.numbers == [0, 1, 2, 9, 11]


def test_twenty_thousand_files(folder: Path) -> None:
    write(folder, *range(20_000))
    began = time.process_time()
    store = Store(folder)
    count, most = 0, 0
    for came in store.batches():
        count, most = count + came, max(most, came)
        store.records.clear()
    print(f"20,000 documents: {time.process_time() - began:.1f} s of CPU")
    assert most <= directory.MOST
    assert len(store.cursor or "") < 1_000_000
    assert count == 20_000
    write(folder, 20_000)
    assert Store(folder, cursor=store.cursor).read().numbers == [20_000]


@pytest.mark.usefixtures("hasty")
def test_a_quiet_directory_is_not_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humbug_agent.sources.freeswitch.json.listing.SETTLE_SECONDS", 0.1)
    listed: list[str] = []
    scandir = os.scandir

    def counted(path: str | Path) -> object:
        listed.append(os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    write(folder, 1)
    with Following(folder) as store:
        wait_until(lambda: len(listed) == 2)
        time.sleep(0.5)
        assert len(listed) == 2
        write(folder, 2)
        store.until(lambda: store.numbers == [1, 2])


def test_unread_and_check_tell_what_is_there(folder: Path) -> None:
    write(folder, 1, 2)
    store = Store(folder)
    assert store.source.unread(None) == sum(path.stat().st_size for path in folder.iterdir())
    assert store.source.check() == f"{folder}: 2 documents, after reading: keep"
    assert store.read().source.unread(store.cursor) == 0
    assert store.source.trouble() == ""


def test_parse_takes_one_document(folder: Path) -> None:
    source = Store(folder).source
    assert [record.uniqueid for record in cdrs(source.parse(recorded(ANSWERED)).records)] == [UUID]
    assert source.parse(b"hello!").rejects[0].reason.startswith("neither JSON nor XML")
    assert settings(folder).type == "freeswitch_json"


def test_check_counts_what_is_called_as_no_document_is_where_there_is_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "json_cdr"
    (folder / "done").mkdir(parents=True)
    store = Store(folder)
    assert store.source.check() == f"{folder}: 0 documents, after reading: keep"
    for name in ("a.json", "b.xml"):
        (folder / name).touch()
    left = "2 files whose name ends in none of .cdr.json, .cdr.xml"
    assert store.source.check() == f"{folder}: 0 documents ({left}), after reading: keep"
