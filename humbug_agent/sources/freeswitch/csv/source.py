"""FreeSWITCH's Master.csv, as mod_cdr_csv writes it with any of its stock templates or with ours.

A leg's uuid is its identity: whatever is read again adds nothing.
"""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from datetime import tzinfo
from functools import partial
from pathlib import Path
from threading import Event

from humbug_agent.cdr import CDR, Batch, OneRecord, Reject, digest
from humbug_agent.sources.contract import NothingYet, SourceError
from humbug_agent.sources.files import position as positions
from humbug_agent.sources.files import unpacking
from humbug_agent.sources.files.endless import Endless
from humbug_agent.sources.files.following import Count
from humbug_agent.sources.files.log_source import LogSource, where
from humbug_agent.sources.files.position import OpenFile, Position, open_file
from humbug_agent.sources.files.rotation import Shelf
from humbug_agent.sources.freeswitch.csv.following import FreeswitchFollower
from humbug_agent.sources.freeswitch.csv.own_columns import MEMORY, OTHER, OWN, FileRows
from humbug_agent.sources.freeswitch.csv.row_leg import made
from humbug_agent.sources.freeswitch.csv.rows import LegRow, NoRow
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.freeswitch.csv.templates import TEMPLATES
from humbug_agent.sources.freeswitch.leg import ZONE_HINT, Uuids, wanted
from humbug_agent.sources.readable import in_words
from humbug_agent.sources.zone_watch import LastingWatch
from humbug_agent.words import count

log = logging.getLogger(__name__)

CHUNK = 512 * 1024
"""Bytes read, and so committed, at once; about 2,500 calls."""

RECENT = 5
"""Files of which the last rows show what a template is: one alone may have too few."""

JUST_SECONDS = 60.0
"""A file written to so lately is no copy: its last row has just ended."""


class FreeswitchCsv(LogSource):
    """A source that reads FreeSWITCH's Master.csv and its rotated files."""

    def __init__(self, settings: FreeswitchCsvSettings, zone: tzinfo) -> None:
        super().__init__(
            settings.name, settings.path, settings.start, partial(_different, settings.template), chunk=CHUNK
        )
        self._settings = settings
        self._zone = settings.timezone or zone
        self.zone_watch = LastingWatch(self._zone)
        self._endless = Endless(NoRow)
        self._said = ""
        self._uuids = Uuids()

    def _read(
        self, cursor: str | None, stop: Event, *, follow: bool
    ) -> Generator[Batch, None, tuple[Position | None, bool]]:
        path = self._path
        position = positions.load(cursor, path)
        if begin := self._from_now_on(position):
            position = begin
            yield Batch([], [], position.dump(path))
        here = position
        rows, self._uuids = FileRows(self._settings.template), Uuids()
        self._learn(rows)
        follower = FreeswitchFollower(Shelf(path, self._different))
        for visit in follower.visits(position, stop, follow=follow):
            if visit is None:
                yield Batch([], [], None)
                continue
            if visit.count is not Count.ON:
                start = max(0, visit.file.offset - MEMORY)
                rows.begin(_from_a_line(visit.file.read_again(start), start))
            here = yield from self._drain(visit, here, stop, partial(self._take, rows), _position)
            if visit.count is not Count.ON and not stop.is_set():
                yield Batch([], [], None)
        return here, follower.anew

    def parse(self, record: bytes) -> Batch:
        rows = FileRows(self._settings.template)
        self._learn(rows)
        found, _ = rows.split(record.rstrip(b"\r\n") + b"\n", more=False, final=True)
        return self._batch(found, "", 0)

    def doubt(self) -> str:
        return self.zone_watch.doubt("the clock when they were written", ZONE_HINT)

    def check(self) -> str:
        path = self._path
        rotated = self._look_at_files(
            "is mod_cdr_csv loaded (fs_cli -x 'module_exists mod_cdr_csv')? It is cdr-csv in FreeSWITCH's log "
            "directory, or in log-base of cdr_csv.conf.xml"
        )
        if not path.exists() and not rotated:
            raise NothingYet(f"{path}: does not exist; FreeSWITCH makes it with the first call")
        if path.exists():
            try:
                open_file(path)[0].close()
            except OSError as error:
                raise SourceError(in_words(error)) from error
        newest, beside = next(iter(self._newest(self._shelf())), None), count(len(rotated), "rotated file")
        if newest is None:
            return f"{path}: empty, {beside} beside it"
        try:
            found, _, size = self._latest(newest, self._settings.template)
            calls = self._batch(found, "", 0)
            rows = [item for item in found if isinstance(item, LegRow)]
            if found and not rows:
                reason = calls.rejects[-1].reason
                raise SourceError(f"{newest}: {reason if reason in (OWN, OTHER) else self._unlike(newest)}")
        except OSError as error:
            raise SourceError(in_words(error)) from error
        if rows and calls.rejects and not calls.records:
            raise SourceError(f"{newest}: {calls.rejects[-1].reason}")
        kind = f", template {rows[-1].template.name}" if rows else ""
        return f"{newest}: {count(size, 'byte')}{kind}, {beside} beside {path.name}"

    @property
    def _path(self) -> Path:
        """Master.csv. A directory that does not exist yet is known by its name."""
        given = self._settings.path
        return given if given.is_file() or (given.suffix and not given.is_dir()) else given / "Master.csv"

    def _newest(self, shelf: Shelf) -> list[Path]:
        """The files that have rows, the newest first: Master.csv, unless it was rotated or moved just now."""
        return [entry.path for entry in reversed(shelf.entries()) if entry.size and not unpacking.is_packed(entry.path)]

    def _latest(self, file: Path, template: str) -> tuple[Sequence[LegRow | NoRow], int, int]:
        """The last rows of the file, where they end, and its size."""
        data, at = positions.tail(file, CHUNK)
        begin = data.find(b"\n") + 1 if at else 0
        found, taken = FileRows(template).split(data[begin:], more=False, final=False)
        if not any(isinstance(item, LegRow) for item in found):
            found, taken = FileRows(template).split(data[begin:], more=False, final=True)
            taken = data.rfind(b"\n") + 1 - begin
        return found, at + begin + taken, at + len(data)

    def _unlike(self, file: Path) -> str:
        if self._settings.template != "auto":
            found, _, _ = self._latest(file, "auto")
            names = {item.template.name for item in found if isinstance(item, LegRow)}
            if names:
                wanted = self._settings.template if self._settings.template in TEMPLATES else "the one in agent.ini"
                return f"has rows of template {' and '.join(sorted(names))}, and not of {wanted}"
        return (
            "has no row of a template that is known; set template to its text as it stands in cdr_csv.conf.xml, or see "
            "docs/sources/freeswitch.md for a template to use"
        )

    def _learn(self, rows: FileRows) -> None:
        """Let it see the last rows of the newest files, which show what others beside them are."""
        for file in self._newest(self._shelf())[:RECENT][::-1]:
            # `trouble` says why one can't be read.
            with suppress(OSError), open_file(file)[0] as opened:
                start = opened.seek(max(0, file.stat().st_size - MEMORY))
                rows.begin(_from_a_line(opened.read(MEMORY), start))

    def _last_end(self) -> tuple[Path, int] | None:
        newest = next(iter(self._newest(self._shelf())), None)
        end = self._latest(newest, self._settings.template)[1] if newest else 0
        return (newest, end) if newest and end else None

    def _take(self, rows: FileRows, file: OpenFile, data: bytes, more: bool, last: bool) -> tuple[Batch, int]:
        found, taken = rows.split(data, more=more, final=last)
        if not taken:
            return Batch([], [], None), 0
        if rows.own and rows.own.name != self._said:
            self._said = rows.own.name
            log.warning("%s: is of template %s; set template to its text to have them named", file.path, self._said)
        found = self._endless.shortened(found, taken, file)
        batch = self._batch(found, str(file.path), file.offset, self._uuids)
        if not more and time.time() - file.written() < JUST_SECONDS:
            for cdr in [record for record in batch.records[-1:] if isinstance(record, CDR)]:
                self.zone_watch.ended(cdr.end.timestamp(), file.written())
        return batch, taken

    def _batch(self, found: Sequence[LegRow | NoRow], path: str, offset: int, uuids: Uuids | None = None) -> Batch:
        """``offset`` is where in the file the data began."""
        records: list[CDR] = []
        rejects: list[Reject] = []
        for item in found:
            reason = item.reason if isinstance(item, NoRow) else ""
            if isinstance(item, LegRow):
                try:
                    with OneRecord():
                        leg, cdr = made(item, self._zone, self._settings.charset)
                        if uuids:
                            uuids.add(leg)
                except ValueError as error:
                    reason = str(error)
                else:
                    if wanted(leg, self._settings.legs, drop_doubles=self._settings.drop_doubles):
                        records.append(cdr)
                    continue
            at = offset + item.at
            text = item.text.rstrip(b"\r\n")
            key = digest("reject", self.name, str(at), text.decode("latin-1"))
            rejects.append(Reject(key, text, reason, where(path, at)))
        return Batch(records, rejects, None)


def _from_a_line(data: bytes, start: int) -> bytes:
    """Without what is left of a line that began before ``start``."""
    return data[data.find(b"\n") + 1 :] if start else data


def _different(template: str, beginning: bytes) -> int:
    found, _ = FileRows(template).split(beginning, more=False, final=True)
    return len({item.text for item in found if isinstance(item, LegRow)})


def _position(file: OpenFile) -> Position:
    return file.position(0, {})
