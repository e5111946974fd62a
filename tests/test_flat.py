"""A flat call is the call: nothing is lost on the way there and back, and what surely is one can be made."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Damaged, Notice, wall_clock
from humbug_agent.flat import Flat, flatten, is_call, packed, shown, unpacked, whole
from tests.kit.calls import call

ZONES: st.SearchStrategy[tzinfo] = st.one_of(
    st.sampled_from([UTC, *(ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"))]),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
MOMENTS = st.builds(
    lambda moment, zone: moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 250_000 * 250_000).astimezone(
        zone
    ),
    st.datetimes(datetime(1900, 1, 3), datetime(8999, 12, 29)),
    ZONES,
)
ODD = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.binary(max_size=17),
    st.sampled_from(["{}", '{"a": 1}']),
)


@given(MOMENTS, MOMENTS | st.none(), st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3))
def test_there_and_back_it_is_the_same_call(start: datetime, answer: datetime | None, extra: dict[str, str]) -> None:
    cdr = call(1, start=start, answer=answer, end=start, extra=extra)
    flat = flatten(cdr)
    again = whole(flat)
    assert isinstance(again, CDR)
    assert again == cdr
    assert flatten(again) == flat
    # What has an escape in it is asked about, and is one all the same.
    assert is_call(flat) or extra


def test_so_is_a_notice() -> None:
    notice = Notice(identity=bytes(16), event="Alarm", at=datetime(2026, 1, 2, tzinfo=UTC), fields={"Channel": "1"})
    assert whole(flatten(notice)) == notice
    assert not is_call(flatten(notice))


@given(st.integers(0, len(Flat._fields) - 1), ODD)
def test_what_surely_is_a_call_can_be_made(at: int, odd: object) -> None:
    values: list[object] = list(flatten(call(1)))
    values[at] = odd
    flat = Flat._make(values)
    assert isinstance(whole(flat), CDR) or not is_call(flat)
    assert isinstance(whole(flat), CDR | Notice | Damaged)


@given(MOMENTS, ZONES)
def test_the_clock_shows_what_it_showed(moment: datetime, zone: tzinfo) -> None:
    flat = flatten(call(1, start=moment, answer=None, end=moment))
    said = shown(flat.start, flat.start_offset, zone)
    assert said == wall_clock(whole(flat).start, zone).isoformat(" ")[:19]  # type: ignore[union-attr]


@pytest.mark.parametrize("offset", [None, 0, 3600, -12600, 20700])
def test_to_the_second(offset: int | None) -> None:
    for seconds in (0.0, -1.0, 59.0, 86399.0, 86400.0, 1_795_194_557.0, 1_795_194_557.999):
        clock = UTC if offset is None else timezone(timedelta(seconds=offset))
        expected = datetime.fromtimestamp(seconds, UTC).astimezone(clock).strftime("%Y-%m-%d %H:%M:%S")
        assert shown(seconds, offset, UTC) == expected


@pytest.mark.parametrize("extra", [{}, {"a": "ä\0\u2028'\"", "": "[1]"}])
def test_a_packed_call_is_the_same_elsewhere(extra: dict[str, str]) -> None:
    for one in (call(1, extra=extra), call(2, answer=None, extra=extra)):
        assert unpacked(packed(flatten(one))) == one


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[]", packed(flatten(call(1)))[:-1]])
def test_what_is_no_packed_call(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(text)


@given(st.integers(0, len(Flat._fields) - 1), ODD)
def test_nor_is_one_with_odd_values(at: int, odd: object) -> None:
    values: list[object] = json.loads(packed(flatten(call(1))))
    values[at] = odd.hex() if isinstance(odd, bytes) else odd
    with suppress(ValueError):
        assert isinstance(unpacked(json.dumps(values)), CDR | Notice)
