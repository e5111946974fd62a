"""A damaged outbox, whichever page of it: what waits goes on waiting, and no source is ever refused afterwards."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.config import Config, load
from humbug_agent.daemon import housekeeping
from humbug_agent.outbox import api_queries, queries, schema
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.schema import OutboxDamaged
from tests.kit.calls import batch, call, cdrs, records_of

pytestmark = pytest.mark.slow

TO = ["humbug"]
CALLS = 120
SENT = 40
SOURCES = {
    "csv": "type = asterisk_csv\nstart = end",
    "csv-all": "type = asterisk_csv",
    "fs-csv": "type = freeswitch_csv\nstart = end",
    "fs-csv-all": "type = freeswitch_csv",
    "kept": "type = freeswitch_json",
    "moved": "type = freeswitch_json\nafter = move",
    "ami": "type = asterisk_ami\nusername = u\nsecret = s",
    "esl": "type = freeswitch_esl",
    "http": "type = freeswitch_http",
    "while1": "type = while1\nurl = https://x/api/cdr\ntoken = t\napi_key = k",
    "boxis": "type = boxis\nusername = u\nuser_key = k\ntenants = t",
    "fusion": "type = fusionpbx\nurl = https://x\nemail = e\npassword = p\ndomains = d",
    "fusion-since": "type = fusionpbx\nurl = https://x\nemail = e\npassword = p\ndomains = d\nsince = 2026-01-01",
    "database": "type = postgresql",
    "database-since": "type = postgresql\nsince = 2026-01-01",
}
LEFT_OUT = {"csv", "fs-csv", "while1", "boxis", "fusion", "database"}
"""Those whose first start leaves something out."""

TOLD_ONCE = {"ami", "esl", "http", "moved"}


def config_for(path: Path, sources: dict[str, str] = SOURCES, to: list[str] = TO) -> Config:
    ini = path.with_name("agent.ini")
    ini.write_text(
        f"[agent]\noutbox = {path}\ntimezone = Europe/Berlin\n"
        + "".join(f"[source {name}]\n{lines}\n" for name, lines in sources.items())
        + "".join(f"[destination {name}]\ntype = humbug\napi_key = k\n" for name in to)
    )
    ini.chmod(0o600)
    return load(ini)


def filled(path: Path) -> bytes:
    """120 calls, 40 of which are delivered: the file's bytes."""
    with Outbox(path) as outbox:
        outbox.accept("csv-all", batch(*range(CALLS), cursor="here"), TO)
        outbox.mark("humbug", [Mark(number, "sent", 1.0) for number in range(1, SENT + 1)])
        outbox.mark("humbug", [Mark(CALLS, "dead", 1.0)])
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("PRAGMA page_size").fetchone()[0] == 4096
    return path.read_bytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "ones": lambda page: b"\xff" * 4096,
    "zeros": lambda page: bytes(4096),
    "torn": lambda page: page[:2048] + bytes(2048),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_whichever_page_is_damaged_no_call_is_lost_once_its_source_is_read_again(path: Path, damage: str) -> None:
    sound = filled(path)
    config = config_for(path, {"csv-all": SOURCES["csv-all"]})
    pages = [sound[at : at + 4096] for at in range(0, len(sound), 4096)]
    read_again = whole = 0
    for number, page in enumerate(pages):
        for file in path.parent.glob("outbox.db*"):
            file.unlink()
        wrong = DAMAGES[damage](page)
        path.write_bytes(b"".join([*pages[:number], wrong, *pages[number + 1 :]]))
        housekeeping.prepare(config)
        with Outbox(path) as outbox:
            if outbox.cursor("csv-all") == "here":
                # Nothing looked damaged: then all that was there still is.
                whole += 1
            else:
                read_again += 1
                assert outbox.accept("csv-all", batch(*range(CALLS)), TO) <= CALLS
            waiting = {record.identity for record in cdrs(records_of(outbox.take("humbug", 2 * CALLS, time.time())))}
            refused = queries.entries(outbox, queries.Filter(state="dead"))
            dead = {record.identity for record in cdrs(entry.record for entry in refused)}
            assert waiting | dead >= {call(one).identity for one in range(SENT, CALLS)}, f"page {number + 1}"
            # Each delivery has its call, so that what `status` counts is there.
            assert queries.totals(outbox).deliveries["humbug"]["waiting"] == len(waiting)
            assert outbox.accept("csv-all", batch(CALLS + 1), TO) == 1
    assert read_again > len(pages) // 2


def test_what_sqlite_itself_does_not_find_is_not_met_again_at_each_start(path: Path) -> None:
    sound = filled(path)
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE 'idx__sqlite_migrations%'").fetchone()
    # A page that was written to another one's place.
    at = (root - 1) * 4096
    path.write_bytes(sound[:at] + sound[at - 4096 : at] + sound[at + 4096 :])
    housekeeping.prepare(config_for(path, {"csv-all": SOURCES["csv-all"]}))
    with Outbox(path) as outbox:
        assert len(outbox.take("humbug", 2 * CALLS, time.time())) == CALLS - SENT - 1
        assert outbox.accept("csv-all", batch(*range(CALLS)), TO) == 0


def test_calls_of_before_are_told_of_where_a_first_start_would_leave_them_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path) as outbox:
        for number, name in enumerate(SOURCES):
            outbox.accept(name, batch(number, cursor=f"cursor of {name}"), TO)
        accepted = outbox.select("SELECT max(accepted) AS at FROM calls WHERE source = 'csv'")[0]["at"]
    destroy(path, "cursors")
    housekeeping.prepare(config_for(path))
    said = [record.getMessage() for record in caplog.records if "begins as at its first start" in record.getMessage()]
    assert {line.split()[1].rstrip(":") for line in said} == LEFT_OUT
    since = datetime.fromtimestamp(accepted, ZoneInfo("Europe/Berlin"))
    assert any(f"calls from {since.isoformat(' ', 'seconds')} to now may be missing" in line for line in said)
    assert all("start = beginning" in line or "since = that time" in line for line in said)
    with Outbox(path) as outbox:
        assert len(outbox.take("humbug", 100, time.time())) == len(SOURCES)


def test_each_source_goes_on_from_where_nothing_is_lost_and_no_past_is_sent(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Outbox(path) as outbox:
        for number, name in enumerate([*SOURCES, "gone"]):
            outbox.accept(name, batch(number, cursor=f"cursor of {name}"), TO)
    destroy(path, "calls_start")
    housekeeping.prepare(config_for(path))
    with Outbox(path) as outbox:
        kept = {name for name in [*SOURCES, "gone"] if outbox.cursor(name) == f"cursor of {name}"}
        # The cursors of the hosted PBXs are none that these sources made.
        assert kept == {"csv", "fs-csv", "gone"} | TOLD_ONCE
    (said,) = (line for line in caplog.messages if "damaged" in line and "Moved to" in line)
    assert said.endswith(f"going on from where they were: {', '.join(sorted(kept))}")


def test_how_many_calls_that_waited_are_gone_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(path)
    destroy(path, "calls")
    housekeeping.prepare(config_for(path))
    assert f"{CALLS - SENT} of the calls that waited or were dead can't be read" in caplog.text
    with Outbox(path) as outbox:
        assert queries.totals(outbox).deliveries == {}
        assert outbox.accept("csv-all", batch(*range(CALLS)), TO) == CALLS


@pytest.mark.parametrize("name", ["deliveries", "deliveries_state", "deliveries_due"])
def test_the_table_and_its_index_each_say_what_waits(path: Path, name: str) -> None:
    filled(path)
    destroy(path, name)
    housekeeping.prepare(config_for(path))
    with Outbox(path) as outbox:
        waiting = {record.identity for record in cdrs(records_of(outbox.take("humbug", 2 * CALLS, time.time())))}
        # Of the others the table's page said that they were sent, and nothing else does.
        unsure = range(SENT) if name == "deliveries" else ()
        assert waiting == {call(one).identity for one in (*unsure, *range(SENT, CALLS - 1))}
        if name != "deliveries":
            assert outbox.accept("csv-all", batch(*range(CALLS)), TO) == 0


def destroy(path: Path, name: str) -> None:
    """The first page of a table or index."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    data = path.read_bytes()
    path.write_bytes(data[: (root - 1) * 4096] + b"\xff" * 4096 + data[root * 4096 :])


def test_of_a_large_outbox_a_start_looks_only_at_what_stays_small_and_the_rest_is_found_beside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "SMALL_BYTES", 0)
    config = config_for(path, {"csv-all": SOURCES["csv-all"]})
    sound = filled(path)
    destroy(path, "cursors")
    assert schema.check(path, briefly=True)
    path.write_bytes(sound)
    destroy(path, "calls_start")
    housekeeping.prepare(config, briefly=True)
    with Outbox(path) as outbox:
        # Nobody has met it yet.
        assert outbox.cursor("csv-all") == "here"
        assert len(outbox.take("humbug", 2 * CALLS, time.time())) == CALLS - SENT - 1
    with pytest.raises(OutboxDamaged) as found:
        schema.compare_indexes(path, threading.Event())
    housekeeping.prepare(config, found.value.found, briefly=True)
    with Outbox(path) as outbox:
        assert len(outbox.take("humbug", 2 * CALLS, time.time())) == CALLS - SENT - 1
        assert outbox.accept("csv-all", batch(*range(CALLS)), TO) == 0
    schema.compare_indexes(path, threading.Event())


def test_delivered_calls_which_are_not_brought_are_told_as_dropped(path: Path) -> None:
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(1, 2, 3), TO)
        outbox.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "sent", 1.0)])
        assert api_queries.dropped(outbox) is None
    for _ in range(2):
        # What the file of before knew of it stays known.
        schema.move_aside(path)
        with Outbox(path) as outbox:
            gone = api_queries.dropped(outbox)
        assert gone
        assert (gone.last, gone.end) == (2, call(2).end.timestamp())
