"""The bench itself: it runs, measures everything it says, and nothing is lost or repeated meanwhile."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import engines
from tests.bench.measures import WEBHOOKS, Report
from tests.bench.peers import present
from tests.bench.run import GOALS

pytestmark = pytest.mark.alone

DRAINED = ["humbug", *(name for name, *_ in WEBHOOKS), *(place.type for place in engines.present())]

MEASURES = {
    "read: into the outbox",
    "read: CPU per 1,000",
    "read: csv module into plain sqlite",
    "read: ratio to that",
    "deliver: CPU of a run with nothing to do",
    "deliver: bare http.client, 0 ms x1",
    "deliver: CPU per 1,000, bare http.client",
    "deliver: ratio to the ideal, bare http.client, 50 ms x1",
    "deliver: 0 ms x4",
    "deliver: CPU per 1,000, 0 ms x4",
    "deliver: ratio to bare, 0 ms x4",
    "deliver: CPU ratio to bare, 0 ms x4",
    "deliver: 0 ms x16",
    "deliver: CPU per 1,000, 0 ms x16",
    "deliver: ratio to bare, 0 ms x16",
    "deliver: CPU ratio to bare, 0 ms x16",
    "deliver: 50 ms x4",
    "deliver: CPU per 1,000, 50 ms x4",
    "deliver: ratio to the ideal, 50 ms x4",
    "deliver: 50 ms x16",
    "deliver: CPU per 1,000, 50 ms x16",
    "deliver: ratio to the ideal, 50 ms x16",
    "peers: CPU per 1,000, humbug-agent",
    *(
        name
        for peer in present()
        for name in (f"peers: CPU per 1,000, {peer.name}", f"peers: humbug-agent's CPU to that of {peer.name}")
    ),
    "backlog: calls",
    "backlog: reading them",
    "backlog: peak memory of reading",
    "backlog: outbox",
    "backlog: status",
    "backlog: status, ratio to an empty outbox",
    "backlog: outbox list",
    "backlog: outbox list, ratio to an empty outbox",
    "backlog: start to first POST",
    "backlog: peak memory of the daemon",
    "follow: start to first POST",
    *(
        f"follow: {what} at {rate}/s"
        for rate in (20, 200)
        for what in (
            "line to POST, p50",
            "line to POST, p99",
            "CPU per 1,000",
            "CPU per 1,000, bare loop",
            "CPU ratio to bare loop",
            "connections opened after the first",
        )
    ),
    "sustained: lines written",
    "sustained: lines unread, at most",
    "sustained: lines unread at the end",
    "sustained: read so long after the end",
    "sustained: delivered so long after the end",
    "sustained: delivered meanwhile and after",
    "sustained: peak memory of the daemon",
    *(
        f"asking: {what}, {clients} clients"
        for clients in (0, 50)
        for what in ("line to POST, p50", "line to POST, p99", "channel to page, p50", "channel to page, most", "CPU")
    ),
    *(f"asking: {what}" for what in ("pages", "a page, p50", "a page, p99", "peak memory of the daemon")),
    *(f"walls: {what}" for what in ("1, CPU", "100, CPU", "told to each of 1", "told to each of 100")),
    *(f"drain: {name}" for name in DRAINED),
    *(f"drain: CPU per 1,000, {name}" for name in DRAINED),
    *(f"drain: {name}, {what} to humbug" for name in DRAINED[1:] for what in ("ratio", "CPU ratio")),
}
COUNTS = {
    "deliver: bare http.client, 0 ms",
    "deliver: bare http.client, 50 ms",
    *(f"deliver: {delay} ms x{connections}" for delay in (0, 50) for connections in (4, 16)),
    "peers: humbug-agent",
    "backlog: stopped half-way",
    "follow: 20/s",
    "follow: 200/s",
    "sustained",
    "asking: 0 clients",
    "asking: 50 clients",
    *(f"drain: {name}" for name in DRAINED),
}


@pytest.mark.timeout(180)
@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="the receiver needs a C compiler")
def test_quick_run_measures_everything_and_loses_nothing(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--quick"]
    document = tmp_path / "document.md"
    document.write_text("Before.\n<!-- measured -->\nOf another run.\n<!-- end -->\nBehind.\n")
    command += ["--json", str(numbers), "--write", str(document), "--dir", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as bench:
        try:
            out, err = bench.communicate(timeout=150)
        finally:
            # Whatever it did not come to end itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(bench.pid, signal.SIGKILL)
    assert bench.returncode == 0, out + err
    found = json.loads(numbers.read_text())
    assert {one["name"] for one in found["measures"]} == MEASURES
    assert {one["name"] for one in found["counts"]} == COUNTS
    for one in found["counts"]:
        assert one["good"], one
        assert one["lines"] == one["sent"] == one["accepted"] == one["distinct"] > 0
        assert one["duplicates"] == 0
    for one in found["measures"]:
        assert one["name"] in out
        assert one["value"] >= 0
    before, *written, behind = document.read_text().splitlines()
    assert (before, behind) == ("Before.", "Behind.")
    assert {one["name"] for one in found["measures"]} < {line.split(" | ")[0].removeprefix("| ") for line in written}
    assert "Of another run." not in written


def test_each_goal_is_one_of_what_is_measured() -> None:
    assert GOALS.keys() - {"drain: postgresql"} <= MEASURES


def test_a_ratio_that_got_worse_by_a_fifth_is_named() -> None:
    report = Report()
    report.ratio("rate", 0.8, worse="less")
    report.ratio("cost", 1.1, worse="more")
    report.add("seconds", 100.0, "s")
    assert report.worse_than({"rate": 0.9, "cost": 1.0, "seconds": 1.0}) == []
    assert report.worse_than({"rate": 0.2, "cost": 9.0}) == []
    assert report.worse_than({"rate": 1.0}) == ["rate is 0.8, was 1"]
    assert report.worse_than({"cost": 0.9}) == ["cost is 1.1, was 0.9"]
