"""A directory of call documents: mod_json_cdr's, mod_format_cdr's or mod_xml_cdr's log-dir or err-log-dir."""

import errno
import os
import time
from collections.abc import Generator, Iterable, Iterator
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from threading import Event

from humbug_agent.cdr import CDR, Batch, OneRecord, Reject, digest
from humbug_agent.host.codes import Code
from humbug_agent.sources.contract import Anew, SourceError, ToldOnce
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.json import fusionpbx_import as fusionpbx
from humbug_agent.sources.freeswitch.json.files import Read, Reader, Tidy
from humbug_agent.sources.freeswitch.json.listing import (
    ROTATED,
    SUFFIXES,
    Found,
    KnownDocuments,
    Listing,
    Memory,
    Quiet,
    count_others,
    older_known,
    remembered,
)
from humbug_agent.sources.freeswitch.json.settings import FreeswitchJsonSettings
from humbug_agent.sources.freeswitch.leg import ZONE_HINT, call, look, wanted
from humbug_agent.sources.readable import look_whether_open, what_helps
from humbug_agent.sources.zone_watch import LastingWatch
from humbug_agent.words import count, said

POLL_SECONDS = 1.0
SHARE = 20
"""Listing takes at most a twentieth of the time: a directory that takes a second is listed every 20 seconds."""

MOST, MOST_BYTES = 500, 8 * 1024 * 1024
"""Documents, and their bytes, that are committed at once."""

TRY_AGAIN_SECONDS = 5.0

SAMPLE = 20
"""Documents of which check wants to understand one."""


class FreeswitchJson:
    """A source that reads the documents in a directory."""

    unread_in = "bytes"
    leaves_out = ""

    def __init__(self, settings: FreeswitchJsonSettings, zone: tzinfo) -> None:
        self.name = settings.name
        self._path = settings.path
        self._settings = settings
        self._zone = settings.timezone or zone
        self.zone_watch = LastingWatch(self._zone)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        self._look()
        yield from _Watch(self, self._settings, cursor).batches(stop, follow=follow)

    def again(self, cursor: str) -> str | None:
        # What was moved or deleted is not there to be read again.
        return None if self._settings.after == "keep" else cursor

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        if self._settings.after != "keep":
            raise ToldOnce(
                f"does not keep its documents (after = {self._settings.after}), so that they can't be read again"
            )
        return Anew(older_known(self._path, moment).dump(self._path))

    def parse(self, text: bytes) -> Batch:
        try:
            with OneRecord():
                found = self.call(text)
        except ValueError as error:
            key = digest("reject", self.name, text.decode("latin-1"))
            return Batch([], [Reject(key, text, str(error), "")], None)
        return Batch([found] if found else [], [], None)

    def unread(self, cursor: str | None) -> int:
        memory = remembered(cursor, self._path) if self._settings.after == "keep" else Memory()
        try:
            return sum(found.size for found in self._all(memory))
        except OSError:
            # `trouble` says why.
            return 0

    def trouble(self) -> str:
        try:
            self._look()
        except SourceError as error:
            return str(error)
        return ""

    def doubt(self) -> str:
        return self.zone_watch.doubt("FreeSWITCH's own epochs", ZONE_HINT)

    def check(self) -> str:
        self._look()
        sample = list(islice(self._all(Memory()), SAMPLE))
        understood, reason = self._try(sample)
        if sample and not understood:
            raise SourceError(f"{sample[0].path}: not a document of FreeSWITCH's modules: {reason}")
        files = sum(1 for _ in self._all(Memory()))
        # Who has just unpacked or renamed some would wait for them.
        others = count_others(self._path) if not files else 0
        left = f" ({count(others, 'file')} whose name ends in none of {', '.join(SUFFIXES)})" if others else ""
        return f"{self._path}: {count(files, 'document')}{left}, after reading: {self._settings.after}"

    def call(self, document: bytes) -> CDR | None:
        """None: a leg that agent.ini does not want. Raises ValueError."""
        found = leg(document, self._zone, self._settings.charset)
        look(self.zone_watch, found)
        return call(found) if wanted(found, self._settings.legs, drop_doubles=self._settings.drop_doubles) else None

    def _all(self, memory: Memory) -> Iterator[Found]:
        first = Listing(self._path, "", memory.known.get(""))
        yield from first.new()
        for sub in sorted(first.subdirectories):
            yield from Listing(self._path, sub, memory.known.get(sub)).new()

    def _try(self, sample: list[Found]) -> tuple[bool, str]:
        reason = ""
        for found in sample:
            try:
                raw = found.path.read_bytes()
                with OneRecord():
                    call(leg(raw, self._zone, self._settings.charset))
            except (ValueError, OSError) as error:
                reason = reason or said(error)
            else:
                return True, ""
        return False, reason

    def _look(self) -> None:
        """Raises SourceError where it can't be read, or must not."""
        path = self._path
        look_whether_open(path)
        if not path.is_dir():
            raise SourceError(
                f"{path}: no such directory; FreeSWITCH makes it when it loads a module that has it as log-dir or "
                "err-log-dir (fs_cli -x 'module_exists mod_json_cdr')"
            )
        if self._settings.after != "keep" and not os.access(path, os.W_OK):
            raise SourceError(
                f"{path}: can't be written, which after = {self._settings.after} needs; let the user that runs "
                f"humbug-agent write there (chmod g+w, group freeswitch, and in its unit ReadWritePaths={path}), or "
                "set after = keep",
                code=Code.CLOSED_TO_DAEMON,
            )
        if fusionpbx.imports_from(path):
            raise SourceError(f"{path}: {fusionpbx.ADVICE}", code=Code.FUSIONPBX_IMPORT)


class _Watch:
    """One reading of the directory."""

    def __init__(self, source: FreeswitchJson, settings: FreeswitchJsonSettings, cursor: str | None) -> None:
        self._base: Path = settings.path
        self._keeps = settings.after == "keep"
        self._memory = remembered(cursor, self._base) if self._keeps else Memory()
        self._told = cursor
        self._reader = Reader(source.name, self._base, source.call)
        self._reader.owe(self._memory.owed)
        self._tidy = Tidy(self._base, settings.after)
        self._owed: set[str] = set()
        """Those that this round has tried already."""
        self._quiet: dict[str, Quiet] = {}
        self._subdirectories: set[str] = set()
        self._seconds = 0.0

    def batches(self, stop: Event, *, follow: bool) -> Iterator[Batch]:
        yield Batch([], [], None)
        while not stop.is_set():
            self._seconds = 0.0
            yield from self._round(stop)
            if self._reader.denied:
                raise self._denied()
            if not follow:
                return
            stop.wait(max(POLL_SECONDS, SHARE * self._seconds))

    def _round(self, stop: Event) -> Iterator[Batch]:
        self._owed = self._reader.owed
        yield from self._hand_over(sorted(self._owed), stop)
        for sub in ["", *sorted(self._subdirectories)]:
            yield from self._directory(sub, stop)
        # The first listing says which other directories there are.
        for sub in sorted(self._subdirectories - self._quiet.keys()):
            yield from self._directory(sub, stop)
        if self._keeps and not stop.is_set():
            self._memory.owed = self._reader.owed
            cursor = self._memory.dump(self._base)
            if cursor != self._told:
                yield Batch([], [], cursor)
                self._told = cursor

    def _directory(self, sub: str, stop: Event) -> Iterator[Batch]:
        try:
            if not self._quiet.setdefault(sub, Quiet()).due(self._base / sub, time.monotonic()):
                return
            listing = Listing(self._base, sub, self._known(sub))
            new = (found.name for found in listing.new() if found.name not in self._owed)
            yield from self._hand_over(new, stop)
        except FileNotFoundError:
            if not sub:
                raise
            self._forget(sub)
            return
        if stop.is_set():
            return
        self._seconds += listing.seconds
        if self._keeps:
            self._memory.known[sub] = listing.after
        if not sub:
            self._subdirectories = listing.subdirectories
            for gone in {name for name in self._memory.known if ROTATED.fullmatch(name)} - self._subdirectories:
                self._forget(gone)

    def _known(self, sub: str) -> KnownDocuments | None:
        return self._memory.known.get(sub) if self._keeps else None

    def _forget(self, sub: str) -> None:
        self._subdirectories.discard(sub)
        self._quiet.pop(sub, None)
        self._memory.known.pop(sub, None)

    def _hand_over(self, names: Iterable[str], stop: Event) -> Iterator[Batch]:
        waiting: list[Read] = []
        size = 0
        for name in names:
            if stop.is_set():
                return
            if read := self._reader.read(name):
                waiting.append(read)
                size += read.size
            if len(waiting) >= MOST or size >= MOST_BYTES:
                yield from self._commit(waiting, size)
                waiting, size = [], 0
        if waiting:
            yield from self._commit(waiting, size)

    def _commit(self, reads: list[Read], size: int) -> Iterator[Batch]:
        records = [read.record for read in reads if read.record]
        rejects = [read.reject for read in reads if read.reject]
        yield Batch(records, rejects, None, size)
        for read in reads:
            self._tidy.put_away(read)

    def _denied(self) -> SourceError:
        name, error = min(self._reader.denied.items())
        more = len(self._reader.denied) - 1
        advice = ""
        if error.errno == errno.EACCES and (helps := what_helps(self._base / name)):
            advice = f"; {helps}. Which mode FreeSWITCH gives its files says UMask of freeswitch.service"
        return SourceError(
            f"{self._base / name}{f' and {more} more' if more else ''} can't be read: {error.strerror}{advice}",
            max(TRY_AGAIN_SECONDS, SHARE * self._seconds),
        )
