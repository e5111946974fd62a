"""Whatever is missing is what is listed, no more and no less, and once it was brought in nothing is missing."""

import gzip
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.config import Config
from humbug_agent.daemon.agent import read_once
from humbug_agent.outbox import queries
from humbug_agent.outbox.dropping import Piecemeal, forget_identities, hour, remembered_from
from humbug_agent.outbox.lock import locked
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.reconcile.compare import Asked, Reconciliation
from humbug_agent.reconcile.counts import day_in
from tests.kit.agent_ini import config_of
from tests.kit.ami_calls import call as columns
from tests.kit.ami_calls import line

pytestmark = pytest.mark.slow

HOUR = 3600
NOW = int(time.time()) // HOUR * HOUR


def row(hours_ago: int, which: int) -> bytes:
    """A call so many hours ago; of the same time and ``which`` two are equal to the byte, and two all the same."""
    end = NOW - hours_ago * HOUR
    stamps = [datetime.fromtimestamp(end - back, UTC).strftime("%Y-%m-%d %H:%M:%S").encode() for back in (10, 8, 0)]
    uniqueid = b"%d.%d" % (end - 10, which)
    return line(columns(which, start=stamps[0], answer=stamps[1], end=stamps[2], uniqueid=uniqueid))


def write(folder: Path, rows: Sequence[bytes], cuts: Sequence[int]) -> None:
    """As Asterisk and logrotate do it: cut before these rows, the oldest file packed."""
    parts = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    for number, part in enumerate(reversed(parts)):
        body = b"".join(part)
        if number == 0:
            (folder / "Master.csv").write_bytes(body)
        elif number == 2:
            (folder / "Master.csv.2.gz").write_bytes(gzip.compress(body))
        else:
            (folder / f"Master.csv.{number}").write_bytes(body)


def identities(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as db:
        return [one for (one,) in db.execute("SELECT identity FROM calls ORDER BY id")]


def compared(config: Config, *, send: bool = False, since: float = 0.0) -> tuple[set[bytes], int, int]:
    """What is missing and was not brought in, how many that are, and how many calls the PBX tells."""
    names = [one.name for one in config.sources]
    with Outbox(config.agent.outbox) as outbox:
        found = Reconciliation(config, outbox, Asked(since, names, send))
        found.run(lambda source, length: nullcontext(lambda size: None))
        total = found.counts["csv"].total()
        missing = {one.identity for one in found.comparison.differing() if one.state == "missing" and not one.brought}
    return missing, total.missing, total.pbx or 0


@settings(max_examples=60)
@given(
    told=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=30),
    cuts=st.lists(st.integers(1, 29), max_size=2, unique=True),
    data=st.data(),
)
def test_what_is_missing_is_what_is_listed(told: list[tuple[int, int]], cuts: list[int], data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = config_of(folder)
        rows = [row(hours_ago, which) for hours_ago, which in sorted(told, reverse=True)]
        write(folder, rows, sorted(cut for cut in cuts if cut < len(rows)))
        with Outbox(config.agent.outbox) as outbox:
            read_once(config, outbox, Event(), lambda _: None)
        whole = identities(config.agent.outbox)
        assert compared(config) == (set(), 0, len(whole))
        lost = data.draw(st.sets(st.sampled_from(whole)))
        with closing(sqlite3.connect(config.agent.outbox)) as db, db:
            for one in lost:
                db.execute("DELETE FROM deliveries WHERE call = (SELECT id FROM calls WHERE identity = ?)", (one,))
                db.execute("DELETE FROM calls WHERE identity = ?", (one,))
        assert compared(config) == (lost, len(lost), len(whole))
        assert compared(config, send=True) == (set(), 0, len(whole))
        assert sorted(identities(config.agent.outbox)) == sorted(whole)
        assert compared(config) == (set(), 0, len(whole))
        with Outbox(config.agent.outbox) as outbox:
            assert queries.count(outbox, queries.Filter(state="waiting")) == len(whole)


def test_what_stands_in_a_copy_too_is_counted_once(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    rows = [row(3, 1), row(2, 1), row(1, 1)]
    write(tmp_path, rows, [2])
    with Outbox(config.agent.outbox) as outbox:
        read_once(config, outbox, Event(), lambda _: None)
    (tmp_path / "Master.csv.7").write_bytes(rows[0] + rows[1])
    assert compared(config) == (set(), 0, 3)


def test_what_the_daemon_reads_meanwhile_is_not_missing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    write(tmp_path, [row(2, 1)], [])
    with Outbox(config.agent.outbox) as outbox:
        read_once(config, outbox, Event(), lambda _: None)
        with (tmp_path / "Master.csv").open("ab") as log:
            log.write(row(1, 2))
        found = Reconciliation(config, outbox, Asked(0.0, ["csv"], send=False))

        def read_meanwhile(_: int) -> None:
            with Outbox(config.agent.outbox) as daemons:
                read_once(config, daemons, Event(), lambda _: None)

        found.run(lambda source, length: nullcontext(read_meanwhile))
        total = found.counts["csv"].total()
        assert (total.pbx, total.outbox, total.missing) == (2, 2, 0)
        assert total.deliveries == {("humbug", "waiting"): 2}
        assert [*found.comparison.differing()] == []


def test_what_ended_since_the_last_look_of_a_running_daemon_is_on_its_way(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    write(tmp_path, [row(2, 1)], [])
    with Outbox(config.agent.outbox) as outbox:
        read_once(config, outbox, Event(), lambda _: None)
        outbox.report("source csv", "ok")
    with (tmp_path / "Master.csv").open("ab") as log:
        # NOW is as old as this run of the tests.
        log.write(row(-24, 2))
    # Nobody reads it.
    assert compared(config)[1:] == (1, 2)
    with locked(config.agent.outbox):
        assert compared(config, send=True) == (set(), 0, 2)
        assert len(identities(config.agent.outbox)) == 1
        with Outbox(config.agent.outbox) as outbox:
            outbox.report("source csv", "failing", "its disk is gone")
        assert compared(config)[1:] == (1, 2)


def test_from_when_identities_are_remembered_is_written_down(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    (tmp_path / "Master.csv").write_bytes(row(2, 1))
    with Outbox(config.agent.outbox) as outbox:
        read_once(config, outbox, Event(), lambda _: None)
        assert remembered_from(outbox) < NOW - 300 * 24 * HOUR
        forget_identities(Piecemeal(outbox), hour(NOW))
        assert remembered_from(outbox) == hour(NOW) * HOUR
        # It never goes back.
        forget_identities(Piecemeal(outbox), 5)
        assert remembered_from(outbox) == hour(NOW) * HOUR


def test_what_was_purged_for_one_destination_is_not_missing(tmp_path: Path) -> None:
    config = config_of(tmp_path, more="[destination second]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = k\n")
    (tmp_path / "Master.csv").write_bytes(row(2, 1) + row(1, 2))
    with Outbox(config.agent.outbox) as outbox:
        read_once(config, outbox, Event(), lambda _: None)
        outbox.mark("humbug", [Mark(1, "sent", time.time())])
        queries.purge(outbox, queries.Filter(destination="second", ids=(1,)))
        found = Reconciliation(config, outbox, Asked(0.0, ["csv"], send=False))
        found.run(lambda source, length: nullcontext(lambda size: None))
        total = found.counts["csv"].total()
    assert (total.pbx, total.outbox, total.missing) == (2, 2, 0)
    assert total.deliveries == {("humbug", "sent"): 1, ("humbug", "waiting"): 1, ("second", "waiting"): 1}


@pytest.mark.parametrize("known", [None, 3600])
def test_a_day_is_one_of_the_pbx_clock(known: int | None) -> None:
    day = day_in(ZoneInfo("Europe/Berlin"))
    midnight = datetime(2026, 1, 14, 23, 0, tzinfo=UTC).timestamp()
    fifteenth = datetime(2026, 1, 15, tzinfo=UTC).timestamp() // 86400
    assert (day(midnight - 1, known), day(midnight, known)) == (fifteenth - 1, fifteenth)
    # Summer time has begun: 22:30 UTC is past midnight.
    assert day(datetime(2026, 7, 14, 22, 30, tzinfo=UTC).timestamp(), None) == day(
        datetime(2026, 7, 15, 12, tzinfo=UTC).timestamp(), None
    )
