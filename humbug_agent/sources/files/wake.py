"""A hint that a file may have changed: watchdog's, or that a second has passed.

watchdog only ever shortens the wait. Its queue can overflow, its watch dies with a renamed directory, and network
file systems tell it nothing; so nobody relies on it. While the file grows quickly it is not asked: each change would
cost as much as reading the record does.
"""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

from watchdog.events import (
    DirModifiedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from humbug_agent.backoff import FLOOD_REST
from humbug_agent.sources.files.position import names

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
REST_SECONDS = 0.05
"""Between two looks, however often the file changes: what it has by then costs the PBX less in one piece."""

MANY = 10
"""Hints between two looks, from which on it is quicker to look without any."""

FLOOD_BYTES = 100_000
"""A second: the PBX is at its busiest."""

QUIET_SECONDS = 1.0
"""Without a change for so long, hints are worth having again."""

_EVENTS = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent, DirModifiedEvent]


class Waker(FileSystemEventHandler):
    """Watches ``path`` and what it is a link to. Neither need exist yet, nor its directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[str] = []
        self._hint = Event()
        self._observer: BaseObserver | None = None
        self._watched: list[tuple[str, int, int]] = []
        self._looked = 0.0
        self._hints = 0
        self._busy = False
        self._changed = 0.0
        self._state: tuple[int, int] | None = None
        self._flood = False

    def __enter__(self) -> "Waker":
        return self

    def __exit__(self, *_: object) -> None:
        self._unwatch()

    def wait(self, stop: Event) -> None:
        """Until something may have changed, a second has passed, or ``stop`` is set. A flood is left to gather."""
        if self._busy:
            stop.wait(FLOOD_REST if self._flood else REST_SECONDS)
        else:
            if self._watch() or stop.is_set():
                # What happened before the watch began is told by nobody: look at once.
                return
            self._hint.wait(POLL_SECONDS)
            stop.wait(max(0.0, self._looked + REST_SECONDS - time.monotonic()))
            self._hint.clear()
        before = self._flood
        self._look()
        if self._flood and not before:
            # It has just begun: the PBX needs the processors more than we need the first of it.
            stop.wait(FLOOD_REST)
            self._look()

    def _look(self) -> None:
        before, self._looked = self._looked, time.monotonic()
        try:
            status = self._path.stat()
        except OSError:
            self._busy = self._flood = False
            return
        state = status.st_ino, status.st_size
        grown = state[1] - self._state[1] if self._state and self._state[0] == state[0] else 0
        self._flood = grown > FLOOD_BYTES * (self._looked - before)
        if state != self._state:
            self._state, self._changed = state, self._looked
        hints, self._hints = self._hints, 0
        if hints >= MANY or self._flood:
            self._busy = True
            self._unwatch()
        else:
            self._busy = self._busy and self._looked - self._changed < QUIET_SECONDS

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.src_path in self._names or event.dest_path in self._names:
            self._hints += 1
            self._hint.set()

    def _watch(self) -> bool:
        """Watch the directories that have the names now. Tells whether that is anything new."""
        paths = names(self._path)
        found = []
        for directory in dict.fromkeys(path.parent for path in paths):
            with suppress(OSError):
                status = directory.stat()
                found.append((os.fspath(directory), status.st_dev, status.st_ino))
        if self._watched == found:
            return False
        self._unwatch()
        self._watched, self._names = found, [os.fspath(path) for path in paths]
        observer = Observer()
        try:
            for watched, _, _ in found:
                observer.schedule(self, watched, event_filter=_EVENTS)
            observer.start()
        except OSError as error:
            log.warning("%s: no notice of changes (%s); looking every second instead", self._path.parent, error)
        else:
            self._observer = observer
        return bool(found)

    def _unwatch(self) -> None:
        if self._observer:
            self._observer.stop()
            self._observer.join()
        self._observer, self._watched = None, []
