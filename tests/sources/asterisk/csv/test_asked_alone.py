"""A record that an admin asks about by itself (`explain`) is the call that was made of it in the log."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.sources.asterisk.csv.zone import Clock
from humbug_agent.sources.files import position
from tests.kit.calls import cdrs
from tests.kit.cdr_csv import Store, call, line, source
from tests.sources.asterisk.csv.test_clock import BEGIN, ZONES, aged, calls, csv, starts, written

pytestmark = pytest.mark.slow

MADE = [BEGIN + 420 * number for number in range(20)]


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("changes", [False, True])
def test_it_has_the_hour_that_its_neighbours_tell(tmp_path: Path, zone: ZoneInfo, clock: Clock, changes: bool) -> None:
    """By itself, one that began an hour after its channel, or whose uniqueid is an application's, tells another one."""
    path = tmp_path / "Master.csv"
    records = []
    for number, made in enumerate(MADE):
        named = f"ari-{number}" if number % 5 == 3 else f"{made - 3600}.{number}" if number % 5 == 2 else None
        shown = clock.other if changes and number >= 10 else clock
        records.append(written(made, shown, zone, uniqueid=named))
    path.write_bytes(b"".join(records))
    aged(path, MADE[-1] + 13)
    read = calls(csv(path, zone))
    assert starts(read) == MADE
    for record, made in zip(records, MADE, strict=True):
        assert starts(cdrs(csv(path, zone).parse(record).records)) == [made]


@pytest.mark.parametrize("there", [True, False])
def test_its_17th_column_is_what_the_others_is(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "Master.csv"
    records = [
        line(call(16, dst=b"%d" % n, channel=b"PJSIP/101-%08x" % n) | {"17th": b"ari-3-x%d" % n}) for n in range(30)
    ]
    path.write_bytes(b"".join(records if there else records[:-1]))
    assert {one.uniqueid for one in cdrs(Store(path).read().records)} >= {f"ari-3-x{n}" for n in range(29)}
    (found,) = cdrs(source(path).parse(records[-1]).records)
    assert (found.uniqueid, found.userfield) == ("ari-3-x29", "")


def test_thousands_that_are_asked_about_are_looked_for_in_one_reading_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay asks about each reject."""
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(written(made, Clock.UTC, ZONES[0]) for made in MADE))
    opened = list[Path]()
    real = position.open_file

    def counted(name: Path) -> object:
        opened.append(name)
        return real(name)

    monkeypatch.setattr(position, "open_file", counted)
    asked = csv(path, ZONES[0])
    for number in range(20):
        assert asked.parse(b"nonsense %d" % number).rejects
        assert cdrs(asked.parse(written(MADE[number], Clock.UTC, ZONES[0])).records)
    once = len(opened)
    assert asked.parse(b"nonsense").rejects
    assert len(opened) - once <= 3


def test_one_of_no_log_is_read_by_itself(tmp_path: Path) -> None:
    (found,) = cdrs(source(tmp_path / "Master.csv").parse(line(call(18, uniqueid=b"1795190793.12"))).records)
    assert found.uniqueid == "1795190793.12"
