"""One record whose times, numbers or lengths nobody expected costs that record and no more, whichever source tells it.

All the way: the source's parser, the outbox, the body that is sent, and whatever shows it.
"""

import itertools
import logging
import os
from datetime import UTC
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import LONGEST, YEARS
from humbug_agent.cli.main import main
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import cdrs
from tests.kit.host import wait_until
from tests.kit.pbxs import FreeswitchJsonPbx, Pbx
from tests.sources.contract.test_contract import TO, asked, began, configured, numbers, reading, until

pytestmark = pytest.mark.slow

ABSURD = (
    "0", "-1", "9" * 10, "-" + "9" * 10, "9" * 18, "9" * 19, "9" * 25, "9" * 400, "9" * 5000, "1e400", "NaN", "",
    "253402300799", "253402300800000000", "-62135596801", "-62135596801000000", "soon", "1.5", "00:00:99",
    "9999-12-31 23:59:59", "0001-01-01 00:00:00", "8999-12-31 23:59:59", "1899-12-31 23:59:59", "0000-00-00 00:00:00",
    "2026-02-30 10:00:00", "2026-11-20 16:51:60", "2026-11-20T16:51:01+99:99", "\x1b]0;x\x07", "\u202eevil", "\ud800",
    "\0", "\uffff", "ANSWERxD", "9" * 10 + ".1", "x" * 70_000,
)  # fmt: skip
"""What no call has in the place of a time, a number or a word. Lone halves of characters come of JSON."""

WORST = ("9999-12-31 23:59:59", "0001-01-01 00:00:00", "9" * 18, "9" * 25, "-" + "9" * 10)


def test_an_absurd_record_is_a_call_or_a_reject_wherever_it_is_looked_at(pbx: Pbx, outbox: Path) -> None:
    config = configured(pbx, outbox)
    (source,) = config.make_sources()
    (destination,) = config.make_destinations()
    number = itertools.count(1)
    with Outbox(outbox) as box:

        @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
        @given(st.dictionaries(st.sampled_from(pbx.says), st.sampled_from(ABSURD), min_size=1, max_size=3))
        def each(said: dict[str, str]) -> None:
            batch = source.parse(pbx.odd(next(number), said))
            assert batch.rejects or len(batch.records) <= 1
            assert all(reject.reason for reject in batch.rejects)
            box.accept("pbx", batch, TO)
            for record in batch.records:
                destination.preview(record)

        each()
        stored = cdrs(entry.record for entry in queries.entries(box, queries.Filter()))
        source.doubt()
    destination.close()
    for record in stored:
        assert record.start.astimezone(UTC).year in YEARS
        assert abs(record.duration) < LONGEST
    looked_at(outbox)


def looked_at(outbox: Path) -> None:
    """By every command that shows calls, and as the page's document."""
    ini = ["--config", str(outbox.with_name("agent.ini"))]
    listed = asked(outbox, "outbox", "list", code=0)
    ids = [str(one["id"]) for one in listed[:5]]
    for words in (
        ["outbox", "list"], ["outbox", "list", "--state", "rejected"],
        ["outbox", "list", "--state", "rejected", "--json"],
        ["outbox", "export"], ["outbox", "export", "--format", "json"], ["outbox", "replay", "--dry-run", *ids],
        ["outbox", "replay", "--state", "rejected", "--dry-run"], *(["outbox", "show", one] for one in ids), ["status"],
        ["status", "--json"], ["status", "--nagios"],
    ):  # fmt: skip
        found = CliRunner().invoke(main, [*ini, *words])
        assert found.exception is None or isinstance(found.exception, SystemExit), (words, found.exc_info)
        assert "Error" not in found.output.splitlines()[-1:], found.output


def test_absurd_records_between_others_stop_nobody(pbx: Pbx, outbox: Path, caplog: pytest.LogCaptureFixture) -> None:
    with reading(configured(pbx, outbox)):
        began(outbox)
        pbx.ready()
        pbx.end(1)
        odd = [
            pbx.odd(100 + n, {name: worst}) for n, (name, worst) in enumerate(itertools.product(pbx.says[:5], WORST))
        ]
        pbx.tell(*odd)
        pbx.end(2)
        wait_until(lambda: {1, 2} <= set(numbers(pbx, outbox)), 20)
        with Outbox(outbox) as box:
            assert box.health()["source pbx"].state == "ok"
    assert "Trying again" not in caplog.text


def test_a_file_whose_name_is_no_text_is_a_reject_like_any_other(
    tmp_path: Path, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # What pytest captures it can't hand on between processes, as it is no text.
    caplog.set_level(logging.CRITICAL, "humbug_agent")
    with FreeswitchJsonPbx(tmp_path) as pbx:
        pbx.wrong()
        wrong = pbx.path / "a_wrong.cdr.json"
        wrong.rename(os.fsdecode(os.fsencode(pbx.path / "a_") + b"\xff.cdr.json"))
        pbx.end(1)
        with reading(configured(pbx, outbox)):
            until(pbx, outbox, 1)
            with Outbox(outbox) as box:
                wait_until(lambda: queries.rejects(box), 15)
                assert queries.rejects(box)[0].place.endswith("a_\\udcff.cdr.json")
        looked_at(outbox)
