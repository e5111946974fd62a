"""The fast lane makes of Master.csv just what the careful way makes of it, to the byte."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR
from humbug_agent.flat import Calls, flatten
from humbug_agent.outbox import rows
from humbug_agent.sources.asterisk.csv import clock
from humbug_agent.sources.asterisk.csv.plain import FastLane
from humbug_agent.sources.asterisk.csv.records import split
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from tests.kit.paths import DATA

pytestmark = pytest.mark.slow

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Abidjan")

texts = st.one_of(
    st.sampled_from(
        [b"", b"101", b'""Anna"" <101>', b'""', b"a\nb", b"Master", "Zo\u00eb".encode(), b"Jos\xe9", b"\xff\xfe"]
    ),
    st.binary(max_size=8).map(lambda raw: raw.replace(b'"', b'""')),
)
stamps = st.one_of(
    st.integers(1_667_000_000, 1_667_200_000),
    st.integers(1_679_750_000, 1_680_000_000),
    st.integers(-3 * 10**9, 10**10),
)


def shown(seconds: int) -> bytes:
    return f'"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"'.encode()


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record of cdr_csv, mostly as it should be."""
    start = draw(stamps)
    rang, talked = draw(st.integers(0, 90)), draw(st.sampled_from([0, 7, 3600, 90_000]))
    answer = shown(start + rang) if talked else b""
    wrong = st.sampled_from([b'"2023-02-30 10:00:00"', b'"2023-01-01 24:00:00"', b'"2023-01-01 10:60:00"', b""])
    times = [shown(start), answer, shown(start + rang + talked)]
    if draw(st.integers(0, 9)) == 0:
        times[draw(st.integers(0, 2))] = draw(wrong)
    cells = [b'"%s"' % draw(texts) for _ in range(9)] + times
    cells += [b"%d" % (rang + talked), b"%d" % talked]
    cells += [b'"%s"' % draw(st.sampled_from([b"ANSWERED", b"NO ANSWER", b"ANSWERED", b"BUSY", b"DONE"])), b'"BILLING"']
    made = start + draw(st.sampled_from([0, -3, 5000, 3600, -7200]))
    uniqueid = b'"%d.%d"' % (max(made, 10**9), draw(st.integers(0, 30)))
    more = [uniqueid, b'"%s"' % draw(texts), b'"%s"' % draw(texts), b'"%d.1"' % max(made, 10**9), b"7"]
    width = draw(st.sampled_from([16, 17, 18, 18, 18, 21, 21]))
    return b",".join((cells + more)[:width]) + draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b""]))


def settings_of(path: Path, utc: bool | None = None, charset: str = "auto") -> AsteriskCsvSettings:
    return AsteriskCsvSettings(name="x", path=path, start="beginning", utc=utc, charset=charset)


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no AMI here that a file which nothing tells the clock of would wait seconds for."""
    monkeypatch.setattr(clock, "TWIN_SECONDS", 0.0)


class ClosedLane(FastLane):
    """Nothing is plain there."""

    def record_at(self, data: str, at: int) -> None:
        return None


def closed(source: AsteriskCsv) -> AsteriskCsv:
    """The source, which goes the careful way from now on."""
    source._lane = ClosedLane(UTC, "auto")
    return source


def read(path: Path, zone: str, charset: str, utc: bool | None, *, fast: bool) -> list[tuple[object, ...]]:
    """All that a source says of the file."""
    source = AsteriskCsv(settings_of(path, utc, charset), ZoneInfo(zone))
    if not fast:
        closed(source)
    return [
        ([repr(one) for one in rows.each(batch.records)], batch.rejects, batch.cursor, batch.size, source.doubt())
        for batch in source.read(None, Event(), follow=False)
    ]


@given(
    st.lists(records(), min_size=1, max_size=30),
    st.sampled_from(ZONES),
    st.sampled_from(["auto", "auto", "cp1255"]),
    st.sampled_from([None, None, False, True]),
)
@example([(DATA / "asterisk22" / "Master-full.csv").read_bytes()], "Europe/Berlin", "auto", None)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_fast_lane_says_what_the_careful_way_says(
    tmp_path: Path, several: list[bytes], zone: str, charset: str, utc: bool | None
) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(several))
    assert read(path, zone, charset, utc, fast=True) == read(path, zone, charset, utc, fast=False)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("utc", [False, True])
def test_what_is_flat_is_the_same_call(zone: str, utc: bool, tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes((DATA / "asterisk22" / "Master-full.csv").read_bytes())
    source = AsteriskCsv(settings_of(path, utc=utc), ZoneInfo(zone))
    found = next(batch.records for batch in source.read(None, Event(), follow=False) if batch.records)
    assert isinstance(found, Calls)
    assert sum(isinstance(one, tuple) for one in found.each) > 100, "the fast lane is hardly taken"
    careful = next(batch.records for batch in closed(source).read(None, Event(), follow=False) if batch.records)
    assert list(found) == list(careful)
    assert all(isinstance(one, CDR) for one in found)
    assert list(map(repr, rows.each(found))) == [repr(flatten(one)) for one in found]


def test_without_a_lane_nothing_is_plain() -> None:
    found, _ = split((DATA / "asterisk22" / "Master-full.csv").read_bytes(), final=True)
    assert {type(one).__name__ for one in found} == {"Row"}


def test_when_the_last_call_ended_is_known_without_making_it(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes((DATA / "asterisk22" / "Master-full.csv").read_bytes())
    source = AsteriskCsv(settings_of(path, utc=False), ZoneInfo("Europe/Berlin"))
    found = next(batch.records for batch in source.read(None, Event(), follow=False) if batch.records)
    assert isinstance(found, Calls)
    for number in range(1, len(found) + 1):
        assert Calls(found.each[:number]).last_ended() == found[number - 1].end.timestamp()
    assert Calls([]).last_ended() == 0
