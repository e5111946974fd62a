"""What getCDR's rows become, and how it is asked."""

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import Direction, Disposition, digest
from humbug_agent.sources.contract import SourceError
from tests.kit.boxis_server import SAMPLE, TENANT, USER_KEY, ZONE, BoxisServer, a_row
from tests.kit.windowed_sources import boxis, first, once

pytestmark = pytest.mark.usefixtures("no_pause")


def sample() -> list[dict[str, str]]:
    return list(json.loads(SAMPLE.read_text())["params"]["cdr"].values())


def test_the_sample_of_the_description_is_two_calls_with_every_value_right() -> None:
    with BoxisServer() as server:
        server.tenants[TENANT] = sample()
        came = first(boxis(server, timezone=ZONE, since=datetime(2018, 2, 6, 12)), 2)
    one, second = came.records
    assert one.src == "0041616925879"
    assert one.dst == "0225101800"
    assert one.dcontext == "fromoutside"
    assert one.clid == '"DirectCEO:" '
    assert one.channel == "SIP/NS_Inbound_Route_CH_Direct_105-00002c27"
    assert one.dstchannel == "SIP/sip046.voice.boxis.net-00002c28"
    assert one.lastapp == "Dial"
    assert one.lastdata == "SIP/QUEUE-14@sip046.voice.boxis.net,,U(destChannelActions^yes^wav^^^^)"
    assert one.start == one.answer == datetime(2018, 2, 6, 19, 12, 56, tzinfo=UTC)
    assert one.end == datetime(2018, 2, 6, 19, 16, 53, tzinfo=UTC)
    assert (one.duration, one.billsec) == (237, 236)
    assert (one.disposition, one.direction) == (Disposition.ANSWERED, Direction.INBOUND)
    assert (one.accountcode, one.userfield) == ("BOXIS", "[inbound]")
    assert one.uniqueid == one.linkedid == "sip022.voice.boxis.net-1517944376.108168"
    assert one.identity == digest("boxis", "sip022.voice.boxis.net-1517944376.108168", "15922")
    assert one.extra == {
        "amaflags": "3",
        "firstdst": "0225101820",
        "srcCallID": "2815e0000df5-5a79fe38-73bd5d15-2a761e0-402a18e@127.0.0.1",
        "peeraccount": "BOXIS",
        "sequence": "15922",
        "wherelanded": "0227359748",
        "cc_date": "2018-02-06",
        "cc_type": "OUTNOCHARGE",
        "cc_cost": "0.00000",
    }
    assert second.answer is None
    assert second.start == datetime(2018, 2, 6, 19, 14, 20, tzinfo=UTC)
    assert second.end == datetime(2018, 2, 6, 19, 14, 50, tzinfo=UTC)
    assert (second.duration, second.billsec) == (29, 0)
    assert second.disposition is Disposition.NO_ANSWER
    assert second.channel == "Local/AG-000-NFR-453@fromotherpbx-00000feb;2"
    assert second.lastdata == "SIP/1175@sip022.voice.boxis.net&SIP/317@sip015.voice.boxis.net,90,U(destChannel"
    assert second.linkedid == "sip046.voice.boxis.net-1517944379.182232"
    assert second.extra["wherelanded"] == "N/A"
    assert second.extra["realsrc"] == "Queue General"


def test_a_request_is_what_the_description_asks_for() -> None:
    with BoxisServer() as server:
        assert once(boxis(server, timezone=ZONE)).error is None
        asked = server.asked[0]
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.form.keys() == {
        "version", "returntype", "timestamp", "username", "authcode", "section", "action", "tenant", "datefrom",
        "dateto",
    }  # fmt: skip
    assert USER_KEY not in asked.body.decode() + str(asked.headers) + asked.target


@pytest.mark.parametrize("empty", [[], {}], ids=["list", "object"])
def test_an_empty_period_is_no_error_whichever_way_php_says_it(empty: object) -> None:
    with BoxisServer() as server:
        server.empty = empty
        came = once(boxis(server))
    assert (came.error, came.records, came.rejects) == (None, [], [])


def test_result_may_be_a_number_and_params_an_empty_list() -> None:
    with BoxisServer() as server:
        server.spoil = lambda _, reply: reply.but(
            body=json.dumps({"result": 1, "resulttxt": "success", "params": [], "timestamp": int(time.time())}).encode()
        )
        came = once(boxis(server))
    assert (came.error, came.records) == (None, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uniqueid": None}, "has no uniqueid"),
        ({"uniqueid": ""}, "has no uniqueid"),
        ({"sequence": None}, "has no sequence"),
        ({"start": "0000-00-00 00:00:00"}, "'' is not a time"),
        ({"end": "yesterday"}, "'yesterday' is not a time"),
        ({"duration": "a while"}, "duration 'a while' is not a whole number"),
        ({"billsec": {"seconds": 3}}, "billsec is an object, not text"),
        ({"disposition": "LOST"}, "disposition 'LOST' is none of ANSWERED, NO ANSWER"),
    ],
)
def test_a_row_that_is_no_call_is_kept_with_its_text_and_the_others_pass(
    change: dict[str, object], reason: str
) -> None:
    now = time.time()
    rows = [a_row(number, now - 100 * number) for number in range(1, 4)]
    rows[1] = rows[1] | change
    with BoxisServer() as server:
        server.tenants[TENANT] = rows
        if "start" in change:
            server.filters = "end"
        source = boxis(server, timezone=ZONE)
        came = once(source)
    assert came.error is None
    assert [record.extra["sequence"] for record in came.records] == ["1", "3"]
    (reject,) = came.rejects
    assert reject.reason.startswith(reason)
    assert reject.where == f"{server.url} {TENANT}"
    # Replayed, once a row can be read, the row alone says all there is to say.
    again = source.parse(reject.text)
    assert [one.reason for one in again.rejects] == [reject.reason]
    mended = source.parse(json.dumps(json.loads(reject.text) | {k: a_row(2, now - 200)[k] for k in change}).encode())
    assert len(mended.records) == 1


def test_a_clock_that_is_refused_is_asked_for_once_and_kept() -> None:
    with BoxisServer() as server:
        server.ahead = 5000
        source = boxis(server, timezone=ZONE)
        came = once(source)
        assert came.error is None
        assert len(server.asked) == 1 + len(server.windows)
        before = len(server.asked)
        assert once(source, came.cursor).error is None
        assert len(server.asked) == before + 1


def test_an_error_with_the_right_clock_is_said_at_once() -> None:
    with BoxisServer() as server:
        came = once(boxis(server, user_key="wrong-key-of-mine"))
        assert len(server.asked) == 1
    assert str(came.error) == (
        f"{TENANT}: {server.url}: answered 'Error: authentication failed'; check username, user_key and tenants"
    )


def test_a_refusal_that_is_not_for_the_clock_costs_one_retry_only() -> None:
    with BoxisServer() as server:
        server.ahead = 5000
        came = once(boxis(server, user_key="wrong-key-of-mine"))
        assert len(server.asked) == 2
    assert "authentication failed" in str(came.error)


def test_an_unknown_tenant_does_not_hold_up_the_others() -> None:
    now = time.time()
    with BoxisServer() as server:
        server.tenants = {"ONE": [a_row(1, now - 60)], "THREE": [a_row(3, now - 60)]}
        source = boxis(server, tenants=("ONE", "TWO", "THREE", "FOUR"), timezone=ZONE)
        came = once(source)
        assert sorted(record.extra["sequence"] for record in came.records) == ["1", "3"]
        assert str(came.error) == (
            f"TWO: {server.url}: answered 'Error: unknown tenant'; check username, user_key and tenants; "
            f"FOUR: {server.url}: answered 'Error: unknown tenant'; check username, user_key and tenants"
        )
        # The others are polled as ever, not once a second.
        wait = came.wait()
        assert wait is not None
        assert 0.75 <= wait <= 1.25
        # Once it is known it begins where it was to begin, and the others go on from where they are.
        server.tenants |= {"TWO": [a_row(2, now - 80000)], "FOUR": []}
        server.windows.clear()
        came = once(source, came.cursor)
    assert (came.error, [record.extra["sequence"] for record in came.records]) == (None, ["2"])
    assert {tenant for tenant, *_ in server.windows} == {"ONE", "TWO", "THREE", "FOUR"}
    assert sum(1 for tenant, *_ in server.windows if tenant == "ONE") == 1


@pytest.mark.parametrize(
    "change",
    [datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 10, 26, 1, tzinfo=UTC)],
    ids=["summer begins", "summer ends"],
)
@pytest.mark.parametrize("filters", ["start", "end"])
def test_no_call_is_lost_where_the_clock_is_changed(change: datetime, filters: str) -> None:
    """Calls every five minutes of the night: in each window are those that began or ended in it."""
    middle, seconds = change.timestamp(), 200
    ends = {str(number): middle + 300 * (number - 40) for number in range(80)}
    with BoxisServer() as server:
        server.tenants[TENANT] = [a_row(int(number), end, seconds) for number, end in ends.items()]
        server.filters = filters
        source = boxis(server, timezone=ZONE)
        with closing(source.asker):
            for width in (420, 1800, 5000):
                for begin in range(int(middle) - 9000, int(middle) + 9000, width):
                    rows = source.ask(TENANT, begin, begin + width, Event())
                    moments = {one: end - (seconds if filters == "start" else 0) for one, end in ends.items()}
                    expected = {one for one, moment in moments.items() if begin <= moment <= begin + width}
                    assert expected <= {row["sequence"] for row in rows}, (width, begin - middle)


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """00:30 and 01:30 UTC are both 02:30; the uniqueid, the end and the duration say which it is."""
    earlier, later = (datetime(2025, 10, 26, hour, 30, tzinfo=UTC).timestamp() for hour in (0, 1))
    rows = [a_row(1, earlier, 600), a_row(2, later, 600)]
    assert rows[0]["end"] == rows[1]["end"]
    with BoxisServer() as server:
        server.tenants[TENANT] = rows
        came = first(boxis(server, timezone=ZONE, since=datetime(2025, 10, 25)), 2)
    assert [record.end.timestamp() for record in came.records] == [earlier, later]
    assert [record.start.timestamp() for record in came.records] == [earlier - 600, later - 600]


def test_the_agents_zone_is_for_times_without_another() -> None:
    now = time.time()
    with BoxisServer() as server:
        server.zone = ZoneInfo("Europe/Berlin")
        server.tenants[TENANT] = [a_row(1, now - 60, zone=server.zone)]
        came = once(boxis(server))
    assert came.records[0].end == datetime.fromtimestamp(int(now - 60), UTC)


def test_two_rows_of_one_uniqueid_are_two_calls_and_the_same_row_twice_is_one() -> None:
    now = time.time()
    row = a_row(1, now - 60)
    with BoxisServer() as server:
        server.tenants = {"A": [row, row | {"sequence": "2"}, row], "B": [row]}
        came = once(boxis(server, tenants=("A", "B"), timezone=ZONE))
    assert [record.extra["sequence"] for record in came.records] == ["1", "2"]


def test_check_says_what_it_found() -> None:
    end = datetime.now(ZONE).replace(microsecond=0) - timedelta(minutes=5)
    with BoxisServer() as server:
        server.tenants[TENANT] = [a_row(1, end.timestamp(), 20), a_row(2, end.timestamp() - 500)]
        said = boxis(server, timezone=ZONE).check()
        began = (end - timedelta(seconds=20)).isoformat(" ", "seconds")
        assert said == (
            f"{server.url}: logged in, 2 calls in the last day; the newest: {began} "
            "0041610000001 -> 0220000001, outbound, ANSWERED, 15 s"
        )
        server.tenants[TENANT] = []
        assert boxis(server).check() == f"{server.url}: logged in, 0 calls in the last day"
        server.tenants[TENANT] = [a_row(1, end.timestamp(), disposition="?")]
        with pytest.raises(SourceError, match=r"1 call in the last day, none can be read: disposition '\?'"):
            boxis(server, timezone=ZONE).check()
        with pytest.raises(SourceError, match=f"^OTHER: {server.url}: answered 'Error: unknown tenant'"):
            boxis(server, tenants=("OTHER",)).check()
