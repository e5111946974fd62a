"""Where the receiver keeps calls: a SQLite file of its own, with a column for each parameter."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from humbug_agent.receiver.protocol import COLUMNS, EVENTS, OUTER, ReceiverError


class Store:
    """The calls received, in a SQLite file that is made readable for its owner only.

    ``add`` is for one thread at a time, whichever it is; the readers are for any thread at any time. Raises OSError
    where the file can't be made, ReceiverError where it is no database; sqlite3.Error later on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(0o600)
        # Whoever makes the Store seldom is the server's thread, which then is the only one to write.
        self._db = Database(sqlite3.connect(path, check_same_thread=False), execute_plugins=False)
        try:
            self._db.enable_wal()
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.table("calls").create(
                {**dict.fromkeys(COLUMNS, str), "key": str, "received": str, "repeats": int},
                pk="key",
                not_null={"key", "received", "repeats"},
                defaults={"repeats": 0},
                if_not_exists=True,
            )
            self._db.table("events").create(
                {"Event": str, "event_time": str, "fields": str, "key": str, "received": str, "repeats": int},
                pk="key",
                not_null={"key", "received", "repeats"},
                defaults={"repeats": 0},
                if_not_exists=True,
            )
        except sqlite3.Error as error:
            self._db.close()
            raise ReceiverError(f"{path}: {error}") from error
        self._insert_call = _insert("calls", (*COLUMNS, "key", "received"))
        self._insert_event = _insert("events", ("Event", "event_time", "fields", "key", "received"))

    def add(self, parameters: dict[str, str], key: str | None) -> bool:
        """Commit one call or event; True when it is new, False when ``key`` was there and its ``repeats`` went up.

        ``key`` is the request's Idempotency-Key. Without one, calls with the same parameters are one call.
        """
        received = datetime.now(UTC).isoformat(timespec="milliseconds")
        if parameters["Event"] in EVENTS:
            own = {name: value for name, value in parameters.items() if name not in ("Event", *OUTER)}
            values: list[str | None] = [parameters["Event"], parameters["event_time"], json.dumps(own)]
            key = key or _hash(parameters | {"time": parameters["event_time"]})
            rows = self._db.query(self._insert_event, [*values, key, received])
        else:
            values = [parameters.get(name) for name in COLUMNS]
            rows = self._db.query(self._insert_call, [*values, key or _hash(parameters), received])
        return bool(next(rows)["repeats"] == 0)

    def counts(self) -> dict[str, int]:
        """``calls`` and ``repeats``."""
        with closing(self._reader()) as db:
            return next(db.query("SELECT count(*) AS calls, coalesce(sum(repeats), 0) AS repeats FROM calls"))

    def count(self) -> int:
        return self.counts()["calls"]

    def repeats(self) -> int:
        return self.counts()["repeats"]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The calls in order of arrival, by column; a parameter that was not sent is None."""
        with closing(self._reader()) as db:
            yield from db.table("calls").rows_where(order_by="rowid")

    def events(self) -> list[dict[str, Any]]:
        """What is no call, in order of arrival; ``fields`` is what the PBX said, by name."""
        with closing(self._reader()) as db:
            rows = db.table("events").rows_where(order_by="rowid")
            return [row | {"fields": json.loads(row["fields"])} for row in rows]

    def _reader(self) -> Database:
        return Database(sqlite3.connect(self.path, check_same_thread=False), execute_plugins=False)

    def close(self) -> None:
        self._db.close()


def _insert(table: str, columns: Sequence[str]) -> str:
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({values}) "
        "ON CONFLICT (key) DO UPDATE SET repeats = repeats + 1 RETURNING repeats"
    )


def _hash(parameters: Mapping[str, str]) -> str:
    call = sorted((name, value) for name, value in parameters.items() if name not in OUTER)
    return blake2b(json.dumps(call).encode("ascii"), digest_size=16).hexdigest()
