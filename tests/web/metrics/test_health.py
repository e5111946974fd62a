"""/healthz's reasons, from a real outbox and a real board."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from humbug_agent.board.model import Board
from humbug_agent.cdr import Batch
from humbug_agent.config import Config
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.schema import OutboxFull
from humbug_agent.status.gather import gather
from humbug_agent.web.health import reasons
from tests.kit.agent_ini import config_of
from tests.kit.calls import batch, reject

PARTS = ("source csv", "destination humbug")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "Master.csv").touch()
    return config_of(tmp_path, "max_size_mb = 1")


@pytest.fixture
def outbox(config: Config) -> Iterator[Outbox]:
    with Outbox(config.agent.outbox, max_bytes=config.agent.max_size_mb * 2**20) as box:
        for part in PARTS:
            box.report(part, "ok")
        yield box


@pytest.fixture
def live() -> Board:
    board = Board("ami")
    board.replace([], [], [], [])
    return board


def why(config: Config, boards: Sequence[Board] = ()) -> list[str]:
    found = gather(config, config.make_sources(), time.time(), os.getpid())
    return reasons(found, "", [board.view() for board in boards])


def test_all_is_well(config: Config, outbox: Outbox, live: Board) -> None:
    assert why(config, [live]) == []


def test_who_has_only_just_begun_is_well(config: Config, outbox: Outbox) -> None:
    outbox.forget_health()
    assert why(config) == []


def test_dead_letters_and_rejects_are_no_outage(config: Config, outbox: Outbox) -> None:
    outbox.accept("csv", Batch(batch(1).records, [reject(b"what")], None), ["humbug"])
    outbox.mark("humbug", [Mark(1, "dead", 1.0)])
    assert why(config) == []


def test_each_part_says_what_is_wrong_with_it(config: Config, outbox: Outbox, live: Board) -> None:
    outbox.report("source csv", "failing", "Master.csv: Permission denied")
    outbox.report("destination humbug", "paused", "answered 401")
    assert why(config, [live, Board("other")]) == [
        "source csv is failing: Master.csv: Permission denied",
        "destination humbug is paused: answered 401",
        "board other is not live: not connected yet",
    ]


def test_an_outbox_that_can_not_be_read_hides_no_board(live: Board) -> None:
    live.away("AMI 127.0.0.1:5038: connection refused")
    assert reasons(None, "outbox o.db: its disk is full", [live.view()]) == [
        "the outbox can't be read: outbox o.db: its disk is full",
        "board ami is not live: AMI 127.0.0.1:5038: connection refused",
    ]


def fill(outbox: Outbox) -> None:
    for number in range(0, 10_000, 100):
        outbox.accept("csv", batch(*range(number, number + 100), cursor=None), ["humbug"])


def test_a_full_outbox_is_said(config: Config, outbox: Outbox) -> None:
    with pytest.raises(OutboxFull):
        fill(outbox)
    (reason,) = [reason for reason in why(config) if "full" in reason]
    assert reason.startswith("the outbox is full: reading pauses until")
