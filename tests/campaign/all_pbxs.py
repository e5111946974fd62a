"""A PBX of each type of source at the same time, whose calls are told of as such PBXs do it, and which break down.

Kinds of calls: an Asterisk's stand in its Master.csv, and some are told over AMI or are in its database, too; another
one's are in the database alone; a FreeSWITCH's stand in a Master.csv, are a document in a directory, or are posted,
often several of these, and some are told as ESL's events, too; each hosted PBX and FusionPBX's database has its own.
What AMI or ESL alone would tell nobody promises to an agent that is killed.
"""

import random
import signal
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import psycopg
import pymysql

from tests.kit import mod_cdr_csv
from tests.kit.mariadb import COLUMNS, cdr_row
from tests.kit.pbxs import (
    AsteriskAmiPbx,
    AsteriskCsvPbx,
    BoxisPbx,
    FreeswitchCsvPbx,
    FreeswitchEslPbx,
    FreeswitchHttpPbx,
    FreeswitchJsonPbx,
    FusionpbxPbx,
    Hosted,
    Logged,
    MysqlPbx,
    Pbx,
    PostgresqlPbx,
    While1Pbx,
    a_call,
)
from tests.kit.pull_server import Asked, Reply

A_SECOND = 15
"""Calls of each kind."""

APART = 100_000
"""So far are the numbers of one kind of calls from those of the next."""


class AllPbxs:
    """Calls end on all of them within a ``with`` block, from `begin` to `finish`. ``told`` are their UniqueIDs."""

    def __init__(self, home: Path, rng: random.Random) -> None:
        self.told: set[str] = set()
        self._rng = rng
        self._csv = AsteriskCsvPbx(home / "asterisk_csv")
        self._ami = AsteriskAmiPbx(home / "asterisk_ami")
        self._fs_csv = FreeswitchCsvPbx(home / "freeswitch_csv")
        self._documents = FreeswitchJsonPbx(home / "freeswitch_json")
        self._http = FreeswitchHttpPbx(home / "freeswitch_http")
        self._esl = FreeswitchEslPbx(home / "freeswitch_esl")
        self._while1 = While1Pbx(home / "while1")
        self._boxis = BoxisPbx(home / "boxis")
        self._fusion = FusionpbxPbx(home / "fusionpbx")
        self._hosted: list[Hosted] = [self._while1, self._boxis, self._fusion]
        self._postgresql = PostgresqlPbx(home / "postgresql")
        self._mysql = MysqlPbx(home / "mysql")
        databases = [self._mysql, self._postgresql]
        local = [self._csv, self._ami, self._fs_csv, self._documents, self._http, self._esl]
        self._all: list[Pbx] = [*local, *databases, *self._hosted]
        kinds = (
            *(self._asterisks, self._database_alone, self._freeswitchs, self._import),
            *(self._of(pbx) for pbx in self._hosted),
        )
        self._kinds: list[Callable[[int, random.Random], str]] = [*kinds]
        self._ended = [0] * len(kinds)
        self._away: set[str] = set()
        self._rotations = 0
        self._appending = threading.Lock()
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._over = threading.Event()
        self._failed: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for pbx in self._all:
            pbx.folder.mkdir()
            self._stack.enter_context(pbx)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._join()
        self._stack.close()

    def ini(self) -> str:
        return "\n".join(f"[source {pbx.type}]\ntype = {pbx.type}\n{pbx.ini()}\n" for pbx in self._all)

    def begin(self) -> None:
        """From now on calls end, those of each kind in a thread of their own."""
        for kind in range(len(self._kinds)):
            thread = threading.Thread(target=self._go_on, args=(kind, random.Random(self._rng.random())))
            self._threads.append(thread)
            thread.start()

    def finish(self) -> None:
        """No more calls end; all that did are told, for which the agent must be there."""
        self._join()
        assert self._failed == []

    def fresh(self) -> None:
        """One more call of each kind."""
        for kind in range(len(self._kinds)):
            self._end(kind, self._rng)

    def _join(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, kind: int, rng: random.Random) -> None:
        try:
            while not self._stop.wait(rng.expovariate(A_SECOND)):
                self._end(kind, rng)
        except Exception as error:  # noqa: BLE001
            self._failed.append(error)

    # How a call ends.

    def _end(self, kind: int, rng: random.Random) -> None:
        self._ended[kind] += 1
        self.told.add(self._kinds[kind]((1 + kind) * APART + self._ended[kind], rng))

    def _asterisks(self, number: int, rng: random.Random) -> str:
        said = {name: value.decode() for name, value in a_call(number).items()}
        row = {name: said[name] for name in said.keys() & set(COLUMNS) - {"amaflags"}} | {"calldate": said["start"]}
        ways = [
            partial(self._append, self._csv, self._csv.record(number), rng),
            *[partial(self._ami.end, number)] * rng.randint(0, 1),
            *[partial(self._insert, row)] * rng.randint(0, 1),
        ]
        rng.shuffle(ways)
        for tell in ways:
            tell()
        return str(number)

    def _database_alone(self, number: int, _: random.Random) -> str:
        self._insert(cdr_row(number))
        return str(number)

    def _insert(self, row: dict[str, Any]) -> None:
        """Until it is known that the row is there, and there but once."""
        looked_for = f"SELECT 1 FROM cdr WHERE uniqueid = '{row['uniqueid']}'"
        while not self._over.is_set():
            try:
                if not self._mysql.database.run(looked_for, database="asteriskcdrdb"):
                    self._mysql.database.insert(row)
                break
            except pymysql.MySQLError:
                self._over.wait(0.05)

    def _freeswitchs(self, number: int, rng: random.Random) -> str:
        name = str(uuid.UUID(int=number))
        row = mod_cdr_csv.row("safe", mod_cdr_csv.call(number, uuid=name.encode()))
        safe = [
            partial(self._append, self._fs_csv, row, rng),
            partial(self._documents.end, number),
            partial(self._post, number),
        ]
        ways = [*rng.sample(safe, rng.randint(1, len(safe))), *[partial(self._esl.end, number)] * rng.randint(0, 1)]
        rng.shuffle(ways)
        for tell in ways:
            tell()
        return name

    def _import(self, number: int, _: random.Random) -> str:
        """FusionPBX's service tries again what it could not write into its database."""
        while not self._over.is_set():
            try:
                self._postgresql.end(number)
                break
            except psycopg.errors.UniqueViolation:
                break
            except psycopg.OperationalError:
                self._over.wait(0.05)
        return str(uuid.UUID(int=number))

    def _of(self, pbx: Hosted) -> Callable[[int, random.Random], str]:
        def end(number: int, _: random.Random) -> str:
            pbx.end(number)
            return str(uuid.UUID(int=number)) if pbx is self._fusion else str(number)

        return end

    def _post(self, number: int) -> None:
        """Again and again until it is answered that it is safe."""
        while not self._http.posted(self._http.record(number)):
            if self._over.wait(0.05):
                raise RuntimeError("nobody took the last calls")

    def _append(self, log: Logged, record: bytes, rng: random.Random) -> None:
        """Mostly with one write; now and then the rest of a record comes later."""
        with self._appending:
            if rng.random() < 0.05:
                cut = rng.randrange(1, len(record))
                log.tell(record[:cut])
                self._stop.wait(0.05)
                record = record[cut:]
            log.tell(record)

    # How they break down, and come back.

    def break_down(self) -> None:
        """Or come back."""
        ways = (self._rotate, self._rotate, self._vanish, self._spoil, self._restart_database, self.recover)
        self._rng.choice(ways)()

    def recover(self) -> None:
        for hosted in self._hosted:
            hosted.server.spoil = None
        for live in (self._ami, self._esl):
            if live.type in self._away:
                live.server.listen()
        self._away.clear()

    def _rotate(self) -> None:
        """As logrotate does it: Master.csv becomes Master.csv.1, what was that becomes Master.csv.2, and so on."""
        with self._appending:
            self._rotations += 1
            for log in (self._csv, self._fs_csv):
                names = [log.path, *(log.path.with_name(f"Master.csv.{n}") for n in range(1, self._rotations + 1))]
                for before, after in reversed([*pairwise(names)]):
                    if before.exists():
                        before.rename(after)

    def _vanish(self) -> None:
        live = self._rng.choice((self._ami, self._esl))
        if live.type not in self._away:
            self._away.add(live.type)
            live.server.vanish()

    def _restart_database(self) -> None:
        if self._rng.random() < 0.5:
            self._postgresql.database.kill()
            self._postgresql.database.start()
        else:
            self._mysql.database.stop(signal.SIGKILL)
            self._mysql.database.start()

    def _spoil(self) -> None:
        rng = random.Random(self._rng.random())

        def spoil(_: Asked, reply: Reply) -> Reply:
            spoilt = (reply, reply, reply.but(status=500), reply.but(status=503), reply.but(body=b"?"))
            return rng.choice((*spoilt, reply.but(cut_at=rng.randrange(20))))

        self._rng.choice(self._hosted).server.spoil = spoil
