"""Calls of which the dialplan wants no record: process_cdr and skip_cdr_causes, as FreeSWITCH's core heeds them."""

import json

import pytest

from tests.kit.esl_calls import A_LEG, B_LEG, source

UNBRIDGED = {"Other-Type": None}


def told(headers: dict[str, str | None], leg: bytes = A_LEG) -> bool:
    said = {header: value for header, value in (json.loads(leg) | headers).items() if value is not None}
    batch = source(legs="ab", drop=False).parse(json.dumps(said).encode())
    assert not batch.rejects
    return bool(batch.records)


@pytest.mark.parametrize("value", ["true", "TRUE", "t", "yes", "on", "enabled", "active", "allow", "1", "2", ""])
def test_what_is_true_makes_a_record(value: str) -> None:
    assert told({"variable_process_cdr": value})


@pytest.mark.parametrize("value", ["false", "no", "off", "0", "0.5", "disabled", "never", "ture", " "])
def test_all_else_makes_none(value: str) -> None:
    assert not told({"variable_process_cdr": value})


def test_one_kind_of_leg_alone() -> None:
    assert told({"variable_process_cdr": "a_only"})
    assert not told({"variable_process_cdr": "A_Only"}, B_LEG)
    assert told({"variable_process_cdr": "b_only"}, B_LEG)
    assert not told({"variable_process_cdr": "b_only"})
    # A caller's leg that no other one was bridged to is written all the same.
    assert told({"variable_process_cdr": "b_only", **UNBRIDGED})


@pytest.mark.parametrize(
    ("causes", "made"),
    [
        ("NORMAL_CLEARING", False),
        ("normal_clearing", False),
        ("USER_BUSY| NORMAL_CLEARING ", False),
        ("16", False),
        ("USER_BUSY|17", True),
        ("USER_BUSY,NORMAL_CLEARING", True),
        ("|", True),
    ],
)
def test_causes_that_are_skipped(causes: str, made: bool) -> None:
    assert told({"variable_skip_cdr_causes": causes}) is made
    assert told({"variable_skip_cdr_causes": causes, "variable_hangup_cause_q850": None}) is (made or causes == "16")


def test_the_number_of_normal_clearing_is_not_that_of_the_causes_that_share_it() -> None:
    cancelled: dict[str, str | None] = {"variable_hangup_cause": "ORIGINATOR_CANCEL", "variable_answer_uepoch": "0"}
    assert told({**cancelled, "variable_skip_cdr_causes": "16"})
    assert not told({**cancelled, "variable_skip_cdr_causes": "ORIGINATOR_CANCEL"})
