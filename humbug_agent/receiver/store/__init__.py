"""Where the receiver keeps what it has taken: a SQLite file, or a PostgreSQL database that several receivers share."""

from pathlib import Path

from humbug_agent.receiver.store.contract import CallStore
from humbug_agent.receiver.store.postgresql import SCHEMES, PostgresqlStore
from humbug_agent.receiver.store.sqlite import Store


def path_of(where: str) -> Path | None:
    """The file that it is; None where it is a database's URL."""
    return None if where.startswith(SCHEMES) else Path(where)


def opened(where: str) -> CallStore:
    """The store at a path, or at a URL ``postgresql://…``. Raises StoreError, OSError."""
    path = path_of(where)
    return Store(path) if path else PostgresqlStore(where)
