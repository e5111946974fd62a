"""What the daemon says in the outbox of its parts, for the other processes that ask."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from humbug_agent.outbox import schema


@dataclass(frozen=True, slots=True)
class Health:
    """What the daemon last said of a part of it ("source NAME" or "destination NAME"), and since when."""

    part: str
    state: str
    message: str
    since: float

    def is_of(self, kind: str) -> bool:
        return self.part.startswith(f"{kind} ")


def told(path: Path, part: str) -> str:
    """The message that `report` was last called with for a part; blank where there is none, or it can't be read.

    No outbox is made by that, whatever becomes of the file meanwhile.
    """
    try:
        uri = f"file:{quote(os.fsencode(path))}?mode=rw"
        with closing(sqlite3.connect(uri, timeout=schema.BUSY_SECONDS, uri=True)) as db:
            row = db.execute("SELECT message FROM health WHERE part = ?", (part,)).fetchone()
    except sqlite3.DatabaseError:
        return ""
    return str(row[0]) if row else ""
