"""What the PBX's clock showed is what the receiver gets, whatever the zone is said to be when it is sent."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from humbug_agent.cdr import CDR, Batch, wall_clock
from humbug_agent.config import load
from humbug_agent.daemon import housekeeping
from humbug_agent.flat import OF_THE_RECORD, flatten
from humbug_agent.outbox import outbox as outboxes
from humbug_agent.outbox.migrations import migrations
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call, cdrs, records_of
from tests.kit.host import Host

pytestmark = pytest.mark.slow

ZONES = [ZoneInfo(name) for name in ("Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")]
STOCK = (
    b'"","0441234567","7000","from-internal","""Anna"" <0441234567>","PJSIP/101-00000001","PJSIP/202-00000002",'
    b'"Dial","PJSIP/202,20","2026-11-20 16:06:33","2026-11-20 16:06:35","2026-11-20 16:06:43",10,8,"ANSWERED",'
    b'"DOCUMENTATION","1795190793.0",""\n'
)
TIMES = ("StartTime", "AnswerTime", "EndTime")


def stored(path: Path, *records: CDR) -> list[CDR]:
    with Outbox(path) as outbox:
        outbox.accept("csv", Batch(records, [], None), ["humbug"])
        return cdrs(records_of(outbox.take("humbug", 100, time.time())))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from(ZONES),
    st.booleans(),
)
def test_what_the_clock_showed_comes_back(
    tmp_path_factory: pytest.TempPathFactory, said: datetime, zone: tzinfo, fold: bool
) -> None:
    """Also in the hour that comes twice, and in the one that is left out."""
    start = said.replace(tzinfo=zone, fold=fold)
    given_ = call(1, start=start, answer=start, end=start)
    (found,) = stored(tmp_path_factory.mktemp("outbox") / "outbox.db", given_)
    for moment in (found.start, found.answer, found.end):
        assert moment is not None
        assert moment.replace(tzinfo=None) == said
        assert moment.timestamp() == start.timestamp()
        assert wall_clock(moment, ZoneInfo("Asia/Tokyo")).replace(tzinfo=None) == said


def test_a_time_without_a_clock_is_the_zones(tmp_path: Path) -> None:
    (found,) = stored(tmp_path / "outbox.db", call(1))
    assert wall_clock(found.start, ZONES[0]).utcoffset() == timedelta(hours=1)
    assert wall_clock(call(1, start=call(1).start.astimezone(timezone(timedelta(0), "UTC"))).start, ZONES[0]).hour == 16


@pytest.mark.parametrize("source", ["", "utc = yes", "utc = no"])
def test_a_later_change_of_the_setting_moves_no_stored_call(host: Host, source: str) -> None:
    host.configure(source, timezone="Europe/Zurich")
    host.master.write_bytes(STOCK)
    expected = sent_as(host.json("explain", STOCK.decode()))
    assert expected[0] == f"2026-11-20 {16 if source == 'utc = no' else 17}:06:33"
    host.ini.write_text(host.ini.read_text().replace(host.receiver.url, "http://127.0.0.1:9/"))
    host.run("run", "--once", code=1)
    for zone in ("Asia/Tokyo", "America/New_York"):
        host.configure("utc = no", timezone=zone)
        (row,) = host.json("outbox", "list")
        assert row["start"][:19].replace("T", " ") == expected[0]
    host.run("run", "--once")
    (arrived,) = host.store.rows()
    assert [str(arrived[name]) for name in TIMES] == expected


def sent_as(explained: dict[str, list[dict[str, dict[str, dict[str, dict[str, str]]]]]]) -> list[str]:
    parameters = explained["calls"][0]["destinations"]["humbug"]["parameters"]
    return [parameters[name] for name in TIMES]


def test_an_outbox_of_before_keeps_what_it_would_have_sent(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone of the upgrade's first start is what was in force."""
    host.configure(timezone="Europe/Zurich")
    config = load(host.ini)
    old = Database(sqlite3.connect(config.agent.outbox), execute_plugins=False)
    migrations.apply(old, stop_before="m004_wall_clock")
    summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
    before = [call(1, start=summer, answer=None, end=summer), call(2), call(3)]
    names, places = ", ".join(OF_THE_RECORD), ", ".join("?" * (len(OF_THE_RECORD) + 2))
    for record in before:
        values = ("csv", 1.0, *flatten(record)[: len(OF_THE_RECORD)])
        old.conn.execute(f"INSERT INTO calls (source, accepted, {names}) VALUES ({places})", values)
    old.conn.execute("INSERT INTO deliveries (call, destination) SELECT id, 'humbug' FROM calls")
    old.conn.commit()
    old.close()
    monkeypatch.setattr(outboxes, "CLOCK_CHUNK", 2)
    housekeeping.prepare(config)
    with Outbox(config.agent.outbox) as outbox:
        found = cdrs(records_of(outbox.take("humbug", 10, time.time())))
        assert outbox.keep_wall_clock(ZONES[1]) == 0
    assert found == before
    assert [record.start.utcoffset() for record in found] == [
        timedelta(hours=2),
        *[timedelta(hours=1)] * 2,
    ]


def test_a_million_old_calls_are_written_down_in_seconds(tmp_path: Path) -> None:
    """The work for one is some microseconds: a hundred thousand stand for the million."""
    path = tmp_path / "outbox.db"
    with Outbox(path) as outbox:
        outbox.accept("csv", Batch([call(1)], [], None), ["humbug"])
    with closing(sqlite3.connect(path)) as conn:
        columns = [row[1] for row in conn.execute("PRAGMA table_info(calls)") if row[1] not in ("id", "identity")]
        names = ", ".join(f'"{name}"' for name in columns)
        conn.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
            f"INSERT INTO calls (identity, {names}) SELECT randomblob(16), {names} FROM calls, n"
        )
        conn.execute("UPDATE calls SET start_offset = NULL")
        conn.commit()
    began = time.process_time()
    with Outbox(path) as outbox:
        while outbox.keep_wall_clock(ZONES[0]):
            pass
    assert time.process_time() - began < 5
