"""The outbox file itself: opening it with today's tables, its check at start, and another one where it is damaged."""

import contextlib
import os
import re
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.call_store.failures import CantAnswer
from humbug_agent.outbox.repair import Again, Salvage, lenient, salvage

BUSY_SECONDS = 30
INCREMENTAL = 2
PATIENCE = 20
"""How often to try again, twenty times a second, while another process makes the tables."""

READING_SECONDS = 5
"""How long a disk that does not read may come back before what can't be read is given up."""

WAL_LIMIT_BYTES = 64 * 1024 * 1024


_UNLIKE_OURS = re.compile(
    r"Could not decode to UTF-8|no such (table|column|index)|.* already exists|duplicate column|no query solution"
)
"""What SQLite says where its tables are not those that the file says were made in it."""


class OutboxError(CantAnswer):
    """The outbox can't be used as things are; the text says which file, why, and what to do."""


class OutboxDamaged(OutboxError):
    """The file seems to be no sound database; where the daemon finds it so again, it moves it aside and begins a new
    one with what can be read of it.

    ``found`` is what was found wrong with it, in SQLite's words, which are the same where its disk could not read for
    a moment. So the text, which whoever comes upon it logs or prints, does not call the file damaged.
    """

    def __init__(self, path: Path, found: str):
        super().__init__(
            f"outbox {path}: what was read of it makes no sense ({found}); the daemon looks at it again, and where it "
            "finds the same it moves it aside and reads the calls again"
        )
        self.found = found


class OutboxFull(OutboxError):
    """The outbox is full.

    ``max_size_mb`` is reached and nothing delivered is left to drop: reading pauses.
    """


MIGRATIONS = frozenset(
    {
        "m001_first", "m002_second_source", "m003_what_was_sent", "m004_wall_clock", "m005_bounds",
        "m006_what_must_hold", "m007_kept_counts", "m008_aliases", "m009_api_tokens",
        "m010_untaken", "m011_journeys_and_history", "m012_what_was_dropped",
    }
)  # fmt: skip
"""Those of migrations.py, which with sqlite-utils takes 9 MiB to import and is needed once in a version's life."""


@dataclass(frozen=True)
class Connected:
    """A connection to an outbox that has today's tables."""

    conn: sqlite3.Connection

    def commit(self) -> None:
        if self.conn.in_transaction:
            self.conn.execute("COMMIT")

    def rollback(self) -> None:
        if self.conn.in_transaction:
            self.conn.execute("ROLLBACK")

    def close(self) -> None:
        self.conn.close()


def connect(path: Path, *, durable: bool) -> Connected:
    """A connection of this thread's own to the outbox at ``path``, with today's schema.

    ``durable`` commits survive a power cut (synchronous=FULL); the others survive a killed process, which is
    enough where the worst is to repeat something. Raises OutboxError, OutboxDamaged.
    """
    create(path)
    patience = PATIENCE
    while True:
        try:
            return _set_up(path, durable)
        except sqlite3.DatabaseError as error:
            # Another process may be making the same tables at this moment; SQLite waits for its turn only within one
            # statement.
            patience -= 1
            if patience <= 0 or not isinstance(error, sqlite3.OperationalError | sqlite3.IntegrityError):
                raise reported(error, path) from error
            time.sleep(0.05)


def _set_up(path: Path, durable: bool) -> Connected:
    db = Connected(sqlite3.connect(path, timeout=BUSY_SECONDS))
    try:
        # Only a file without tables takes this; it is what lets dropped calls give their room back. Said to one that
        # has it, it would be a write, for which a full disk may have no room.
        if db.conn.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
            db.conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.conn.execute("PRAGMA journal_mode = WAL")
        db.conn.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.conn.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        _migrate(db.conn, path)
    except BaseException:
        db.close()
        raise
    return db


def create(path: Path) -> None:
    """Make the file, readable by its owner alone, unless it is there.

    Made by root, it belongs to whom the directory belongs to: the daemon must be able to use it too.
    """
    try:
        # Never opened when it is there: closing it would drop the locks that this process's connections have on it.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
        finally:
            os.close(handle)
    except FileExistsError:
        pass
    except OSError as error:
        hint = "; its directory must exist and belong to the user that runs humbug-agent"
        closed = isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError)
        raise OutboxError(f"{path}: {error.strerror}{hint if closed else ''}") from error


def _migrate(conn: sqlite3.Connection, path: Path) -> None:
    applied: set[str] = set()
    if _has(conn, "_sqlite_migrations"):
        found = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'humbug-agent'").fetchall()
        applied = {name for (name,) in found}
    if newer := sorted(applied - MIGRATIONS):
        raise OutboxError(f"outbox {path}: a newer humbug-agent made it ({newer[-1]}); install that version or later")
    if MIGRATIONS - applied:
        from sqlite_utils import Database

        from humbug_agent.outbox.migrations import migrations

        migrations.apply(Database(conn, execute_plugins=False))


def reported(error: sqlite3.DatabaseError, path: Path) -> OutboxError:
    """The same error in an admin's words."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    # What we write breaks no rule of ours; where it does, an index lacks what its table has.
    broken = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
    if code & 0xFF in broken or _UNLIKE_OURS.match(str(error)):
        return OutboxDamaged(path, str(error))
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return OutboxError(f"outbox {path}: its disk is full; free some space there, nothing is lost meanwhile")
    if code & 0xFF == sqlite3.SQLITE_BUSY:
        return OutboxError(f"outbox {path}: another process keeps it locked for over {BUSY_SECONDS} s")
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return OutboxError(
            f"outbox {path}: can't be written; chown it to the user that runs humbug-agent, or, where its disk is "
            "read-only, see why"
        )
    return OutboxError(f"outbox {path}: {error}")


def status(path: Path) -> os.stat_result | None:
    """Of a file, None where there is none. Raises OutboxError where the disk does not tell."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutboxError(f"{path}: {error.strerror}") from error


def await_readable(path: Path) -> None:
    """Where the disk fails to read some of the file, which SQLite takes for damage, give it some seconds.

    No connection of this process may be open: to close any descriptor of the file drops the locks of all.
    """
    for _ in range(READING_SECONDS):
        try:
            for file in (path, path.with_name(f"{path.name}-wal")):
                with contextlib.suppress(FileNotFoundError), open(file, "rb", buffering=0) as raw:
                    while raw.read(2**20):
                        pass
            return
        except OSError:
            time.sleep(1)


def look_into(path: Path) -> None:
    """See whether it is an outbox at all, where there is one, and change nothing. Raises OutboxDamaged, OutboxError."""
    if not status(path):
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn:
            conn.text_factory = lenient
            conn.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        raise reported(error, path) from error


SMALL_BYTES = 16 * 2**20
"""An outbox up to so large is looked through in a moment."""

_SMALL_TABLES = ("cursors", "health", "kept", "kept_calls", "_sqlite_migrations")


def check(path: Path, *, briefly: bool = False) -> str | None:
    """Look through the whole file. None when it is sound or absent, else what is wrong with it. Raises OutboxError.

    What the indexes hold is not compared with their tables: `compare_indexes` does, and takes several times as long.
    ``briefly``, of a large file only the tables are looked through that don't grow: whoever asks for that has
    `compare_indexes` look through all of it soon.
    """
    if not (there := status(path)) or not there.st_size:
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn:
            conn.text_factory = lenient
            small = not briefly or there.st_size <= SMALL_BYTES
            wanted = ["1"] if small else [name for name in _SMALL_TABLES if _has(conn, name)]
            several = (conn.execute(f"PRAGMA quick_check({one})").fetchone()[0] for one in wanted)
            found = next((said for said in several if said != "ok"), "ok")
        if found == "ok":
            # There is damage that it does not see.
            connect(path, durable=False).close()
    except OutboxDamaged as error:
        return error.found
    except UnicodeDecodeError as error:
        # A message of SQLite's that quotes what it read.
        return str(error)
    except sqlite3.DatabaseError as error:
        if isinstance(reported(error, path), OutboxDamaged):
            return str(error)
        raise reported(error, path) from error
    return None if found == "ok" else str(found)


def _has(conn: sqlite3.Connection, table: str) -> bool:
    return bool(conn.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone())


def compare_indexes(path: Path, stop: threading.Event) -> None:
    """Look through the whole file and whether each index holds what its table does; ``stop`` ends it early.

    It keeps nobody from writing. Raises OutboxDamaged, OutboxError.
    """
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn:
            conn.text_factory = lenient
            conn.set_progress_handler(stop.is_set, 100_000)
            found = str(conn.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if not stop.is_set():
            raise reported(error, path) from error
        return
    if found != "ok" and not stop.is_set():
        raise OutboxDamaged(path, found)


def written(path: Path) -> float:
    """When the outbox was written to last, in seconds since the epoch; 0 where there is none.

    To be asked before anybody looks into it, which may change that.
    """
    found = map(status, (path, path.with_name(f"{path.name}-wal")))
    return max((one.st_mtime for one in found if one), default=0.0)


def move_aside(
    path: Path, again: Again = lambda source, cursor: None, destinations: Sequence[str] = ()
) -> tuple[Path, Salvage]:
    """Give a damaged outbox another name and begin a new one with what can still be read of the old.

    Nothing is deleted. Calls not delivered yet go on waiting, delivered ones are not sent twice, and each source is
    read from where ``again`` says, for what could not be read. A call of whose deliveries nothing can be read is sent
    to ``destinations``. Killed in between, the next start finishes it (`finish_move`). Returns the old file's new name,
    and what was salvaged.
    """
    aside = named_now(path, "damaged")
    fresh = _fresh(path)
    _unlink(fresh)
    db = connect(fresh, durable=True)
    with contextlib.closing(sqlite3.connect(path)) as old, db.conn:
        db.conn.execute("BEGIN IMMEDIATE")
        found = salvage(path, old, db.conn, again, destinations)
    db.close()
    _rename(path, aside)
    finish_move(path)
    return aside, found


def room_for(path: Path) -> None:
    """Make the directory of the outbox, and see whether a file can be made in it. Raises OutboxError."""
    try:
        path.parent.mkdir(mode=0o750, exist_ok=True)
    except OSError as error:
        raise OutboxError(f"{path.parent}: can't be made again: {error.strerror}") from error
    _unlink(_fresh(path))
    create(_fresh(path))


def put_back(held: sqlite3.Connection, path: Path) -> Path | None:
    """Write the outbox of which ``held`` is a connection to ``path``, from which it was taken away while in use.

    What stands there now gets another name, which is returned; None where there is nothing. Raises OutboxError.
    """
    room_for(path)
    try:
        with contextlib.closing(sqlite3.connect(_fresh(path))) as new:
            new.execute("PRAGMA synchronous = FULL")
            held.backup(new)
    except sqlite3.DatabaseError as error:
        raise reported(error, path) from error
    found = named_now(path, "found") if status(path) else None
    if found:
        _rename(path, found)
    else:
        # Its log, of which all is in the new file, may have been left behind.
        _unlink(path)
    finish_move(path)
    return found


def named_now(path: Path, what: str) -> Path:
    """The outbox's path with ``what`` and the time (UTC) behind it, such as nothing has: two may come in a second."""
    at = time.time()
    while True:
        name = path.with_name(f"{path.name}.{what}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(at))}")
        if not status(name):
            return name
        at += 1


def _rename(path: Path, to: Path) -> None:
    # The log first: one that is left behind would be taken for the new file's.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(to.with_name(to.name + suffix))


def _unlink(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def finish_move(path: Path) -> None:
    """Where a damaged outbox was moved aside and its successor has not got its name yet: give it."""
    if not status(path):
        with contextlib.suppress(FileNotFoundError):
            _fresh(path).rename(path)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".new")
