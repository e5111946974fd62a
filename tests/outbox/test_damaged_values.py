"""Stored values that are none any more cost their own call: not the others, no start, no command."""

import csv
import io
import json
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from humbug_agent.cdr import CDR, Batch
from humbug_agent.cli.main import main
from humbug_agent.config import Config, load
from humbug_agent.daemon import agent, housekeeping
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.status.gather import gather
from tests.kit.calls import START, call, reject
from tests.kit.damage import unguarded
from tests.kit.host import Host

GOOD = 5
VALUES = ("'ANSWERxD'", "CAST(X'61FF62' AS TEXT)", "X'00FF'", "1e300", "-1e300", "9223372036854775807", "''", "'[1]'")
"""SQL of what may stand anywhere: a wrong word, bytes that are no UTF-8, another kind, numbers out of all bounds."""


def delivered(config: Config) -> int:
    with Outbox(config.agent.outbox) as outbox:
        return agent.deliver_once(config, outbox, threading.Event(), lambda _: None)


def said(host: Host, *words: str) -> Result:
    found = CliRunner().invoke(main, ["--config", str(host.ini), *words])
    assert found.exception is None or isinstance(found.exception, SystemExit), (words, found.exc_info)
    assert not found.stderr.startswith("Error"), (words, found.stderr)
    return found


def look_at_all(host: Host, config: Config, *ids: int) -> None:
    """With every command, and as the page does."""
    listed = json.loads(said(host, "outbox", "list", "--json").stdout)
    assert set(ids) <= {one["id"] for one in listed}
    assert len(list(csv.DictReader(io.StringIO(said(host, "outbox", "export").stdout)))) == len(listed)
    assert len(said(host, "outbox", "export", "--format", "json").stdout.splitlines()) == len(listed)
    for words in (
        ["list"],
        ["replay", "--dry-run"],
        ["list", "--state", "rejected"],
        ["replay", "--state", "rejected"],
    ):
        said(host, "outbox", *words)
    for one in ids[:3]:
        said(host, "outbox", "show", str(one))
        json.loads(said(host, "outbox", "show", str(one), "--json").stdout)
    said(host, "status")
    said(host, "status", "--nagios")
    page = gather(config, config.make_sources(), time.time(), None)
    json.dumps(page.as_json(), ensure_ascii=False).encode()


def put_wrong(outbox: Path, table: str, several: list[tuple[str, str]]) -> None:
    """Each of these values into this column of a row of its own, from the first row on."""
    key = {"calls": "id", "deliveries": "call", "sent_minutes": "minute", "cursors": "source", "health": "part"}
    name = key.get(table, "id")
    with closing(sqlite3.connect(outbox)) as db, db, unguarded(db):
        keys = [row[0] for row in db.execute(f"SELECT {name} FROM {table} ORDER BY {name}")]
        for (column, value), which in zip(several, keys, strict=False):
            db.execute(f'UPDATE {table} SET "{column}" = {value} WHERE {name} = ?', (which,))


def wrong(outbox: Path, table: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(outbox)) as db:
        names = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table})") if not row[5]]
    # What must differ from row to row can't be the same wrong thing in all of them.
    unique = ("identity", "key")
    return [(name, value) for name in names for value in (VALUES[:1] if name in unique else VALUES)]


def answered(number: int) -> CDR:
    """A call of a PBX whose clock is known."""
    start, zone = START + timedelta(seconds=number), ZoneInfo("Europe/Berlin")
    moments = {"start": start, "answer": start + timedelta(seconds=3), "end": start + timedelta(seconds=10)}
    return call(number, **{name: moment.astimezone(zone) for name, moment in moments.items()})


def test_a_damaged_call_is_dead_and_the_others_are_delivered(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    config, path = load(host.ini), host.folder / "outbox.db"
    with Outbox(path) as outbox:
        several = wrong(path, "calls")
        calls = [answered(number) for number in range(len(several) + GOOD)]
        outbox.accept("master-csv", Batch(calls, [], "c"), ["humbug"])
    put_wrong(path, "calls", several)
    housekeeping.prepare(config)
    sent = delivered(config)
    with Outbox(path) as outbox:
        entries = {entry.id: entry for entry in queries.entries(outbox, queries.Filter())}
    assert [entries[len(several) + n].state for n in range(1, GOOD + 1)] == ["sent"] * GOOD
    dead = [entry for entry in entries.values() if entry.state == "dead"]
    assert {entry.state for entry in entries.values()} == {"sent", "dead"}
    assert len(dead) + sent == len(entries)
    assert host.store.count() == sent
    for number, (column, value) in enumerate(several, 1):
        if column in ("start", "end", "duration", "disposition", "direction", "event") or "FF" in value:
            # Of which source it came, and whether it was taken, is no part of the call.
            beside = ("source", "also", "accepted", "untaken")
            assert entries[number].state == "dead" or column in beside, (column, value)
    for entry in dead:
        assert entry.error.startswith("the outbox is damaged: ")
    # Of many the log tells the first ones, and how many more there are.
    assert f"call {dead[0].id}: the outbox is damaged: " in caplog.text
    look_at_all(host, config, *(entry.id for entry in dead))
    assert "damaged" in said(host, "outbox", "show", str(dead[0].id)).stdout
    assert said(host, "outbox", "list", "--state", "dead").stdout.count("the outbox is damaged") == 50
    # Put right again, it can be sent.
    (number,) = [n for n, one in enumerate(several, 1) if one == ("disposition", VALUES[0])]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE calls SET disposition = 'BUSY' WHERE id = ?", (number,))
    said(host, "outbox", "replay", str(number))
    assert delivered(config) == 1


@pytest.mark.parametrize("table", ["deliveries", "failures", "rejects", "cursors", "replays", "sent_minutes", "health"])
def test_whatever_else_is_damaged_stops_no_start_and_no_other_call(host: Host, table: str) -> None:
    config, path = load(host.ini), host.folder / "outbox.db"
    with Outbox(path) as outbox:
        several = wrong(path, table)
        calls = len(several) + GOOD
        rejects = [reject(b"what %d" % number) for number in range(len(several))]
        outbox.accept("master-csv", Batch([call(n) for n in range(calls)], rejects, ""), ["humbug"])
        tried = [Mark(n, "waiting", 1.0, due=1.0, error="tried") for n in range(1, calls + 1)]
        outbox.mark("humbug", tried)
        queries.replay(outbox, queries.Filter(ids=range(1, len(several) + 1)))
        outbox.mark("humbug", tried)
    with closing(sqlite3.connect(path)) as db, db:
        for n in range(len(several)):
            db.execute("INSERT INTO sent_minutes VALUES ('humbug', ?, 1)", (n,))
            db.execute("INSERT INTO health VALUES (?, 'ok', '', 1.0)", (f"source s{n}",))
            db.execute("INSERT INTO cursors VALUES (?, '{}', 1.0, 0, 0, 0)", (f"s{n}",))
    put_wrong(path, table, several)
    page = gather(config, config.make_sources(), time.time(), 1)
    json.dumps(page.as_json(), ensure_ascii=False).encode()
    housekeeping.prepare(config)
    delivered(config)
    with Outbox(path) as outbox:
        housekeeping.keep_house(outbox, config, threading.Event())
        states = {entry.id: entry.state for entry in queries.entries(outbox, queries.Filter())}
    assert [states[len(several) + n] for n in range(1, GOOD + 1)] == ["sent"] * GOOD
    look_at_all(host, config, *range(1, len(several) + 1))
