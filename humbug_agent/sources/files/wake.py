"""A hint that a file may have changed: the kernel's (inotify), or that a second has passed.

The hint only ever shortens the wait. Its queue can overflow, its watch dies with a renamed directory, and network file
systems tell it nothing; so nobody relies on it. It is asked for by the thread that waits: of watchdog, whose observers
are three threads, each woken by each change, only the calls of the system are used.
"""

import ctypes
import logging
import os
import select
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch, inotify_init

from humbug_agent.host.pbx_first import FLOOD_REST
from humbug_agent.sources.files.position import names

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
REST_SECONDS = 0.002
"""Between two looks, however often the file changes: what comes alone is looked at at once, and what comes in numbers
costs the PBX less in one piece."""

FLOOD_BYTES = 100_000
"""A second: the PBX is at its busiest."""

FLOOD_LOOK_SECONDS = 0.05
"""Of how fast the file grows less time than this tells nothing."""

_OF_DIRECTORY = InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_FROM | InotifyConstants.IN_MOVED_TO
_OF_FILE = InotifyConstants.IN_MODIFY
_EVENTS_BYTES = 64 * 1024


class Waker:
    """Watches ``path`` and what it is a link to. Neither need exist yet, nor its directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[bytes] = []
        self._inotify: int | None = None
        self._poll = select.poll()
        self._watched: list[tuple[str, int, int]] = []
        # Whether the names may stand for something else than what is watched.
        self._renamed = True
        self._looked = 0.0
        self._state: tuple[int, int] | None = None
        self._grown = 0
        self._since = 0.0
        self._flood = False

    def __enter__(self) -> "Waker":
        return self

    def __exit__(self, *_: object) -> None:
        self._unwatch()

    def wait(self, stop: Event) -> None:
        """Until something may have changed, a second has passed, or ``stop`` is set. A flood is left to gather."""
        if self._flood:
            stop.wait(FLOOD_REST)
        else:
            if (self._renamed and self._watch()) or stop.is_set():
                # What happened before the watch began is told by nobody: look at once.
                return
            self._await_hint(stop)
            if (rest := self._looked + REST_SECONDS - time.monotonic()) > 0:
                stop.wait(rest)
        before = self._flood
        self._forget_hints()
        self._look()
        if self._flood and not before:
            # It has just begun: the PBX needs the processors more than we need the first of it.
            stop.wait(FLOOD_REST)
            self._forget_hints()
            self._look()

    def _await_hint(self, stop: Event) -> None:
        if self._inotify is None:
            stop.wait(POLL_SECONDS)
            self._renamed = True
            return
        until = time.monotonic() + POLL_SECONDS
        while (left := until - time.monotonic()) > 0:
            if self._poll.poll(left * 1000) and self._hinted(self._inotify):
                return
        # Of what becomes of a directory above nobody tells.
        self._renamed = True

    def _hinted(self, inotify: int) -> bool:
        """Whether what came is of the file, or of its names; of others in their directories it is not."""
        of_ours = False
        for events, name in _events(os.read(inotify, _EVENTS_BYTES)):
            if events != _OF_FILE and (not name or name in self._names):
                self._renamed = True
            of_ours = of_ours or not name or name in self._names
        return of_ours

    def _forget_hints(self) -> None:
        """Those that came since: what they are about is looked at now."""
        if self._inotify is not None and self._poll.poll(0):
            self._hinted(self._inotify)

    def _look(self) -> None:
        now = self._looked = time.monotonic()
        try:
            status = self._path.stat()
        except OSError:
            self._flood = False
            return
        state = status.st_ino, status.st_size
        if self._state and self._state[0] == state[0]:
            self._grown += state[1] - self._state[1]
        self._state = state
        since = max(now - self._since, FLOOD_LOOK_SECONDS)
        self._flood = self._grown > FLOOD_BYTES * since
        if self._flood or now - self._since >= FLOOD_LOOK_SECONDS:
            self._since, self._grown = now, 0

    def _watch(self) -> bool:
        """Watch the file, and the directories that have its names now. Tells whether that is anything new."""
        paths = names(self._path)
        found = []
        for watched in (*dict.fromkeys(path.parent for path in paths), self._path):
            with suppress(OSError):
                status = watched.stat()
                found.append((os.fspath(watched), status.st_dev, status.st_ino))
        self._renamed = False
        if self._watched == found:
            return False
        self._unwatch()
        self._watched, self._names = found, [os.fsencode(path.name) for path in paths]
        try:
            self._inotify = _made()
            self._poll.register(self._inotify, select.POLLIN)
            for name, _, _ in found:
                _add(self._inotify, name, _OF_FILE if name == os.fspath(self._path) else _OF_DIRECTORY)
        except OSError as error:
            self._close()
            log.warning("%s: no notice of changes (%s); looking every second instead", self._path.parent, error)
        return bool(found)

    def _unwatch(self) -> None:
        self._close()
        self._watched = []

    def _close(self) -> None:
        if self._inotify is not None:
            self._poll.unregister(self._inotify)
            os.close(self._inotify)
            self._inotify = None


def _made() -> int:
    """An inotify of our own. Raises OSError."""
    handle = inotify_init()
    if handle < 0:
        raise _error()
    os.set_inheritable(handle, False)
    os.set_blocking(handle, False)
    return handle


def _add(inotify: int, name: str, events: int) -> None:
    """Raises OSError; what is not there any more will be seen to be gone."""
    if inotify_add_watch(inotify, os.fsencode(name), events) < 0:
        error = _error()
        if not isinstance(error, FileNotFoundError):
            raise error


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def _events(said: bytes) -> Iterator[tuple[int, bytes]]:
    """What happened, and to which name in the directory; blank: to the file that is watched, or too much to tell.

    Source: inotify(7), struct inotify_event.
    """
    at = 0
    while at < len(said):
        _, events, _, length = struct.unpack_from("iIII", said, at)
        yield events, said[at + 16 : at + 16 + length].rstrip(b"\0")
        at += 16 + length
