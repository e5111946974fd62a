"""Which files hold what a log's reader has not read yet, oldest first.

A rotated file's name need not tell more than whose it is (see rotated.py): what it holds does, and when it was written.
"""

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from humbug_agent.sources.files import unpacking
from humbug_agent.sources.files.entries import (
    Broken,
    begin_alike,
    bytes_from,
    given_up,
    is_mounted,
    made_at,
    may_be_packed_from,
    names_of,
    packed_by,
    state_of,
    was_written_over,
    written_state,
    written_then,
)
from humbug_agent.sources.files.known import WHOLE, Known, There, kept, short, told
from humbug_agent.sources.files.position import CLOCK_SLACK, OpenFile, Position, names
from humbug_agent.sources.files.rotated import Entry, Key, in_order, listed, rotated

LATE_SECONDS = 1.0
"""How long after a rename somebody may still write who had opened the file before."""

LOOKED_INTO = 64 * 1024
"""Bytes of the beginning of a file with an unusual name, of which one record must be a call."""


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What was learnt of one file by looking at it.

    ``told``: what tells it (see known.py). ``unread`` says why it is not read; blank where it is.

    ``foreign``: it is none of the log's files; ``old``: it was made after it was last written to.
    """

    told: str
    packed: bool = False
    old: bool = False
    empty: bool = False
    foreign: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A file to read from ``offset`` on. ``known`` are the rotated files that need no reading any more.

    ``continues``: its first record comes right behind what was read last; ``aside``: it sorts before that, so the
    position stays where it is.
    """

    entry: Entry
    offset: int
    known: tuple[str, ...]
    continues: bool = False
    aside: bool = False


class Shelf:
    """The files of the log ``path``. ``different`` tells how many different calls stand in a file's beginning.

    What was learnt of a file is remembered for as long as it stays the same file and unchanged. ``notes`` are what the
    log's reader should say of them, with the level of `logging`.
    """

    def __init__(self, path: Path, different: Callable[[bytes], int]) -> None:
        self.path = path
        self._different = different
        self._learnt: dict[object, _Learnt] = {}
        self._lengths: dict[object, int] = {}
        self._last: tuple[object, list[Entry]] = None, []
        self._considered: list[Entry] = []
        # What the log was a link to when it was read.
        self._real = ""
        self.notes: list[tuple[int, str]] = []

    def entries(self) -> list[Entry]:
        """Rotated ones, oldest first, and the log, as they were at one moment: a rotation renames one after another."""
        signed = self._signed()
        before, now = None, self._listed()
        # Not their sizes: while they grow no two looks are alike.
        while before is None or names_of(before) != names_of(now):
            before, now = now, self._listed()
        self._last = signed, now
        there = {state_of(entry) for entry in now}
        self._learnt = {
            state: learnt for state, learnt in list(self._learnt.items()) if learnt.foreign or state in there
        }
        self._lengths = {state: length for state, length in list(self._lengths.items()) if state in there}
        return now

    def _entries_again(self) -> list[Entry]:
        """The same. Where no name changed since, only those are looked at that were empty."""
        signed, entries = self._last
        if signed is None or signed != self._signed():
            return self.entries()
        with contextlib.suppress(FileNotFoundError):
            return [entry if entry.size else entry.again() for entry in entries]
        return self.entries()

    def rotated(self) -> list[Entry]:
        return rotated(self.entries())

    def all_known(self) -> tuple[str, ...]:
        """The rotated files that are there now, for a position of which none is wanted."""
        return tuple(self.known_as(entry) for entry in self.rotated())

    def known_as(self, entry: Entry, length: float = WHOLE) -> str:
        """What is kept of a rotated file that was read so far, or is not wanted whatever its length."""
        return kept(self._told(entry), written_state(entry), length)

    def trouble(self) -> str:
        """What keeps some of the files from being read, and what to do; blank when all is well. Raises OSError."""
        if is_mounted(self.path):
            return (
                f"{self.path}: is mounted as a single file and stays the same one when it is rotated, so that later "
                f"calls are never seen; mount its directory {self.path.parent} instead"
            )
        return self.lacking()

    def lacking(self) -> str:
        """Of the first rotated file that can't be unpacked here: which, why, and what to do. Raises OSError."""
        for entry in self.rotated():
            with contextlib.suppress(FileNotFoundError, PermissionError):
                try:
                    unpacking.require(packed_by(entry.path, entry.key, entry.written), entry.path)
                except unpacking.CantUnpack as error:
                    return str(error)
        return ""

    def following(
        self, position: Position | None, opened: OpenFile | None, *, finished: bool, broken: Set[Broken]
    ) -> tuple[list[Stretch], bool]:
        """What to read next, and after that while nothing is rotated meanwhile; and whether the position was found.

        Nothing when there is no file yet. ``opened`` is the file that the position is in, if it is open still;
        ``finished``: it has been read to its end, unless it is still the one that grows. Without a position: all files.
        Where no file holds what had been read, and where a file was rotated while nobody looked and sorts among older
        ones (its name is of a clock that was set back since): whatever is not known, from its beginning; what had been
        read of it is recognised later, call by call. ``broken`` are left out. Raises OSError.
        """
        self._real = position.real if position else ""
        entries = self._considered = self.entries()
        number = self._find(entries, position, opened) if position else None
        known = self._still_known(entries, position)
        ahead = []
        if position and number is not None:
            entry = entries[number]
            read = max(position.offset, opened.seen if opened and opened.key == entry.key else 0)
            # It may have been put there again with more in it.
            if not finished or entry.live or self._length(entry) > read:
                return [Stretch(entry, position.offset, known)], True
            known = (*known, self.known_as(entry, read))
        last, remembered = number, Known(position.known if position else ())
        for other in self._rest(entries, number, position):
            entry = entries[other]
            if not entry.live and (given_up(entry) in broken or self._is_passed_over(entry)):
                continue
            # With the position lost, what was written to before is no part of what comes behind it.
            before = bool(position and number is None and entry.written <= position.written and not entry.live)
            # What was read of it is no more of the same, wherever it sorts by now.
            before = before or self._was_read_in_part(entry, remembered)
            aside = before or (last is not None and other < last)
            ahead.append(Stretch(entry, 0, known, last is not None and other > last, aside))
            if not before:
                last = other if last is None else max(last, other)
        return ahead, number is not None or position is None

    def something_came(self, position: Position | None, broken: Set[Broken]) -> bool:
        """Whether a rotated file is to be read that was not there, or was empty, when it was last asked what is."""
        if rotated(self._entries_again()) == rotated(self._considered):
            return False
        ahead, _ = self.following(position, None, finished=True, broken=broken)
        return bool(ahead) and not ahead[0].entry.live

    def is_over(self, file: OpenFile) -> bool:
        """Whether a younger file, one that is not known, has anything in it."""
        after, known = False, Known(file.known)
        for entry in self._entries_again():
            if entry.key == file.key:
                after = True
            # What was read already is older, whatever clock its times are of.
            elif entry.size and (entry.live or not self._is_read(entry, known, after=after)):
                return True
        return False

    def unread_bytes(self, position: Position | None) -> int:
        """How many bytes wait; packed files count with what they unpack to."""
        self._real = position.real if position else ""
        entries = self.entries()
        number = self._find(entries, position, None) if position else None
        begun = bytes_from(entries[number].path, position.offset) if position and number is not None else 0
        if number is not None and entries[number].live:
            with contextlib.suppress(FileNotFoundError), OpenFile(entries[number].path) as file:
                file.known = position.known if position else ()
                rest = [stretch.entry for stretch in self.beside(file, set(), grown=True)]
                return begun + sum(bytes_from(entry.path, 0) for entry in rest)
        rest = [entries[other] for other in self._rest(entries, number, position)]
        return begun + sum(bytes_from(entry.path, 0) for entry in rest)

    def beside(self, file: OpenFile, broken: Set[Broken], *, grown: bool) -> list[Stretch]:
        """The rotated files to read while the log, ``file``, is not over: they came since, or hold more than they did.

        Those that begin as the log does are left: a copy may be what it goes on in, and shows it when it is rotated.
        Without ``grown`` those of which no name has changed since they were looked at are taken for unchanged.
        """
        entries = self.entries() if grown else self._entries_again()
        number = next((number for number, entry in enumerate(entries) if entry.live), None)
        if number is None or entries[number].key != file.key:
            return []
        position, begins = file.position(0, {}), file.beginning()
        # The log is read all the same where one of them can't be; `check` says so.
        with contextlib.suppress(PermissionError):
            rest = [entries[other] for other in self._rest(entries, number, position)]
            return [
                Stretch(entry, 0, tuple(position.known), aside=True)
                for entry in rest
                if given_up(entry) not in broken and not self._is_passed_over(entry) and not begin_alike(entry, begins)
            ]
        return []

    def _rest(self, entries: Sequence[Entry], number: int | None, position: Position | None) -> Iterator[int]:
        """Which are to be read after the one with this number, oldest first. None: the position is in none of them."""
        known = Known(position.known if position else ())
        for other, entry in enumerate(entries):
            after = number is not None and other > number
            read = not entry.live and self._is_read(entry, known, after=after)
            # With the position lost, what was written to since may hold what came behind it, unless only touched.
            written_since = position and number is None and entry.written >= position.written
            if other != number and (not read or (written_since and not known.same(self._told(entry)))):
                yield other

    def _is_read(self, entry: Entry, known: Known, *, after: bool) -> bool:
        """Whether the rotated file needs no reading; ``after``: it sorts behind one that was being read."""
        if not known:
            return False
        # Of two that begin alike one may be known, and the other would be taken for it.
        return known.same(self._told(entry)) or (
            known.has_all_of(self._there(entry)) and not (after and not entry.name)
        )

    def _was_read_in_part(self, entry: Entry, known: Known) -> bool:
        """Whether it is one of the known files, of which more is there by now."""
        if entry.live or not known.is_longer_than_read(self._there(entry)):
            return False
        with contextlib.suppress(FileNotFoundError, unpacking.CantUnpack), OpenFile(entry.path) as file:
            return bool(entry.name) or self._different(file.beginning(LOOKED_INTO)) > 1
        return False

    def _still_known(self, entries: Sequence[Entry], position: Position | None) -> tuple[str, ...]:
        if not position or not position.known:
            return ()
        return Known(position.known).still(self._there(entry) for entry in entries if not entry.live)

    def _there(self, entry: Entry) -> There:
        return There(self._told(entry), written_state(entry), self._may_look(entry).old, partial(self._length, entry))

    def _told(self, entry: Entry) -> str:
        """What tells a rotated file from the others: its name's date, else its beginning; and which file it is."""
        if not entry.name:
            return self._look(entry).told
        _, colon, which = self._may_look(entry).told.partition(":")
        return f"{short(entry.name.encode())}{colon}{which}"

    def _length(self, entry: Entry) -> int:
        """How many bytes it holds, unpacked."""
        state = state_of(entry)
        if not self._may_look(entry).packed:
            return entry.size
        if state not in self._lengths:
            self._lengths[state] = 0
            with contextlib.suppress(FileNotFoundError, unpacking.CantUnpack), OpenFile(entry.path) as file:
                self._lengths[state] = file.length()
        return self._lengths[state]

    def _may_look(self, entry: Entry) -> _Learnt:
        with contextlib.suppress(PermissionError):
            return self._look(entry)
        return _Learnt("")

    def _find(self, entries: Sequence[Entry], position: Position, opened: OpenFile | None) -> int | None:
        """Which of the files the position is in: it holds what had been read.

        As long as it is open no other has its inode. Else the one that was made when it was and has its inode is it;
        then one that was last written to when it was (packing keeps that time); an inode alone proves nothing. One that
        was written to before it can only be a copy with another's times. A log that was copied since, and was written
        to after that without being longer than the copy, was emptied: the position is in the copy.
        """
        if opened and not opened.changed:
            for number, entry in enumerate(entries):
                if entry.key == opened.key and not was_written_over(entry, position):
                    return number

        def likely(number: int) -> tuple[bool, bool, bool, bool, int]:
            entry = entries[number]
            same = entry.key == (position.device, position.inode)
            made = made_at(entry) if same else 0
            proven = same and made == position.born != 0
            earlier = entry.written < position.written - 1e-6
            return (
                not proven,
                not written_then(entry, position),
                earlier,
                not (same and 0 in (made, position.born)),
                number,
            )

        order = sorted((likely(number), number) for number in range(len(entries)))
        holding = (number for _, number in order if self._holds(entries[number], position))
        first = next(holding, None)
        if first is not None and (log := entries[first]).live:
            copies = (number for number, entry in enumerate(entries) if self._is_emptied_into(entry, log, position))
            if (copy := next(copies, None)) is not None:
                return copy
        if first is not None and likely(first)[:2] == (True, True):
            # A copy that was made meanwhile ends there; the file itself may have grown before it was packed.
            return next((one for one in (first, *holding) if bytes_from(entries[one].path, position.offset)), first)
        if first is None or not likely(first)[0] or not written_then(entries[first], position):
            return first
        # Some may be equal in all of this, of which those that are known were read before it.
        alike = [first, *(other for other in holding if written_then(entries[other], position))]
        return alike[min(Known(position.known).alike(self._told(entries[first])), len(alike) - 1)]

    def _is_emptied_into(self, entry: Entry, log: Entry, position: Position) -> bool:
        """Whether this is a copy of the log that was made when the position was in it, and is not known."""
        if entry.live or not position.written <= entry.written <= log.written or log.size < position.offset:
            return False
        made = made_at(entry) / 1e9 or entry.written
        if not position.written < made < log.written or Known(position.known).same(self._told(entry)):
            return False
        return self._holds(entry, position) and bytes_from(entry.path, 0) >= log.size

    def _holds(self, entry: Entry, position: Position) -> bool:
        try:
            with OpenFile(entry.path, position.offset) as file:
                if file.key != entry.key or not file.holds(position):
                    return False
                if (*file.key, file.born) == (position.device, position.inode, position.born) or written_then(
                    entry, position
                ):
                    return True
                # Packed or copied since; or another that begins with equal records, and was read before or made after.
                if entry.written > position.written:
                    likely = not entry.live or 0 in (file.born, position.born)
                else:
                    likely = not Known(position.known).alike(self._told(entry))
                return likely or self._different(file.beginning(LOOKED_INTO)[: position.offset]) > 1
        except (FileNotFoundError, unpacking.CantUnpack):
            return False

    def _listed(self) -> list[Entry]:
        found: dict[Key, Entry] = {}
        for entry in self._whole(listed(self.path, self._real)):
            if entry.live or entry.usual or not self._look(entry).foreign:
                found.setdefault(entry.key, entry)
        return in_order(found.values())

    def _whole(self, entries: Sequence[Entry]) -> list[Entry]:
        """All but those that are being packed: of these the plain file is there, too, and is read."""
        plain = {entry.path: entry for entry in entries if entry.path == entry.unpacked}
        whole = []
        for entry in entries:
            origin = plain.get(entry.unpacked, entry)
            if origin is entry or not may_be_packed_from(entry, origin):
                whole.append(entry)
        often = Counter(entry.stamp for entry in rotated(whole))
        return [replace(entry, shared=True) if often[entry.stamp] > 1 else entry for entry in whole]

    def _is_passed_over(self, entry: Entry) -> bool:
        """Whether the rotated file can't be read, or nothing was ever written to it: there is none to remember."""
        learnt = self._look(entry)
        return learnt.empty or bool(learnt.unread)

    def _look(self, entry: Entry) -> _Learnt:
        state = state_of(entry)
        learnt = self._learnt.get(state) or self._looked(entry)
        if learnt and state not in self._learnt:
            self._learnt[state] = learnt
            if learnt.unread:
                self.notes.append((logging.INFO if learnt.foreign else logging.WARNING, learnt.unread))
        return learnt or _Learnt("")

    def _looked(self, entry: Entry) -> _Learnt | None:
        """None: it may be otherwise in a moment."""
        try:
            with OpenFile(entry.path) as file:
                if file.key != entry.key:
                    return None
                begins = file.beginning()
                empty = not (begins or file.broken)
                if empty and file.touched_within(LATE_SECONDS):
                    return None
                known, old = told(file, begins), file.born / 1e9 > entry.written + 1e-6
                if entry.live or entry.usual or empty or self._different(file.beginning(LOOKED_INTO)):
                    return _Learnt(known, file.packed, old, empty)
                why = f"{entry.path}: no call stands at its beginning, so it is taken for none of {self.path}'s files"
                return _Learnt(known, foreign=True, unread=why)
        except unpacking.CantUnpack as error:
            return _Learnt("", unread=str(error))
        except FileNotFoundError:
            return None
        except PermissionError as error:
            if entry.usual:
                raise
            why = (
                f"{entry.path}: can't be read ({error.strerror}); if calls stand in it, give the agent's user the right"
            )
            return _Learnt("", foreign=True, unread=why)

    def _signed(self) -> object:
        """What changes when a file comes, goes, or gets another name; None while it may change again unnoticed."""
        said = []
        for base in names(self.path, self._real):
            with contextlib.suppress(OSError):
                status = base.parent.stat()
                if abs(time.time() - status.st_mtime) < CLOCK_SLACK:
                    return None
                said.append((base, status.st_dev, status.st_ino, status.st_mtime_ns))
        return said
