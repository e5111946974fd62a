"""What every type of source keeps to, each on a PBX of its own, through the real outbox and as the daemon runs it."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from humbug_agent import backoff
from humbug_agent.cdr import CDR, Batch
from humbug_agent.cli.main import main
from humbug_agent.config import Config, load
from humbug_agent.daemon import housekeeping, supervisor
from humbug_agent.outbox import queries, schema
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.sources.contract import Holding, Source
from tests.kit.calls import cdrs
from tests.kit.host import API_KEY, wait_until
from tests.kit.pbxs import DAY, Hosted, Pbx

pytestmark = pytest.mark.slow

TO = ["humbug"]
STOP_SECONDS = 4.0
"""The daemon gives its sources 12, systemd the daemon 90."""


def configured(pbx: Pbx, outbox: Path, more: str = "") -> Config:
    ini = outbox.with_name("agent.ini")
    ini.write_text(
        f"[agent]\noutbox = {outbox}\ntimezone = Europe/Berlin\n"
        f"[source pbx]\ntype = {pbx.type}\n{pbx.ini()}\n{more}\n"
        f"[destination humbug]\ntype = humbug\napi_key = {API_KEY}\n"
    )
    ini.chmod(0o600)
    return load(ini)


@contextmanager
def reading(config: Config) -> Iterator[Source]:
    """As the daemon does, in a thread of its own. Within seconds of the end of ``with`` it has ended."""
    (source,) = config.make_sources()
    stop = threading.Event()
    supervised = supervisor.Supervisor(source, config.agent.outbox, 1 << 30, lambda _: None, lambda *_: None)
    thread = threading.Thread(target=supervised.run, args=(TO, stop), name="source pbx")
    thread.start()
    try:
        yield source
    finally:
        stop.set()
        thread.join(STOP_SECONDS)
        ended = not thread.is_alive()
        thread.join(60)
        if isinstance(source, Holding):
            supervisor.let_go(source.name, source, config.agent.outbox)
        assert ended, f"it does not end within {STOP_SECONDS:g} s"


def records(outbox: Path) -> list[CDR]:
    """All calls that are there, each once for its delivery."""
    with Outbox(outbox) as box:
        return cdrs(entry.record for entry in queries.entries(box, queries.Filter()))


def numbers(pbx: Pbx, outbox: Path) -> list[int]:
    return sorted(map(pbx.number, records(outbox)))


def until(pbx: Pbx, outbox: Path, *expected: int) -> None:
    def there() -> bool:
        return numbers(pbx, outbox) == list(expected)

    try:
        wait_until(there, 15)
    except AssertionError:
        with Outbox(outbox) as box:
            health = box.health()
        raise AssertionError(f"{numbers(pbx, outbox)} and not {list(expected)}; {health}") from None


def began(outbox: Path) -> None:
    """Waits until the source has been read once."""

    def ok() -> bool:
        with Outbox(outbox) as box:
            stands = box.health().get("source pbx")
        return stands is not None and stands.state == "ok"

    wait_until(ok, 15)


def damage(outbox: Path, name: str) -> None:
    """The first page of a table or an index."""
    with closing(sqlite3.connect(outbox)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with outbox.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    assert schema.check(outbox)


def delivered(pbx: Pbx, outbox: Path, *calls: int) -> None:
    with Outbox(outbox) as box:
        entries = list(queries.entries(box, queries.Filter()))
        numbers = map(pbx.number, cdrs(entry.record for entry in entries))
        ids = [entry.id for entry, number in zip(entries, numbers, strict=True) if number in calls]
        box.mark("humbug", [Mark(number, "sent", time.time()) for number in ids])


# A damaged outbox.


@pytest.mark.parametrize("past", ["sent", "left out"])
def test_a_damaged_outbox_costs_no_call_and_sends_no_past(pbx: Pbx, outbox: Path, past: str) -> None:
    """Calls 1 and 2 are from before the first start, 3 to 5 are read, 6 and 7 end while nobody reads."""
    left_out = past == "left out"
    if left_out and not pbx.leaves_out:
        pytest.skip("it has nothing that a first start could leave out")
    more = pbx.leaves_out if left_out else ""
    if isinstance(pbx, Hosted) and not left_out:
        # The first start was long ago; today's would begin a day ago.
        pbx.began = time.time() - 10 * DAY
    if pbx.tells_again:
        pbx.old(1, 2)
    before = [] if left_out or not pbx.tells_again else [1, 2]
    with reading(configured(pbx, outbox, more)):
        began(outbox)
        pbx.ready()
        pbx.end(3, 4, 5)
        until(pbx, outbox, *before, 3, 4, 5)
    sent, waiting = [*before, 3, 4, 5][:2], [*before, 3, 4, 5][2:]
    delivered(pbx, outbox, *sent)
    if pbx.tells_again:
        pbx.old(6, 7) if isinstance(pbx, Hosted) and not left_out else pbx.end(6, 7)
        waiting += [6, 7]
    if isinstance(pbx, Hosted):
        pbx.began = None
    damage(outbox, "calls_start")
    config = configured(pbx, outbox, more)
    housekeeping.prepare(config)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(8)
        # Those that are delivered are known, and not there any more.
        until(pbx, outbox, *waiting, 8)
        with Outbox(outbox) as box:
            assert box.select("SELECT count(*) AS n FROM forgotten")[0]["n"] == 2


def test_whose_cursor_is_damaged_sends_no_past_and_says_what_may_be_missing(
    pbx: Pbx, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if pbx.tells_again:
        pbx.old(1, 2)
    before = [] if pbx.leaves_out or not pbx.tells_again else [1, 2]
    config = configured(pbx, outbox, pbx.leaves_out)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(3)
        until(pbx, outbox, *before, 3)
    damage(outbox, "cursors")
    housekeeping.prepare(config)
    assert ("calls from" in caplog.text and "may be missing" in caplog.text) == bool(pbx.leaves_out)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(4)
        until(pbx, outbox, *before, 3, 4)


# A first start.


def test_a_first_start_leaves_out_what_its_setting_says_and_nothing_else(pbx: Pbx, outbox: Path) -> None:
    (source,) = configured(pbx, outbox, pbx.leaves_out).make_sources()
    assert bool(source.leaves_out) == bool(pbx.leaves_out)
    if pbx.tells_again:
        pbx.old(1, 2)
    before = [] if pbx.leaves_out or not pbx.tells_again else [1, 2]
    for number in (3, 4):
        # Each start after the first one goes on where the last one was.
        with reading(configured(pbx, outbox, pbx.leaves_out)):
            began(outbox)
            pbx.ready()
            pbx.end(number)
            before.append(number)
            until(pbx, outbox, *before)


# explain, and the replay of a reject.


def asked(outbox: Path, *command: str, code: int, stdin: bytes = b"") -> Any:
    found = CliRunner().invoke(main, ["--config", str(outbox.with_name("agent.ini")), *command, "--json"], input=stdin)
    assert found.exit_code == code, found.output
    return json.loads(found.stdout)


def test_what_explain_shows_is_what_is_stored(pbx: Pbx, outbox: Path) -> None:
    config = configured(pbx, outbox)
    with reading(config) as source:
        began(outbox)
        pbx.ready()
        pbx.end(1)
        until(pbx, outbox, 1)
    text = pbx.record(1)
    (stored,) = records(outbox)
    batch = source.parse(text)
    assert not batch.rejects
    assert list(batch.records) == [stored]
    said = asked(outbox, "explain", "--source", "pbx", "-", code=0, stdin=text)
    shown = asked(outbox, "outbox", "show", "1", code=0)
    assert said["calls"][0]["call"] == shown["call"]
    assert asked(outbox, "explain", "--source", "pbx", "-", code=1, stdin=text[: len(text) // 2])["rejects"]


def test_a_reject_that_can_be_understood_later_becomes_the_call_that_it_is(pbx: Pbx, outbox: Path) -> None:
    config = configured(pbx, outbox)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(1)
        pbx.wrong()
        pbx.end(2)
        until(pbx, outbox, 1, 2)

        def kept() -> list[queries.KeptReject]:
            with Outbox(outbox) as box:
                return queries.rejects(box)

        wait_until(kept, 15)
        (reject,) = kept()
        assert reject.source == "pbx"
    assert asked(outbox, "outbox", "replay", "--state", "rejected", code=0)["count"] == 0
    assert len(kept()) == 1
    # As after an upgrade: what was no call is one for today's parser.
    pbx.end(5) if pbx.tells_again else None
    with closing(sqlite3.connect(outbox)) as db, db:
        db.execute("UPDATE rejects SET text = ?", (pbx.record(5),))
    assert asked(outbox, "outbox", "replay", "--state", "rejected", code=0)["count"] == 1
    assert kept() == []
    until(pbx, outbox, 1, 2, 5)
    with reading(config):
        began(outbox)
        pbx.ready()
        pbx.end(6) if pbx.tells_again else pbx.end(5, 6)
        until(pbx, outbox, 1, 2, 5, 6)
        assert kept() == []


# The end.


def test_it_ends_at_once_at_rest(pbx: Pbx, outbox: Path) -> None:
    with reading(configured(pbx, outbox)):
        began(outbox)


def test_it_ends_before_it_has_begun(pbx: Pbx, outbox: Path) -> None:
    with reading(configured(pbx, outbox)):
        pass


def test_it_ends_while_the_pbx_does_not_answer(pbx: Pbx, outbox: Path) -> None:
    with reading(configured(pbx, outbox)):
        began(outbox)
        pbx.ready()
        pbx.hang()
        if isinstance(pbx, Hosted):
            asked_so_far = len(pbx.server.asked)
            wait_until(lambda: len(pbx.server.asked) > asked_so_far)


def test_it_ends_while_the_pbx_has_not_answered_yet(pbx: Pbx, outbox: Path) -> None:
    if pbx.holds_it:
        pytest.skip("it asks nobody")
    pbx.hang()
    with reading(configured(pbx, outbox)):
        if isinstance(pbx, Hosted):
            wait_until(lambda: pbx.server.asked)


def test_it_ends_while_there_is_no_pbx(pbx: Pbx, outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pbx.end(1) if pbx.tells_again else None
    config = configured(pbx, outbox)
    pbx.vanish()
    monkeypatch.setattr(backoff, "SOURCE", backoff.Growth(60.0, 60.0))
    with reading(config):
        wait_until(outbox.exists)


def test_it_ends_in_a_flood_and_what_it_has_not_read_is_read_later(pbx: Pbx, outbox: Path) -> None:
    many = range(1, 1201)
    config = configured(pbx, outbox)
    if pbx.tells_again:
        pbx.end(*many)
    with reading(config):
        if not pbx.tells_again:
            began(outbox)
            pbx.ready()
            pbx.end(*(many[:50] if pbx.holds_it else many))
        wait_until(lambda: numbers(pbx, outbox), 15)
    found = numbers(pbx, outbox)
    assert len(found) == len(set(found))
    if pbx.tells_again:
        with reading(config):
            until(pbx, outbox, *many)


def test_it_ends_while_the_outbox_takes_nothing(pbx: Pbx, outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "SOURCE", backoff.Growth(60.0, 60.0))
    config = configured(pbx, outbox)
    with reading(config):
        began(outbox)
        pbx.ready()
        refused = threading.Event()

        def full(*_: object) -> int:
            refused.set()
            raise OutboxError("its disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(Outbox, "accept", full)
            sending = threading.Thread(target=pbx.end, args=(1,))
            sending.start()
            assert refused.wait(15)
        # There is room again for the last try, when it is to end.
    if not pbx.tells_again and not pbx.holds_it:
        until(pbx, outbox, 1)
    with reading(config):
        until(pbx, outbox, 1)
    sending.join(20)
    assert not sending.is_alive()


# Handing over again.


class Torn(Outbox):
    """Fails again and again: before a batch is on disk, or when it is, so that nobody is told."""

    pattern = ""
    calls = 0

    def accept(self, source: str, batch: Batch, destinations: object, *, beside: bool = False) -> int:
        number = Torn.calls
        Torn.calls += 1
        what = self.pattern[number] if number < len(self.pattern) else "."
        if what == "b":
            raise OutboxError(f"failed before commit {number}")
        new = super().accept(source, batch, TO, beside=beside)
        if what == "a":
            raise OutboxError(f"failed after commit {number}")
        return new


@pytest.mark.parametrize("pattern", ["bbaa", "ba" * 6, ".b.a.b.a.b.a"])
def test_what_was_not_acknowledged_is_handed_over_again_and_nothing_is_doubled(
    pbx: Pbx, outbox: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Torn, "pattern", pattern)
    monkeypatch.setattr(Torn, "calls", 0)
    monkeypatch.setattr(supervisor, "Outbox", Torn)
    expected: list[int] = []
    with reading(configured(pbx, outbox)):
        if not pbx.tells_again:
            began(outbox)
        pbx.ready()
        for first in (1, 4, 7, 10):
            several = range(first, first + 3)
            pbx.end(*several)
            expected += several
            until(pbx, outbox, *expected)
    # And once more, from the cursor.
    with reading(configured(pbx, outbox)):
        began(outbox)
        pbx.ready()
        pbx.end(13)
        until(pbx, outbox, *expected, 13)
