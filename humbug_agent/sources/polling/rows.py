"""A row of an API's answer: its values as text, and what becomes of one that is no call."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from datetime import tzinfo
from typing import Any

from humbug_agent.cdr import CDR, Batch, Direction, Form, Notice, OneRecord, Reject, digest
from humbug_agent.flat import WHOLE, unpacked
from humbug_agent.sources.wall_clock import UNIQUEID
from humbug_agent.sources.zone_watch import ZoneWatch, in_hours
from humbug_agent.text import carried, mended
from humbug_agent.words import clock

REMEMBERED = 100_000
"""Records of which a source knows, while it runs, that they are on disk."""

AHEAD_SECONDS = 300
"""A call that ends so much later than now can't be: its time is of another zone."""

DEEPEST = 30
"""So deep lists and objects may stand in each other."""

_CLOCK = re.compile(r"([0-9]{1,6}):([0-5][0-9]):([0-5][0-9])")


def read_json(raw: bytes) -> Any:
    """The JSON's str (all numbers, too), bool, None, list and dict. Raises ValueError.

    As text: what is a number and what a string differs from version to version, and no digit is lost. Of its text,
    NUL and halves of characters become U+FFFD: JSON can say them, a file of text can't.
    """
    try:
        said = carried(raw.removeprefix(b"\xef\xbb\xbf"))
        return _storable(json.loads(said, parse_int=str, parse_float=str, parse_constant=str), 0)
    except RecursionError:
        raise ValueError("is nested too deep") from None


def _storable(found: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError("is nested too deep")
    if isinstance(found, str):
        return mended(found).replace("\0", "\ufffd")
    if isinstance(found, list):
        return [_storable(one, depth + 1) for one in found]
    if isinstance(found, dict):
        return {_storable(name, depth): _storable(value, depth + 1) for name, value in found.items()}
    return found


class ApiRow:
    """One row of an API's answer.

    ``values`` are a JSON object's, numbers as text. Raises ValueError of what is no object.
    """

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise ValueError(f"is no row but {_kind(values)}")
        self._values: dict[str, Any] = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) not in (None, "")

    def whole_call(self) -> CDR | None:
        """The call as another agent has it, with the identity that it has there; None of a row of anybody else's.

        Raises ValueError.
        """
        found = unpacked(self.text(WHOLE)) if WHOLE in self else None
        return None if isinstance(found, Notice) else found

    def text(self, name: str) -> str:
        """Blank where it is null or not there. Raises ValueError."""
        value = self._values.get(name)
        if value is None:
            return ""
        if isinstance(value, dict | list):
            raise ValueError(f"{name} is {_kind(value)}, not text")
        return _text(value)

    def required(self, name: str) -> str:
        """Raises ValueError where it is blank."""
        if value := self.text(name).strip():
            return value
        raise ValueError(f"has no {name}")

    def whole(self, name: str) -> int:
        """Raises ValueError of what is not a whole number, 0 or greater."""
        value = self.required(name)
        if not re.fullmatch(r"[0-9]{1,10}", value):
            raise ValueError(f"{name} {value!r} is not a whole number")
        return int(value)

    def seconds(self, name: str) -> int:
        """Of HH:MM:SS, or of a number of seconds; blank is 0. Raises ValueError."""
        value = self.text(name).strip()
        if found := _CLOCK.fullmatch(value):
            hours, minutes, seconds = map(int, found.groups())
            return hours * 3600 + minutes * 60 + seconds
        if value and not re.fullmatch(r"[0-9]{1,9}", value):
            raise ValueError(f"{name} {value!r} is no duration")
        return int(value or 0)

    def rest(self, known: Collection[str]) -> dict[str, str]:
        """What is not among the ``known`` and not blank; lists and objects as JSON."""
        return {
            name: _text(value)
            for name, value in self._values.items()
            if name not in known and value is not None and value != "" and value != [] and value != {}
        }


class ApiRows:
    """Makes batches of rows, and leaves out what is on disk already.

    ``call`` makes a CDR of a row, None of one that is not wanted. It raises ValueError with what is wrong.
    """

    def __init__(self, source: str, call: Callable[[ApiRow], CDR | None], told: Form | None = None) -> None:
        self._source = source
        self._call = call
        self._told = told
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._watch = ZoneWatch()
        # How far the newest end of the last rows is ahead of now, in seconds.
        self._ahead = 0.0

    def doubt(self) -> str:
        """As `Source.doubt`: of the uniqueids that begin with a second in UTC, and of calls that have not ended yet."""
        hint = f"is timezone in [source {self._source}] that of the times in its answers?"
        if self._ahead > AHEAD_SECONDS:
            return (
                f"its newest call ends in {in_hours(self._ahead)}: {hint} Or a clock is wrong, the PBX's or this host's"
            )
        return self._watch.doubt("what the uniqueids say", hint)

    def batch(self, values: Iterable[Any], where: str, cursor: str | None = None, size: int = 0) -> Batch:
        """``where`` is what a reject is said to come from."""
        records: dict[bytes, CDR] = {}
        rejects: dict[bytes, Reject] = {}
        for one in values:
            try:
                with OneRecord():
                    row = ApiRow(one)
                    if record := row.whole_call() or self._call(row):
                        records[record.identity] = record
                        if made := UNIQUEID.fullmatch(record.uniqueid):
                            self._watch.began(record.start.timestamp(), int(made[1]))
            except ValueError as error:
                shown = json.dumps(one, ensure_ascii=False).encode()
                key = digest("reject", self._source, shown.decode())
                rejects[key] = Reject(key, shown, str(error), where)
        if records:
            self._ahead = max(record.end.timestamp() for record in records.values()) - time.time()
        return Batch(
            [record for key, record in records.items() if key not in self._known],
            [reject for key, reject in rejects.items() if key not in self._known],
            cursor,
            size,
            self._told,
        )

    def on_disk(self, batch: Batch) -> None:
        """To be told behind the ``yield`` of a batch."""
        self._known.update(dict.fromkeys(record.identity for record in batch.records))
        self._known.update(dict.fromkeys(reject.key for reject in batch.rejects))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def parsed(raw: bytes, rows: ApiRows) -> Batch:
    """One row's JSON, as a reject keeps it, or a whole answer's list of them. For `explain` and for replays."""
    if not raw.strip():
        return Batch([], [], None)
    try:
        values = read_json(raw)
    except ValueError:
        return Batch([], [Reject(digest("reject", raw.decode("latin-1")), raw, "is no JSON", "")], None)
    # A reject that is an empty list is no answer without rows.
    return rows.batch(values if isinstance(values, list) and values else [values], "")


def in_words(cdr: CDR, zone: tzinfo) -> str:
    """A call on one line, for `check`; its start is shown in ``zone``."""
    direction = "" if cdr.direction is Direction.UNKNOWN else f"{cdr.direction.value}, "
    start = clock(cdr.start.timestamp(), zone)
    said = f"{start} {cdr.src} -> {cdr.dst}, {direction}{cdr.disposition.value}, {cdr.billsec} s"
    # Others' numbers may have line breaks in them.
    return " ".join(said.split())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", bool: "yes or no", type(None): "null"}.get(type(value), "a text")
