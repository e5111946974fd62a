"""The clock went back while the agent was away: names and times of the files are in disorder, and no call is lost."""

import gzip
import os
from pathlib import Path

import pytest

from tests.kit.cdr_csv import Following, Store, append, beside, numbered

pytestmark = pytest.mark.slow

NOON = 1_795_176_000
"""2026-11-20 12:00, of the clock that is set back."""


def put_away(path: Path, suffix: str, when: int, *, packed: bool = False) -> None:
    """What logrotate does, at ``when``."""
    file = beside(path, suffix)
    path.rename(file)
    if packed:
        beside(path, f"{suffix}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
        file = beside(path, f"{suffix}.gz")
    os.utime(file, (when, when))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("back", [3600, 26 * 365 * 86400])
def test_a_file_that_was_rotated_by_the_earlier_clock_is_read(path: Path, packed: bool, back: int) -> None:
    append(path, numbered(1))
    put_away(path, "-20261119", NOON - 86400)
    append(path, numbered(2))
    os.utime(path, (NOON - 60, NOON - 60))
    first = Store(path).read()
    assert first.dialled == [1, 2]
    append(path, numbered(3))
    put_away(path, "-20261120-1200", NOON, packed=packed)
    append(path, numbered(4, 4))
    put_away(path, "-20001120-1100", NOON - back, packed=packed)
    append(path, numbered(5))
    os.utime(path, (NOON - back + 60, NOON - back + 60))
    assert first.source.unread(first.cursor) == len(numbered(3, 4, 4, 5))
    again = Store(path, cursor=first.cursor).read()
    assert again.dialled == [3, 4, 4, 5]
    assert len(set(again.identities)) == 4
    assert Store(path, cursor=again.cursor).read().dialled == []


def test_the_same_with_logrotates_numbers(path: Path) -> None:
    append(path, numbered(1))
    first = Store(path).read()
    put_away(path, ".1", NOON)
    append(path, numbered(2))
    beside(path, ".1").rename(beside(path, ".2"))
    put_away(path, ".1", NOON - 3600)
    append(path, numbered(3))
    again = Store(path, cursor=first.cursor).read()
    assert again.dialled == [2, 3]
    # All were written in one second, and the numbers of the files are others now.
    for number in (4, 5):
        for older in (3, 2, 1)[5 - number :]:
            beside(path, f".{older}").rename(beside(path, f".{older + 1}"))
        put_away(path, ".1", NOON - 3600)
        append(path, numbered(number))
    assert Store(path, cursor=again.cursor).read().dialled == [4, 5]


def test_a_copy_that_was_made_by_the_earlier_clock_is_found(path: Path) -> None:
    append(path, numbered(*range(1, 9)))
    first = Store(path).read()
    append(path, numbered(9))
    beside(path, "-20001120").write_bytes(path.read_bytes())
    os.utime(beside(path, "-20001120"), (NOON - 86400, NOON - 86400))
    os.truncate(path, 0)
    append(path, numbered(10))
    assert Store(path, cursor=first.cursor).read().dialled == [9, 10]


def test_nothing_old_is_sent_for_it_where_only_the_new_is_wanted(path: Path) -> None:
    append(path, numbered(1))
    put_away(path, "-20261118", NOON - 2 * 86400)
    append(path, numbered(2))
    first = Store(path, start="end").read()
    append(path, numbered(3))
    put_away(path, "-20261120", NOON, packed=True)
    append(path, numbered(4))
    put_away(path, "-20261119", NOON - 86400)
    old = beside(path, "-20261118")
    beside(path, "-20261118.gz").write_bytes(gzip.compress(old.read_bytes()))
    os.utime(beside(path, "-20261118.gz"), (NOON - 2 * 86400, NOON - 2 * 86400))
    old.unlink()
    append(path, numbered(5))
    assert Store(path, start="end", cursor=first.cursor).read().dialled == [3, 4, 5]


def test_it_is_read_also_while_it_is_followed(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(lambda: reader.new == [1])
        put_away(path, "-20261120-1200", NOON)
        append(path, numbered(2))
        reader.until(lambda: reader.new == [1, 2])
        put_away(path, "-20261120-1100", NOON - 3600)
        append(path, numbered(3))
        reader.until(lambda: reader.new == [1, 2, 3])
    assert not reader.rejects
