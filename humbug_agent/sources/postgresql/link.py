"""A connection to PostgreSQL over which nothing can be changed, and on which nobody waits longer than he wants.

psycopg is imported when a connection is made, so that who configures no such source needs it not.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from threading import Event
from typing import TYPE_CHECKING, Any

from humbug_agent.scrub import Scrubber
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.apart import Unanswered, ask_apart
from humbug_agent.sources.polling.client import Stopped
from humbug_agent.sources.postgresql.login import login
from humbug_agent.sources.postgresql.settings import PostgresqlSettings
from humbug_agent.text import text

if TYPE_CHECKING:
    from psycopg import Connection, Error

LACKING = "psycopg can't be used: pip install 'humbug-agent[postgresql]', or, with Debian's package, apt install libpq5"

GRACE_SECONDS = 5.0
"""So much longer than the server is let work we wait for its answer."""

LONGEST_CONNECT = 10
"""Seconds until a host counts as not answering."""

NO_CHARSET = "SQL_ASCII"
"""What PostgreSQL calls a database that takes text as it comes: psycopg hands on its bytes."""

Row = dict[str, Any]


def lacking() -> str:
    """What is not there on this host, and is needed; blank: nothing."""
    return "" if find_spec("psycopg") else LACKING


class Link:
    """One connection, made when something is asked and kept until it breaks or is closed.

    ``took`` is how many seconds the last answer took.
    """

    def __init__(self, settings: PostgresqlSettings) -> None:
        self._settings = settings
        self._login = login(settings)
        self._connection: Connection[Row] | None = None
        self.took = 0.0

    @property
    def where(self) -> str:
        return self._login.where

    @property
    def user(self) -> str:
        """Whom to name where a right is missing."""
        return self._login.username or "the daemon's user"

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def ask(self, sql: str, values: Mapping[str, object], stop: Event) -> list[Row]:
        """The rows. Raises SourceError, Stopped."""
        began = time.monotonic()
        made = [self._connection] if self._connection else []
        self._connection = None
        longest, cut, close = self._settings.timeout + GRACE_SECONDS, partial(_cut, made), partial(_close, made)
        try:
            if not made:
                ask_apart(lambda: made.append(self._connect()), stop, longest, cut, close)
            rows = ask_apart(partial(_asked, made[0], sql, values), stop, longest, cut, close)
        except Stopped:
            raise
        except Unanswered as error:
            raise SourceError(f"{self.where}: no answer within {self._settings.timeout} s") from error
        except Exception as error:
            # What state it is in after a mistake nobody needs to know.
            _close(made)
            raise self._in_words(error) from error
        finally:
            self.took = time.monotonic() - began
        self._connection = made[0]
        return rows

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _connect(self) -> "Connection[Row]":
        from psycopg import Connection
        from psycopg.rows import dict_row

        self._login = login(self._settings)
        to = self._login
        connection = Connection.connect(
            host=to.host,
            port=to.port,
            dbname=to.database,
            user=to.username or None,
            password=to.password.reveal() if to.password else None,
            connect_timeout=min(LONGEST_CONNECT, self._settings.timeout),
            application_name="humbug-agent",
            client_encoding="utf8",
            autocommit=True,
            # A pooler between us and the server may know nothing of statements that were prepared.
            prepare_threshold=None,
            row_factory=dict_row,
        )
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.execute(f"SET statement_timeout = '{self._settings.timeout}s'")
        connection.execute("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'")
        if connection.info.parameter_status("server_encoding") == NO_CHARSET:
            connection.execute(f"SET client_encoding = '{NO_CHARSET}'")
        return connection

    def _in_words(self, error: Exception) -> SourceError:
        if isinstance(error, ImportError):
            return SourceError(f"{LACKING} ({_on_one_line(error)})")
        from psycopg import Error

        if not isinstance(error, Error):
            return SourceError(f"{self.where}: {self._masked(error)}")
        return SourceError(f"{self.where}: {self._masked(error)}{self._advice(error)}")

    def _advice(self, error: "Error") -> str:
        from psycopg import errors

        if isinstance(error, errors.QueryCanceled):
            return f"; it took longer than timeout = {self._settings.timeout} s"
        if isinstance(error, errors.InsufficientPrivilege):
            return f"; as a superuser of PostgreSQL: GRANT SELECT ON v_xml_cdr, v_xml_cdr_json TO {self.user}"
        if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
            return "; has FusionPBX just been upgraded?"
        if error.sqlstate:
            return ""
        if "authentication failed" in str(error) or "no password supplied" in str(error):
            return f"; check username ({self.user}) and password, and pg_hba.conf of PostgreSQL"
        return "; check that PostgreSQL runs, and host, port and database" if not self._connection else ""

    def _masked(self, error: Exception) -> str:
        password = self._login.password
        return Scrubber([password.reveal()] if password else [])(_on_one_line(error))


def _asked(connection: "Connection[Row]", sql: str, values: Mapping[str, object]) -> list[Row]:
    rows = connection.execute(sql, values).fetchall()
    if connection.info.parameter_status("client_encoding") != NO_CHARSET:
        return rows
    return [{name: _decoded(value) for name, value in row.items()} for row in rows]


def _cut(made: "list[Connection[Row]]") -> None:
    """End what is read from it, in whichever thread."""
    for connection in made:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as doubled:
            doubled.shutdown(socket.SHUT_RDWR)


def _close(made: "list[Connection[Row]]") -> None:
    for connection in made:
        connection.close()


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _decoded(value: object) -> object:
    return text(value) if isinstance(value, bytes) else value
