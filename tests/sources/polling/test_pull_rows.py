"""Rows of an API's answer: values as text, rejects that can be replayed, and nothing twice."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Direction
from humbug_agent.sources.polling import rows
from humbug_agent.sources.polling.rows import ApiRow, ApiRows, in_words, parsed, read_json
from tests.kit.calls import call


def made(row: ApiRow) -> CDR | None:
    number = row.whole("id")
    return call(number) if number else None


def test_values_are_text() -> None:
    row = ApiRow({"a": "x", "b": True, "c": None, "d": [1], "e": " 7 ", "f": "", "g": False})
    assert [row.text(name) for name in "abcefgz"] == ["x", "1", "", " 7 ", "", "0", ""]
    assert [name in row for name in "abcdefgz"] == [True, True, False, True, True, False, True, False]
    assert (row.required("e"), row.whole("e")) == ("7", 7)
    assert row.rest({"a"}) == {"b": "1", "d": "[1]", "e": " 7 ", "g": "0"}


@pytest.mark.parametrize(
    ("value", "seconds"), [("00:00:00", 0), ("01:02:03", 3723), ("100:00:00", 360000), ("75", 75), ("", 0), (None, 0)]
)
def test_durations(value: str | None, seconds: int) -> None:
    assert ApiRow({"d": value}).seconds("d") == seconds


@pytest.mark.parametrize("value", ["00:60:00", "1:2:3", "-1", "1.5", "x", [1], {}, "1" * 30])
def test_what_is_no_duration(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^d "):
        ApiRow({"d": value}).seconds("d")


@pytest.mark.parametrize("values", [None, "x", "5", [], True])
def test_what_is_no_row(values: Any) -> None:
    with pytest.raises(ValueError, match="is no row but"):
        ApiRow(values)


def test_what_is_on_disk_is_not_handed_over_again() -> None:
    source = ApiRows("pbx", made)
    values = [{"id": "1"}, {"id": "0"}, {"id": "x"}, {"id": "2"}, {"id": "1"}]
    first = source.batch(values, "here", "cursor", 7)
    assert (len(first.records), [reject.where for reject in first.rejects]) == (2, ["here"])
    assert (first.cursor, first.size) == ("cursor", 7)
    assert len(source.batch(values, "here").records) == 2
    source.on_disk(first)
    again = source.batch([*values, {"id": "3"}], "here")
    assert (len(again.records), len(again.rejects)) == (1, 0)


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "REMEMBERED", 10)
    source = ApiRows("pbx", made)
    for number in range(1, 30):
        source.on_disk(source.batch([{"id": str(number)}], ""))
    assert [len(source.batch([{"id": str(number)}], "").records) for number in (1, 19, 20, 29)] == [1, 1, 0, 0]


def test_a_rejects_text_is_the_row() -> None:
    source = ApiRows("pbx", made)
    row = {"id": "x", "name": "Zoë\n", "list": [{"a": None}]}
    (reject,) = source.batch([row], "here").rejects
    assert json.loads(reject.text) == row
    (again,) = parsed(reject.text, source).rejects
    assert (again.key, again.text) == (reject.key, reject.text)
    assert len(parsed(reject.text.replace(b'"x"', b"5"), source).records) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(("id", "other")), JSON))
def test_any_json_is_a_call_or_a_reject_that_can_be_stored(values: dict[str, Any]) -> None:
    raw = json.dumps(values).encode()
    found = parsed(raw, ApiRows("pbx", made))
    assert len(found.records) + len(found.rejects) <= 1
    for reject in found.rejects:
        reject.text.decode()
        assert read_json(reject.text) == read_json(raw)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_no_json(raw: bytes) -> None:
    try:
        json.dumps(read_json(raw), ensure_ascii=False).encode()
    except ValueError:
        found = parsed(raw, ApiRows("pbx", made))
        assert len(found.rejects) == (1 if raw.strip() else 0)


@pytest.mark.parametrize("depth", [20, 60, 900, 100_000])
def test_what_is_nested_too_deep_is_no_json(depth: int) -> None:
    raw = b'{"a":' * depth + b"1" + b"}" * depth
    if depth < rows.DEEPEST:
        assert read_json(raw)
        return
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(raw)


def test_a_call_in_words() -> None:
    found = call(1, start=datetime(2026, 11, 20, 10, 11, 2, tzinfo=UTC), src="0312285000", dst="0700000000")
    assert in_words(found, UTC) == "2026-11-20 10:11:02+00:00 0312285000 -> 0700000000, ANSWERED, 7 s"
    outbound = call(2, direction=Direction.OUTBOUND)
    assert in_words(outbound, UTC).endswith(", outbound, NO ANSWER, 0 s")
