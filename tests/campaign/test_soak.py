"""The soak's short form, and that it fails where it has to."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.campaign.soak import IDENTITY_BYTES, MB, Sample, grown
from tests.campaign.soak_oracle import BUSY, CUT, REFUSED, Oracle, expected

pytestmark = pytest.mark.slow

CALLS = 9000
STEADY = [Sample(at, at * 100, 60 * MB, 20, 12, 20 * MB, 4 * MB) for at in range(CALLS // 100)]


def test_some_thousand_calls_and_twenty_reloads_leave_the_daemon_as_it_was() -> None:
    command = [sys.executable, str(Path(__file__).with_name("soak.py")), "--calls", "4000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: every call" in done.stdout


def test_what_stays_as_it_is_did_not_grow() -> None:
    assert grown(STEADY, CALLS) == []


@pytest.mark.parametrize(
    ("what", "by"),
    [("memory", 10 * MB), ("descriptors", 3), ("threads", 1), ("outbox", 20 * MB), ("wal", 64 * MB)],
)
def test_what_grew_at_last_is_said(what: str, by: int) -> None:
    late = [dataclasses.replace(sample, **{what: getattr(sample, what) + by}) for sample in STEADY[70:]]
    (said,) = grown([*STEADY[:60], *late], CALLS)
    assert "grew" in said


def test_what_the_outbox_remembers_of_each_call_is_no_growth() -> None:
    samples = [
        dataclasses.replace(sample, outbox=sample.outbox + sample.received * 100 * IDENTITY_BYTES, received=at * 10_000)
        for at, sample in enumerate(STEADY)
    ]
    assert grown(samples, CALLS * 100) == []


def told(oracle: Oracle, number: int, **changes: str) -> int:
    return oracle.told(urlencode(expected(number) | changes).encode())


def all_told(calls: int) -> Oracle:
    oracle = Oracle(calls)
    for number in range(calls):
        while (status := told(oracle, number)) in (0, 503):
            assert number % (CUT if status == 0 else BUSY) == 0
        assert status == (400 if number % REFUSED == REFUSED - 1 else 200)
    return oracle


def test_the_oracle_finds_no_fault_where_each_call_came() -> None:
    oracle = all_told(6000)
    assert oracle.judge() == []
    assert oracle.distinct == 6000 - oracle.refused(6000)


def test_the_oracle_finds_what_is_missing_what_is_doubled_and_what_is_another() -> None:
    oracle = all_told(100)
    told(oracle, 5)
    oracle.accepted[7] = 0
    told(oracle, 7, Duration="1000000", Source="1")
    oracle.accepted[8] = 0
    assert oracle.judge() == [
        "call 7 came with another Source, Duration (1 times)",
        "1 calls are missing: [8]",
        "1 calls came another number of times than they had to: [5]",
    ]
