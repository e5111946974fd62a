"""The outbox is deleted, replaced or damaged while the daemon uses it: nothing that it holds is lost or sent twice."""

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from humbug_agent.daemon.agent import put_back
from humbug_agent.host.daemon_user import User, acting_as
from humbug_agent.outbox import queries
from humbug_agent.outbox.lock import AgentError, locked
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import batch
from tests.kit.host import Host, wait_until

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:1/"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def kept(host: Host) -> Host:
    """A host whose outbox stands in a directory of its own, which is what one deletes."""
    (host.folder / "state").mkdir()
    host.ini.write_text(host.ini.read_text().replace("outbox.db", "state/outbox.db"))
    return host


@contextmanager
def running(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    with open(host.folder / "log", "ab") as log, host.daemon(stderr=log) as daemon:
        try:
            wait_until(lambda: "reading master-csv" in said(host))
            yield daemon
        finally:
            daemon.kill()


def said(host: Host) -> str:
    return (host.folder / "log").read_text()


def state(host: Host) -> Path:
    return host.folder / "state"


def waiting(host: Host) -> int | None:
    try:
        return int(host.status()["deliveries"].get("waiting", 0))
    except ValueError:
        # It is not there at this moment, and that is said.
        return None


def delete(folder: Path) -> None:
    (folder / "outbox.db").unlink()


def delete_all(folder: Path) -> None:
    for file in folder.glob("outbox.db*"):
        file.unlink()


def delete_directory(folder: Path) -> None:
    shutil.rmtree(folder)


def replace_directory(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.mkdir()


def put_copy(folder: Path) -> None:
    """An older one: without the calls that came since."""
    (folder / "copy").rename(folder / "outbox.db")


WAYS: list[Callable[[Path], None]] = [delete, delete_all, delete_directory, replace_directory, put_copy]


@pytest.mark.parametrize("way", WAYS)
def test_what_it_held_is_put_back_within_seconds(kept: Host, way: Callable[[Path], None]) -> None:
    url = kept.receiver.url
    kept.ini.write_text(kept.ini.read_text().replace(url, NOBODY))
    with running(kept) as daemon:
        with (
            closing(sqlite3.connect(state(kept) / "outbox.db")) as db,
            closing(sqlite3.connect(state(kept) / "copy")) as copy,
        ):
            db.backup(copy)
        kept.write()
        wait_until(lambda: waiting(kept) == 126)
        way(state(kept))
        wait_until(lambda: "it was deleted or replaced while in use" in said(kept), 10)
        wait_until(lambda: waiting(kept) == 126, 10)
        assert kept.status()["pid"] == daemon.pid
        kept.ini.write_text(kept.ini.read_text().replace(NOBODY, url))
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: kept.store.count() == 126)
        daemon.terminate()
        assert daemon.wait(15) == 0
    assert kept.store.repeats() == 0
    with closing(sqlite3.connect(state(kept) / "outbox.db")) as db:
        assert db.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall() == [("sent", 126)]
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    # What stood in its place is kept.
    assert bool(list(state(kept).glob("outbox.db.found-*"))) == (way is put_copy)


def test_one_that_is_stopped_right_then_leaves_it_behind(kept: Host) -> None:
    with running(kept) as daemon:
        kept.write()
        wait_until(lambda: kept.store.count() == 126)
        wait_until(lambda: waiting(kept) == 0)
        delete_all(state(kept))
        daemon.terminate()
        assert daemon.wait(15) == 0
    assert kept.json("status", code=1)["calls"] == 126


def test_a_second_one_is_refused_also_without_the_locks_file(kept: Host) -> None:
    with running(kept):
        (state(kept) / "outbox.db.lock").unlink()
        kept.run("run", "--once", code=1)
        assert "another humbug-agent is running on it" in kept.errors


def test_damage_that_no_start_sees_is_mended_while_it_runs(kept: Host) -> None:
    with running(kept) as daemon:
        kept.write()
        wait_until(lambda: kept.store.count() == 126)
        wait_until(lambda: waiting(kept) == 0)
        daemon.terminate()
        assert daemon.wait(15) == 0
    path = state(kept) / "outbox.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = 1")
        # The index lacks what its table has.
        db.execute("UPDATE sqlite_master SET sql = sql || ' WHERE id < 0' WHERE name = 'calls_start'")
        db.commit()
    with closing(sqlite3.connect(path)) as db:
        db.execute("REINDEX calls_start")
        db.execute("PRAGMA writable_schema = 1")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ' WHERE id < 0', '') WHERE name = 'calls_start'")
        db.commit()
        assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
    with running(kept) as daemon:
        wait_until(lambda: "Moved to" in said(kept))
        wait_until(lambda: kept.status()["sources"]["master-csv"]["state"] == "ok")
        assert kept.status()["pid"] == daemon.pid
        daemon.terminate()
        assert daemon.wait(15) == 0
    assert kept.store.count() == 126
    assert kept.store.repeats() == 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def failing_on_damage(kept: Host, *sources: str) -> Iterator[subprocess.Popen[bytes]]:
    """These sources fail, and come upon damage when they are tried again. The daemon does nothing until SIGCONT."""
    (kept.folder / "no-log").mkdir()
    with kept.ini.open("a") as ini:
        ini.writelines(f"[source {name}]\ntype = asterisk_csv\npath = {kept.folder}/no-log\n" for name in sources)
    path = state(kept) / "outbox.db"
    with running(kept) as daemon:
        kept.write()
        wait_until(lambda: kept.store.count() == 126)
        wait_until(lambda: all(f"source {name}" in said(kept) for name in sources))
        with closing(sqlite3.connect(path)) as db:
            wait_until(lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            ((size,), (page,)) = (
                db.execute(sql).fetchone()
                for sql in (
                    "PRAGMA page_size",
                    "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_cursors_1'",
                )
            )
        daemon.send_signal(signal.SIGSTOP)
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(os.urandom(size))
        yield daemon


def test_damage_that_two_come_upon_one_after_the_other_ends_no_daemon(kept: Host) -> None:
    # Each is tried at a time of its own, and once more when the first one has ended all threads.
    with failing_on_damage(kept, "one", "other") as daemon:
        daemon.send_signal(signal.SIGCONT)
        wait_until(lambda: "Moved to" in said(kept))
        kept.write()
        wait_until(lambda: kept.store.count() == 252)
        assert kept.status()["pid"] == daemon.pid


def test_a_reload_that_comes_with_damage_is_done_after_it(kept: Host) -> None:
    with failing_on_damage(kept, "one") as daemon:
        before = kept.ini.read_text()
        kept.ini.write_text(before.replace("[source one]", "[source another]"))
        daemon.send_signal(signal.SIGHUP)
        daemon.send_signal(signal.SIGCONT)
        wait_until(lambda: "Moved to" in said(kept) and "reading master-csv, another" in said(kept))


def test_who_comes_upon_damage_at_the_last_try_ends_all_the_same(kept: Host) -> None:
    with failing_on_damage(kept, "one") as daemon:
        daemon.terminate()
        daemon.send_signal(signal.SIGCONT)
        assert daemon.wait(15) == 0


@pytest.fixture
def nobodys() -> Iterator[tuple[Path, User]]:
    """An outbox in a folder of the user nobody, and beside it ``copy``, which is root's."""
    nobody = pwd.getpwnam("nobody")
    folder = Path("/var/tmp") / f"humbug-away-{os.getpid()}"
    folder.mkdir()
    try:
        Outbox(folder / "copy").close()
        shutil.chown(folder, nobody.pw_uid, nobody.pw_gid)
        Outbox(folder / "outbox.db").close()
        os.chown(folder / "copy", 0, 0)
        (folder / "copy").chmod(0o600)
        yield folder, User("nobody", nobody.pw_uid, nobody.pw_gid, ())
    finally:
        shutil.rmtree(folder)


@as_root
def test_another_users_file_in_its_place_is_moved_aside(nobodys: tuple[Path, User]) -> None:
    folder, nobody = nobodys
    outbox = folder / "outbox.db"
    with acting_as(nobody), Outbox(outbox) as held:
        held.accept("csv", batch(1, 2, 3), ["humbug"])
        put_copy(folder)
        put_back(held)
    (found,) = folder.glob("outbox.db.found-*[0-9]")
    assert (found.owner(), outbox.owner()) == ("root", "nobody")
    with Outbox(outbox) as box:
        assert queries.totals(box).calls == 3


@as_root
def test_who_starts_on_another_users_file_is_told_whose_it_has_to_be(nobodys: tuple[Path, User]) -> None:
    folder, nobody = nobodys
    put_copy(folder)
    with (
        acting_as(nobody),
        pytest.raises(AgentError, match=r"outbox.db: Permission denied; chown it to the user that runs humbug-agent"),
        locked(folder / "outbox.db"),
    ):
        pass
