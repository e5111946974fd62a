"""The fast lane of Master.csv: plain records, which nearly all are, become calls with as little work as can be.

What is no plain record goes the careful way (records.py, record.py). A plain one becomes just what it would there, as
a test with many of them shows: it is as cdr_csv writes it, with 16, 18 or 21 columns, all UTF-8, not so long that
something may have been left out, and each of its times is of a day on which, and around which, the zone's clock was
never set.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from json.encoder import encode_basestring

from humbug_agent.cdr import Direction, Disposition
from humbug_agent.flat import CALL, Flat, shown
from humbug_agent.sources.asterisk.csv.layouts import COLUMNS, NO_ROOM, Row, Writer
from humbug_agent.text import AUTO

_TEXT = r'"((?:[^"]++|"")*+)"'
_STAMP = r'"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})"'
_NUMBER = r"(-?[0-9]{1,10})"
_RECORD = re.compile(
    ",".join([_TEXT] * 9)
    + f",{_STAMP},(?:{_STAMP})?,{_STAMP},{_NUMBER},{_NUMBER},"
    + '"(' + "|".join(Disposition) + ')","([A-Za-z ]*)"'
    + f"(?:,{_TEXT},{_TEXT}(?:,{_TEXT},{_TEXT},{_NUMBER})?)?" + r"\r?\n"
)  # fmt: skip

_SECONDS = {f"{second:02}": second for second in range(60)}
_MINUTES = {f"{minute // 60:02}:{minute % 60:02}": minute * 60 for minute in range(1440)}
"""A time of the day -> seconds since midnight."""

_YEARS = range(1971, 2100)
_MOST_DAYS = 4096
_DIRECTION = Direction.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class Stamps:
    """What of a record tells its clock: texts as Asterisk wrote them, blank where it wrote none."""

    start: str
    end: str
    uniqueid: str
    duration: str = ""


class Plain(Row):
    """A plain record, and what its times are worth.

    ``columns`` are its texts, quotes undone, None for an answer that there was not, and for each column that it has
    not. ``begun`` and ``ended`` are seconds since the epoch if its stamps were in UTC, and ``offset`` is by how much
    the zone's clock was before that.
    """

    __slots__ = ("_values", "answered", "begun", "columns", "ended", "line", "offset")

    def __init__(
        self,
        at: int,
        line: str,
        columns: Sequence[str],
        offset: int,
        begun: float,
        answered: float | None,
        ended: float,
    ) -> None:
        self.at = at
        self.line = line
        self.columns = columns
        self.offset = offset
        self.begun = begun
        self.answered = answered
        self.ended = ended
        self.writer = Writer.CSV

    @property
    def text(self) -> bytes:  # type: ignore[override]
        return self.line.encode("latin-1")

    @property
    def values(self) -> dict[str, bytes]:  # type: ignore[override]
        return {
            name: (value or "").encode()
            for name, value in zip(COLUMNS, self.columns, strict=True)
            if value is not None or name == "answer"
        }

    def stamps(self) -> Stamps:
        return Stamps(self.columns[9], self.columns[11], self.columns[16] or "", self.columns[12])

    def recognised(self, *, utc: bool) -> str:
        """What makes its identity, as `cdr.digest` joins it: with local times, also where its own are in ``utc``."""
        shared = self.columns[:16]
        if utc:
            answered = "" if self.answered is None else self._local(self.answered)
            return "\0".join([*shared[:9], self._local(self.begun), answered, self._local(self.ended), *shared[12:]])
        return "\0".join(shared) if self.answered is not None else "\0".join([value or "" for value in shared])

    def _local(self, moment: float) -> str:
        return shown(moment, self.offset, UTC)

    def flat(self, identity: bytes, *, utc: bool) -> Flat:
        """The call, as `flat.Calls` holds one; its stamps are in ``utc``, or else the zone's."""
        (
            account, src, dst, context, clid, channel, dstchannel, app, data, _, _, _, duration, billsec, disposition,
            amaflags, uniqueid, userfield, peeraccount, linkedid, sequence,
        ) = self.columns  # fmt: skip
        offset = self.offset
        ahead = 0 if utc else offset
        answered = self.answered
        # As json.dumps says it.
        peer = f', "peeraccount": {encode_basestring(peeraccount)}' if peeraccount is not None else ""
        more = f'{peer}, "sequence": "{sequence}"' if peer else ""
        return Flat(
            identity, src, dst, context, clid, channel, dstchannel, app, data,
            self.begun - ahead, None if answered is None else answered - ahead, self.ended - ahead,
            int(duration), int(billsec), disposition, _DIRECTION, account, uniqueid or "", userfield or "",
            linkedid or "", f'{{"amaflags": "{amaflags}"{more}}}', CALL,
            offset, None if answered is None else offset, offset,
        )  # fmt: skip


class FastLane:
    """Finds plain records, whose times are ``zone``'s."""

    def __init__(self, zone: tzinfo, charset: str) -> None:
        self._zone = zone
        self._keeps_utf8 = charset == AUTO
        self._days: dict[str, tuple[float, int] | None] = {}

    def record_at(self, data: str, at: int) -> Plain | None:
        """The plain record that begins at ``at``, where a record does; ``data`` are bytes, read as Latin-1."""
        found = _RECORD.match(data, at, at + NO_ROOM.start)
        if not found:
            return None
        line, columns = found[0], found.groups()
        if '""' in line:
            columns = tuple([value and value.replace('""', '"') for value in columns])
        if not line.isascii():
            if not self._keeps_utf8:
                return None
            try:
                columns = tuple([value and value.encode("latin-1").decode() for value in columns])
            except UnicodeDecodeError:
                return None
        start, answer, end = columns[9:12]
        day = start[:10]
        known = self._days.get(day) or self._day(day)
        # The account called Master has each record twice there.
        if known is None or columns[0] == "Master":
            return None
        midnight, offset = known
        try:
            begun = midnight + _MINUTES[start[11:16]] + _SECONDS[start[17:]]
            answered = ended = None
            if answer == start:
                answered = begun
            elif answer and answer[:10] == day:
                answered = midnight + _MINUTES[answer[11:16]] + _SECONDS[answer[17:]]
            elif answer:
                answered = self._of_another_day(answer, offset)
            if end[:10] == day:
                ended = midnight + _MINUTES[end[11:16]] + _SECONDS[end[17:]]
            else:
                ended = self._of_another_day(end, offset)
        except KeyError:
            # A time that no clock shows.
            return None
        if ended is None or (answered is None and answer):
            return None
        return Plain(at, line, columns, offset, begun, answered, ended)

    def _of_another_day(self, stamp: str, offset: int) -> float | None:
        """None where the offset is another one then."""
        known = self._day(stamp[:10])
        if known is None or known[1] != offset:
            return None
        return known[0] + _MINUTES[stamp[11:16]] + _SECONDS[stamp[17:]]

    def _day(self, day: str) -> tuple[float, int] | None:
        """Its midnight if it were one in UTC, and the zone's offset all that day, be it a day of UTC or of the zone.

        None if the clock was set then.
        """
        try:
            return self._days[day]
        except KeyError:
            if len(self._days) >= _MOST_DAYS:
                self._days.clear()
            found = self._days[day] = self._looked_up(day)
            return found

    def _looked_up(self, day: str) -> tuple[float, int] | None:
        try:
            begins = datetime.combine(date.fromisoformat(day), datetime.min.time())
        except ValueError:
            return None
        if begins.year not in _YEARS:
            return None
        # The day of UTC reaches from fourteen hours before the zone's to fourteen behind it.
        hours = [begins + timedelta(hours=hour) for hour in range(-15, 40)]
        offsets = {hour.replace(tzinfo=self._zone, fold=fold).utcoffset() for hour in hours for fold in (0, 1)}
        shift = offsets.pop()
        if offsets or shift is None or shift.microseconds:
            return None
        return (begins - datetime(1970, 1, 1)).total_seconds(), round(shift.total_seconds())
