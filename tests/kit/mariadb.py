"""A real MariaDB of a test's own: in a folder, on a Unix socket and a port."""

import configparser
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymysql
import pytest

from humbug_agent.ini import Section
from humbug_agent.sources.mysql.settings import MysqlSettings
from tests.kit.host import wait_until
from tests.kit.ports import free_port

PROGRAMS = ("mariadbd", "mariadb-install-db")
COLUMNS = (
    "calldate", "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec",
    "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "did", "recordingfile", "cnum", "cnam",
    "outbound_cnum", "outbound_cnam", "dst_cnam", "linkedid", "peeraccount", "sequence",
)  # fmt: skip
CDR = """CREATE TABLE cdr (
    calldate datetime NOT NULL DEFAULT '1000-01-01 00:00:00', clid varchar(80) NOT NULL DEFAULT '',
    src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '', dcontext varchar(80) NOT NULL DEFAULT '',
    channel varchar(80) NOT NULL DEFAULT '', dstchannel varchar(80) NOT NULL DEFAULT '',
    lastapp varchar(80) NOT NULL DEFAULT '', lastdata varchar(80) NOT NULL DEFAULT '', duration int NOT NULL DEFAULT 0,
    billsec int NOT NULL DEFAULT 0, disposition varchar(45) NOT NULL DEFAULT '', amaflags int NOT NULL DEFAULT 0,
    accountcode varchar(20) NOT NULL DEFAULT '', uniqueid varchar(32) NOT NULL DEFAULT '',
    userfield varchar(255) NOT NULL DEFAULT '', did varchar(50) NOT NULL DEFAULT '',
    recordingfile varchar(255) NOT NULL DEFAULT '', cnum varchar(80) NOT NULL DEFAULT '',
    cnam varchar(80) NOT NULL DEFAULT '', outbound_cnum varchar(80) NOT NULL DEFAULT '',
    outbound_cnam varchar(80) NOT NULL DEFAULT '', dst_cnam varchar(80) NOT NULL DEFAULT '',
    linkedid varchar(32) NOT NULL DEFAULT '', peeraccount varchar(80) NOT NULL DEFAULT '',
    sequence int NOT NULL DEFAULT 0
) DEFAULT CHARSET utf8mb4"""
"""FreePBX's, without its keys."""

KEYS = ("calldate", "dst", "accountcode", "uniqueid", "did")


def mariadb_or_skip() -> None:
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]:
        say = pytest.fail if os.environ.get("HUMBUG_TEST_DATABASES_REQUIRED") else pytest.skip
        say(f"no {missing[0]} here: run tests/databases/prepare")


class MariaDb:
    """With a database asteriskcdrdb, the table cdr in it, and a user humbug who may read that.

    ``options`` are further settings of the server.
    """

    def __init__(self, *options: str) -> None:
        mariadb_or_skip()
        self._options = options
        # A socket's path may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
        self.socket = self.folder / "s"
        # Whom the server lets in it says itself.
        self.folder.chmod(0o711)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--force", f"--datadir={self.folder}/data", "--user=root",
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        self.run("CREATE DATABASE asteriskcdrdb", "CREATE USER humbug@'%' IDENTIFIED BY 'the-secret'",
                 "GRANT SELECT ON asteriskcdrdb.* TO humbug@'%'")  # fmt: skip
        self.make()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """What was committed and not synced is there after SIGKILL."""
        self._process = subprocess.Popen(
            ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.socket}",
             f"--port={self.port}", "--bind-address=127.0.0.1", "--user=root", f"--pid-file={self.folder}/pid",
             "--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=2", "--skip-name-resolve",
             "--skip-log-bin", f"--log-error={self.folder}/log", *self._options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "log").read_text()
        # PyMySQL itself leaves a socket open where there is nobody.
        with socket.socket(socket.AF_UNIX) as there:
            return there.connect_ex(str(self.socket)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def connect(self, database: str | None = "asteriskcdrdb", **more: Any) -> Any:
        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True, charset="utf8mb4", **more
        )

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """What the last of them found."""
        conn = self.connect(database=database)
        with conn, conn.cursor() as cursor:
            for one in statements:
                cursor.execute(one)
            return list(cursor.fetchall())

    def make(self, *changes: str, keys: Sequence[str] = KEYS) -> None:
        """The table anew."""
        indices = [f"ALTER TABLE cdr ADD KEY ({key})" for key in keys]
        self.run("DROP TABLE IF EXISTS cdr", CDR, *indices, *changes, database="asteriskcdrdb")

    def insert(self, *rows: dict[str, Any]) -> None:
        conn = self.connect()
        with conn, conn.cursor() as cursor:
            for row in rows:
                names = ", ".join(row)
                cursor.execute(
                    f"INSERT INTO cdr ({names}) VALUES ({', '.join(['%s'] * len(row))})", tuple(row.values())
                )

    def ini(self) -> str:
        return f"socket = {self.socket}\ndatabase = asteriskcdrdb\nuser = humbug\npassword = the-secret"


def cdr_row(number: int, began: float | None = None, **changed: Any) -> dict[str, Any]:
    """The row of the ``number``-th of different calls, which began then (in UTC), by default a moment ago."""
    began = time.time() - 30 if began is None else began
    row = {
        "calldate": datetime.fromtimestamp(int(began), UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "clid": f'"Desk {number}" <{number}>', "src": "101", "dst": str(number), "dcontext": "from-internal",
        "channel": f"PJSIP/101-{number:08x}", "dstchannel": f"PJSIP/204-{number:08x}", "lastapp": "Dial",
        "lastdata": "PJSIP/204,12", "duration": 12, "billsec": 7, "disposition": "ANSWERED", "amaflags": 3,
        "accountcode": "acct", "uniqueid": f"{int(began)}.{number}", "did": "4930", "linkedid": f"{int(began)}.1",
        "sequence": number,
    }  # fmt: skip
    return row | changed


def settings(database: MariaDb, *lines: str) -> MysqlSettings:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string("\n".join(["[s]", database.ini(), *lines]), "")
    mistakes: list[str] = []
    section = Section("source database", dict(parser["s"]), mistakes)
    found = MysqlSettings.read("database", section)
    section.finish()
    assert not mistakes
    return found
