"""Where the receiver keeps calls: a SQLite file of its own, with a column for each parameter."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from humbug_agent.receiver.protocol import COLUMNS, OUTER, ReceiverError


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
        except sqlite3.Error as error:
            self._db.close()
            raise ReceiverError(f"{path}: {error}") from error
        names = ", ".join(f'"{name}"' for name in (*COLUMNS, "key", "received"))
        values = ", ".join("?" * (len(COLUMNS) + 2))
        self._insert = (
            f"INSERT INTO calls ({names}) VALUES ({values}) "
            "ON CONFLICT (key) DO UPDATE SET repeats = repeats + 1 RETURNING repeats"
        )

    def add(self, parameters: Mapping[str, str], key: str | None) -> bool:
        """Commit one call; True when it is new, False when ``key`` was there before and its ``repeats`` went up.

        ``key`` is the request's Idempotency-Key. Without one, calls with the same parameters are one call.
        """
        values = [parameters.get(name) for name in COLUMNS]
        received = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = self._db.query(self._insert, [*values, key or _hash(parameters), received])
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

    def _reader(self) -> Database:
        return Database(sqlite3.connect(self.path, check_same_thread=False), execute_plugins=False)

    def close(self) -> None:
        self._db.close()


def _hash(parameters: Mapping[str, str]) -> str:
    call = sorted((name, value) for name, value in parameters.items() if name not in OUTER)
    return blake2b(json.dumps(call).encode("ascii"), digest_size=16).hexdigest()
