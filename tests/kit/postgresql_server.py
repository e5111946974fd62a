"""A PostgreSQL of a test's own: its programs are the system's, its data and its Unix socket are in a new folder."""

import atexit
import functools
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from tests.kit.host import wait_until

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Debian has a folder for each version; see tests/databases/prepare."""

PORT = 5432
"""Of the socket's name; nobody listens on TCP."""

OWNER, READER, PASSWORD = "fusionpbx", "humbug", "Pass'word 1&2"

ME = getpass.getuser()
"""Who runs the tests, and may log in as himself without a password."""


def required() -> None:
    """Skips the test where there is no PostgreSQL, or fails it where there must be one."""
    if not PROGRAMS:
        refused = pytest.fail if os.environ.get("HUMBUG_TEST_DATABASES_REQUIRED") else pytest.skip
        refused("there is no PostgreSQL: tests/databases/prepare installs it")


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def _program(name: str, *arguments: object) -> None:
    command = [str(PROGRAMS[-1] / name), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **_as_nobody())


def _folder() -> Path:
    # Not pytest's, which nobody else may enter, and short: the name of a socket has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    # So that whoever is asked for by peer authentication finds the socket.
    folder.chmod(0o755)
    return folder


@functools.cache
def _pristine() -> Path:
    """The data of a server that has never run."""
    folder = _folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _program(
        "initdb", "--pgdata", folder / "data", "--username", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8",
        "--no-sync",
    )  # fmt: skip
    (folder / "data/pg_hba.conf").write_text(
        f"local all postgres trust\nlocal all {OWNER} trust\nlocal all {ME} peer\nlocal all all scram-sha-256\n"
    )
    return folder / "data"


class PostgresqlServer:
    """A running server with a database of ``OWNER`` and a user ``READER`` who may read what it is granted."""

    def __init__(self, **settings: str) -> None:
        required()
        self.folder = _folder()
        self._settings = {
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "",
            "port": str(PORT),
            "fsync": "off",
            "shared_buffers": "64MB",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        subprocess.run(["cp", "-a", _pristine(), self.folder / "data"], check=True)
        self.start()
        with self.connected("postgres", "postgres") as db:
            db.execute(f"CREATE ROLE {OWNER} LOGIN")
            db.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER}")
            self.make_reader(db)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_reader(self, db: "psycopg.Connection[Any]") -> None:
        literal = PASSWORD.replace("'", "''")
        db.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{literal}'")

    def start(self) -> None:
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAMS[-1] / "postgres", "-D", self.folder / "data", *options],
                stdout=log, stderr=log, cwd="/", **_as_nobody(),
            )  # fmt: skip

        def takes_logins() -> bool:
            try:
                self.connected("postgres", "postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(takes_logins, 20)

    def stop(self) -> None:
        """As a package's upgrade does it: whoever is connected is thrown out."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        self.thaw()
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, signalled: signal.Signals) -> None:
        for pid in self._pids():
            # Whoever served a connection ends with it.
            with suppress(ProcessLookupError):
                os.kill(pid, signalled)

    def connected(self, user: str = OWNER, database: str = OWNER) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=str(self.folder), port=PORT, user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    def _pids(self) -> list[int]:
        """Of the server and of all that it started, which are in groups of their own."""
        if not self._process or self._process.poll() is not None:
            return []
        found = [self._process.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self._process.pid:
                    found.append(int(stat.parent.name))
            except OSError:
                # It has ended meanwhile.
                continue
        return found

    def _end(self, signalled: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(signalled)
            self._process.wait(30)
            self._process = None
