"""Garbage by the million: the rejects of a source have so much room, what is beyond it is counted, calls go on."""

import logging
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from humbug_agent.cdr import Batch, Reject
from humbug_agent.daemon import housekeeping
from humbug_agent.daemon.supervisor import pump
from humbug_agent.outbox import queries, rejects
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.rejects import REJECT_BYTES, SHARE
from humbug_agent.repeats import Sayings, to
from humbug_agent.sources.contract import Source
from humbug_agent.status.document import SourceStatus
from humbug_agent.status.gather import gather
from tests.kit.agent_ini import config_of
from tests.kit.calls import call, reject

TO = ["humbug"]
LIMIT = 2**20


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", max_bytes=LIMIT) as opened:
        yield opened


def garbage(first: int, number: int, length: int = 20) -> Batch:
    return Batch([call(first)], [reject(b"%0*d" % (length, first + n)) for n in range(number)], "c")


def room(box: Outbox, source: str = "csv") -> int:
    return sum(len(one.text) + REJECT_BYTES for one in queries.rejects(box) if one.source == source)


def test_no_garbage_stops_the_calls(box: Outbox) -> None:
    for first in range(0, 20_000, 1000):
        assert box.accept("csv", garbage(first, 1000), TO) == 1
    kept = queries.rejects(box)
    assert LIMIT // SHARE - 1000 < room(box) <= LIMIT // SHARE
    assert [one.text for one in kept] == [reject(b"%020d" % n).text for n in range(len(kept))]
    assert queries.read_so_far(box)["csv"].rejects == 20_000
    assert box.unkept("csv") == 20_000 - len(kept)
    # Another source has its own.
    box.accept("ami", garbage(50_000, 10), TO)
    assert len(queries.rejects(box)) == len(kept) + 10
    assert box.unkept("ami") == 0


def test_texts_without_an_end_take_no_more_room(box: Outbox) -> None:
    for first in range(0, 40, 10):
        box.accept("csv", garbage(first, 10, LIMIT // SHARE // 4), TO)
    assert len(queries.rejects(box)) == 3
    assert room(box) <= LIMIT // SHARE


def test_what_is_known_counts_as_kept_and_a_purge_makes_room(box: Outbox) -> None:
    box.accept("csv", garbage(0, 1000), TO)
    kept, unkept = [one.id for one in queries.rejects(box)], box.unkept("csv")
    box.accept("csv", garbage(0, len(kept)), TO)
    assert box.unkept("csv") == unkept
    assert queries.drop_rejects(box, kept[1:]) == len(kept) - 1
    assert box.unkept("csv") == unkept
    assert queries.drop_rejects(box, kept[:1]) == 1
    assert box.unkept("csv") == 0
    # Those that were purged stay so; the others find room.
    box.accept("csv", garbage(0, len(kept) + 1), TO)
    assert len(queries.rejects(box)) == 1


def test_it_is_said_once_and_status_says_it_until_they_are_purged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rejects, "REJECTS_BYTES", 40 * REJECT_BYTES)
    log, config = tmp_path / "Master.csv", config_of(tmp_path)
    log.write_text("".join(f"no call {number}\n" for number in range(300)))
    sources = config.make_sources()
    with Outbox(config.agent.outbox, max_bytes=housekeeping.max_bytes(config)) as box, caplog.at_level(logging.WARNING):
        for _ in range(2):
            list(
                pump(
                    sources[0], box, TO, threading.Event(), Sayings(to(logging.getLogger("humbug_agent"))), follow=False
                )
            )
            with log.open("a") as more:
                more.write("neither is this\nnor this\n")
        unkept = box.unkept("csv")
        assert unkept > 250
        assert sum("are only counted" in one.message for one in caplog.records) == 1

        def told() -> SourceStatus:
            return gather(config, sources, 0.0, None).sources["csv"]

        said = told()
        assert (said.rejects, said.rejects_unkept) == (302 - unkept, unkept)
        assert f"{unkept:,} records that can't be understood are only counted" in said.message
        queries.drop_rejects(box, queries.reject_ids(box))
        assert "are only counted" not in told().message


@dataclass
class Told:
    """A source that was told a record, which stands nowhere, and can't understand it."""

    where: str
    name: str = "posted"

    def read(self, cursor: str | None, stop: threading.Event, *, follow: bool) -> Generator[Batch]:
        yield Batch([], [Reject(b"key", b"nonsense", "is no JSON", self.where)], None)

    def doubt(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("where", "said"), [("", " reject: is no"), ("a, byte 0", " reject, the first at a, byte 0: is no")]
)
def test_where_the_first_one_stands_is_said_of_those_that_stand_somewhere(box: Outbox, where: str, said: str) -> None:
    heard: list[str] = []
    sayings = Sayings(lambda _, text: heard.append(text))
    list(pump(cast(Source, Told(where=where)), box, TO, threading.Event(), sayings, follow=False))
    assert len(heard) == 1
    assert said in heard[0]
