"""A Master.csv that is read once more, with less at hand than who read it while it grew: each call is the same one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import CDR
from humbug_agent.sources.asterisk.csv.zone import Clock
from tests.kit.calls import cdrs
from tests.sources.asterisk.csv.test_clock import BEGIN, ZONES, aged, batches, calls, csv, starts, written

pytestmark = pytest.mark.slow

MADE = [BEGIN + 420 * number for number in range(10)]


def grown(path: Path, records: Sequence[bytes], zone: ZoneInfo) -> list[CDR]:
    """What a reading after each record says of a file whose time of last change is then that of its last record."""
    found, cursor = list[CDR](), None
    for made, record in zip(MADE, records, strict=False):
        with path.open("ab") as file:
            file.write(record)
        aged(path, made + 13)
        source = csv(path, zone)
        source.compare_with(frozenset(one.identity for one in found).intersection)
        for batch in batches(source, cursor):
            cursor = batch.cursor
            found += cdrs(batch.records)
    return found


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("last", [1, 2, 3])
def test_the_last_records_of_a_file_at_rest_may_be_of_another_clock(
    tmp_path: Path, zone: ZoneInfo, clock: Clock, last: int
) -> None:
    path = tmp_path / "Master.csv"
    clocks = [clock.other if number >= len(MADE) - last else clock for number in range(len(MADE))]
    path.write_bytes(b"".join(written(made, each, zone) for made, each in zip(MADE, clocks, strict=True)))
    aged(path, MADE[-1] + 13)
    assert starts(calls(csv(path, zone))) == MADE


@pytest.mark.parametrize("zone", ZONES[:2], ids=lambda zone: zone.key)
@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("named", [lambda _: None, lambda n: f"ari-{n}" if 5 < n < 9 else None, lambda _: ""])
def test_what_was_told_while_a_file_grew_is_told_again_as_the_same_calls(
    tmp_path: Path, zone: ZoneInfo, clock: Clock, named: Callable[[int], str | None]
) -> None:
    """cdr.conf was changed; also where no uniqueid shows that, and not all of them got their hour."""
    path = tmp_path / "Master.csv"
    records = [
        written(made, clock if number < 8 else clock.other, zone, uniqueid=named(number))
        for number, made in enumerate(MADE)
    ]
    first = grown(path, records, zone)
    known = {one.identity for one in first}
    assert len(known) == len(MADE)
    again = csv(path, zone)
    again.compare_with(known.intersection)
    assert [one.identity for one in calls(again)] == [one.identity for one in first]
    # And behind a rotation, where nothing holds what was read.
    path.write_bytes(b"".join(records[4:]))
    aged(path, MADE[-1] + 13)
    again = csv(path, zone)
    again.compare_with(known.intersection)
    cursor = again.again_from(None, float(BEGIN)).cursor
    assert [one.identity for one in calls(again, cursor)] == [one.identity for one in first[4:]]
