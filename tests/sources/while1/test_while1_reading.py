"""In which order /api/cdr is read, so that no row is missed: pages, ids, days, clocks."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.sources.while1 import reading as while1_reading
from humbug_agent.sources.while1.reading import wall_clock
from tests.kit.pull_server import Asked
from tests.kit.while1_agent import Reader, a_source
from tests.kit.while1_server import ZONE, While1Server, parameters_of, row

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pause")]

DAY = 86400


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("manner", ["plain", "no counts", "repeats the last page"])
@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 200])
def test_every_row_comes_whatever_the_counts_say(number: int, manner: str, descending: bool) -> None:
    with While1Server() as server:
        server.counts = manner != "no counts"
        server.repeats_last = manner == "repeats the last page"
        server.descending = descending
        if number:
            server.spread(number, time.time() - 3600, time.time())
        reader = Reader().once(a_source(server))
        assert reader.ids == [*range(1, number + 1)]
        server.add(150)
        assert reader.once(a_source(server)).ids == sorted([*range(1, number + 151), *again(reader)])


def again(reader: Reader) -> list[int]:
    """What another source, which does not know what is on disk, handed over a second time."""
    return [number for number, times in Counter(reader.ids).items() for _ in range(times - 1)]


def test_a_source_that_goes_on_hands_over_nothing_twice_and_asks_for_little() -> None:
    with While1Server() as server:
        server.spread(1000, time.time() - 5 * DAY, time.time())
        source, reader = a_source(server, since=datetime.now(UTC) - timedelta(days=9)), Reader()
        reader.once(source)
        asked = len(server.asked)
        for _ in range(5):
            server.add(3)
            reader.once(source)
        assert reader.ids == [*range(1, 1016)]
        assert len(server.asked) - asked == 5
        assert server.peak == 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("adds", [1, 7, 60])
def test_rows_that_are_added_while_it_pages_are_missed_by_neither_order(descending: bool, adds: int) -> None:
    with While1Server() as server:
        server.descending = descending
        server.spread(20, time.time() - 60, time.time())
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.add(900)
        server.before = lambda _: server.add(adds) if len(server.asked) < 25 else None
        reader.once(source)
        server.before = None
        assert reader.once(source).ids == [*range(1, len(server.rows) + 1)]


ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "id": lambda one: int(one["id"]),
    "newest id": lambda one: -int(one["id"]),
    "time": lambda one: (one["time"], int(one["id"])),
    "pages backwards": lambda one: (-(int(one["id"]) // 10), int(one["id"])),
    "none": lambda one: one["uniqueid"][::-1],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_reading_may_be_given_up_after_any_batch_in_whichever_order_rows_come(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(while1_reading, "OVERLAP", 1)
    rng = random.Random(order)
    now = time.time()
    with While1Server() as server:
        server.page_size, server.order = 10, ORDERS[order]
        server.spread(20, now - 7200, now - 3600)
        reader = Reader().once(a_source(server))
        server.spread(300, now - 3600, now)
        for number in rng.sample(range(100, 320), 60):
            # A long call: among the others by when it began, far behind them by its id.
            began = rng.uniform(now - 7200, now - 3000)
            server.rows[number] |= {"time": row(1, began)["time"]}
        for _ in range(40):
            steps = reader.steps(a_source(server))
            for _ in range(rng.randrange(1, 8)):
                next(steps, None)
            steps.close()
        reader.once(a_source(server))
        assert {*reader.ids} == {*range(1, 321)}


@pytest.mark.parametrize("absurd", [10**6, 10**15, 10**17])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("first", [0, 20, 99, 100, 250])
def test_a_row_whose_id_is_far_too_high_hides_no_call_that_comes_after_it(
    first: int, absurd: int, descending: bool
) -> None:
    with While1Server() as server:
        server.descending = descending
        if first:
            server.spread(first, time.time() - 3600, time.time())
        reader = Reader().once(a_source(server))
        server.rows.append(row(absurd, time.time()))
        source = a_source(server)
        for more in range(6):
            # As a server numbers them that has taken no notice of the odd one.
            server.rows += [row(first + more * 30 + number, time.time()) for number in range(1, 31)]
            reader.once(source)
            # A new start goes on from the cursor alone.
            reader.once(a_source(server))
        assert {*reader.ids} == {*range(1, first + 181), absurd}


def test_ids_that_are_written_in_another_order_are_not_missed() -> None:
    with While1Server() as server:
        server.spread(100, time.time() - 600, time.time() - 300)
        source, reader = a_source(server), Reader()
        late = [server.rows.pop(index) for index in (70, 80, 90)]
        reader.once(source)
        server.rows += late
        assert reader.once(source).ids == [*range(1, 101)]


@pytest.mark.parametrize("descending", [False, True])
def test_rows_that_are_deleted_while_it_pages_hide_no_others(descending: bool) -> None:
    with While1Server() as server:
        server.descending = descending
        server.spread(20, time.time() - 60, time.time())
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.add(400)
        gone: list[int] = []

        def delete(_: Asked) -> None:
            if not gone and len(server.asked) == before + 3:
                # Of a page that it had already.
                found = server.rows.pop(-5 if descending else 25)
                gone.append(int(found["id"]))

        before = len(server.asked)
        server.before = delete
        assert reader.once(source).ids == [*range(1, 421)]
        assert gone


def test_a_reading_that_is_given_up_after_a_deletion_moves_past_no_row_that_it_hid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(while1_reading, "OVERLAP", 1)
    with While1Server() as server:
        server.page_size = 10
        server.spread(5, time.time() - 60, time.time())
        reader = Reader().once(a_source(server))
        server.add(100)
        begun = len(server.asked)
        # Row 14 moves to the first page, which was read already.
        server.before = lambda _: server.rows.pop(7) if len(server.asked) == begun + 2 else None
        steps = reader.steps(a_source(server))
        for _ in range(6):
            next(steps)
        steps.close()
        assert 14 not in reader.ids
        assert {*reader.once(a_source(server)).ids} == {*range(1, 106)}


def test_an_id_far_ahead_at_the_end_of_a_page_is_not_taken_for_the_last_one_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(while1_reading, "OVERLAP", 1)
    with While1Server() as server:
        server.page_size = 10
        server.spread(5, time.time() - 60, time.time())
        reader = Reader().once(a_source(server))
        server.add(100)
        server.order = lambda one: 12.5 if one["id"] == "105" else int(one["id"])
        steps = reader.steps(a_source(server))
        next(steps)
        steps.close()
        assert reader.ids[-1] == 105
        assert {*reader.once(a_source(server)).ids} == {*range(1, 106)}


def test_counts_that_are_wrong_for_ever_are_said_once_and_hide_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with While1Server() as server:
        server.spread(350, time.time() - 3600, time.time())

        def more(_: Asked, reply: Any) -> Any:
            found = json.loads(reply.body)
            found["pagination"]["row_count"] += 1000
            return reply.but(body=json.dumps(found).encode())

        server.spoil = more
        source, reader = a_source(server), Reader()
        for _ in range(3):
            server.add(150)
            reader.once(source)
    assert reader.ids == [*range(1, 801)]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        f"source pbx: {server.url} has fewer calls on its pages than it counts, 500 of 1500, also when asked again"
    ]


# Where it begins, and what is left.


def test_a_first_start_goes_back_to_since_and_no_further() -> None:
    now = time.time()
    with While1Server() as server:
        server.spread(100, now - 100.5 * 3600, now - 1800)
        since = datetime.fromtimestamp(now - 40.5 * 3600, ZONE)
        for given in (since, since.replace(tzinfo=None)):
            assert Reader().once(a_source(server, since=given)).ids == [*range(61, 101)]
        assert Reader().once(a_source(server)).ids == [*range(78, 101)]


def test_what_a_first_start_goes_back_to_is_kept_although_the_server_is_away() -> None:
    now = time.time()
    with While1Server() as server:
        server.spread(48, now - 2 * DAY, now)
        source, reader = a_source(server), Reader()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: now - DAY / 2)
            first = next(reader.steps(source))
            assert not first.records
            reader = Reader(first.cursor)
        assert reader.once(source).ids == [*range(13, 49)]


@pytest.mark.parametrize("days", [3, 400])
def test_months_are_asked_for_in_small_windows_with_progress(days: int) -> None:
    now = time.time()
    with While1Server() as server:
        server.spread(40, now - days * DAY, now)
        source = a_source(server, since=datetime.fromtimestamp(now - days * DAY, UTC))
        reader = Reader()
        unread = source.unread(None)
        assert abs(unread - days * DAY) < 5
        for _ in reader.steps(source):
            left = source.unread(reader.cursor)
            assert left <= unread + 5
            unread = left
        assert unread == 0
        assert abs(sum(batch.size for batch in reader.batches) - days * DAY) < 30
        assert len(server.asked) < days + 5
        spans = [
            datetime.fromisoformat(span["1"]) - datetime.fromisoformat(span["0"])
            for asked in server.asked
            if (span := parameters_of(asked)["filters"].get("date_between"))
        ]
        assert max(spans) < timedelta(days=400)
    assert reader.ids == [*range(1, 41)]


def test_a_cursor_of_another_server_or_type_is_not_used() -> None:
    with While1Server() as server, While1Server() as other:
        server.spread(10, time.time() - 60, time.time())
        other.spread(500, time.time() - 60, time.time())
        theirs = Reader().once(a_source(other)).cursor
        for cursor in (theirs, '{"token": "x"}', '{"of": 5}'):
            assert Reader(cursor).once(a_source(server)).ids == [*range(1, 11)]
            assert a_source(server).unread(cursor) > DAY - 60


def test_without_any_call_it_goes_on_until_there_is_a_first_one() -> None:
    with While1Server() as server:
        source, reader = a_source(server), Reader()
        for _ in range(3):
            reader.once(source)
        assert len(server.asked) <= 6
        server.add(3, ended=time.time() - 3600)
        assert reader.once(source).ids == [1, 2, 3]
        server.add(2)
        assert reader.once(source).ids == [1, 2, 3, 4, 5]
        assert list(parameters_of(server.asked[-1])["filters"]) == ["from_id"]


def test_a_pbx_that_is_set_up_anew_and_begins_its_ids_anew_loses_no_call() -> None:
    with While1Server() as server:
        server.spread(700, time.time() - 7200, time.time() - 3600)
        source, reader = a_source(server), Reader()
        reader.once(source)
        server.rows.clear()
        server.spread(5, time.time() - 60, time.time())
        assert reader.once(source).ids == sorted([*range(1, 701), *range(1, 6)])
        assert len({call.identity for call in reader.calls}) == 705


def test_a_call_that_is_not_over_is_waited_for_however_many_others_end_meanwhile() -> None:
    with While1Server() as server:
        source, reader = a_source(server), Reader()
        server.spread(10, time.time() - 600, time.time())
        whole = dict(server.rows[4])
        server.rows[4]["time_end"] = "0000-00-00 00:00:00"
        reader.once(source)
        server.add(200)
        reader.once(source)
        assert (reader.rejects, 5 in reader.ids) == ([], False)
        server.rows[4] = whole
        reader.once(a_source(server))
        assert (reader.rejects, set(reader.ids)) == ([], {*range(1, 211)})


def test_a_row_that_never_gets_an_end_is_a_reject_in_the_end_and_holds_up_none() -> None:
    with While1Server() as server:
        source, reader = a_source(server), Reader()
        server.spread(400, time.time() - 6 * 3600, time.time())
        server.rows[9]["time_end"] = None
        reader.once(source)
        assert reader.rejects == ["has no time_end"]
        assert json.loads(str(reader.cursor))["id"] == 350


# Clocks.


def test_at_a_change_of_the_clock_a_window_is_wider_by_an_hour_on_both_sides() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for month, day in ((3, 29), (10, 25)):
        begin = int(datetime(2026, month, day, tzinfo=zone).timestamp())
        shown = wall_clock(begin, begin + DAY, zone)
        span = datetime.fromisoformat(shown[1]) - datetime.fromisoformat(shown[0])
        assert span >= timedelta(hours=25)
        assert shown[0] == f"2026-{month:02}-{day - 1} 23:00:00"
    begin = int(datetime(2026, 7, 1, tzinfo=zone).timestamp())
    assert wall_clock(begin, begin + DAY, zone) == ["2026-07-01 00:00:00", "2026-07-02 00:00:00"]


def test_a_zone_that_is_wrong_by_hours_and_a_clock_that_is_ahead_hide_no_call() -> None:
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        with While1Server() as server:
            server.spread(300, time.time() - 7200, time.time())
            since = datetime.now(UTC) - timedelta(days=3)
            source, reader = a_source(server, since=since, timezone=ZoneInfo(zone)), Reader()
            reader.once(source)
            server.add(60)
            assert reader.once(source).ids == [*range(1, 361)]


@pytest.mark.parametrize("year", [1970, 2003, 2099])
@pytest.mark.parametrize("whose", ["ours", "the server's"])
def test_a_clock_that_jumps_hides_no_call(year: int, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with While1Server() as server:
        server.spread(300, now - 2 * DAY, now)
        source = a_source(server, since=datetime.fromtimestamp(now - 3 * DAY, UTC))
        reader = Reader()
        wrong = datetime(year, 6, 1, tzinfo=UTC).timestamp()
        with monkeypatch.context() as patch:
            if whose == "ours":
                patch.setattr(time, "time", lambda: wrong)
            else:
                said = f"{datetime(year, 6, 1):%a, %d %b %Y %H:%M:%S} GMT"
                server.spoil = lambda _, reply: reply.but(headers={**reply.headers, "Date": said})
            reader.once(source)
            server.spoil = None
        server.add(60)
        reader.once(source)
        server.add(60)
        assert reader.once(source).ids == [*range(1, 421)]
        assert len(server.asked) < 120
