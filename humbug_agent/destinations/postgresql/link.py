"""One connection to a PostgreSQL server, over libpq. Nothing in here waits: whoever goes through the steps does.

So the wait ends when it shall, whatever the server does, and no thread has to be ended for it.
"""

import select
import socket
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from humbug_agent import __version__
from humbug_agent.destinations.contract import DeliveryError, Later, Misconfigured
from humbug_agent.destinations.postgresql.failures import Failure, of_connecting, of_statement
from humbug_agent.destinations.postgresql.settings import PostgresqlSettings
from humbug_agent.http_client import names
from humbug_agent.libpq.trust import authorities

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

T = TypeVar("T")

EXTRA = "needs psycopg and libpq: pip install 'humbug-agent[postgresql]'"


class Wants(NamedTuple):
    """What the next step waits for: ``events`` of poll at ``fd``; -1: nothing but a little time."""

    fd: int
    events: int


Steps = Generator[Wants, bool, T]
"""What is done step by step. Whoever goes on says whether what was wanted came; otherwise a time-out may be over."""


class Link:
    """A connection that is open and logged in. ``timeout`` (seconds) is for each statement as a whole."""

    def __init__(self, conn: "PGconn", settings: PostgresqlSettings, where: str) -> None:
        self._conn = conn
        self._settings = settings
        self._where = where
        conn.nonblocking = 1

    def ask(self, sql: str, values: Sequence[bytes | None] = ()) -> Steps[list[list[str | None]]]:
        """The rows of the last statement in ``sql``, as text. Several statements are one transaction.

        Raises DeliveryError; after one other than Refused the connection may be of no use any more.
        """
        conn, until = self._conn, time.monotonic() + self._settings.timeout
        try:
            if values:
                conn.send_query_params(sql.encode(), list(values))
            else:
                conn.send_query(sql.encode())
            while conn.flush():
                yield from self._ready(select.POLLIN | select.POLLOUT, until)
                conn.consume_input()
            result = None
            while True:
                while conn.is_busy():
                    yield from self._ready(select.POLLIN, until)
                    conn.consume_input()
                found = conn.get_result()
                if found is None:
                    break
                result = found if result is None or not _failed(result) else result
        except _libpq_error() as error:
            raise Later(f"{self._where}: the connection was lost: {of_connecting(str(error)).text}") from error
        if result is None:
            raise Later(f"{self._where}: the connection was lost")
        if _failed(result):
            raise of_statement(_failure(result), self._where)
        return [[_text(result, row, column) for column in range(result.nfields)] for row in range(result.ntuples)]

    def settle(self) -> Steps[None]:
        """Before all else: no statement outlives its time there, and a commit is on the disk, whatever is usual."""
        yield from self.ask(
            f"SET statement_timeout = {self._settings.timeout * 1000}; "
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )

    def spoke(self) -> bool:
        """Whether the server said something that nobody asked for, or has closed the connection."""
        poll = select.poll()
        poll.register(self._conn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._conn.finish()

    def _ready(self, events: int, until: float) -> Steps[None]:
        while not (yield Wants(self._conn.socket, events)):
            if time.monotonic() >= until:
                raise Later(f"{self._where}: no answer within {self._settings.timeout} s")


def connecting(settings: PostgresqlSettings, where: str) -> Steps[Link]:
    """A new connection. Raises DeliveryError."""
    until = time.monotonic() + settings.timeout
    addresses = yield from _addresses(settings, where, until)
    for number, address in enumerate(addresses):
        # One that never answers leaves time for those behind it.
        now = time.monotonic()
        share = now + (until - now) / (len(addresses) - number)
        try:
            link = yield from _connecting_to(address, settings, where, share)
        except Later:
            if number + 1 == len(addresses):
                raise
        else:
            return link
    raise Later(f"{where}: {settings.host} has no address")


def _connecting_to(address: str, settings: PostgresqlSettings, where: str, until: float) -> Steps[Link]:
    try:
        from psycopg.pq import ConnStatus, PGconn, PollingStatus
    except ImportError as error:
        raise Misconfigured(f"type postgresql {EXTRA} ({error})") from error
    conn = PGconn.connect_start(_conninfo(address, settings).encode())
    try:
        # Until it is said otherwise it can be asked at once.
        while conn.status != ConnStatus.BAD and (polled := conn.connect_poll()) != PollingStatus.FAILED:
            if polled == PollingStatus.OK:
                return Link(conn, settings, where)
            while not (yield Wants(conn.socket, select.POLLIN if polled == PollingStatus.READING else select.POLLOUT)):
                if time.monotonic() >= until:
                    raise Later(f"{where}: no answer within {settings.timeout} s")
        said = conn.error_message.decode("utf-8", "replace")
        found = of_connecting(said)
        kind: type[DeliveryError] = Misconfigured if found.lasting else Later
        raise kind(f"{where}: {found.text}")
    except BaseException:
        conn.finish()
        raise


def _addresses(settings: PostgresqlSettings, where: str, until: float) -> Steps[list[str]]:
    """Of a host's name; blank for a Unix socket. libpq itself would wait for whoever knows the names."""
    if settings.host.startswith("/"):
        return [""]
    while True:
        try:
            found = names.look_up(settings.host, settings.port, lambda: 0.0, lambda: False)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))
        except TimeoutError:
            if time.monotonic() >= until:
                raise Later(f"{where}: its name was not found within {settings.timeout} s") from None
        except (socket.gaierror, UnicodeError) as error:
            raise Later(f"{where}: its name is not known: {getattr(error, 'strerror', None) or error}") from error
        except OSError as error:
            raise Later(f"{where}: its name was not looked up: {error.strerror or error}") from error
        yield Wants(-1, 0)


def _conninfo(address: str, settings: PostgresqlSettings) -> str:
    from psycopg.conninfo import make_conninfo

    return make_conninfo(
        host=settings.host,
        hostaddr=address or None,
        port=settings.port,
        dbname=settings.database,
        user=settings.user,
        password=settings.password.reveal() if settings.password else None,
        sslmode=settings.sslmode,
        sslrootcert=authorities(settings.sslmode, settings.ca_file),
        # Asking for a ticket would wait.
        gssencmode="disable",
        client_encoding="UTF8",
        application_name=f"humbug-agent/{__version__}",
        keepalives_idle=60,
    )


def _libpq_error() -> type[Exception]:
    from psycopg import Error

    return Error


def _failed(result: "PGresult") -> bool:
    from psycopg.pq import ExecStatus

    return result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY)


def _failure(result: "PGresult") -> Failure:
    from psycopg.pq import DiagnosticField

    def field(which: DiagnosticField) -> str:
        return (result.error_field(which) or b"").decode("utf-8", "replace")

    # Its details quote the row, and with it numbers and names.
    text = field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message.decode("utf-8", "replace")
    return Failure(field(DiagnosticField.SQLSTATE), text)


def _text(result: "PGresult", row: int, column: int) -> str | None:
    value = result.get_value(row, column)
    return None if value is None else value.decode("utf-8", "replace")
