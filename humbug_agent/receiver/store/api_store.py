"""The calls of a receiver as an API asks for them: the tenants are its PBXs, by their names.

What the receiver has of a call is what was sent: times as each PBX's clock showed them, of which the receiver's own
zone makes moments. So questions are about what the clocks showed, and PBXs in other zones answer by theirs.
"""

import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from hashlib import blake2b
from typing import Any

from humbug_agent.call_store.contract import Dropped, Page, Token, Wanted
from humbug_agent.call_store.pages import BLOCK, FEW, Stand, Views
from humbug_agent.cdr import LONGEST, Direction
from humbug_agent.flat import CALL, Flat, shown
from humbug_agent.receiver.store.contract import CallStore

INDEXES = (
    "CREATE INDEX IF NOT EXISTS calls_pbx ON calls (pbx, id)",
    'CREATE INDEX IF NOT EXISTS calls_source ON calls ("Source", "StartTime", id)',
    'CREATE INDEX IF NOT EXISTS calls_destination ON calls ("Destination", "StartTime", id)',
    'CREATE INDEX IF NOT EXISTS calls_uniqueid ON calls ("UniqueID")',
    'CREATE INDEX IF NOT EXISTS calls_start ON calls (pbx, "StartTime", id)',
    'CREATE INDEX IF NOT EXISTS calls_end ON calls (pbx, "EndTime", id)',
)
"""Nobody pays for them where nobody may ask."""

MOST_TOKENS = 1000
"""Of one account: who logs in for each question gets another one each time. The oldest ones go."""

_SPELT = {"ANSWERED": ("ANSWERED", "ANSWER"), "CONGESTION": ("CONGESTION", "CONGENSTION")}
"""Dispositions that Humbug's page spells in another way, too."""

_DISPOSITIONS = {spelt: word for word, several in _SPELT.items() for spelt in several}
_TOLD = (Direction.INBOUND.value, Direction.OUTBOUND.value)
_DIRECTION = f"CASE WHEN \"UserField\" IN ('{_TOLD[0]}', '{_TOLD[1]}') THEN \"UserField\" ELSE 'unknown' END"


class StoredCalls:
    """A `Store` of `stored`, and the `Finder` of its pages. ``views`` are those of all who ask this store.

    ``zone`` is the receiver's own. The store itself is closed by whoever opened it.
    """

    def __init__(self, store: CallStore, zone: tzinfo, views: Views) -> None:
        self._store = store
        self._zone = zone
        self._views = views

    def page(self, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        return self._views.page(self, who, wanted, from_id, number, size)

    def stand(self, wanted: Wanted, begin: int | None) -> Stand:
        every = begin is not None and replace(wanted, tenants=None) == Wanted()
        condition, values = self._where(wanted) if every else ("1 = 0", [])
        # One statement, so that all of it is of one moment.
        sql = (
            "SELECT coalesce((SELECT max(id) FROM calls), 0) AS last, dropped.number AS dropped, block, kept.number "
            "FROM dropped LEFT JOIN (SELECT block, CAST(sum(number) AS bigint) AS number FROM kept_calls "
            f"WHERE block >= ? AND {condition} GROUP BY block) AS kept ON 1 = 1 ORDER BY block"
        )
        found = self._store.ask(sql, (begin or 0) // BLOCK, *values)
        blocks = [(row["block"] * BLOCK, row["number"]) for row in found if row["block"] is not None]
        return Stand(found[0]["last"], found[0]["dropped"], blocks if every else None)

    def found(self, wanted: Wanted, begin: int, last: int) -> "array[int]":
        by_id = last - begin < FEW
        condition, values = self._where(wanted, by_id=by_id)
        return self._store.ids(begin, last, condition, values, by_id=by_id)

    def read(self, ids: Sequence[int]) -> Sequence[tuple[int, Flat]]:
        if not ids:
            return []
        rows = self._store.ask(f"SELECT * FROM calls WHERE id IN ({_marks(ids)}) ORDER BY id", *ids)
        return [(row["id"], self._flat(row)) for row in rows]

    def after(self, wanted: Wanted, last: tuple[int, Flat] | None, most: int) -> Sequence[tuple[int, Flat]]:
        """The calls of each number, and of each PBX, have their order in an index, as in the outbox."""
        by_end = wanted.ended_since is not None or wanted.ended_until is not None
        column = '"EndTime"' if by_end else '"StartTime"'
        condition, values = self._where(wanted, walks=True)
        each: list[tuple[str, list[Any]]] = [("", [])]
        if wanted.number:
            each = [('"Source" = ? AND ', [wanted.number]), ('"Destination" = ? AND ', [wanted.number])]
        elif wanted.tenants is not None:
            each = [("pbx = ? AND ", [one]) for one in wanted.tenants]
        if last:
            condition += f" AND ({column}, id) > (?, ?)"
            flat = last[1]
            at = (flat.end, flat.end_offset) if by_end else (flat.start, flat.start_offset)
            # As it stands there: it may be of an hour that the receiver's own clock skips.
            values += [shown(*at, self._zone), last[0]]
        ids = [
            f"SELECT id FROM (SELECT id FROM calls WHERE {key}{condition} ORDER BY {column}, id LIMIT ?) AS each"
            for key, _ in each
        ]
        sql = f"SELECT * FROM calls WHERE id IN ({' UNION '.join(ids) or 'NULL'}) ORDER BY {column}, id LIMIT ?"
        parameters = [one for _, key in each for one in (*key, *values, most)]
        return [(row["id"], self._flat(row)) for row in self._store.ask(sql, *parameters, most)]

    def dropped(self) -> Dropped | None:
        (row,) = self._store.ask("SELECT last, started, ended FROM dropped")
        if not row["last"]:
            return None
        return Dropped(row["last"], self._moment(row["started"])[0], self._moment(row["ended"])[0])

    def token(self, number: int) -> Token | None:
        return next(iter(self._tokens("WHERE id = ?", number)), None)

    def tokens(self) -> list[Token]:
        """All of them, in the order in which they were made."""
        return self._tokens("ORDER BY id")

    def _tokens(self, which: str, *values: object) -> list[Token]:
        found = self._store.ask(f"SELECT id, account, digest, made, used FROM tokens {which}", *values)
        return [Token(**(row | {"digest": bytes(row["digest"])})) for row in found]

    def use_token(self, number: int) -> None:
        self._store.ask("UPDATE tokens SET used = ? WHERE id = ? RETURNING id", time.time(), number)

    def add_token(self, account: str, digest: bytes) -> int:
        sql = "INSERT INTO tokens (account, digest, made) VALUES (?, ?, ?) RETURNING id"
        (made,) = self._store.ask(sql, account, digest, time.time())
        newest = "SELECT id FROM tokens WHERE account = ? ORDER BY id DESC LIMIT ?"
        sql = f"DELETE FROM tokens WHERE account = ? AND id NOT IN ({newest}) RETURNING id"
        self._store.ask(sql, account, account, MOST_TOKENS)
        return int(made["id"])

    def drop_token(self, number: int) -> bool:
        """Whether it was there."""
        return bool(self._store.ask("DELETE FROM tokens WHERE id = ? RETURNING id", number))

    def drop_tokens(self, account: str) -> int:
        return len(self._store.ask("DELETE FROM tokens WHERE account = ? RETURNING id", account))

    def close(self) -> None:
        pass

    def _where(self, wanted: Wanted, *, by_id: bool = False, walks: bool = False) -> tuple[str, list[Any]]:
        """A condition over calls, and its values. What is never sent to a receiver no call has.

        ``by_id``: they are looked for by their ids. ``walks``: by each number, or PBX, of which a condition says which
        one it is. By another index databases must not think of looking: an expression is in none.
        """
        spelt = [spelling for one in wanted.dispositions for spelling in _SPELT.get(one, (one,))]
        sides = '("Source" = ? OR "Destination" = ?)'
        # As the outbox does: LIKE is of no case in one database, and of either in another.
        source, destination = (f'{self._store.place_of}("{name}", ?) > 0' for name in ("Source", "Destination"))
        # Of one number, or of one uniqueid, there are fewer calls than of a PBX.
        few = bool(wanted.number or wanted.uniqueids)
        pbx = "pbx || ''" if few else "pbx"
        started, ended = (f"\"{name}Time\" || ''" if by_id else f'"{name}Time"' for name in ("Start", "End"))
        of_pbx = wanted.tenants is not None and not (walks and not wanted.number)
        timed = not (few or by_id or walks) and any(
            one is not None for one in (wanted.since, wanted.until, wanted.ended_since, wanted.ended_until)
        )
        conditions: list[tuple[bool, str, Sequence[Any]]] = [
            (of_pbx, f"{pbx} IN ({_marks(wanted.tenants or ())})", wanted.tenants or ()),
            # Times are in an index of each PBX's.
            (wanted.tenants is None and timed, "pbx IN (SELECT pbx FROM pbxs)", ()),
            (wanted.since is not None, f"{started} >= ?", [self._shown(wanted.since)]),
            (wanted.until is not None, f"{started} < ?", [self._shown(wanted.until)]),
            (wanted.ended_since is not None, f"{ended} >= ?", [self._shown(wanted.ended_since)]),
            (wanted.ended_until is not None, f"{ended} < ?", [self._shown(wanted.ended_until)]),
            (bool(wanted.directions), f"{_DIRECTION} IN ({_marks(wanted.directions)})", wanted.directions),
            (bool(wanted.dispositions), f'"Disposition" IN ({_marks(spelt)})', spelt),
            (bool(wanted.number and not walks), sides, [wanted.number] * 2),
            (bool(wanted.part), f"({source} OR {destination})", [wanted.part] * 2),
            (bool(wanted.src), source, [wanted.src]),
            (bool(wanted.dst), destination, [wanted.dst]),
            (bool(wanted.uniqueids), f'"UniqueID" IN ({_marks(wanted.uniqueids)})', wanted.uniqueids),
            (bool(wanted.linkedids or wanted.said), "1 = 0", []),
            (any(some for _, some in wanted.has), "1 = 0", []),
        ]
        if wanted.hours:
            begin, end = wanted.hours
            outside = begin > end
            bounds = [_of_day(end + 1), _of_day(begin - 1)] if outside else [_of_day(begin), _of_day(end)]
            within = 'substr("StartTime", 12) BETWEEN ? AND ?'
            conditions.append((True, f"NOT {within}" if outside else within, bounds))
        asked = [(sql, values) for holds, sql, values in conditions if holds]
        return " AND ".join([sql for sql, _ in asked]) or "1 = 1", [one for _, values in asked for one in values]

    def _flat(self, row: Mapping[str, Any]) -> Flat:
        start, end = self._moment(row["StartTime"]), self._moment(row["EndTime"])
        answer = self._moment(row["AnswerTime"]) if row["AnswerTime"] else (None, None)
        said = {name: row[name] or "" for name in row if name not in ("id", "repeats")}
        return Flat(
            identity=_identity(row),
            src=said["Source"],
            dst=said["Destination"],
            dcontext=said["DestinationContext"],
            clid=said["CallerID"],
            channel=said["Channel"],
            dstchannel=said["DestinationChannel"],
            lastapp=said["LastApplication"],
            lastdata=said["LastData"],
            start=start[0],
            answer=answer[0],
            end=end[0],
            duration=_length(said["Duration"]),
            billsec=_length(said["BillableSeconds"]),
            disposition=_DISPOSITIONS.get(said["Disposition"], said["Disposition"]),
            direction=said["UserField"] if said["UserField"] in _TOLD else Direction.UNKNOWN.value,
            accountcode=said["pbx"],
            uniqueid=said["UniqueID"],
            userfield=said["UserField"],
            linkedid="",
            # Names of PBXs are letters, digits and signs that JSON leaves alone.
            extra=f'{{"domain_name": "{said["pbx"]}"}}' if said["pbx"] else "",
            event=CALL,
            start_offset=start[1],
            answer_offset=answer[1],
            end_offset=end[1],
        )

    def _moment(self, text: str) -> tuple[float, int]:
        """Seconds since the epoch, and how far the clock was from UTC then."""
        moment = datetime.fromisoformat(text).replace(tzinfo=self._zone)
        offset = moment.utcoffset()
        return moment.timestamp(), round(offset.total_seconds()) if offset else 0

    def _shown(self, seconds: float | None) -> str:
        return f"{datetime.fromtimestamp(seconds or 0.0, UTC).astimezone(self._zone):%Y-%m-%d %H:%M:%S}"


def prepare(store: CallStore) -> None:
    """Make the indexes that answers take, which is done in some seconds for a million calls. Raises StoreError."""
    for sql in INDEXES:
        store.run(sql)


def _identity(row: Mapping[str, Any]) -> bytes:
    """The one that the agent gave it; of another sender's call one that is made of its key."""
    with suppress(ValueError):
        if len(found := bytes.fromhex(row["key"])) == 16:
            return found
    return blake2b(f"{row['pbx']}\0{row['key']}".encode(), digest_size=16).digest()


def _length(digits: str) -> int:
    """Earlier versions took any number of digits, more than Python reads: such a call is none, and is told so."""
    return int(digits) if len(digits) < 20 else LONGEST + 1


def _marks(values: Sequence[Any]) -> str:
    """What no value is in is no SQL without one."""
    return ", ".join("?" * len(values)) or "NULL"


def _of_day(second: int) -> str:
    minute, second = divmod(second, 60)
    return f"{minute // 60:02}:{minute % 60:02}:{second:02}"
