"""A CDR from Asterisk's columns: moments in a zone, and what a call is recognised by."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Disposition
from humbug_agent.sources.asterisk.record import make_cdr
from tests.kit.cdr_csv import SHARED, call, line, source

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, SECOND = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
"""Both were 02:30 in Berlin."""


def made(zone: tzinfo = UTC, columns: int = 18, /, **changed: str) -> CDR:
    return make_cdr(said(columns) | changed, zone, lambda digest: digest, utc=False)


def made_in_utc(zone: tzinfo, columns: int = 18, /, **changed: str) -> CDR:
    """The same where usegmtime is set."""
    return make_cdr(said(columns) | changed, zone, lambda digest: digest, utc=True)


def said(columns: int) -> dict[str, str]:
    return {name: value.decode() for name, value in call(columns).items()}


def stamp(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def times(start: datetime, answer: datetime | None, end: datetime, zone: tzinfo) -> dict[str, str]:
    return {
        "start": stamp(start, zone),
        "answer": stamp(answer, zone) if answer else "",
        "end": stamp(end, zone),
        "duration": str(int((end - start).total_seconds())),
        "billsec": str(int((end - answer).total_seconds())) if answer else "0",
    }


def seconds(cdr: CDR) -> tuple[float, float | None, float]:
    # Python calls no two moments of different zones equal when one is in the hour that comes twice.
    return cdr.start.timestamp(), cdr.answer.timestamp() if cdr.answer else None, cdr.end.timestamp()


def test_times_are_the_zones() -> None:
    cdr = made(ZoneInfo("America/New_York"))
    assert cdr.start == datetime(2026, 11, 20, 22, 6, 33, tzinfo=UTC)
    assert cdr.answer == datetime(2026, 11, 20, 22, 6, 35, tzinfo=UTC)
    assert cdr.end == datetime(2026, 11, 20, 22, 6, 43, tzinfo=UTC)
    assert made(UTC).start == datetime(2026, 11, 20, 17, 6, 33, tzinfo=UTC)


def test_nobody_answered_is_no_time() -> None:
    cdr = made(answer="", disposition="NO ANSWER")
    assert (cdr.answer, cdr.disposition) == (None, Disposition.NO_ANSWER)


def test_answer_time_and_billsec_of_an_unanswered_call_are_kept() -> None:
    cdr = made(disposition="NO ANSWER")
    assert (cdr.answer is None, cdr.billsec, cdr.disposition) == (False, 8, Disposition.NO_ANSWER)


def test_every_column_has_its_place() -> None:
    cdr = made(UTC, 21, userfield="customer", peeraccount="peer", accountcode="acme", dstchannel="PJSIP/2")
    for name, value in call(21).items():
        if name in ("src", "dst", "dcontext", "clid", "channel", "lastapp", "lastdata", "uniqueid", "linkedid"):
            assert getattr(cdr, name) == value.decode()
    assert (cdr.userfield, cdr.accountcode, cdr.dstchannel) == ("customer", "acme", "PJSIP/2")
    assert cdr.extra == {"amaflags": "DOCUMENTATION", "peeraccount": "peer", "sequence": "41"}


@pytest.mark.parametrize("prefix", ["", "pbx1-", "pbx-1-eu-"])
@pytest.mark.parametrize("begun", [FIRST, SECOND])
def test_the_hour_that_comes_twice_is_told_by_the_uniqueid(prefix: str, begun: datetime) -> None:
    answer, end = begun + timedelta(seconds=5), begun + timedelta(seconds=65)
    uniqueid = f"{prefix}{int(begun.timestamp())}.17"
    cdr = made(BERLIN, **times(begun, answer, end, BERLIN), uniqueid=uniqueid)
    assert seconds(cdr) == (begun.timestamp(), answer.timestamp(), end.timestamp())


@pytest.mark.parametrize("minutes", [40, 70, 100])
@pytest.mark.parametrize("begun", [FIRST, SECOND, FIRST - timedelta(minutes=45)])
def test_calls_across_the_end_of_summer_time_last_as_long_as_they_say(begun: datetime, minutes: int) -> None:
    answer, end = begun + timedelta(minutes=20), begun + timedelta(minutes=minutes)
    cdr = made(BERLIN, **times(begun, answer, end, BERLIN), uniqueid=f"{int(begun.timestamp())}.17")
    assert seconds(cdr) == (begun.timestamp(), answer.timestamp(), end.timestamp())


def test_the_duration_tells_which_hour_it_was_where_the_end_does() -> None:
    # No uniqueid: a default Master.csv. From 02:30 to 03:10, and 40 minutes long: it was the second 02:30.
    end = SECOND + timedelta(minutes=40)
    cdr = made(BERLIN, 16, **times(SECOND, None, end, BERLIN))
    assert seconds(cdr) == (SECOND.timestamp(), None, end.timestamp())


def test_the_hour_that_comes_twice_has_one_identity_with_and_without_uniqueid() -> None:
    # Master.csv without loguniqueid, and the AMI event, which always has one.
    when = times(SECOND, None, SECOND + timedelta(seconds=10), BERLIN)
    with_id = made(BERLIN, **when, uniqueid=f"{int(SECOND.timestamp())}.17")
    assert with_id.identity == made(BERLIN, 16, **when).identity


@pytest.mark.parametrize("start", [FIRST, SECOND, FIRST - timedelta(hours=6), FIRST + timedelta(days=90)])
@pytest.mark.parametrize("minutes", [0, 1, 45, 75])
def test_a_csv_in_utc_and_the_event_in_local_time_are_one_call(start: datetime, minutes: int) -> None:
    end = start + timedelta(minutes=minutes)
    for answer in (None, end):
        in_csv = made_in_utc(BERLIN, 16, **times(start, answer, end, UTC))
        in_event = made(BERLIN, 16, **times(start, answer, end, BERLIN))
        assert in_csv.identity == in_event.identity
        assert seconds(in_csv) == (start.timestamp(), answer and answer.timestamp(), end.timestamp())


@pytest.mark.parametrize(
    "wrong",
    [
        {"disposition": "UNKNOWN"},
        {"disposition": ""},
        {"start": "2026-13-01 00:00:00"},
        {"start": "2026-02-29 00:00:00"},
        {"answer": "0000-00-00 00:00:00"},
        {"end": "2026-11-20 24:00:01"},
        {"duration": "ten"},
    ],
)
def test_what_can_not_be_is_a_value_error_that_names_it(wrong: dict[str, str]) -> None:
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=value or "disposition"):
        made(**wrong)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("start", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
def test_a_time_at_the_end_of_time_is_refused_or_can_be_told_in_utc(start: str, zone: str) -> None:
    try:
        cdr = made(ZoneInfo(zone), start=start, end=start, answer="")
    except ValueError:
        return
    assert cdr.start.astimezone(UTC) == cdr.end.astimezone(UTC)


@pytest.mark.parametrize("end", [b"", b"2026-11-20 17:06:43"])
@pytest.mark.parametrize("name", ["duration", "billsec"])
def test_a_number_too_large_for_the_outbox_is_a_reject(tmp_path: Path, name: str, end: bytes) -> None:
    batch = source(tmp_path / "Master.csv").parse(line(call(end=end) | {name: b"9" * 20}))
    assert (len(batch.records), len(batch.rejects)) == (0, 1)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(SHARED), st.data())
def test_identity_is_what_the_16_shared_columns_say(name: str, draw: st.DataObject) -> None:
    other = {"start": "2026-11-20 17:06:32", "answer": "", "end": "2026-11-20 17:06:44", "disposition": "BUSY"}
    if name in ("duration", "billsec"):
        value = str(draw.draw(st.integers(100, 10**6)))
    else:
        value = other.get(name) or ("" if name in other else draw.draw(st.text('ab",\n1', min_size=1)) + "!")
    assert made(**{name: value}).identity != made().identity
    for columns in (16, 17, 18, 19, 20, 21):
        assert made(UTC, columns, **{name: value}).identity == made(**{name: value}).identity


def test_identity_does_not_depend_on_where_one_text_ends_and_the_next_begins() -> None:
    assert made(src="10", dst="1202").identity != made(src="101", dst="202").identity


@settings(deadline=None, max_examples=80)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)).map(
        lambda m: m.replace(microsecond=0)
    ),
    st.none() | st.integers(0, 5000),
    st.integers(0, 9000),
    st.sampled_from(
        [BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]
    ),
)
def test_the_same_call_in_utc_and_in_any_local_time_is_one(
    start: datetime, answered: int | None, rest: int, zone: tzinfo
) -> None:
    answer = None if answered is None else start + timedelta(seconds=answered)
    end = (answer or start) + timedelta(seconds=rest)
    uniqueid = f"{int(start.timestamp())}.1"
    local = made(zone, **times(start, answer, end, zone), uniqueid=uniqueid)
    assert seconds(local) == (start.timestamp(), answer and answer.timestamp(), end.timestamp())
    in_utc = made_in_utc(zone, **times(start, answer, end, UTC))
    assert seconds(in_utc) == seconds(local)
    assert in_utc.identity == local.identity
