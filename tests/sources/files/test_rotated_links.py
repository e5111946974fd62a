"""A log that is a link, or stands behind one, which is set to another file while nobody looks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.cdr_csv import Following, Store, append, numbered


def monthly(path: Path) -> tuple[Path, Path, Path, Callable[[], None]]:
    """The log, what it leads to first and then, and what sets it to that."""
    first, then = path.with_name("Master-202611.csv"), path.with_name("Master-202612.csv")
    path.symlink_to(first.name)

    def turn() -> None:
        path.unlink()
        path.symlink_to(then.name)

    return path, first, then, turn


def folder(path: Path) -> tuple[Path, Path, Path, Callable[[], None]]:
    for name in ("a", "b"):
        path.with_name(name).mkdir()
    link = path.with_name("cur")
    link.symlink_to("a")

    def turn() -> None:
        link.unlink()
        link.symlink_to("b")

    return link / path.name, path.with_name("a") / path.name, path.with_name("b") / path.name, turn


@pytest.mark.parametrize("links", [monthly, folder])
@pytest.mark.parametrize("start", ["beginning", "end"])
def test_the_rest_of_the_file_before_is_read(
    path: Path, links: Callable[[Path], tuple[Path, Path, Path, Callable[[], None]]], start: str
) -> None:
    log, before, now, turn = links(path)
    append(before, numbered(*range(1, 6)))
    first = Store(log, start).read()
    append(before, numbered(6, 7, 8))
    append(now, numbered(8, 9, 10))
    turn()
    unread = first.source.unread(first.cursor)
    then = Store(log, start, first.cursor).read()
    assert then.dialled == [6, 7, 8, 8, 9, 10]
    assert len({*then.identities}) == 6
    assert unread == len(numbered(6, 7, 8, 8, 9, 10))
    append(now, numbered(11))
    last = Store(log, start, then.cursor).read()
    assert last.dialled == [11]


def test_whoever_looks_for_what_is_missing_looks_there_too(path: Path) -> None:
    log, before, now, turn = monthly(path)
    append(before, numbered(1, 2))
    first = Store(log).read()
    append(before, numbered(3))
    append(now, numbered(4))
    turn()
    anew = first.source.again_from(first.cursor, 0)
    assert Store(log, cursor=anew.cursor).read().dialled == [1, 2, 3, 4]


@pytest.mark.parametrize("links", [monthly, folder])
def test_so_it_is_while_somebody_follows(
    path: Path, links: Callable[[Path], tuple[Path, Path, Path, Callable[[], None]]]
) -> None:
    log, before, now, turn = links(path)
    append(before, numbered(1, 2))
    with Following(log) as reader:
        reader.until(lambda: reader.dialled == [1, 2])
        append(before, numbered(3))
        append(now, numbered(4))
        turn()
        reader.until(lambda: reader.dialled == [1, 2, 3, 4])
    assert Store(log, cursor=reader.cursor).read().dialled == []
