"""Asked anew, beside its own reading, every type of source tells its calls once more, as the same calls."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner

from humbug_agent.cdr import CDR
from humbug_agent.cli.main import main
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import ToldOnce
from tests.kit.pbxs import DAY, Hosted, Pbx
from tests.sources.contract.test_contract import began, configured, reading, records, until

pytestmark = pytest.mark.slow


def told_again(outbox: Path, pbx: Pbx, moment: float) -> list[CDR]:
    """What a reading from ``moment`` on tells, each call once."""
    (source,) = configured(pbx, outbox).make_sources()
    with Outbox(outbox) as box:
        begin = source.again_from(box.cursor("pbx"), moment)
    batches = source.read(begin.cursor, Event(), follow=False)
    calls = [one for batch in batches for one in batch.records if isinstance(one, CDR)]
    return list({one.identity: one for one in calls}.values())


def by_identity(one: CDR) -> bytes:
    return one.identity


def compared(outbox: Path, *options: str, code: int) -> Any:
    command = ["--config", str(outbox.with_name("agent.ini")), "reconcile", "--json", *options]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == code, found.output
    return json.loads(found.stdout)


def lose(pbx: Pbx, outbox: Path, *calls: int) -> None:
    identities = [one.identity for one in records(outbox) if pbx.number(one) in calls]
    assert len(identities) == len(calls)
    with closing(sqlite3.connect(outbox)) as db, db:
        for identity in identities:
            db.execute("DELETE FROM deliveries WHERE call = (SELECT id FROM calls WHERE identity = ?)", (identity,))
            db.execute("DELETE FROM calls WHERE identity = ?", (identity,))


def read_five(pbx: Pbx, outbox: Path) -> None:
    """Calls 1 and 2 of three days ago where the PBX has such, 3 to 5 of now."""
    if isinstance(pbx, Hosted):
        pbx.began = time.time() - 10 * DAY
    if pbx.tells_again:
        pbx.old(1, 2)
    with reading(configured(pbx, outbox)):
        began(outbox)
        pbx.ready()
        pbx.end(*(() if pbx.tells_again else (1, 2)), 3, 4, 5)
        until(pbx, outbox, 1, 2, 3, 4, 5)


def test_it_tells_the_same_calls_or_says_why_not(pbx: Pbx, outbox: Path) -> None:
    read_five(pbx, outbox)
    if not pbx.tells_again:
        with pytest.raises(ToldOnce, match=r"^(is|does|can|has) "):
            told_again(outbox, pbx, 0)
        return
    everything = told_again(outbox, pbx, time.time() - 20 * DAY)
    assert sorted(everything, key=by_identity) == sorted(records(outbox), key=by_identity)
    late = {pbx.number(one) for one in told_again(outbox, pbx, time.time() - DAY)}
    assert late >= {3, 4, 5}
    assert not isinstance(pbx, Hosted) or late == {3, 4, 5}


def test_what_is_lost_is_found_by_it_and_comes_in_once(pbx: Pbx, outbox: Path) -> None:
    read_five(pbx, outbox)
    if not pbx.tells_again:
        found = compared(outbox, code=0)["sources"]["pbx"]
        assert (found["total"]["pbx"], found["total"]["outbox"]) == (None, 5)
        return
    assert compared(outbox, code=0)["complete"] is True
    lost = {one.identity.hex() for one in records(outbox) if pbx.number(one) in (2, 4)}
    lose(pbx, outbox, 2, 4)
    with Outbox(outbox) as box:
        before = box.cursor("pbx")
    found = compared(outbox, code=1)
    assert {one["identity"] for one in found["differing"]} == lost
    assert found["sources"]["pbx"]["total"]["missing"] == 2
    compared(outbox, "--send", code=0)
    until(pbx, outbox, 1, 2, 3, 4, 5)
    with Outbox(outbox) as box:
        assert box.cursor("pbx") == before
    # Its own reading goes on behind that, and nothing comes twice.
    with reading(configured(pbx, outbox)):
        pbx.ready()
        pbx.end(6)
        until(pbx, outbox, 1, 2, 3, 4, 5, 6)
    assert compared(outbox, code=0)["sources"]["pbx"]["total"]["outbox"] == 6
