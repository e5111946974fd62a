"""Calls of one story, found by whatever ties them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.outbox import journeys
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as made:
        yield made


def accept(outbox: Outbox, *told: dict[str, str]) -> None:
    outbox.accept("a", Batch([call(number, **one) for number, one in enumerate(told, 1)], [], "c"), [])


def found(outbox: Outbox, ident: str) -> tuple[str, str, list[int]]:
    journey = journeys.named(outbox, ident)
    assert journey
    return journey.tied, journey.id, [number for number, _ in journey.calls]


def test_a_queue_its_forks_and_a_transfer_are_one_story(outbox: Outbox) -> None:
    accept(
        outbox,
        {"uniqueid": "1.1", "linkedid": "1.1", "lastapp": "Queue"},
        {"uniqueid": "1.9", "linkedid": "1.9"},
        {"uniqueid": "1.1", "linkedid": "1.1", "lastapp": "Queue"},
        {"uniqueid": "1.4", "linkedid": "1.1", "lastapp": "Dial"},
    )
    for ident in ("1.1", "1.4"):
        assert found(outbox, ident) == ("linkedid", "1.1", [1, 3, 4])
    for number in (1, 3, 4):
        assert journeys.of_call(outbox, number) == journeys.named(outbox, "1.1")
    said = journeys.of_call(outbox, 4)
    assert said
    assert said.note == ""


def test_without_a_linkedid_only_those_of_one_channel_are_known_and_it_says_so(outbox: Outbox) -> None:
    accept(outbox, {"uniqueid": "1.1"}, {"uniqueid": "1.1"}, {"uniqueid": "1.2"}, {"uniqueid": ""}, {"uniqueid": ""})
    assert found(outbox, "1.1") == ("uniqueid", "1.1", [1, 2])
    alone = journeys.of_call(outbox, 4)
    assert alone
    assert (alone.tied, [number for number, _ in alone.calls]) == ("nothing", [4])
    assert "neither a linkedid nor a uniqueid" in alone.note
    assert journeys.named(outbox, "") == journeys.of_call(outbox, 99) == journeys.named(outbox, "7.7") is None


def test_the_first_channel_of_a_source_that_tells_no_linkedid_belongs_to_it(outbox: Outbox) -> None:
    accept(outbox, {"uniqueid": "1.1"}, {"uniqueid": "1.2", "linkedid": "1.1"})
    assert found(outbox, "1.2") == ("linkedid", "1.1", [1, 2])


def test_of_a_pbx_that_has_one_linkedid_for_all_it_tells_so_many(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journeys, "MOST_CALLS", 3)
    accept(outbox, *({"uniqueid": f"1.{number}", "linkedid": "x"} for number in range(5)))
    journey = journeys.named(outbox, "x")
    assert journey
    assert (len(journey.calls), journey.note) == (3, "There are more than these 3")


def test_it_is_found_by_indexes_alone(outbox: Outbox) -> None:
    asked: list[str] = []
    outbox.db.conn.set_trace_callback(asked.append)
    accept(outbox, {"uniqueid": "1.1", "linkedid": "1.1"})
    del asked[:]
    journeys.of_call(outbox, 1)
    outbox.db.conn.set_trace_callback(None)
    plans = [row["detail"] for sql in asked for row in outbox.select(f"EXPLAIN QUERY PLAN {sql}")]
    assert any("calls_linkedid" in one for one in plans)
    assert not [one for one in plans if "SCAN calls" in one]
