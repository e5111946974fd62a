"""A flat call, or notice, as a row of the outbox; and texts of a file that may be damaged."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from humbug_agent.cdr import Record
from humbug_agent.flat import Calls, Flat, flatten

COLUMNS = ", ".join(Flat._fields)
PLACES = ", ".join("?" * len(Flat._fields))


def each(records: Sequence[Record]) -> Iterator[Flat]:
    """All of them, flat."""
    found = records.each if isinstance(records, Calls) else records
    return (one if isinstance(one, Flat) else flatten(one) for one in found)


def as_texts(names: str) -> str:
    """SQL: these columns as texts, and what a damaged file has there, too."""
    return ", ".join(f"CAST({name} AS TEXT) AS {name}" for name in names.split())


class NoText(str):
    """What a damaged file has in the place of a text: its bytes, those that are no UTF-8 shown as ``\\xff``."""

    __slots__ = ()


def stored_text(raw: bytes) -> str:
    """A text of a file that may be damaged."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return NoText(raw.decode("utf-8", "backslashreplace"))


def as_text(said: str) -> str:
    """What can be stored of it: a file's name may hold bytes that are no text."""
    return said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()


def leniently(conn: sqlite3.Connection, ask: Callable[[], list[Any]]) -> list[Any]:
    """What ``ask`` finds over ``conn``, whatever bytes stand where a text should: SQLite looks at none of them."""
    try:
        return ask()
    except sqlite3.OperationalError as error:
        # Python's own, of which there is no code.
        if "Could not decode to UTF-8" not in str(error):
            raise
    # From now on, for it is five times slower: most files have no such byte.
    conn.text_factory = stored_text
    return ask()
