"""A rotated file that was not whole when it was read, or came while the log was: the rest of it is read, and once."""

import errno
import gzip
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from humbug_agent.sources.files import following, position, rotation
from tests.kit.cdr_csv import Following, Store, append, beside, numbered, rotate

WHOLE = numbered(*range(100, 400))
HALF = WHOLE[: len(WHOLE) // 2]
LINES = HALF[: HALF.rfind(b"\n") + 1]
PACKED = gzip.compress(WHOLE)

CASES: Mapping[str, tuple[tuple[str, bytes], tuple[str, bytes]]] = {
    "packed, in place": ((".1.gz", PACKED[: len(PACKED) // 2]), (".1.gz", PACKED)),
    "packed, the plain one instead": ((".1.gz", PACKED[: len(PACKED) // 2]), (".1", WHOLE)),
    "plain, in place": ((".1", HALF), (".1", WHOLE)),
    "whole lines, in place": ((".1", LINES), (".1", WHOLE)),
    "under another name": ((".bak", LINES), (".1", WHOLE)),
    "dated": (("-20261120", LINES), ("-20261120", WHOLE)),
    "dated, packed": (("-20261120.gz", PACKED[: len(PACKED) // 2]), ("-20261120.gz", PACKED)),
    "plain, then packed": ((".1", LINES), (".1.gz", PACKED)),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy stalls longer than anybody waits for it."""
    monkeypatch.setattr(rotation, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(following, "LOOK_BESIDE_SECONDS", 0.05)


def put(path: Path, what: tuple[str, bytes]) -> None:
    """In place, or by a rename where the name is new."""
    beside(path, what[0]).write_bytes(what[1])


def put_by_rename(path: Path, what: tuple[str, bytes]) -> None:
    path.with_name("elsewhere").write_bytes(what[1])
    path.with_name("elsewhere").replace(beside(path, what[0]))


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("puts", [put, put_by_rename])
@pytest.mark.parametrize("rotated", [False, True])
def test_its_rest_is_read_when_it_is_there(
    path: Path, case: str, puts: Callable[[Path, tuple[str, bytes]], None], rotated: bool
) -> None:
    half, whole = CASES[case]
    put(path, half)
    append(path, numbered(1, 2))
    first = Store(path).read()
    assert len(first.dialled) < 300
    beside(path, half[0]).unlink() if half[0] != whole[0] else None
    puts(path, whole)
    append(path, numbered(3))
    if rotated:
        rotate(path, 4)
    source, unread = first.source, first.source.unread(first.cursor)
    then = Store(path, cursor=first.cursor).read()
    assert {*first.dialled, *then.dialled} == {1, 2, 3, *range(100, 400), *([4] if rotated else [])}
    assert len({*first.identities, *then.identities}) == 303 + rotated
    assert unread >= len(WHOLE)
    assert source.unread(then.cursor) == 0
    again = Store(path, cursor=then.cursor).read()
    assert (again.dialled, again.rejects) == ([], [])


@pytest.mark.parametrize("case", list(CASES))
def test_whoever_follows_the_log_reads_it_meanwhile(path: Path, case: str) -> None:
    half, whole = CASES[case]
    put(path, half)
    append(path, numbered(1, 2))
    with Following(path) as reader:
        reader.until(lambda: {1, 2} <= {*reader.dialled})
        beside(path, half[0]).unlink() if half[0] != whole[0] else None
        put(path, whole)
        reader.until(lambda: {*reader.dialled} == {1, 2, *range(100, 400)})
        append(path, numbered(2, 3))
        reader.until(lambda: {*reader.dialled} == {1, 2, 3, *range(100, 400)})
        rotate(path, 4)
        reader.until(lambda: 4 in reader.dialled)
    # The record that came again behind it is another call.
    assert len({*reader.identities}) == 305
    assert Store(path, cursor=reader.cursor).read().dialled == []


@pytest.mark.parametrize("packed", [False, True])
def test_one_that_is_put_beside_a_log_is_read_and_not_again(path: Path, packed: bool) -> None:
    append(path, numbered(1))
    first = Store(path).read()
    put(path, (".1.gz", PACKED) if packed else (".1", WHOLE))
    then = Store(path, cursor=first.cursor).read()
    assert then.dialled == [*range(100, 400)]
    assert Store(path, cursor=then.cursor).read().dialled == []


def test_a_copy_of_the_log_is_no_news(path: Path) -> None:
    append(path, numbered(1, 2))
    first = Store(path).read()
    append(path, numbered(3))
    put(path, (".bak", path.read_bytes()))
    assert Store(path, cursor=first.cursor).read().dialled == [3]


@pytest.mark.parametrize("name", [".1", "-20261120"])
def test_what_was_read_to_its_end_is_not_read_again_packed(path: Path, name: str) -> None:
    put(path, (name, WHOLE))
    append(path, numbered(1))
    first = Store(path).read()
    beside(path, name).unlink()
    put(path, (f"{name}.gz", PACKED))
    then = Store(path, cursor=first.cursor).read()
    append(path, numbered(2))
    last = Store(path, cursor=then.cursor).read()
    assert (then.dialled, last.dialled) == ([], [2])


@pytest.mark.parametrize("case", list(CASES))
def test_what_is_not_wanted_stays_so_however_long_it_gets(path: Path, case: str) -> None:
    half, whole = CASES[case]
    put(path, half)
    append(path, numbered(1))
    first = Store(path, "end").read()
    put(path, whole)
    append(path, numbered(2))
    assert Store(path, "end", first.cursor).read().dialled == [2]


@pytest.mark.parametrize("case", list(CASES))
def test_the_cursor_of_an_older_agent_that_did_not_say_how_far_goes_on_as_it_did(path: Path, case: str) -> None:
    half, whole = CASES[case]
    put(path, half)
    append(path, numbered(1))
    said = json.loads(Store(path).read().cursor or "")
    said["known"] = [":".join(one.split(":")[:2]) if name(half) else one.split(":")[0] for one in said["known"]]
    beside(path, half[0]).unlink() if half[0] != whole[0] else None
    put(path, whole)
    append(path, numbered(2))
    assert Store(path, cursor=json.dumps(said)).read().dialled == [2]


def name(put_there: tuple[str, bytes]) -> bool:
    """Whether an older agent knew it by more than its name."""
    return not put_there[0].startswith("-")


def test_one_of_which_nothing_can_be_unpacked_keeps_nobody_from_following(path: Path) -> None:
    append(path, numbered(1))
    with Following(path) as reader:
        reader.until(lambda: reader.dialled == [1])
        put(path, (".1.gz", PACKED[:12]))
        put(path, (".2", WHOLE))
        reader.until(lambda: {*reader.dialled} == {1, *range(100, 400)})
        append(path, numbered(2))
        reader.until(lambda: 2 in reader.dialled)
        append(path, numbered(3))
        reader.until(lambda: 3 in reader.dialled)
    assert len(reader.dialled) == 303


def test_one_that_may_not_be_read_keeps_nobody_from_following(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, numbered(1))
    first = Store(path).read()
    put(path, (".1", WHOLE))
    # Of one that was written to since, nobody knows without reading it whether the log was emptied into it.
    os.utime(beside(path, ".1"), (0, 0))
    append(path, numbered(2))
    real = position.open_file

    def refuse(name: Path) -> object:
        if name == beside(path, ".1"):
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return real(name)

    monkeypatch.setattr(position, "open_file", refuse)
    then = Store(path, cursor=first.cursor).read()
    assert then.dialled == [2]
    assert then.source.unread(then.cursor) == 0
