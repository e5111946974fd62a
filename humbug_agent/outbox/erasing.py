"""Erasing a number: the calls, rejects and texts in which it stands go for good, also out of the file's unused room.

Whoever asks for it says by a function whether the number stands in a text. It is done in pieces, beside which the
daemon goes on. Of each call and reject its digest stays, so that nothing of it is read in again.
"""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from humbug_agent.numbers.plain import PARTING, folded
from humbug_agent.outbox import queries, schema, spill
from humbug_agent.outbox.dropping import Piecemeal, choose, forget, hour, shrink
from humbug_agent.outbox.outbox import Outbox

StandsIn = Callable[[str], bool]
"""Whether the number stands in this text."""

CHUNK = 1000
"""Calls, or rejects, that are looked at in one query: some hundredths of a second."""

PATIENCE_SECONDS = 60.0
"""For how long it is tried to empty SQLite's log (the WAL), which waits for all who are just reading."""

ERASED = "(erased)"

_MARKS = re.compile(rb"\xc2[\xa0\xad]|\xe2\x80[\x80-\x95\xaa-\xaf]|\xe2\x81\xa0|\xe2\x88\x92")
"""Blanks, dashes and unseen marks that stand between digits, in UTF-8, but for those of ASCII."""

_MAY_BE_DIGITS = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{1,3}(?:[\xc2-\xf4][\x80-\xbf]{1,3}){4,}")
"""Those of other scripts. As {5,} alone it would take four times as long."""


_HOLDS = "stands_in(CAST({} AS BLOB))"
_CALL = _HOLDS.format(
    " || char(10) || ".join(
        ("src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "accountcode", "uniqueid",
         "userfield", "linkedid", "extra")
    )
)  # fmt: skip
_REPLY, _ERROR = _HOLDS.format("reply"), _HOLDS.format("error")
_REJECT = _HOLDS.format("CAST(text AS TEXT) || char(10) || place || char(10) || reason")
_QUOTES = f"call > ?1 AND call <= ?2 AND ({_REPLY} OR {_ERROR})"
_MESSAGE = _HOLDS.format("message")
_SAID_OF = ("deliveries", "failures", "replays")
"""Tables that keep of a delivery what was answered, and what went wrong."""

_UNSENT = "EXISTS (SELECT 1 FROM deliveries WHERE call = calls.id AND state <> 'sent')"


@dataclass(slots=True)
class Found:
    """What there is of a number, or what went.

    ``calls`` are ids; ``unsent``, among them, are those that a destination does not have, be it that they wait or are
    dead. ``spilled`` are records that could not be put into the outbox yet, ``texts`` answers and errors that quote the
    number. ``kept`` are calls that did not go, since a destination does not have them.
    """

    calls: list[int] = field(default_factory=list)
    unsent: list[int] = field(default_factory=list)
    rejects: list[int] = field(default_factory=list)
    texts: int = 0
    spilled: int = 0
    kept: int = 0


def last(outbox: Outbox) -> int:
    """The id of the last call. Raises OutboxError."""
    return int(outbox.select("SELECT ifnull(max(id), 0) AS last FROM calls")[0]["last"])


def look(outbox: Outbox, stands_in: StandsIn) -> Found:
    """What there is of it. Changes nothing. Raises OutboxError, OSError."""
    found = Found(spilled=sum(len(spill.those(path, stands_in)) for path in spill.waiting(outbox.path)))
    _teach(outbox, stands_in)
    for begin, end in _spans(outbox):
        for number, unsent in _calls(outbox, begin, end):
            found.calls.append(number)
            if unsent:
                found.unsent.append(number)
        for table in _SAID_OF:
            found.texts += outbox.select(f"SELECT count(*) AS n FROM {table} WHERE {_QUOTES}", begin, end)[0]["n"]
    found.texts += outbox.select(f"SELECT count(*) AS n FROM health WHERE {_MESSAGE}")[0]["n"]
    found.rejects = _rejects(outbox)
    return found


def erase(outbox: Outbox, stands_in: StandsIn, *, unsent: bool, progress: queries.Progress) -> Found:
    """Erase it; ``progress`` hears of how many calls were looked at. Returns what went. Raises OutboxError, OSError.

    Calls that a destination does not have, and spilled records, stay unless ``unsent``.
    """
    gone = Found()
    _teach(outbox, stands_in)
    # What is deleted is written over.
    outbox.select("PRAGMA secure_delete = ON")
    if unsent:
        gone.spilled = _erase_spilled(outbox, stands_in)
    for begin, end in _spans(outbox):
        # Others wait for what is written alone, and not for a look.
        if there := _calls(outbox, begin, end):
            _erase_calls(outbox, [number for number, open_ in there if unsent or not open_], gone, unsent=unsent)
            gone.kept += sum(open_ and not unsent for _, open_ in there)
        for table in _SAID_OF:
            if outbox.select(f"SELECT 1 FROM {table} WHERE {_QUOTES} LIMIT 1", begin, end):
                with outbox.transaction() as conn:
                    gone.texts += conn.execute(
                        f"UPDATE {table} SET reply = iif({_REPLY}, ?3, reply), error = iif({_ERROR}, ?3, error) "
                        f"WHERE {_QUOTES}",
                        (begin, end, ERASED),
                    ).rowcount
        progress(end - begin)
    with outbox.transaction() as conn:
        gone.texts += conn.execute(f"UPDATE health SET message = ? WHERE {_MESSAGE}", (ERASED,)).rowcount
    gone.rejects = _rejects(outbox)
    queries.drop_rejects(outbox, gone.rejects)
    return gone


def wipe(outbox: Outbox, digits: Sequence[str]) -> bool:
    """See to it that what was erased is in no unused room of the file either, nor in SQLite's log.

    Returns whether the ``digits`` are gone: they may be a part of what was not to be erased. Raises OutboxError,
    OSError.
    """
    # Pages that were free before, too: they are taken by others, or given back to the file system.
    shrink(Piecemeal(outbox))
    _empty_log(outbox)
    if not stands_in_file(outbox.path, digits):
        return True
    # It may be left where a row stood that was moved to another page, by somebody who does not write over that.
    try:
        outbox.db.conn.execute("VACUUM")
    except sqlite3.DatabaseError as error:
        raise schema.reported(error, outbox.path) from error
    _empty_log(outbox)
    return not stands_in_file(outbox.path, digits)


def stands_in_file(path: Path, digits: Sequence[str]) -> bool:
    """Whether these digits stand anywhere in its bytes, of whatever script, and parted or not. Raises OSError."""
    wanted = [one.encode() for one in digits]
    before = b""
    with path.open("rb") as file:
        while piece := file.read(2**20):
            bare = _MARKS.sub(b"", (before + piece).translate(None, b" ./()-"))
            others = (
                folded(run.decode("utf-8", "ignore")).translate(PARTING).encode()
                for run in _MAY_BE_DIGITS.findall(bare)
            )
            if any(one in there for there in (bare, *others) for one in wanted):
                return True
            before = piece[-256:]
    return False


def _teach(outbox: Outbox, stands_in: StandsIn) -> None:
    # A text of a damaged file may be none.
    outbox.db.conn.create_function(
        "stands_in", 1, lambda raw: stands_in((raw or b"").decode("utf-8", "replace")), deterministic=True
    )


def _spans(outbox: Outbox) -> Iterator[tuple[int, int]]:
    """All calls, some at a time: above the first id, up to the second. Those that come meanwhile, too."""
    at = 0
    sql = "SELECT max(id) AS last FROM (SELECT id FROM calls WHERE id > ? ORDER BY id LIMIT ?)"
    while end := outbox.select(sql, at, CHUNK)[0]["last"]:
        yield at, end
        at = end


def _calls(outbox: Outbox, begin: int, end: int) -> list[tuple[int, bool]]:
    """Those in which it stands: their ids, and whether a destination does not have them."""
    sql = f"SELECT id, {_UNSENT} AS unsent FROM calls WHERE id > ? AND id <= ? AND {_CALL}"
    return [(row["id"], bool(row["unsent"])) for row in outbox.select(sql, begin, end)]


def _erase_calls(outbox: Outbox, ids: Sequence[int], gone: Found, *, unsent: bool) -> None:
    with outbox.transaction() as conn:
        # A replay may have made one of them wait since.
        these = f"SELECT id FROM calls WHERE id IN (SELECT value FROM json_each(?)) AND (? OR NOT {_UNSENT})"
        choose(conn, these, (json.dumps(ids), unsent))
        gone.calls += [number for (number,) in conn.execute("SELECT id FROM old")]
        waited = conn.execute(f"SELECT id FROM calls WHERE id IN (SELECT id FROM old) AND {_UNSENT}")
        gone.unsent += [number for (number,) in waited]
        forget(conn)
    outbox.write_back()


def _rejects(outbox: Outbox) -> list[int]:
    """The ids of those in which it stands."""
    found: list[int] = []
    ids = queries.reject_ids(outbox)
    for at in range(0, len(ids), CHUNK):
        sql = f"SELECT id FROM rejects WHERE id BETWEEN ? AND ? AND {_REJECT} ORDER BY id"
        found += [row["id"] for row in outbox.select(sql, ids[at], ids[at : at + CHUNK][-1])]
    return found


def _erase_spilled(outbox: Outbox, stands_in: StandsIn) -> int:
    """Before the calls: the daemon may put what is in such a file into the outbox at any moment."""
    number = 0
    for path in spill.waiting(outbox.path):
        keys = spill.those(path, stands_in)
        if keys:
            with outbox.transaction() as conn:
                conn.executemany(
                    "INSERT OR IGNORE INTO forgotten (identity, hour) VALUES (?, ?)",
                    ((key, hour(time.time())) for key in keys),
                )
            spill.leave_out(path, stands_in)
            number += len(keys)
    return number


def _empty_log(outbox: Outbox) -> None:
    """Bring all of SQLite's log into the file, and cut it to nothing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            busy = outbox.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise schema.reported(error, outbox.path) from error
        if not busy:
            return
        if time.monotonic() > deadline:
            raise schema.OutboxError(
                f"outbox {outbox.path}: somebody has been reading in it for over {PATIENCE_SECONDS:.0f} s, so what was "
                f"erased may still stand in {outbox.path.name}-wal; end that, and run this again"
            )
        time.sleep(0.2)
