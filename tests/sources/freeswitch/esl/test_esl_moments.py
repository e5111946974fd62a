"""An event's times: what the channel's variables have not, its own headers have."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.sources.freeswitch.esl.event import leg
from tests.kit.esl_calls import A_LEG, ZONE, changed, source

EXACT = leg(A_LEG, ZONE)
HEADERS = {"start": "Caller__Channel__Created__Time", "end": "Caller__Channel__Hangup__Time"}


@pytest.mark.parametrize("never", ["0", "", None])
@pytest.mark.parametrize("name", HEADERS)
def test_a_moment_at_0_is_told_by_its_header(name: str, never: str | None) -> None:
    found = leg(changed(**{f"variable_{name}_{kind}": never for kind in ("uepoch", "epoch", "stamp")}), ZONE)
    assert found
    assert EXACT
    assert replace(found, shown=EXACT.shown) == EXACT


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_at_0_is_told_by_the_variables(name: str) -> None:
    assert leg(changed(**{HEADERS[name]: "0"}), ZONE) == EXACT


def test_stamps_alone_are_local_time() -> None:
    names = [f"variable_{name}_{kind}" for name in ("start", "answer", "end") for kind in ("uepoch", "epoch")]
    stamps = {"variable_start_stamp": "2026-11-20 18:00:00", "variable_end_stamp": "2026-11-20 18:00:07"}
    headers = dict.fromkeys([*HEADERS.values(), "Caller__Channel__Answered__Time"])
    found = leg(changed(**dict.fromkeys(names), **headers, **stamps, variable_answer_stamp=None), ZONE)
    assert found
    assert (found.start.astimezone(UTC).hour, (found.end - found.start).seconds) == (17, 7)


_absurd = st.sampled_from(["9" * 18, "9" * 500, "-1", "NaN", "1e9", "253402300799", "253402300799999999", "x"])
_names = st.sampled_from(
    [
        "variable_start_epoch", "variable_start_uepoch", "variable_end_uepoch", "variable_answer_epoch",
        "variable_duration", "variable_billsec", "Caller__Channel__Created__Time", "Caller__Channel__Hangup__Time",
    ]
)  # fmt: skip


@given(st.dictionaries(_names, _absurd, min_size=1))
def test_absurd_values_are_calls_or_rejects(headers: dict[str, str]) -> None:
    batch = source().parse(changed(**headers))
    assert len(batch.records) + len(batch.rejects) == 1
    assert all(reject.reason for reject in batch.rejects)
