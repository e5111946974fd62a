"""What a real Asterisk sent and wrote at the same time: each call once, however it comes."""

import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Batch
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.sources.asterisk.record import SHARED
from humbug_agent.status import coverage
from tests.kit.ami_calls import AMI, MASTER, ZONE, played
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_feed import blocks, heard, source
from tests.kit.ami_server import AmiServer
from tests.kit.calls import cdrs
from tests.kit.host import wait_until
from tests.kit.pbx_server import pieces

pytestmark = pytest.mark.slow

RECORDING = (AMI / "ami-full.rx").read_bytes()
NOT_ASCII = [found.start() for found in re.finditer(rb"[\x80-\xff]+", RECORDING)]
ENDS = [found.start() for found in re.finditer(rb"\r\n\r\n", RECORDING)]


@cache
def everything() -> tuple[bytes, ...]:
    return tuple(blocks([RECORDING]))


@cache
def written() -> tuple[CDR, ...]:
    """The calls of Master.csv."""
    master = AsteriskCsv(AsteriskCsvSettings("master-csv", MASTER, "beginning", False), ZONE)
    return tuple(cdrs(record for batch in master.read(None, Event(), follow=False) for record in batch.records))


@cache
def told() -> tuple[CDR, ...]:
    """The calls that AMI told."""
    batch = source()._batch(heard(everything()))
    assert not batch.rejects
    return tuple(cdrs(batch.records))


def test_each_event_of_the_recording_is_handed_over() -> None:
    found = everything()
    assert len(found) == RECORDING.count(b"\r\n\r\nEvent: ")
    assert sum(block.startswith(b"Event: Cdr\r\n") for block in found) == len(told()) == 127
    assert len(written()) == 126


@given(st.lists(st.one_of(st.integers(1, 40), st.integers(1, 100_000)), min_size=1, max_size=30))
@settings(max_examples=40)
def test_cut_anywhere_the_events_are_the_same(sizes: list[int]) -> None:
    # Small pieces only for a part of it: where they fall moves with every example.
    if sum(sizes) / len(sizes) < 200:
        assert blocks(pieces(RECORDING[:60_000], sizes)) == blocks([RECORDING[:60_000]])
    else:
        assert blocks(pieces(RECORDING, sizes)) == list(everything())


@given(st.sets(st.sampled_from(NOT_ASCII + ENDS), max_size=40), st.integers(-3, 3), st.integers(1, 4))
@settings(max_examples=40)
def test_cut_within_characters_and_blank_lines_the_events_are_the_same(
    places: set[int], before: int, apart: int
) -> None:
    cuts = {min(max(1, at + before + more), len(RECORDING)) for at in places for more in (0, apart)}
    borders = sorted({0, len(RECORDING)} | cuts)
    assert blocks(RECORDING[begin:end] for begin, end in pairwise(borders)) == list(everything())


def test_byte_by_byte_the_events_are_the_same() -> None:
    assert blocks(pieces(RECORDING[:100_000], (1,))) == blocks([RECORDING[:100_000]])


def test_what_both_tell_of_a_call_is_equal_in_every_column() -> None:
    heard_of = {call.identity: call for call in told()}
    for call in written():
        twin = heard_of[call.identity]
        for column in (*SHARED, "uniqueid"):
            assert value(call, column) == value(twin, column)
        assert (call.userfield == twin.userfield) or "\n" in call.userfield
    assert len(heard_of) == 127


def value(call: CDR, column: str) -> object:
    return call.extra[column] if column in call.extra else getattr(call, column)


def test_an_event_within_a_value_is_no_call() -> None:
    assert b"Event: Fake\r\nA: b" in everything()
    (twin,) = [call for call in written() if "Event: Fake" in call.userfield]
    (victim,) = [call for call in told() if call.identity == twin.identity]
    assert (victim.uniqueid, victim.userfield) == ("1795193885.14", "x")


def test_a_call_too_long_for_master_csv_is_the_one_more() -> None:
    (more,) = {call.identity: call for call in told()}.keys() - {call.identity for call in written()}
    assert [call.dst for call in told() if call.identity == more] == ["522"]


# Who hands over next, how much of it, and whether what it handed over last comes once more.
steps = st.lists(st.tuples(st.sampled_from(["ami", "master-csv"]), st.integers(1, 70), st.booleans()), max_size=60)


@given(steps)
@settings(max_examples=60)
def test_in_any_order_127_calls_are_127_calls(drawn: list[tuple[str, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Outbox(Path(folder, "outbox.db")) as outbox:
        new = sum(outbox.accept(name, batch, ["humbug"]) for name, batch in handed_over(drawn))
        assert new == queries.totals(outbox).calls == 127
        assert coverage.sightings(outbox, 0) == {("ami",): 1, ("ami", "master-csv"): 126}
        assert queries.totals(outbox).deliveries["humbug"]["waiting"] == 127


def handed_over(drawn: list[tuple[str, int, bool]]) -> Iterator[tuple[str, Batch]]:
    """AMI's events are understood piece by piece, as they come; a reading of Master.csv counts by itself."""
    ami, events, records = source(), everything(), written()
    at = {"ami": 0, "master-csv": 0}
    for name, size, again in [*drawn, ("ami", len(events), True), ("master-csv", len(records), True)]:
        # A call is one of about ten events.
        begin = at[name]
        at[name] = begin + size * (10 if name == "ami" else 1)
        own = (
            ami._batch(heard(events[begin : at[name]])) if name == "ami" else Batch(records[begin : at[name]], [], None)
        )
        yield from [(name, own)] * (1 + again)


@pytest.mark.parametrize("first", ["ami", "csv", "both"])
def test_the_daemon_delivers_each_call_once(ami: AmiServer, pbx: AmiHost, first: str) -> None:
    pbx.listen_to(ami.port, csv=True)
    events, lines = played("ami-full.rx"), MASTER.read_bytes()
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        if first == "ami":
            ami.play(events, (1, 2, 3, 5, 8, 1000, 4000))
            wait_until(lambda: pbx.store.count() == 127, 20)
        if first == "both":
            for some, more in zip_longest(pieces(events, (9000,)), pieces(lines, (401,)), fillvalue=b""):
                ami.play(some, (700, 1, 1400))
                append(pbx.master, more)
        else:
            append(pbx.master, lines)
        if first == "csv":
            wait_until(lambda: pbx.store.count() == 126, 20)
            ami.play(events, (65536,))
        wait_until(lambda: pbx.store.count() == 127, 20)
        wait_until(lambda: sightings(pbx) == {("ami",): 1, ("ami", "master-csv"): 126})
        assert pbx.store.repeats() == 0
        assert sorted(pbx.dialled()) == sorted(call.dst for call in told())
        assert daemon.times("ERROR") == daemon.times("WARNING") == 0, daemon.log
        assert ami.connections == 1
    assert pbx.status()["deliveries"] == {"waiting": 0, "sent": 127, "dead": 0}


def sightings(pbx: AmiHost) -> dict[tuple[str, ...], int]:
    with Outbox(pbx.outbox) as outbox:
        return dict(coverage.sightings(outbox, 0))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as master:
        master.write(data)


def test_explain_shows_what_becomes_of_a_recorded_event(pbx: AmiHost) -> None:
    (block,) = [block for block in everything() if b"\r\nInjected: yes" in block]
    found = json.loads(pbx.run("explain", "--source", "ami", "--json", stdin=block + b"\r\n\r\n"))
    assert found["rejects"] == []
    assert [one["call"]["uniqueid"] for one in found["calls"]] == ["1795193885.14"]
    assert [one["call"]["userfield"] for one in found["calls"]] == ["x"]
