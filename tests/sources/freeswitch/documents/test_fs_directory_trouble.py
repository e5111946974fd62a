"""freeswitch_json: documents that are half there, what is none, and directories that can't or must not be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.json import fusionpbx_import
from tests.kit.fs_folder import Following, Store, has, names, numbered, old, write
from tests.kit.fs_modules import ANSWERED, UUID, recorded


def test_a_reject_is_never_deleted(folder: Path) -> None:
    old_one = folder / "a_x.cdr.json"
    old_one.write_bytes(b'{"variables":')
    old(old_one)
    for after in ("delete", "move"):
        store = Store(folder, after).read()
        if after == "delete":
            assert [(reject.text, reject.where) for reject in store.rejects] == [(b'{"variables":', os.fspath(old_one))]
    assert names(folder) == {"rejected/a_x.cdr.json"}


def test_a_reject_that_is_kept_is_told_once(folder: Path) -> None:
    old_one = folder / "a_x.cdr.xml"
    old_one.write_bytes(b"<cdr>")
    old(old_one)
    store = Store(folder).read()
    assert len(store.rejects) == 1
    assert Store(folder, cursor=store.cursor).read().rejects == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("after", ["keep", "delete"])
def test_a_half_written_document_waits(folder: Path, after: str) -> None:
    uuid, document = numbered(1)
    path = folder / f"{uuid}.cdr.json"
    with Following(folder, after) as store, open(path, "wb", buffering=0) as file:
        for at in range(0, len(document), 3000):
            file.write(document[at : at + 3000])
            write(folder, 100 + at)
            store.until(has(store, 100 + at))
        store.until(has(store, 1))
    assert store.rejects == []
    assert set(store.numbers) == {1, 100, 3100, 6100}


@pytest.mark.usefixtures("hasty")
def test_a_document_that_stays_half_is_a_reject_once(folder: Path) -> None:
    path = folder / "x.cdr.json"
    with Following(folder) as store:
        path.write_bytes(numbered(1)[1][:4000])
        store.until(lambda: store.rejects)
        write(folder, 2)
        store.until(lambda: store.numbers == [2])
        # Written to the end after all, it is a call.
        path.write_bytes(numbered(1)[1])
        os.utime(folder)
        store.until(lambda: 1 in store.numbers)
    assert len(store.rejects) == 1
    assert len(Store(folder, cursor=store.cursor).read().rejects) == 0


def test_once_leaves_what_is_half_written_for_the_next_time(folder: Path) -> None:
    uuid, document = numbered(1)
    path = folder / f"{uuid}.cdr.json"
    path.write_bytes(document[:4000])
    first = Store(folder).read()
    assert (first.rejects, first.numbers) == ([], [])
    path.write_bytes(document)
    assert Store(folder, cursor=first.cursor).read().numbers == [1]
    path.write_bytes(document[:4000])
    old(path)
    assert len(Store(folder, cursor=first.cursor).read().rejects) == 1


def test_links_pipes_and_other_files_are_let_alone(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, 1)
    (target,) = tmp_path.glob("*.json")
    (folder / "link.cdr.json").symlink_to(target)
    os.mkfifo(folder / "pipe.cdr.json")
    (folder / "dir.cdr.json").mkdir()
    (folder / "freeswitch.xml").write_bytes(b"<configuration/>")
    store = Store(folder, "delete").read()
    assert (store.records, store.rejects) == ([], [])
    assert len(list(folder.iterdir())) == 4


def test_one_that_is_larger_than_any_document_is_a_reject(folder: Path) -> None:
    path = folder / "x.cdr.json"
    with open(path, "wb") as file:
        file.truncate(50 * 1024 * 1024)
    old(path)
    (reject,) = Store(folder).read().rejects
    assert reject.reason == "larger than 4 MB"
    assert len(reject.text) == 64 * 1024


def test_check_says_when_there_is_something_else(folder: Path) -> None:
    (folder / "x.cdr.json").write_bytes(b'{"colour":"blue"}')
    with pytest.raises(SourceError, match="not a document of FreeSWITCH's modules: has no callflow"):
        Store(folder).source.check()


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "json_cdr")
    with pytest.raises(SourceError, match=r"no such directory; FreeSWITCH makes it"):
        store.read()
    assert "no such directory" in store.source.trouble()
    assert store.source.unread(None) == 0


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[[Callable[[], None]], int]:
    """Runs something in a process that has no rights of root; returns its exit code."""

    def run(action: Callable[[], None]) -> int:
        for path in (tmp_path, *tmp_path.parents):
            if path.owner() == "root" and path != path.parent:
                path.chmod(path.stat().st_mode | 0o011)
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            code = 0
        finally:
            os._exit(code)

    return run


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_or_written_is_told(folder: Path, as_nobody: Callable[[Callable[[], None]], int]) -> None:
    write(folder, 1, 2)
    folder.chmod(0o700)

    def closed() -> None:
        with pytest.raises(SourceError, match=r"can't be read; .* drwx------ root:root, where no group helps: setfacl"):
            Store(folder).read()

    assert as_nobody(closed) == 0
    folder.chmod(0o755)

    def fixed() -> None:
        with pytest.raises(SourceError, match="can't be written, which after = delete needs"):
            Store(folder, "delete").read()

    assert as_nobody(fixed) == 0
    (folder / f"a_{numbered(1)[0]}.cdr.json").chmod(0o600)

    def partly() -> None:
        store = Store(folder)
        with pytest.raises(SourceError, match=r"1\.cdr\.json can't be read: Permission denied; .* -rw------- root:"):
            store.read()
        assert store.numbers == [2]
        again = Store(folder, cursor=store.cursor)
        with pytest.raises(SourceError, match=r"can't be read"):
            again.read()
        assert again.numbers == []

    assert as_nobody(partly) == 0


@pytest.mark.parametrize("sign", ["config", "failed", "imports"])
def test_a_directory_that_fusionpbx_imports_from_is_refused(
    tmp_path: Path, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.conf"
    monkeypatch.setattr(fusionpbx_import, "CONFIGS", (config,))
    folder = tmp_path / ("unusual" if sign == "imports" else "xml_cdr")
    folder.mkdir()
    (folder / f"a_{UUID}.cdr.xml").write_bytes(recorded(ANSWERED, "xml"))
    assert len(Store(folder).read().records) == 1
    if sign == "config":
        config.touch()
    else:
        (folder / "failed" / ("sql" if sign == "imports" else "")).mkdir(parents=True)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    for path in (folder, linked):
        for after in ("keep", "delete"):
            store = Store(path, after)
            with pytest.raises(SourceError, match="FusionPBX's own import reads this directory"):
                store.read()
            with pytest.raises(SourceError, match="FusionPBX"):
                store.source.check()
            assert "FusionPBX" in store.source.trouble()
    # Its neighbour is ours.
    (tmp_path / "json_cdr").mkdir()
    assert Store(tmp_path / "json_cdr").source.trouble() == ""
