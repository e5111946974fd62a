"""Who saw which call: what is said of a source that misses some, when, how often, and with which numbers."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.config import load
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.status import coverage
from humbug_agent.status.coverage import Gaps, Sightings, disagreement, in_words
from tests.kit.ami_calls import ZONE, call, event, line
from tests.kit.ami_feed import understood
from tests.kit.host import wait_until

AMI_SECTION = "[source ami]\ntype = asterisk_ami\nusername = humbug\nsecret = x\n"
CSV_SECTION = "[source master-csv]\ntype = asterisk_csv\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(coverage, "SETTLED_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "humbug_agent")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as opened:
        opened.report("source ami", "ok")
        yield opened


def comparing(folder: Path, *sections: str) -> Gaps:
    ini = folder / "agent.ini"
    head = "[agent]\ntimezone = Europe/Berlin\n[destination humbug]\ntype = humbug\napi_key = k\n"
    ini.write_text(head + "".join(sections))
    return Gaps(load(ini))


@pytest.fixture
def compared(tmp_path: Path) -> Gaps:
    return comparing(tmp_path, AMI_SECTION, CSV_SECTION)


def tell(outbox: Outbox, *numbers: int) -> None:
    batch = understood(b"".join(event(call(number)) for number in numbers))
    outbox.accept("ami", batch, ["humbug"])


def write(outbox: Outbox, *numbers: int) -> None:
    _written(outbox, b"".join(line(call(number)) for number in numbers))


def both(outbox: Outbox, *numbers: int) -> None:
    for number in numbers:
        # Made once: a second that passes between the two would make them two calls.
        ended = call(number)
        _written(outbox, line(ended))
        outbox.accept("ami", understood(event(ended)), ["humbug"])


def _written(outbox: Outbox, lines: bytes) -> None:
    master = AsteriskCsv(AsteriskCsvSettings("master-csv", Path("Master.csv"), "beginning", False), ZONE)
    outbox.accept("master-csv", Batch(master.parse(lines).records, [], "c"), ["humbug"])


def message(outbox: Outbox) -> str:
    return outbox.health()["source ami"].message


def test_sightings_in_words() -> None:
    seen = Sightings({("ami", "master-csv"): 14, ("master-csv",): 2, ("ami",): 1234})
    assert in_words(seen) == "1,234 by ami only, 14 by ami and master-csv, 2 by master-csv only"
    assert in_words(Sightings()) == ""


def test_five_missed_calls_and_it_is_called_deaf_once(
    outbox: Outbox, compared: Gaps, caplog: pytest.LogCaptureFixture
) -> None:
    write(outbox, 1, 2, 3, 4)
    compared.look(outbox)
    assert message(outbox) == ""
    write(outbox, 5)
    compared.look(outbox)
    assert message(outbox).startswith("is deaf: of the last 5 calls it told 0, Master.csv all.")
    for number in range(6, 30):
        write(outbox, number)
        compared.look(outbox)
    assert message(outbox).startswith("is deaf: of the last 20 calls it told 0, Master.csv all.")
    assert caplog.text.count("is deaf") == 1, caplog.text


def test_when_it_hears_again_it_is_deaf_no_more(
    outbox: Outbox, compared: Gaps, caplog: pytest.LogCaptureFixture
) -> None:
    write(outbox, *range(5))
    compared.look(outbox)
    both(outbox, *range(10, 25))
    compared.look(outbox)
    assert message(outbox).startswith("is deaf: of the last 20 calls it told 15")
    assert compared.deaf("ami")
    both(outbox, 25)
    compared.look(outbox)
    assert message(outbox) == ""
    assert not compared.deaf("ami")
    assert outbox.health()["source ami"].state == "ok"
    assert caplog.text.count("is deaf") == 1, caplog.text


def test_one_that_is_away_is_not_deaf(outbox: Outbox, compared: Gaps, caplog: pytest.LogCaptureFixture) -> None:
    outbox.report("source ami", "failing", "nobody listens there")
    write(outbox, *range(20))
    compared.look(outbox)
    assert message(outbox) == "nobody listens there"
    # Back again, it can't have told what ended before.
    write(outbox, *range(20, 40))
    written = time.time()
    wait_until(lambda: time.time() > written)
    outbox.report("source ami", "ok")
    compared.look(outbox)
    assert message(outbox) == ""
    assert "deaf" not in caplog.text


def test_an_outage_is_reported_with_numbers(
    outbox: Outbox, compared: Gaps, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    write(outbox, 1, 2, 3)
    tell(outbox, 4)
    both(outbox, 5, 6)
    # The calls of these tests end five seconds from now.
    compared.outage("ami", began - 60, began - 30)
    compared.outage("ami", began, time.time() + 6)
    compared.outage("master-csv", began, began)
    compared.look(outbox)
    assert caplog.text.count("was away") == 1
    monkeypatch.setattr(coverage, "SETTLED_SECONDS", -10.0)
    compared.look(outbox)
    compared.look(outbox)
    said = [line for line in caplog.messages if "was away" in line]
    assert len(said) == 2, said
    assert said[0].endswith("calls that ended then: none")
    assert said[1].endswith("calls that ended then: 1 by ami only, 2 by ami and master-csv, 3 by master-csv only")


@pytest.mark.parametrize(
    "sections",
    [
        (AMI_SECTION,),
        (AMI_SECTION + "host = 192.0.2.1\n", CSV_SECTION),
        (AMI_SECTION + "events = shutdown\n", CSV_SECTION),
        (CSV_SECTION,),
    ],
)
def test_only_an_ami_of_this_host_with_master_csv_beside_it_is_compared(
    outbox: Outbox, tmp_path: Path, sections: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    compared = comparing(tmp_path, *sections)
    write(outbox, *range(20))
    compared.outage("ami", 0, 1)
    compared.look(outbox)
    assert message(outbox) == ""
    assert not caplog.text


def disagree(folder: Path, outbox: Outbox, *sections: str, deaf: bool = False) -> str:
    comparing(folder, *sections)
    return disagreement(outbox, load(folder / "agent.ini"), deaf=deaf)


def test_sources_disagree_when_one_in_ten_is_missing(outbox: Outbox, tmp_path: Path) -> None:
    outbox.report("source master-csv", "ok")
    both(outbox, *range(37))
    tell(outbox, *range(100, 104))
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION) == ""
    tell(outbox, 104)
    said = disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION)
    assert said == (
        "source master-csv does not have 5 of 42 calls of this PBX: 5 by ami only, 37 by ami and master-csv"
    )
    # Of a hundred that are there, five are few: records of over 1,024 bytes are never in Master.csv.
    both(outbox, *range(40, 50))
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION) == ""


def test_what_is_called_deaf_is_not_said_twice_and_needs_both_to_be_well(outbox: Outbox, tmp_path: Path) -> None:
    outbox.report("source master-csv", "ok")
    write(outbox, *range(9))
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION).startswith("source ami does not have 9 of 9 calls")
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION, deaf=True) == ""
    assert disagree(tmp_path, outbox, CSV_SECTION) == ""
    outbox.report("source ami", "failing", "nobody listens there")
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION) == ""
    # What ended before it came back it can't have told.
    outbox.report("source ami", "ok")
    wait_until(lambda: outbox.health()["source ami"].since < time.time() - 0.01)
    assert disagree(tmp_path, outbox, AMI_SECTION, CSV_SECTION) == ""
