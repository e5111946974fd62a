"""A cursor that can't be read any more costs no call, is said once, and stops no start."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from humbug_agent.daemon import housekeeping
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from tests.kit.pbxs import Asked, Pbx
from tests.sources.contract.test_contract import began, configured, numbers, reading, until

pytestmark = pytest.mark.slow

ABSURD: tuple[Any, ...] = (
    -1,
    -(10**30),
    10**30,
    1.5,
    float("inf"),
    "soon",
    None,
    True,
    [],
    [1],
    {},
    {"a": 1},
    "\ud800",
)


def put(outbox: Path, cursor: object) -> None:
    with closing(sqlite3.connect(outbox)) as db, db:
        db.execute("UPDATE cursors SET cursor = ?", (cursor,))


def kept(outbox: Path) -> str:
    with Outbox(outbox) as box:
        return box.cursor("pbx") or ""


@pytest.mark.parametrize("left_out", [False, True])
def test_whose_cursor_is_damaged_goes_on_as_after_a_first_start(
    pbx: Pbx, outbox: Path, caplog: pytest.LogCaptureFixture, left_out: bool
) -> None:
    if left_out and not pbx.leaves_out:
        pytest.skip("it has nothing that a first start could leave out")
    config = configured(pbx, outbox, pbx.leaves_out if left_out else "")
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(1, 2)
        until(pbx, outbox, 1, 2)
    cursor = kept(outbox)
    if not cursor:
        pytest.skip("it has none")
    put(outbox, cursor[: len(cursor) // 2])
    for number in (3, 4):
        housekeeping.prepare(config)
        with reading(config):
            began(outbox)
            pbx.ready()
            pbx.end(number)
            until(pbx, outbox, *range(1, number + 1))
    said = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert len(said) == 1
    assert "is damaged" in said[0]
    assert ("may be missing" in said[0]) == bool(config.make_sources()[0].leaves_out)
    assert "Trying again" not in caplog.text


def changed(found: Any) -> Iterator[Any]:
    """The same with one of its values another one, or gone."""
    if isinstance(found, dict | list):
        for name in list(found) if isinstance(found, dict) else range(len(found)):
            for one in changed(found[name]):
                copy = found.copy()
                copy[name] = one
                yield copy
            copy = found.copy()
            del copy[name]
            yield copy
    yield from ABSURD


def test_whatever_stands_in_a_cursor_is_read_from_or_is_none(pbx: Pbx, outbox: Path) -> None:
    config = configured(pbx, outbox)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(1)
        until(pbx, outbox, 1)
    cursor = kept(outbox)
    if not cursor:
        pytest.skip("it has none")
    (source,) = config.make_sources()
    # Asking over the network what each of them comes to would take minutes.
    stop = Event()
    if isinstance(pbx, Asked):
        stop.set()
    read = 0
    for other in changed(json.loads(cursor)):
        said = json.dumps(other)
        for ask in (source.again, source.unread):
            with suppress(SourceError):
                ask(said)
        try:
            read += sum(len(batch.records) for batch in source.read(said, stop, follow=False))
        except SourceError:
            continue
    assert read >= 0


@pytest.mark.parametrize("cursor", [b"\xff\xfe", 17, "[[" * 9000])
def test_what_is_no_text_is_no_cursor(cursor: object, outbox: Path, tmp_path: Path) -> None:
    from tests.kit.pbxs import AsteriskCsvPbx

    with AsteriskCsvPbx(tmp_path) as pbx:
        pbx.end(1)
        config = configured(pbx, outbox)
        with reading(config):
            until(pbx, outbox, 1)
        with closing(sqlite3.connect(outbox)) as db, db:
            db.execute("UPDATE cursors SET cursor = CAST(? AS TEXT)", (cursor,))
        with reading(config):
            pbx.end(2)
            until(pbx, outbox, 1, 2)
        assert numbers(pbx, outbox) == [1, 2]
