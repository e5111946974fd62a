"""A real PostgreSQL server of a test's own, in a folder of its own, that can be killed, stopped and started again."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.kit.needed import needed
from tests.kit.ports import free_port
from tests.kit.rude import until

PASSWORD = "a-word-that-nobody-may-see"
USER, DATABASE = "humbug-agent", "cdr"
DEADLINE = 60.0


@cache
def programs() -> Path | None:
    """Where the server's programs are: Debian keeps them out of the way."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    beside = shutil.which("initdb")
    return found[-1].parent if found else Path(beside).parent if beside else None


class PostgresqlServer:
    """Listens on loopback, where the password is wanted, and on a socket in its folder, where everybody is trusted.

    ``options`` are further settings of the server. Without ``fsync`` it is quick, and what is killed loses nothing.
    """

    def __init__(self, *options: str, fsync: bool = False) -> None:
        self.bin = needed(programs(), "PostgreSQL's server", "HUMBUG_TEST_DATABASES_REQUIRED")
        self.folder = Path(tempfile.mkdtemp(prefix="humbug-pg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            # The server refuses to run as root.
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self.port = free_port()
        self._options = [*options, "fsync=on" if fsync else "fsync=off"]
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o644)
        self._run(
            "initdb", "--no-sync", "--username=postgres", "--pwfile", self.folder / "password", "--auth-local=trust",
            "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale", "--pgdata", self.folder / "data",
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        self.ask(f"CREATE ROLE \"{USER}\" LOGIN PASSWORD '{PASSWORD}'", database="postgres")
        self.ask(f'CREATE DATABASE {DATABASE} OWNER "{USER}"', database="postgres")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def lines(self, *, password: str = PASSWORD) -> str:
        """For [destination NAME], over TCP."""
        return f"host = 127.0.0.1\nport = {self.port}\npassword = {password}\n"

    def start(self) -> None:
        """Until it takes connections."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self.bin / "postgres", "-D", self.folder / "data", *(f"--{one}" for one in [*settings, *self._options])],
            stdout=log, stderr=log, user=self._user, group=self._group(), cwd=self.folder,
        )  # fmt: skip
        log.close()
        until(self.takes_connections, DEADLINE, "PostgreSQL takes connections")

    def takes_connections(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.ask("SELECT 1", database="postgres")
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """With SIGKILL, all of it."""
        if self._process:
            children = self._children()
            self._signal(signal.SIGKILL)
            self._process.wait(DEADLINE)
            self._process = None
            # They hold its shared memory, without which no other one starts, until the kernel has ended each of them.
            until(lambda: not any(map(_lives, children)), DEADLINE, "all of its processes are gone")

    def own(self, *names: str) -> None:
        """Give the server these files of its folder, for itself alone."""
        for name in names:
            (self.folder / name).chmod(0o600)
            if self._user:
                shutil.chown(self.folder / name, self._user)

    def freeze(self) -> None:
        """Nobody answers any more, nor is anything closed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def connect(self, database: str = DATABASE) -> "psycopg.Connection[tuple[Any, ...]]":
        """As the superuser; each statement is a transaction."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=10
        )

    def ask(self, sql: str, *values: object, database: str = DATABASE) -> Sequence[tuple[Any, ...]]:
        with self.connect(database) as conn:
            asked = conn.execute(sql.encode(), values)
            return asked.fetchall() if asked.description else []

    def _signal(self, number: int) -> None:
        assert self._process
        # Each of its processes has a session of its own. The first one is stopped first, so that it starts no more.
        os.kill(self._process.pid, signal.SIGSTOP)
        for pid in [*self._children(), self._process.pid]:
            # One of a connection that was just closed may end by itself meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _children(self) -> list[int]:
        assert self._process
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def _group(self) -> int | None:
        return pwd.getpwnam(self._user).pw_gid if self._user else None

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self.bin / program, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, user=self._user, group=self._group(), cwd=self.folder, check=False
        )
        assert done.returncode == 0, done.stderr


def _lives(pid: int) -> bool:
    """Whether a process is there and no mere entry that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
