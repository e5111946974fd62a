"""A place is found again, and equal records beside it are counted right, whatever file has the inode by now.

An inode proves nothing by itself: a file system gives it again at once.
"""

import gzip
import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from humbug_agent.sources.files import rotation
from tests.kit.cdr_csv import Following, Store, append, beside, numbered, rotate

pytestmark = pytest.mark.slow


def pack(path: Path) -> None:
    """As logrotate does: packed beside the plain one, its times kept, then the plain one goes and frees its inode."""
    status = path.stat()
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


def aged(cursor: str | None, file: Path) -> str:
    """The cursor, as if the file system had given the place's inode to this file since."""
    return json.dumps(json.loads(cursor or "") | {"inode": file.stat().st_ino, "device": file.stat().st_dev})


@pytest.mark.parametrize("forced", [False, True])
def test_packed_with_the_inode_of_the_one_that_was_read(path: Path, forced: bool) -> None:
    append(path, numbered(1, 7))  # A ends with the first.
    first = Store(path).read()
    rotate(path, 7)  # B holds the second and nothing else.
    second = Store(path, cursor=first.cursor).read()
    rotate(path, 7, 8)  # C begins with the third.
    rotate(path, 9)
    pack(beside(path, ".2"))
    pack(beside(path, ".1"))
    cursor = aged(second.cursor, beside(path, ".1.gz")) if forced else second.cursor
    third = Store(path, cursor=cursor).read()
    assert [first.dialled, second.dialled, third.dialled] == [[1, 7], [7], [7, 8, 9]]
    assert len({*first.identities, *second.identities, *third.identities}) == 6


@pytest.mark.parametrize("forced", [False, True])
def test_plain_with_the_inode_of_the_one_that_was_read(path: Path, forced: bool) -> None:
    """logrotate with compress, without delaycompress and create: Asterisk makes the next file in the freed inode."""
    append(path, numbered(1, 7))
    first = Store(path).read()
    rotate(path, 7)
    second = Store(path, cursor=first.cursor).read()
    beside(path, ".1").rename(beside(path, ".2"))
    path.rename(beside(path, ".1"))
    pack(beside(path, ".1"))
    append(path, numbered(7, 8))
    cursor = aged(second.cursor, path) if forced else second.cursor
    third = Store(path, cursor=cursor).read()
    assert third.dialled == [7, 8]
    assert len({*first.identities, *second.identities, *third.identities}) == 5


@pytest.mark.parametrize("becomes", ["plain", "packed", "deleted", "renamed back", "copied"])
@pytest.mark.parametrize("equal", [0, 1, 2, 7])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_each_call_comes_once_whatever_became_of_the_file(
    path: Path, becomes: str, equal: int, alone: bool, again: bool
) -> None:
    """``equal`` records stand on either side of the border, ``alone`` in their file; ``again``: with its inode."""
    # A copy of nothing but equal records looks like more of the same.
    before = [7] * equal if alone and equal and becomes != "copied" else [1, 2, *[7] * equal]
    append(path, numbered(*before))
    first = Store(path).read()
    after = [*[7] * equal, 8, 9]
    if becomes == "renamed back":
        path.rename(beside(path, ".1"))
        beside(path, ".1").rename(path)
        append(path, numbered(*after))
    elif becomes == "deleted":
        path.unlink()
        append(path, numbered(*after))
    else:
        rotate(path, *after)
        if becomes == "packed":
            pack(beside(path, ".1"))
        if becomes == "copied":
            shutil.copy2(beside(path, ".1"), beside(path, ".bak"))
    cursor = aged(first.cursor, path) if again else first.cursor
    if becomes in ("plain", "copied") and again:
        # Nobody has its inode but the file itself, unless it was moved to another file system and back.
        shutil.copy2(beside(path, ".1"), beside(path, ".2"))
        beside(path, ".1").unlink()
    then = Store(path, cursor=cursor).read()
    assert len({*first.identities, *then.identities}) == len(before + after)
    assert set(first.dialled + then.dialled) == set(before + after)
    assert not then.rejects
    rest = Store(path, cursor=then.cursor).read()
    assert rest.dialled == []


@pytest.mark.parametrize("equal", [1, 2, 7])
def test_a_file_that_is_deleted_and_made_anew_while_it_is_followed_begins_with_calls_of_its_own(
    path: Path, equal: int
) -> None:
    append(path, numbered(1, *[7] * equal))
    with Following(path) as reader:
        reader.until(lambda: len(reader.identities) == 1 + equal)
        path.unlink()
        append(path, numbered(*[7] * equal))
        reader.until(lambda: len(set(reader.identities)) == 1 + 2 * equal)
        append(path, numbered(8))
        reader.until(lambda: 8 in reader.dialled)
    assert len(set(reader.identities)) == 2 + 2 * equal


@pytest.mark.parametrize("equal", [0, 1])
def test_a_copy_adds_nothing_though_it_is_short(path: Path, equal: int) -> None:
    append(path, numbered(1, *[2] * equal, 3))
    shutil.copy(path, beside(path, ".bak"))
    append(path, numbered(4))
    reader = Store(path).read()
    assert len(set(reader.identities)) == 3 + equal


def test_a_cursor_of_an_older_agent_is_gone_on_from(path: Path) -> None:
    append(path, numbered(1, 7, 7))
    first = Store(path).read()
    old = json.loads(first.cursor or "")
    kept = ("log", "device", "inode", "offset", "head", "tail", "window", "repeats", "written", "known")
    cursor = json.dumps({name: old[name] for name in kept} | {"of a younger one": 1})
    rotate(path, 7, 8)
    pack(beside(path, ".1"))
    then = Store(path, cursor=cursor).read()
    assert then.dialled == [7, 8]
    assert len({*first.identities, *then.identities}) == 5


ODD = (".old", ".bak", "~", ".save", ".Nov2026", "-2026-W47", ".20261120T170633Z")


class Files(RuleBasedStateMachine):
    """A PBX, a logrotate and an agent that is there now and then: each record that was written whole is one call.

    Time passes between what happens, by more than a file system's clock is coarse.
    """

    @initialize(upwards=st.booleans())
    def begin(self, upwards: bool) -> None:
        self.upwards = upwards
        self.folder = TemporaryDirectory()
        # Nobody writes late here.
        self.late = patch.object(rotation, "LATE_SECONDS", 0.0)
        self.late.start()
        self.path = Path(self.folder.name) / "Master.csv"
        self.number = self.last = self.written = self.copies = 0
        self.clock = Path(self.folder.name) / "clock"
        self.reader = Store(self.path)
        self.youngest = beside(self.path, ".1")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.read()
            self.late.stop()
            self.folder.cleanup()

    def write(self, *numbers: int) -> None:
        append(self.path, numbered(*numbers))
        self.tick()
        self.written += len(numbers)
        self.last = numbers[-1]

    def tick(self) -> None:
        """Wait until the file system's clock has moved on."""
        self.clock.touch()
        before = self.clock.stat().st_mtime_ns
        while self.clock.stat().st_mtime_ns == before:
            self.clock.touch()

    @rule(more=st.integers(1, 3))
    def calls(self, more: int) -> None:
        self.number += more
        self.write(*range(self.number - more + 1, self.number + 1))

    @precondition(lambda self: self.last)
    @rule(times=st.integers(1, 7))
    def equal_calls(self, times: int) -> None:
        self.write(*[self.last] * times)

    @precondition(lambda self: self.path.exists())
    @rule(create=st.booleans(), packed=st.booleans(), times=st.integers(0, 7))
    def rotated(self, create: bool, packed: bool, times: int) -> None:
        """Numbers; the youngest is packed at once or left. Perhaps equal records go into the next file.

        Not where they are numbered upwards: what is read on the way sorts as if it were the oldest.
        """
        self.youngest = self.path.rename(self.shifted())
        if packed:
            pack(self.youngest)
        if self.upwards:
            self.last = 0
        if create:
            self.path.touch()
        if times and self.last:
            self.write(*[self.last] * times)

    def shifted(self) -> Path:
        """The name of the file that is rotated next."""
        there = [number for number in range(1, 40) for end in ("", ".gz") if self.named(number, end).exists()]
        if self.upwards:
            return self.named(max(there, default=0) + 1)
        for number in reversed(there):
            for end in ("", ".gz"):
                if self.named(number, end).exists():
                    self.named(number, end).rename(self.named(number + 1, end))
        return self.named(1)

    def named(self, number: int, end: str = "") -> Path:
        return beside(self.path, f".{number}{end}")

    @precondition(lambda self: self.path.exists() and not self.upwards)
    @rule(times=st.booleans(), equal=st.integers(0, 7), more=st.booleans())
    def copied_and_truncated(self, times: bool, equal: int, more: bool) -> None:
        """It is read before, or it and the last one may be copies, and before more is in it than was copied."""
        self.read()
        records = len(self.path.read_bytes().splitlines())
        self.youngest = self.shifted()
        (shutil.copy2 if times else shutil.copyfile)(self.path, self.youngest)
        self.tick()
        os.truncate(self.path, 0)
        if self.last and min(equal, records):
            self.write(*[self.last] * min(equal, records))
        self.read()
        if more:
            self.calls(1)

    @precondition(lambda self: self.path.exists())
    @rule(equal=st.integers(0, 7))
    def emptied(self, equal: int) -> None:
        """Seen to be empty when all of it was read."""
        self.read()
        os.truncate(self.path, 0)
        self.tick()
        self.read()
        if equal and self.last:
            self.write(*[self.last] * equal)
        if self.upwards:
            self.read()

    @rule(suffix=st.sampled_from([*ODD, ".1", ".2", ".copy1"]))
    def touched(self, suffix: str) -> None:
        """When it was read."""
        self.read()
        if beside(self.path, suffix).exists():
            beside(self.path, suffix).touch()
            self.tick()

    @rule()
    def all_are_packed(self) -> None:
        for number in range(1, 40):
            if self.named(number).exists():
                pack(self.named(number))

    @precondition(lambda self: self.youngest.exists() and not self.path.exists())
    @rule()
    def renamed_back(self) -> None:
        self.youngest.rename(self.path)

    @precondition(lambda self: self.path.exists())
    @rule(suffix=st.sampled_from(ODD), packed=st.booleans())
    def put_aside(self, suffix: str, packed: bool) -> None:
        """Under a name that no rotation makes."""
        if not any(beside(self.path, suffix + end).exists() for end in ("", ".gz")):
            self.youngest = self.path.rename(beside(self.path, suffix))
            if self.upwards:
                self.last = 0
            if packed:
                pack(beside(self.path, suffix))

    @precondition(lambda self: self.path.exists())
    @rule(times=st.booleans())
    def deleted(self, times: bool) -> None:
        """When all of it was read; the next one has more in it than equal records when it is seen, and no copy yet."""
        self.read()
        for copy in self.path.parent.glob("*.copy*"):
            copy.unlink()
        self.path.unlink()
        self.number += 1
        self.write(*([self.last] if times and self.last else []), self.number)
        self.read()

    @precondition(lambda self: self.path.exists() and not self.upwards)
    @rule(times=st.booleans())
    def copied(self, times: bool) -> None:
        """By somebody who looks after it, while the agent is there.

        Not of equal records alone: test_copies.py tells what can be known of those, and a packed file that grew since
        can't be told from more calls.
        """
        self.read()
        if len(set(self.path.read_bytes().splitlines())) > 1:
            self.copies += 1
            copy = beside(self.path, f".copy{self.copies}")
            (shutil.copy2 if times else shutil.copyfile)(self.path, copy)
            self.tick()
            self.read()

    @rule(batches=st.integers(0, 3))
    def killed(self, batches: int) -> None:
        """In the midst of a backlog."""
        reading = self.reader.batches()
        for _ in range(batches):
            next(reading, None)
        reading.close()

    @rule()
    def read(self) -> None:
        """By an agent that was started just now."""
        self.reader = self.reader.read()
        assert len(set(self.reader.identities)) == self.written
        assert not self.reader.rejects


Files.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestFiles = Files.TestCase


def tick(path: Path) -> None:
    """Until what is written from now on has a later time than the log has."""
    probe = path.with_name("probe")
    while True:
        probe.write_bytes(b"")
        later = probe.stat().st_mtime_ns > path.stat().st_mtime_ns
        probe.unlink()
        if later:
            return


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_written_to_over_its_rotation_is_no_copy(path: Path, packed: bool) -> None:
    """Asterisk opened it just before it was renamed. The file before it has but the record with which it begins."""
    append(path, numbered(1))
    first = Store(path).read()
    rotate(path, 7)
    tick(path)
    rotate(path, 7)
    with path.open("ab", buffering=0) as late:
        tick(path)
        rotate(path, 9)
        if packed:
            pack(beside(path, ".2"))
        tick(path)
        late.write(numbered(8))
    then = Store(path, cursor=first.cursor).read()
    assert then.dialled == [7, 7, 8, 9]
    assert len({*first.identities, *then.identities}) == 5


def test_nor_is_the_file_after_one_that_was_written_to_over_its_rotation(path: Path) -> None:
    append(path, numbered(1))
    first = Store(path).read()
    rotate(path)
    with path.open("ab", buffering=0) as late:
        tick(path)
        rotate(path, 7)
        tick(path)
        late.write(numbered(7))
    tick(beside(path, ".1"))
    append(path, numbered(8))
    then = Store(path, cursor=first.cursor).read()
    assert then.dialled == [7, 7, 8]
    assert len({*first.identities, *then.identities}) == 4
