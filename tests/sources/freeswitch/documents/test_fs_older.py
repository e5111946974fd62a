"""A directory of documents that is asked again from a moment on: what came long before is not read."""

import time
from pathlib import Path

import pytest

from humbug_agent.sources.freeswitch.json.listing import SLACK_NS, Listing, older_known, remembered
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

ROTATED = "2026-11-20-16-58-02"


def test_what_came_before_is_known_however_much_it_is(tmp_path: Path) -> None:
    (tmp_path / ROTATED).mkdir()
    early = [tmp_path / "a.cdr.json", tmp_path / "b.cdr.xml", tmp_path / ROTATED / "c.cdr.json"]
    for document in early:
        document.write_bytes(b"{}")
    came = early[-1].stat().st_ctime_ns
    wait_until(lambda: time.time_ns() > came + SLACK_NS * 1.2)
    for document in (tmp_path / "d.cdr.json", tmp_path / ROTATED / "e.cdr.json"):
        document.write_bytes(b"{}")
    moment = (came + SLACK_NS * 1.1) / 1e9
    memory = remembered(older_known(tmp_path, moment).dump(tmp_path), tmp_path)
    found = {one.name for sub in ("", ROTATED) for one in Listing(tmp_path, sub, memory.known[sub]).new()}
    assert found == {"d.cdr.json", f"{ROTATED}/e.cdr.json"}
    memory = older_known(tmp_path, came / 1e9)
    assert len([*Listing(tmp_path, "", memory.known[""]).new()]) == 3
