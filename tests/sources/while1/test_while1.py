"""What the rows of /api/cdr become, all the way to the receiver, and in which ways they are asked for."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from humbug_agent.cdr import CDR, Batch, Direction, Disposition
from tests.kit.host import Host
from tests.kit.while1_agent import Reader, a_source, configure
from tests.kit.while1_server import KEY, SAMPLE, TOKEN, ZONE, While1Server, parameters_of, row

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pause")]

DAY = 86400
ANSWERED = {
    **SAMPLE,
    "id": 29057,
    "uniqueid": "1710401400.481",
    "time": "2024-03-14 09:30:00",
    "time_end": "2024-03-14 10:31:10",
    "caller_id": '"Zoë/\\"X\\"" <0312000001>',
    "direction": "IN",
    "dstchannel_formatted": "PJSIP/101",
    "call_status": "ANSWERED",
    "bill_duration": "01:01:05",
    "duration": "01:01:10",
    "accounting_code": "sales",
    "is_recovered": False,
    "transfers": [{"to": "102"}],
    "bill_minutes": 62,
}


def parsed(**changes: Any) -> Batch:
    with While1Server() as server:
        return a_source(server).parse(json.dumps(SAMPLE | changes).encode())


def one_call(**changes: Any) -> CDR:
    (found,) = parsed(**changes).records
    assert isinstance(found, CDR)
    return found


# Rows.


def test_the_pages_sample_arrives_at_the_receiver_with_every_value_right(host: Host) -> None:
    with While1Server([SAMPLE, ANSWERED]) as server:
        server.counts = False
        configure(host, server, "since = 2024-03-14", "connections = 1")
        assert "2 sent, 0 waiting, 0 dead, 0 rejects" in host.run("run", "--once")
        shown = host.json("outbox", "show", "1")
    failed, answered = host.store.rows()
    assert {
        name: value
        for name, value in failed.items()
        if name not in ("id", "pbx", "key", "received", "event_time", "Description")
    } == {
        "Event": "Cdr",
        "Source": "0312285000",
        "Destination": "0700000000",
        "DestinationContext": "outbound",
        "CallerID": '"John Doe" <0312000000>',
        "Channel": "PJSIP/john-doe",
        "DestinationChannel": "",
        "LastApplication": "",
        "LastData": "",
        "StartTime": "2024-03-14 09:28:44",
        "AnswerTime": "",
        "EndTime": "2024-03-14 09:29:00",
        "Duration": "15",
        "BillableSeconds": "0",
        "Disposition": "FAILED",
        "UniqueID": "1710401324.480",
        "UserField": "outbound",
        "repeats": 0,
    }
    assert (answered["StartTime"], answered["AnswerTime"], answered["EndTime"]) == (
        "2024-03-14 09:30:00",
        "2024-03-14 09:30:05",
        "2024-03-14 10:31:10",
    )
    assert (answered["Duration"], answered["BillableSeconds"]) == ("3670", "3665")
    assert (answered["Disposition"], answered["UserField"]) == ("ANSWERED", "inbound")
    assert answered["CallerID"] == '"Zoë/\\"X\\"" <0312000001>'
    assert json.dumps(shown).count("SIP 503 Service Unavailable") == 1


def test_what_has_no_field_of_its_own_is_in_extra() -> None:
    found = one_call(**ANSWERED)
    assert found.linkedid == "1710401324.480"
    assert found.accountcode == "sales"
    assert found.extra == {
        "id": "29057",
        "user_fullname": "John Doe",
        "call_status_info": "DS:CONGESTION|HC:34|HI:SIP 503 Service Unavailable",
        "call_codes": "out no answer",
        "transfers": '[{"to": "102"}]',
        "project": "My Project",
        "is_recovered": "0",
        "bill_minutes": "62",
        "ivr_duration": "00:00:00",
        "hold_time": "00:00:00",
        "ring_time": "00:00:00",
    }
    assert "direction" not in found.extra


@pytest.mark.parametrize("word", ["ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"])
def test_dispositions_are_the_apis_own(word: str) -> None:
    assert one_call(call_status=word).disposition is Disposition(word)


@pytest.mark.parametrize(
    ("word", "direction", "extra"),
    [
        ("IN", Direction.INBOUND, None),
        ("OUT", Direction.OUTBOUND, None),
        (None, Direction.UNKNOWN, None),
        ("LOCAL", Direction.UNKNOWN, "LOCAL"),
    ],
)
def test_directions_are_the_apis_own(word: str | None, direction: Direction, extra: str | None) -> None:
    found = one_call(direction=word)
    assert found.direction is direction
    assert found.extra.get("direction") == extra


def test_times_are_in_the_zone_of_the_pbx_and_the_hour_that_comes_twice_is_told_apart() -> None:
    summer = one_call(time="2024-07-01 12:00:00", time_end="2024-07-01 12:00:16")
    assert summer.start.astimezone(UTC) == datetime(2024, 7, 1, 9, 0, 0, tzinfo=UTC)
    for uniqueid, hour in (("1729987200.1", 0), ("1729990800.1", 1)):
        twice = one_call(time="2024-10-27 03:00:00", time_end="2024-10-27 03:00:16", uniqueid=uniqueid)
        assert (twice.start.astimezone(UTC).hour, twice.end - twice.start) == (hour, timedelta(seconds=16))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "has no id"),
        ({"id": ""}, "has no id"),
        ({"id": "0"}, "id '0' is not a whole number from 1"),
        ({"id": "-3"}, "id '-3' is not"),
        ({"id": "1" * 40}, "is not a whole number"),
        ({"id": [1]}, "id is a list, not text"),
        ({"time": None}, "has no time"),
        ({"time": "0000-00-00 00:00:00"}, "has no time"),
        ({"time": "14.03.2024 09:28"}, "time '14.03.2024 09:28' is not a time"),
        ({"time": "2024-02-31 09:28:44"}, "'2024-02-31 09:28:44' is not a time"),
        ({"time": "2024-03-14T09:28:44Z"}, "is not a time"),
        ({"time_end": "0000-00-00 00:00:00"}, "has no time_end"),
        ({"time_end": None}, "has no time_end"),
        ({"duration": "15 s"}, "duration '15 s' is no duration"),
        ({"bill_duration": {"s": 1}}, "bill_duration is an object, not text"),
        ({"bill_duration": "999999:00:00"}, ""),
        ({"call_status": "GONE"}, "call_status 'GONE' is not known"),
        ({"call_status": None}, "has no call_status"),
    ],
)
def test_a_row_that_is_no_call_is_a_reject_with_its_text(changes: dict[str, Any], reason: str) -> None:
    found = parsed(**changes)
    if not reason:
        # Odd, and still a call.
        assert len(found.records) == 1
        return
    assert not found.records
    (reject,) = found.rejects
    assert reason in reject.reason
    assert json.loads(reject.text).keys() == SAMPLE.keys()


def test_a_reject_is_replayed_from_its_text_alone() -> None:
    with While1Server() as server:
        source = a_source(server)
        (reject,) = source.parse(json.dumps(SAMPLE | {"call_status": "GONE"}).encode()).rejects
        mended = reject.text.replace(b"GONE", b"BUSY")
        assert source.parse(mended).records[0] == one_call(call_status="BUSY")
        assert [len(source.parse(text).rejects) for text in (b"", b"nonsense", b"{", b"[1, 2]")] == [0, 1, 1, 2]


def test_the_same_row_is_the_same_call_whoever_asks_for_it_and_another_rows_is_not() -> None:
    with While1Server() as server, While1Server() as other:
        here, there = a_source(server), a_source(other)
        raw = json.dumps(SAMPLE).encode()
        assert here.parse(raw).records[0].identity == there.parse(raw).records[0].identity
        server.url = server.url.replace("127.0.0.1", "localhost")
        elsewhere = a_source(server).parse(raw).records[0]
        again = here.parse(raw.replace(b'"29056"', b"29056")).records[0]
    assert elsewhere.identity != again.identity == one_call().identity
    assert len({one_call(**changes).identity for changes in ({}, {"id": "2"}, {"uniqueid": "1810401324.480"})}) == 3
    assert one_call(recording_url="https://pbx/1.wav").identity == one_call().identity


# Requests.


@pytest.mark.parametrize("form", ["form", "json"])
def test_requests_are_signed_and_filtered_as_the_page_says(form: str) -> None:
    filters = {
        "has_monitor_file": False,
        "call_status": ["BUSY", "NO ANSWER"],
        "telephone_like": "0312~ +",
        "direction": "OUT",
    }
    with While1Server() as server:
        now = time.time()
        server.rows = [
            row(1, now - 500, call_status="BUSY", source="0312~ +9"),
            row(2, now - 400, call_status="BUSY", source="0312~ +9", direction="IN"),
            row(3, now - 300, call_status="ANSWERED", source="0312~ +9"),
            row(4, now - 200, call_status="NO ANSWER", source="0312~ +9"),
            row(5, now - 100, call_status="BUSY"),
        ]
        reader = Reader().once(a_source(server, form=form, filters=filters))
        asked = server.asked[-1]
    assert reader.ids == [1, 4]
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert (
        asked.headers["content-type"]
        == {
            "form": "application/x-www-form-urlencoded",
            "json": "application/json",
        }[form]
    )
    found = parameters_of(asked)["filters"]
    assert list(found) == ["direction", "call_status", "telephone_like", "from_id", "has_monitor_file"]
    assert found["from_id"] in (1, "1")


def test_counts_may_be_texts() -> None:
    with While1Server() as server:
        server.texts = True
        server.spread(250, time.time() - 3600, time.time())
        assert Reader().once(a_source(server)).ids == [*range(1, 251)]


# What an admin sees.


@pytest.mark.parametrize("descending", [False, True])
def test_check_logs_in_for_real_and_shows_the_newest_call(descending: bool) -> None:
    with While1Server() as server:
        server.descending = descending
        source = a_source(server)
        assert source.check() == f"{server.url}: logged in, no calls in the last day"
        server.add(1, ended=time.time() - 3 * DAY)
        assert source.check() == f"{server.url}: logged in, no calls in the last day"
        server.spread(249, time.time() - 7200, time.time() - 3600)
        start = server.rows[-1]["time"]
        begun = datetime.fromisoformat(start).replace(tzinfo=ZONE).isoformat(" ")
        assert source.check() == (
            f"{server.url}: logged in, 249 calls in the last day; the newest: "
            f"{begun} 0312000250 -> 0700000000, outbound, ANSWERED, 15 s"
        )
        server.rows = [SAMPLE | {"id": "1", "time": start, "call_status": "GONE"}]
        assert source.check() == (
            f"{server.url}: logged in, 1 call in the last day; not understood: call_status 'GONE' is not known"
        )
        assert source.trouble() == ""


def test_the_commands_show_what_it_does_and_no_secret(host: Host) -> None:
    with While1Server() as server:
        server.spread(150, time.time() - 3600, time.time())
        server.rows[7]["call_status"] = "GONE"
        configure(host, server)
        said = [host.run("check"), host.run("run", "--once"), host.run("status", code=1)]
        assert "logged in, 150 calls in the last day" in said[0]
        assert "149 sent, 0 waiting, 0 dead, 1 reject" in said[1]
        found = host.status()["sources"]["pbx"]
        assert (found["calls"], found["rejects"], found["unread_seconds"], found["unread_bytes"]) == (149, 1, 0, None)
        said += [host.run("explain", json.dumps(SAMPLE)), host.run("outbox", "list", "--state", "rejected")]
        assert "call_status 'GONE' is not known" in said[-1]
        said += [host.errors, found["cursor"]]
    assert not any(secret in text for text in said for secret in (TOKEN, KEY))
