"""Whose clock the times in a Master.csv are of: the file as a whole tells, in any zone, over all changes of a year."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Batch
from humbug_agent.pbx_host import asterisk
from humbug_agent.sources.asterisk.csv.plain import Stamps
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.sources.asterisk.csv.zone import Clock, Judge
from tests.kit.calls import cdrs
from tests.kit.cdr_csv import call, line

pytestmark = pytest.mark.slow

ZONES = [ZoneInfo(name) for name in ("Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")]
ZURICH = ZONES[0]
BEGIN = 1_790_000_000
"""In September 2026; three months behind it every zone has had a change of its clock, and Lord Howe two."""


def stamp(moment: float, clock: Clock, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment, UTC if clock is Clock.UTC else zone):%Y-%m-%d %H:%M:%S}"


def written(
    made: float, clock: Clock, zone: ZoneInfo = ZURICH, later: int = 0, uniqueid: str | None = None, columns: int = 18
) -> bytes:
    """A record as Asterisk writes it of a channel made at ``made``, which begins ``later`` seconds behind that."""
    start = made + later
    stamps = {
        name: stamp(start + more, clock, zone).encode() for name, more in (("start", 0), ("answer", 2), ("end", 10))
    }
    said = f"{int(made)}.{int(made) % 1000}" if uniqueid is None else uniqueid
    return line(call(columns, stamps, uniqueid=said.encode(), dst=str(int(made)).encode()))


def csv(path: Path, zone: ZoneInfo = ZURICH, utc: bool | None = None) -> AsteriskCsv:
    return AsteriskCsv(AsteriskCsvSettings(name="csv", path=path, start="beginning", utc=utc), zone)


def batches(source: AsteriskCsv, cursor: str | None = None) -> list[Batch]:
    return [batch for batch in source.read(cursor, Event(), follow=False) if batch.records or batch.rejects]


def calls(source: AsteriskCsv, cursor: str | None = None) -> list[CDR]:
    return cdrs(one for batch in batches(source, cursor) for one in batch.records)


def starts(found: Sequence[CDR]) -> list[float]:
    return [one.start.timestamp() for one in found]


def shown(found: Sequence[CDR]) -> list[str]:
    return [f"{one.start:%Y-%m-%d %H:%M:%S}" for one in found]


def aged(path: Path, moment: float) -> None:
    os.utime(path, (moment, moment))


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("prefix", ["", "pbx1-", "my-pbx-"])
def test_the_uniqueids_tell(tmp_path: Path, zone: ZoneInfo, clock: Clock, prefix: str) -> None:
    made = [BEGIN + 7 * day * 3600 for day in range(400)]
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(one, clock, zone, uniqueid=f"{prefix}{one}.7") for one in made))
    found = calls(csv(path, zone))
    assert starts(found) == made
    assert shown(found) == [stamp(one, Clock.LOCAL, zone) for one in made]


@pytest.mark.parametrize(
    ("zone", "clock", "said"),
    [("Europe/Zurich", Clock.UTC, "UTC"), ("Europe/Zurich", Clock.LOCAL, "the PBX's zone"), ("Etc/UTC", Clock.UTC, "")],
)
def test_check_says_whose_times_they_are_where_that_makes_a_difference(
    tmp_path: Path, zone: str, clock: Clock, said: str
) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + 60 * number, clock, ZoneInfo(zone)) for number in range(3)))
    checked = csv(path, ZoneInfo(zone)).check()
    assert f"times in {said}" in checked if said else "times in" not in checked


def test_the_stock_sample_and_the_events_beside_it_are_the_same_calls(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(
        b'"","0441234567","7000","from-internal","""Anna"" <0441234567>","PJSIP/101-00000001","PJSIP/202-00000002",'
        b'"Dial","PJSIP/202,20","2026-11-20 16:06:33","2026-11-20 16:06:35","2026-11-20 16:06:43",10,8,"ANSWERED",'
        b'"DOCUMENTATION","1795190793.0",""\n'
    )
    (found,) = calls(csv(path))
    assert f"{found.start:%Y-%m-%d %H:%M:%S}" == "2026-11-20 17:06:33"
    assert found.start.utcoffset() == timedelta(hours=1)


@given(st.data())
def test_the_clock_is_found_whatever_long_calls_say_and_when_cdr_conf_is_changed(data: st.DataObject) -> None:
    """A model of Asterisk: channels with some records each, of which the later ones begin up to hours later; cdr.conf
    is changed now and then, but not twice within a dozen channels."""
    zone = data.draw(st.sampled_from(ZONES))
    clock = data.draw(st.sampled_from(list(Clock)))
    judge = Judge(zone)
    expected, records, made = [], [], float(BEGIN)
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(12, 30))):
            made += data.draw(st.sampled_from([1, 60, 600, 7200]))
            laters = [data.draw(st.integers(0, 60)), *data.draw(st.lists(st.integers(0, 8 * 3600), max_size=2))]
            for later in laters:
                start = made + later
                records.append(Stamps(stamp(start, clock, zone), stamp(start + 9, clock, zone), f"{int(made)}.1"))
                expected.append(clock)
        clock = clock.other
    found: list[Clock] = []
    while len(found) < len(records):
        size = data.draw(st.integers(15, 60))
        rest = records[len(found) : len(found) + size]
        clocks, sure = judge.judge(rest, None, more=len(found) + size < len(records))
        assert clocks is not None
        assert sure == len(clocks) > 0
        found += clocks
    # Around a change of a clock's own the two may mean the same for a while.
    wrong = [n for n, (is_, should) in enumerate(zip(found, expected, strict=True)) if is_ is not should]
    for number in wrong:
        assert _same(records[number], zone), (number, records[number], expected[number])


def _same(record: Stamps, zone: ZoneInfo) -> bool:
    local = datetime.fromisoformat(record.start).replace(tzinfo=zone)
    return local.utcoffset() == timedelta(0)


@pytest.mark.parametrize("clock", list(Clock))
def test_one_record_of_a_long_call_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    """A second record that begins an hour behind its uniqueid looks as if it were the other clock's."""
    path = tmp_path / "Master.csv"
    later = 3600 if clock is Clock.UTC else 0
    made = [BEGIN + 60 * number for number in range(9)]
    odd = written(made[4], clock, later=later, uniqueid=f"{made[4]}.99")
    path.write_bytes(
        b"".join([*(written(one, clock) for one in made[:4]), odd, *(written(one, clock) for one in made[5:])])
    )
    aged(path, BEGIN + 10**6)
    assert starts(calls(csv(path))) == [*made[:4], made[4] + later, *made[5:]]


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
def test_a_long_call_changes_nothing_whenever_its_records_are_read(
    tmp_path: Path, zone: ZoneInfo, clock: Clock
) -> None:
    """Its second record begins just as much behind its uniqueid as the zone is away from UTC; read one by one."""
    path = tmp_path / "Master.csv"
    away = abs(zone.utcoffset(datetime.fromtimestamp(BEGIN, zone)) or timedelta(0)).total_seconds()
    made = [BEGIN + 60 * number for number in range(8)]
    laters = [0, 0, 0, int(away) + 15, 0, 0, int(away), 0]
    source, cursor, found = csv(path, zone), None, []
    for one, later in zip(made, laters, strict=True):
        uniqueid = f"{one - (60 if later else 0)}.1"
        with path.open("ab") as file:
            file.write(written(one - (60 if later else 0), clock, zone, later=later, uniqueid=uniqueid))
        aged(path, BEGIN + 10**6)
        for batch in batches(source, cursor):
            cursor = batch.cursor
            found += [record.start.timestamp() for record in cdrs(batch.records)]
    assert found == [one - (60 if later else 0) + later for one, later in zip(made, laters, strict=True)]


@pytest.mark.parametrize("late_first", [False, True])
def test_no_record_begins_before_its_channel_was_made(tmp_path: Path, late_first: bool) -> None:
    """One that would tells more than one that would merely begin late."""
    path = tmp_path / "Master.csv"
    right = written(BEGIN, Clock.UTC)
    late = written(BEGIN + 60, Clock.UTC, later=3600)
    path.write_bytes(late + right if late_first else right + late)
    aged(path, BEGIN + 10**6)
    assert sorted(starts(calls(csv(path)))) == [BEGIN, BEGIN + 3660]
    path.write_bytes(b"".join(written(BEGIN + n * 60, Clock.UTC, later=3600 * (n % 2)) for n in range(8)))
    aged(path, BEGIN + 10**6)
    assert starts(calls(csv(path))) == [BEGIN + n * 60 + 3600 * (n % 2) for n in range(8)]


@pytest.mark.parametrize(
    ("zone", "begun"), [("Europe/London", "2026-03-29 01:20"), ("Europe/Dublin", "2026-03-29 01:59")]
)
def test_a_time_that_no_clock_there_ever_showed_is_of_utc(tmp_path: Path, zone: str, begun: str) -> None:
    """In winter these zones are UTC."""
    path = tmp_path / "Master.csv"
    moment = datetime.fromisoformat(f"{begun}:00+00:00").timestamp()
    path.write_bytes(written(moment, Clock.UTC, ZoneInfo(zone)))
    source = csv(path, ZoneInfo(zone))
    (found,) = calls(source)
    assert found.start.timestamp() == moment
    assert found.start.utcoffset() == timedelta(hours=1)
    assert source.doubt() == ""


@pytest.mark.parametrize("clock", Clock)
@pytest.mark.parametrize(
    ("zone", "edge", "uniqueid"),
    [
        ("Europe/London", "2026-03-29 01:00:00+00:00", None),
        ("Europe/London", "2026-03-29 01:00:00+00:00", ""),
        ("Europe/London", "2025-10-26 01:00:00+00:00", None),
        ("Europe/Zurich", "2026-03-29 01:00:00+00:00", ""),
        ("America/New_York", "2026-03-08 07:00:00+00:00", None),
        ("Australia/Lord_Howe", "2026-04-04 15:00:00+00:00", None),
    ],
)
def test_a_call_over_a_change_of_the_zones_clock_tells_by_its_duration(
    tmp_path: Path, zone: str, edge: str, uniqueid: str | None, clock: Clock
) -> None:
    """In winter London is UTC, so neither a start nor a uniqueid tells."""
    path = tmp_path / "Master.csv"
    start = datetime.fromisoformat(edge).timestamp() - 1500
    where = ZoneInfo(zone)
    stamps = {
        name: stamp(start + more, clock, where).encode() for name, more in (("start", 0), ("answer", 2), ("end", 6000))
    }
    said = f"{int(start)}.1" if uniqueid is None else uniqueid
    spanning = call(18, stamps, uniqueid=said.encode(), duration=b"6000", billsec=b"5998")
    before = [written(start - 900 + 60 * n, clock, where, uniqueid=uniqueid) for n in range(3)]
    path.write_bytes(b"".join([*before, line(spanning)]))
    found = calls(csv(path, where))
    assert starts(found) == [start - 900, start - 840, start - 780, start]
    assert [one.end.timestamp() for one in found][-1] == start + 6000


@pytest.mark.parametrize("clock", Clock)
def test_a_change_of_cdr_conf_is_followed_from_its_first_record_on(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "Master.csv"
    made = [BEGIN + 60 * number for number in range(10)]
    path.write_bytes(b"".join(written(one, clock if n < 6 else clock.other) for n, one in enumerate(made)))
    aged(path, BEGIN + 10**6)
    assert starts(calls(csv(path))) == made


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", Clock)
@pytest.mark.parametrize("few", [1, 2, 3])
def test_cdr_conf_changed_for_a_few_records_and_back_moves_none_of_them(
    tmp_path: Path, zone: ZoneInfo, clock: Clock, few: int
) -> None:
    """And a record of a long call among them, which begins just as late as if it were of the other clock, does not."""
    path = tmp_path / "Master.csv"
    away = int((zone.utcoffset(datetime.fromtimestamp(BEGIN, zone)) or timedelta(0)).total_seconds())
    begun = [BEGIN + 60 * number for number in range(20)]
    records = [written(one, clock.other if 5 <= n < 5 + few else clock, zone) for n, one in enumerate(begun)]
    # Of the very seconds that make it look like the other clock's.
    long = begun[12] - abs(away)
    records[12] = written(long, clock, zone, later=abs(away))
    # The second one of a channel tells nothing.
    records[6] = written(begun[5], clock.other if few > 1 else clock, zone, later=60)
    path.write_bytes(b"".join(records))
    aged(path, BEGIN + 10**6)
    source = csv(path, zone)
    assert starts(calls(source)) == begun
    assert source.doubt() == ""


def test_a_change_of_cdr_conf_is_followed_at_once_in_a_file_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    now = int(time.time())
    path.write_bytes(b"".join(written(now - 600 + n, Clock.LOCAL) for n in range(5)))
    source = csv(path)
    (first,) = batches(source)
    with path.open("ab") as file:
        file.write(written(now - 12, Clock.UTC))
    assert starts(calls(source, first.cursor)) == [now - 12]


@pytest.mark.parametrize("clock", list(Clock))
def test_records_without_uniqueid_follow_their_neighbours(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "Master.csv"
    made = [BEGIN + 60 * number for number in range(30)]
    path.write_bytes(
        b"".join(written(one, clock, columns=18 if n in (9, 10, 20) else 16) for n, one in enumerate(made))
    )
    aged(path, BEGIN + 10**6)
    source = csv(path)
    assert starts(calls(source)) == made
    assert source.doubt() == ""


@pytest.mark.parametrize("clock", list(Clock))
def test_records_far_in_front_of_any_uniqueid_follow_them_too(tmp_path: Path, clock: Clock) -> None:
    """In a file of many batches: loguniqueid was switched on when it was nearly full."""
    path = tmp_path / "Master.csv"
    made = [BEGIN + 60 * number for number in range(4000)]
    path.write_bytes(b"".join(written(one, clock, columns=18 if n > 3990 else 16) for n, one in enumerate(made)))
    aged(path, BEGIN + 10**7)
    source = csv(path)
    assert starts(calls(source)) == made
    assert source.doubt() == ""


@pytest.mark.parametrize("clock", list(Clock))
def test_a_twin_tells_where_nothing_else_does(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "Master.csv"
    made = [BEGIN + 60 * number for number in range(5)]
    path.write_bytes(b"".join(written(one, clock, columns=16) for one in made))
    aged(path, BEGIN + 10**7)
    local = tmp_path / "as-ami-tells-it.csv"
    local.write_bytes(b"".join(written(one, Clock.LOCAL, columns=16) for one in made))
    told = {one.identity for one in calls(csv(local, utc=False))[3:]}
    source = csv(path)
    source.compare_with(lambda asked: told & set(asked))
    assert starts(calls(source)) == made
    assert source.doubt() == ""


@pytest.mark.parametrize(
    ("lines", "clock"),
    [
        ("[csv]\nusegmtime=yes\n", Clock.UTC),
        ("[general]\n; usegmtime=no\n[csv] ; here\nusegmtime = no\nusegmtime => Yes ; last counts\n", Clock.UTC),
        ("[csv]\nloguniqueid=no\n", Clock.LOCAL),
        ("[general]\n#include cdr_non_general_custom.conf\n", Clock.UTC),
        ("[csv]\n;--\nusegmtime=yes\n--;\nloguserfield=no\n", Clock.LOCAL),
    ],
)
def test_cdr_conf_tells_where_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, clock: Clock
) -> None:
    monkeypatch.setattr(asterisk, "ROOT", tmp_path)
    etc = tmp_path / "etc" / "asterisk"
    etc.mkdir(parents=True)
    (etc / "cdr.conf").write_text(lines)
    (etc / "cdr_non_general_custom.conf").write_text("[csv]\nusegmtime=1\n")
    (etc / "asterisk.conf").write_text("[directories]\nastlogdir => /log\n")
    path = tmp_path / "log" / "cdr-csv" / "Master.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(written(BEGIN, clock, columns=16))
    aged(path, BEGIN + 10**7)
    source = csv(path)
    assert starts(calls(source)) == [BEGIN]
    assert source.doubt() == ""
    # Of a file that is not this host's Asterisk's, its cdr.conf says nothing.
    elsewhere = tmp_path / "Master.csv"
    elsewhere.write_bytes(path.read_bytes())
    aged(elsewhere, BEGIN + 10**7)
    assert "nothing tells" in doubted(elsewhere)


def doubted(path: Path) -> str:
    source = csv(path)
    assert len(calls(source)) == 1
    return source.doubt()


@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("ago", [2, 10**7])
def test_the_time_of_last_change_tells_where_nothing_else_does(tmp_path: Path, clock: Clock, ago: int) -> None:
    path = tmp_path / "Master.csv"
    made = int(time.time()) - ago - 10
    path.write_bytes(written(made, clock, columns=16))
    aged(path, made + 11)
    source = csv(path)
    assert starts(calls(source)) == [made]
    assert source.doubt() == ""


def test_what_nothing_tells_is_local_time_and_said(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(written(BEGIN, Clock.LOCAL, columns=16))
    assert "nothing tells" in doubted(path)
    assert "utc = yes or utc = no in [source csv]" in doubted(path)
    with path.open("ab") as file:
        file.write(written(BEGIN + 60, Clock.UTC))
    source = csv(path)
    assert starts(calls(source))[1] == BEGIN + 60
    assert source.doubt() == ""


@pytest.mark.parametrize("utc", [None, False])
def test_a_zone_that_is_not_the_pbxs_is_noticed(tmp_path: Path, utc: bool | None) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + n * 60, Clock.LOCAL, ZoneInfo("Asia/Tokyo")) for n in range(6)))
    source = csv(path, utc=utc)
    assert len(calls(source)) == 6
    assert "times are 7 h ahead of what the uniqueids" in source.doubt()
    assert "timezone" in source.doubt()


def test_a_reading_that_goes_on_knows_of_a_wrong_zone_before_the_next_call(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + n * 60, Clock.LOCAL, ZoneInfo("Asia/Tokyo")) for n in range(6)))
    source = csv(path)
    cursor = batches(source)[-1].cursor
    for zone, doubt in ((ZURICH, source.doubt()), (ZoneInfo("Asia/Tokyo"), "")):
        later = csv(path, zone)
        assert calls(later, cursor) == []
        assert later.doubt() == doubt


@pytest.mark.parametrize(("utc", "clock", "right"), [(False, Clock.UTC, "yes"), (True, Clock.LOCAL, "no")])
def test_a_clock_that_is_set_wrong_is_noticed(tmp_path: Path, utc: bool, clock: Clock, right: str) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + n * 60, clock) for n in range(6)))
    source = csv(path, utc=utc)
    assert len(calls(source)) == 6
    assert f"utc = {right} (or auto)" in source.doubt()
    path.write_bytes(b"".join(written(BEGIN + n * 60, clock.other) for n in range(6)))
    source = csv(path, utc=utc)
    assert len(calls(source)) == 6
    assert source.doubt() == ""


def test_an_hour_that_was_left_out_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    begun = {"start": b"2026-03-29 02:30:00", "answer": b"", "end": b"2026-03-29 02:31:00"}
    path.write_bytes(line(call(18, begun)))
    source = csv(path, utc=False)
    assert shown(calls(source)) == ["2026-03-29 02:30:00"]
    assert "2026-03-29 02:30:00" in source.doubt()


def test_the_clock_is_remembered_by_the_cursor(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + n * 60, Clock.UTC) for n in range(4)))
    (first,) = batches(csv(path))
    with path.open("ab") as file:
        file.write(written(BEGIN + 300, Clock.UTC, columns=16))
    aged(path, BEGIN + 10**7)
    assert starts(calls(csv(path), first.cursor)) == [BEGIN + 300]
    # One of before there was such a thing has none.
    old = str(first.cursor).replace('"clock":"utc"', '"clock":""')
    assert old != first.cursor
    assert starts(calls(csv(path), old)) == [BEGIN + 300]


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("untold", [range(6, 10), range(4, 6), range(4, 9)], ids=["behind", "before", "around"])
@pytest.mark.parametrize("size", [1000, 5])
def test_records_without_uniqueid_around_a_change_of_cdr_conf_follow_those_that_ended_when_they_did(
    zone: ZoneInfo, clock: Clock, untold: range, size: int
) -> None:
    made = [BEGIN + 60 * number for number in range(20)]
    expected = [clock if number < 6 else clock.other for number in range(20)]
    records = [
        Stamps(stamp(one, each, zone), stamp(one + 9, each, zone), "" if number in untold else f"{one}.1")
        for number, (one, each) in enumerate(zip(made, expected, strict=True))
    ]
    judge, found = Judge(zone), list[Clock]()
    while len(found) < len(records):
        clocks, _ = judge.judge(records[len(found) : len(found) + size], None, more=len(found) + size < len(records))
        assert clocks
        found += clocks
        size += 5
    assert found == expected


@pytest.mark.parametrize("uniqueid", ["{}.3;1", "{}.3;2", "pbx-{}.3;2"])
def test_the_halves_of_a_local_channel_tell_as_others_do(tmp_path: Path, uniqueid: str) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(written(BEGIN, Clock.UTC, uniqueid=uniqueid.format(BEGIN)))
    aged(path, BEGIN + 10**7)
    assert starts(calls(csv(path))) == [BEGIN]


@pytest.mark.parametrize("clock", Clock)
@pytest.mark.parametrize("junk", [b'"no","call"\n', b"", b"\n\n"])
def test_a_reading_goes_on_behind_what_has_no_record(tmp_path: Path, junk: bytes, clock: Clock) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(BEGIN + 60 * n, clock) for n in range(3)))
    cursor = batches(csv(path))[-1].cursor
    path.rename(tmp_path / "Master.csv.1")
    path.write_bytes(junk)
    found = [*csv(path).read(cursor, Event(), follow=False)]
    after = next((batch.cursor for batch in reversed(found) if batch.cursor), cursor)
    with path.open("ab") as file:
        file.write(written(BEGIN + 600, clock))
    assert starts(calls(csv(path), after)) == [BEGIN + 600]
