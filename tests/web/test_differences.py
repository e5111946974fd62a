"""The differences that open pages are told: applied, they make of the document before the one of now, always."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.web.differences import differences
from tests.kit.stream import patched

LEAVES = st.none() | st.integers(2, 9) | st.text("ab~/\u2028", max_size=3)
NAMED: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdefgh")}, optional={"state": LEAVES, "devices": st.lists(LEAVES)}
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(NAMED, max_size=8)
        | st.lists(NAMED, max_size=8, unique_by=lambda one: one["id"])
        | st.dictionaries(st.sampled_from(["a", "~/", "0", "name", "id"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(DOCUMENTS, DOCUMENTS)
def test_whatever_the_two_are_the_one_becomes_the_other(old: Any, new: Any) -> None:
    changes = json.loads(json.dumps(differences(old, new)))
    assert patched(old, changes) == new
    assert bool(changes) == (old != new)


def calls(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "state": "up"} for name in names]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (calls(*"abc"), calls(*"bcd"), ["remove /0", "add /2"]),
        (calls(*"abc"), calls(*"cab"), ["move /0"]),
        ({"x/y": calls("a")}, {"x/y": [{"id": "a", "state": "ringing"}]}, ["replace /x~1y/0/state"]),
        (calls(*"aa"), calls(*"ab"), ["replace "]),
        ([1, 2], [1, 3], ["replace "]),
    ],
)
def test_what_stays_is_not_told_again(old: Any, new: Any, said: list[str]) -> None:
    assert [f"{one['op']} {one['path']}" for one in differences(old, new)] == said
