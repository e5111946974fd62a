"""A PBX for each type of source: how calls end on it, what the source is told of them, and how it breaks down.

Calls are numbered; what has been read of them is known by these numbers again.
"""

import atexit
import json
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

import psycopg

from humbug_agent.cdr import CDR
from tests.kit import (
    ami_calls,
    ami_server,
    boxis_server,
    esl_calls,
    esl_server,
    fs_folder,
    fusionpbx_database,
    fusionpbx_server,
    mod_cdr_csv,
    while1_server,
)
from tests.kit.ami_server import AmiServer
from tests.kit.boxis_server import BoxisServer
from tests.kit.esl_server import EslServer
from tests.kit.fusionpbx_database import FusionpbxDatabase
from tests.kit.fusionpbx_server import FusionpbxServer
from tests.kit.host import wait_until
from tests.kit.mariadb import COLUMNS, MariaDb, cdr_row
from tests.kit.ports import free_port
from tests.kit.pull_server import PullServer
from tests.kit.while1_server import While1Server

DAY = 86400
NO_SINCE = "# no since"


class Pbx:
    """With a source of its ``type``. ``folder`` is empty, and its own."""

    type = ""
    tells_again = True
    """Whether calls that ended while nobody read are told later."""
    leaves_out = ""
    """The setting with which a first start leaves out what is there already; blank: it reads all there is."""
    holds_it = False
    """Whether what does not come onto the disk is told again by the PBX itself, which waits for the answer."""
    says: tuple[str, ...] = ()
    """The numbers, times and texts of a record that `odd` can change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ini(self) -> str:
        """The lines of the source's section, but for its type."""
        raise NotImplementedError

    def record(self, number: int) -> bytes:
        """The text of one call's record, always the same."""
        raise NotImplementedError

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        """The text of a record that says something else than `record`."""
        raise NotImplementedError

    def tell(self, *records: bytes) -> None:
        """Of such texts, as the PBX does it."""
        raise NotImplementedError

    def end(self, *numbers: int) -> None:
        """These calls end now, and are told of as the PBX does it."""
        raise NotImplementedError

    def old(self, *numbers: int) -> None:
        """Calls that a first start with ``leaves_out`` leaves out."""
        self.end(*numbers)

    def wrong(self) -> None:
        """Tell something that is no call."""
        raise NotImplementedError

    def number(self, cdr: CDR) -> int:
        return int(cdr.dst)

    def ready(self) -> None:
        """Waits until it would tell the source."""

    def hang(self) -> None:
        """Nothing is answered any more, and nothing closed."""

    def vanish(self) -> None:
        """What the source reads is not there any more."""
        raise NotImplementedError


VARIABLES = (
    "start_uepoch", "answer_uepoch", "end_uepoch", "start_epoch", "end_epoch", "start_stamp", "duration", "billsec",
    "mduration", "hangup_cause", "accountcode",
)  # fmt: skip
"""Of FreeSWITCH's channels."""


def by_uuid(cdr: CDR) -> int:
    return uuid.UUID(cdr.uniqueid).int


class Logged(Pbx):
    """One that appends its records to Master.csv."""

    leaves_out = "start = end"

    @property
    def path(self) -> Path:
        return self.folder / "Master.csv"

    def ini(self) -> str:
        return f"path = {self.path}"

    def end(self, *numbers: int) -> None:
        self.tell(*map(self.record, numbers))

    def tell(self, *records: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(records))

    def wrong(self) -> None:
        with self.path.open("ab") as file:
            file.write(b'"these","are","not","enough"\n')

    def vanish(self) -> None:
        self.path.rename(self.folder / "elsewhere")


class AsteriskCsvPbx(Logged):
    type = "asterisk_csv"
    says = ("start", "answer", "end", "duration", "billsec", "disposition", "clid", "uniqueid")

    def record(self, number: int) -> bytes:
        return ami_calls.line(a_call(number))

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return ami_calls.line(a_call(number) | _as_bytes(said))


class FreeswitchCsvPbx(Logged):
    type = "freeswitch_csv"
    says = ("start_stamp", "answer_stamp", "end_stamp", "duration", "billsec", "hangup_cause", "caller_id_name")

    def record(self, number: int) -> bytes:
        return mod_cdr_csv.rows("safe", number)

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        changed = {"destination_number": b"%d" % number} | _as_bytes(said)
        return mod_cdr_csv.row("safe", mod_cdr_csv.call(number, **changed))


class AsteriskAmiPbx(Pbx):
    type = "asterisk_ami"
    tells_again = False
    says = AsteriskCsvPbx.says

    def __enter__(self) -> Self:
        self.server = AmiServer().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(None, None, None)

    def ini(self) -> str:
        return f"port = {self.server.port}\nusername = {ami_server.USER}\nsecret = {ami_server.SECRET}"

    def record(self, number: int) -> bytes:
        return ami_calls.event(a_call(number))

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return ami_calls.event(a_call(number) | _as_bytes(said))

    def tell(self, *records: bytes) -> None:
        self.server.play(b"".join(records))

    def end(self, *numbers: int) -> None:
        self.tell(*map(self.record, numbers))

    def wrong(self) -> None:
        self.server.play(b"Event: Cdr\r\nPrivilege: cdr,all\r\nAccountCode: \r\n\r\n")

    def ready(self) -> None:
        wait_until(lambda: self.server.listeners)

    def hang(self) -> None:
        self.server.freeze()

    def vanish(self) -> None:
        self.server.vanish()


class FreeswitchEslPbx(Pbx):
    type = "freeswitch_esl"
    tells_again = False
    says = tuple(f"variable_{name}" for name in VARIABLES)

    def __enter__(self) -> Self:
        self.server = EslServer().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(None, None, None)

    def ini(self) -> str:
        return f"port = {self.server.port}\npassword = {esl_server.PASSWORD}"

    def record(self, number: int) -> bytes:
        return esl_calls.hangup(number).partition(b"\n\n")[2]

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return json.dumps(json.loads(self.record(number)) | said, separators=(",", ":")).encode()

    def tell(self, *records: bytes) -> None:
        self.server.play(b"".join(map(esl_server.event, records)))

    def end(self, *numbers: int) -> None:
        self.tell(*map(self.record, numbers))

    def wrong(self) -> None:
        self.server.play(esl_server.event(b'{"Event-Name":"CHANNEL_HANGUP_COMPLETE"}'))

    number = staticmethod(by_uuid)

    def ready(self) -> None:
        wait_until(lambda: self.server.listeners)

    def hang(self) -> None:
        self.server.freeze()

    def vanish(self) -> None:
        self.server.vanish()


class FreeswitchJsonPbx(Pbx):
    type = "freeswitch_json"
    after = "keep"
    says = VARIABLES

    @property
    def path(self) -> Path:
        return self.folder / "json_cdr"

    def __enter__(self) -> Self:
        self.path.mkdir()
        return self

    def ini(self) -> str:
        return f"path = {self.path}\nafter = {self.after}"

    def record(self, number: int) -> bytes:
        return fs_folder.numbered(number)[1]

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return a_document(self.record(number), said)

    def tell(self, *records: bytes) -> None:
        for record in records:
            half = self.path / f"a_{uuid.uuid4()}.half"
            half.write_bytes(record)
            # Of a document that was written just now the other half might come.
            fs_folder.old(half).rename(half.with_suffix(".cdr.json"))

    def end(self, *numbers: int) -> None:
        fs_folder.write(self.path, *numbers)

    def wrong(self) -> None:
        half = self.path / "a_half"
        half.write_bytes(b'{"variables":')
        # Of a document that was written just now the other half might come.
        fs_folder.old(half).rename(self.path / "a_wrong.cdr.json")

    number = staticmethod(by_uuid)

    def vanish(self) -> None:
        self.path.rename(self.folder / "elsewhere")


class FreeswitchHttpPbx(Pbx):
    type = "freeswitch_http"
    tells_again = False
    says = VARIABLES
    holds_it = True

    def __enter__(self) -> Self:
        self.port = free_port()
        return self

    def ini(self) -> str:
        return f"listen = 127.0.0.1:{self.port}"

    def record(self, number: int) -> bytes:
        return fs_folder.numbered(number)[1]

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return a_document(self.record(number), said)

    def tell(self, *records: bytes) -> None:
        for record in records:
            wait_until(partial(self.posted, record), 20)

    def end(self, *numbers: int) -> None:
        self.tell(*map(self.record, numbers))

    def wrong(self) -> None:
        wait_until(lambda: self.posted(b'{"variables":'))

    def posted(self, body: bytes) -> bool:
        """Whether it was answered that it is safe."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/", body)
            with connection.getresponse() as answer:
                return answer.status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    number = staticmethod(by_uuid)

    def hang(self) -> None:
        # A client that never says the rest.
        self._half = socket.create_connection(("127.0.0.1", self.port))
        self._half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")

    def __exit__(self, *_: object) -> None:
        if half := getattr(self, "_half", None):
            half.close()

    def ready(self) -> None:
        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                return False
            return True

        wait_until(listens)

    def vanish(self) -> None:
        pass


class Asked(Pbx):
    """One that is asked for its calls. ``began``: since when the first start asks; None as agent.ini has no since."""

    leaves_out = NO_SINCE

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.began: float | None = None

    def since(self) -> str:
        return f"since = {datetime.fromtimestamp(self.began, UTC):%Y-%m-%d %H:%M}" if self.began else ""

    def add(self, number: int, ended: float) -> None:
        raise NotImplementedError

    def end(self, *numbers: int, ago: float = 60) -> None:
        for number in numbers:
            self.add(number, time.time() - ago)

    def old(self, *numbers: int) -> None:
        self.end(*numbers, ago=3 * DAY)


class Hosted(Asked):
    """One that is asked over HTTP."""

    server: PullServer

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def account(self) -> str:
        raise NotImplementedError

    def add(self, number: int, ended: float) -> None:
        self.rows().append(self.a_row(number, ended))

    def ini(self) -> str:
        return f"url = {self.server.url}\npoll_seconds = 1\ntimezone = UTC\n{self.account()}\n{self.since()}"

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        """Of a call that has not ended yet."""
        return a_json(self.a_row(number, time.time() - 60) | said)

    def a_row(self, number: int, ended: float) -> dict[str, Any]:
        raise NotImplementedError

    def tell(self, *records: bytes) -> None:
        for record in records:
            self.rows().append(json.loads(record))

    def rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def hang(self) -> None:
        self.server.spoil = lambda asked, reply: reply.but(hang=True)

    def vanish(self) -> None:
        self.server.__exit__()


class While1Pbx(Hosted):
    type = "while1"
    says = ("time", "time_end", "duration", "bill_duration", "call_status", "source", "uniqueid")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = self._while1 = While1Server()

    def account(self) -> str:
        return f"token = {while1_server.TOKEN}\napi_key = {while1_server.KEY}\ntimezone = {while1_server.ZONE}"

    def ini(self) -> str:
        return super().ini().replace("timezone = UTC\n", "")

    def a_row(self, number: int, ended: float) -> dict[str, Any]:
        return while1_server.row(number, ended)

    def rows(self) -> list[dict[str, Any]]:
        return self._while1.rows

    def record(self, number: int) -> bytes:
        return a_json(next(row for row in self._while1.rows if int(row["id"]) == number))

    def wrong(self) -> None:
        self._while1.rows.append({"id": "3", "time": "never", "time_end": "never"})

    def number(self, cdr: CDR) -> int:
        return int(cdr.extra["id"])


class BoxisPbx(Hosted):
    type = "boxis"
    says = ("start", "answer", "end", "duration", "billsec", "disposition", "clid")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = boxis = BoxisServer()
        boxis.zone = UTC
        self._rows = boxis.tenants[boxis_server.TENANT]

    def account(self) -> str:
        return (
            f"username = {boxis_server.USERNAME}\nuser_key = {boxis_server.USER_KEY}\ntenants = {boxis_server.TENANT}"
        )

    def a_row(self, number: int, ended: float) -> dict[str, Any]:
        return boxis_server.a_row(number, ended, zone=UTC)

    def rows(self) -> list[dict[str, Any]]:
        return self._rows

    def record(self, number: int) -> bytes:
        return a_json(next(row for row in self._rows if row["sequence"] == str(number)))

    def wrong(self) -> None:
        self._rows.append(boxis_server.a_row(9000, time.time() - 60, zone=UTC, duration="long"))

    def number(self, cdr: CDR) -> int:
        return int(cdr.uniqueid.rpartition(".")[2])


class FusionpbxPbx(Hosted):
    type = "fusionpbx"
    says = ("start_epoch", "answer_epoch", "end_epoch", "billsec", "hangup_cause", "caller_id_name")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = fusion = FusionpbxServer()
        self._rows = fusion.domains[fusionpbx_server.DOMAIN]

    def account(self) -> str:
        return (
            f"email = {fusionpbx_server.EMAIL}\npassword = {fusionpbx_server.PASSWORD}\n"
            f"domains = {fusionpbx_server.DOMAIN}"
        )

    def a_row(self, number: int, ended: float) -> dict[str, Any]:
        return fusionpbx_server.a_row(number, ended)

    def rows(self) -> list[dict[str, Any]]:
        return self._rows

    def record(self, number: int) -> bytes:
        return a_json(next(row for row in self._rows if row["xml_cdr_uuid"] == str(uuid.UUID(int=number))))

    def wrong(self) -> None:
        self._rows.append(fusionpbx_server.a_row(9000, time.time() - 60, billsec="long"))

    number = staticmethod(by_uuid)


class PostgresqlPbx(Asked):
    type = "postgresql"
    says = FusionpbxPbx.says

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.database = FusionpbxDatabase()
        self._rows: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self.database.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.database.__exit__()

    def ini(self) -> str:
        return f"{self.database.ini()}\npoll_seconds = 1\ntimezone = UTC\n{self.since()}"

    def record(self, number: int) -> bytes:
        return a_json(_as_selected(self._rows[number]))

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return a_json(_as_selected(fusionpbx_database.a_row(number, time.time() - 60)) | said)

    def tell(self, *records: bytes) -> None:
        for record in records:
            # What a column can't hold FusionPBX's import puts aside.
            with suppress(psycopg.DataError):
                self.database.insert(json.loads(record))

    def add(self, number: int, ended: float) -> None:
        self._rows[number] = fusionpbx_database.a_row(number, ended)
        self.database.insert(self._rows[number])

    def end(self, *numbers: int, ago: float = 60) -> None:
        ended = time.time() - ago
        self._rows |= {number: fusionpbx_database.a_row(number, ended) for number in numbers}
        self.database.insert(*(self._rows[number] for number in numbers))

    def wrong(self) -> None:
        self.database.insert(fusionpbx_database.a_row(9000, time.time() - 60, start_epoch=None, start_stamp=None))

    number = staticmethod(by_uuid)

    def hang(self) -> None:
        self.database.freeze()

    def vanish(self) -> None:
        self.database.kill()


def _as_selected(row: dict[str, Any]) -> dict[str, Any]:
    """The row as the source reads it."""
    return {name: value if value is None else str(value) for name, value in row.items() if name != "insert_date"}


def a_document(document: bytes, said: dict[str, str]) -> bytes:
    found = json.loads(document)
    found["variables"] |= said
    return json.dumps(found).encode()


def _as_bytes(said: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("utf-8", "replace") for name, value in said.items()}


def a_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


@cache
def a_call(number: int) -> ami_calls.Columns:
    return ami_calls.call(number, uniqueid=b"%d.%d" % (time.time() - 5, number))


@cache
def a_mariadb() -> MariaDb:
    """One for all the tests of a process."""
    running = MariaDb()
    atexit.register(running.__exit__, None, None, None)
    return running.__enter__()


class MysqlPbx(Asked):
    """A database that an Asterisk fills."""

    type = "mysql"
    says = ("clid",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.database = a_mariadb()
        self.database.make()
        self._rows: dict[int, dict[str, Any]] = {}

    def __exit__(self, *_: object) -> None:
        self.database.thaw()

    def ini(self) -> str:
        return f"{self.database.ini()}\npoll_seconds = 1\ntimezone = UTC\n{self.since()}"

    def record(self, number: int) -> bytes:
        row = self._row(number)
        return a_json({name: str(value) for name, value in row.items()} | {"time": row["calldate"], "utc": "1"})

    def odd(self, number: int, said: dict[str, str]) -> bytes:
        return a_json(json.loads(self.record(number)) | said)

    def tell(self, *records: bytes) -> None:
        for record in records:
            row = json.loads(record)
            self.database.insert({name: row[name] for name in row.keys() & set(COLUMNS)})

    def end(self, *numbers: int, ago: float = 60) -> None:
        self.database.insert(*(self._row(number, time.time() - ago) for number in numbers))

    def wrong(self) -> None:
        self.database.insert(cdr_row(9000, disposition="NONSENSE"))

    def hang(self) -> None:
        self.database.freeze()

    def vanish(self) -> None:
        self.database.run("DROP TABLE cdr", database="asteriskcdrdb")

    def _row(self, number: int, ended: float | None = None) -> dict[str, Any]:
        return self._rows.setdefault(number, cdr_row(number, time.time() - 60 if ended is None else ended))


PBXS: dict[str, Callable[[Path], Pbx]] = {
    pbx.type: pbx
    for pbx in (
        AsteriskCsvPbx,
        AsteriskAmiPbx,
        FreeswitchCsvPbx,
        FreeswitchJsonPbx,
        FreeswitchHttpPbx,
        FreeswitchEslPbx,
        While1Pbx,
        BoxisPbx,
        FusionpbxPbx,
        MysqlPbx,
        PostgresqlPbx,
    )
}
