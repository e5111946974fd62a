"""Whatever stands in a call's texts: it comes back exactly or as a reject, and nothing else is made of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.sources.freeswitch.csv.rows import LegRow, LegRows, NoRow
from humbug_agent.sources.freeswitch.csv.templates import BETWEEN, TEMPLATES
from tests.kit.mod_cdr_csv import TEXTS, Values, call, row, rows, url_encode
from tests.kit.odd_calls import calls, nobody_can_tell

pytestmark = pytest.mark.slow

ENCODED = ("caller_id_name", "caller_id_number", "destination_number", "context", "accountcode")
templates = st.sampled_from(list(TEXTS))
BREAKS = (b"\n", b";", b"2026-", b"INSERT")


def columns(template: str, values: Values) -> dict[str, bytes]:
    said = {name: values.get(name, b"") for name in TEMPLATES[template].columns}
    if template == "safe":
        said |= {name: url_encode(said[name]) for name in ENCODED}
    return said


def split(template: str, data: bytes) -> list[LegRow | NoRow]:
    found, taken = LegRows(template).split(data, more=False, final=True)
    assert taken == len(data)
    return found


def true(found: list[LegRow | NoRow], template: str, written: list[Values]) -> list[bytes]:
    """The uuids of the rows; each is the bytes of one that was written, and says what that one said."""
    wanted = {row(template, values): columns(template, values) for values in written}
    seen = [item for item in found if isinstance(item, LegRow)]
    for item in seen:
        assert item.values == wanted[item.text] or read_like_the_recorded_name(item, wanted[item.text])
        assert item.template.name == template
    return [item.values["uuid"] for item in seen]


def read_like_the_recorded_name(item: LegRow, wrote: dict[str, bytes]) -> bool:
    """A name with `","` and a word in it, of which there is a recording: see test_what_nobody_can_tell."""
    parts = item.values.get("caller_id_name", b"").split(BETWEEN)
    return len(parts) > 1 and parts[0] == wrote["caller_id_name"] and wrote["caller_id_number"] == parts[1]


@settings(max_examples=600)
@given(templates, st.booleans(), st.lists(st.integers(1, 9).flatmap(calls), max_size=4, unique_by=lambda v: v["uuid"]))
def test_every_row_is_what_was_written_or_a_reject(template: str, auto: bool, odd: list[Values]) -> None:
    written = [call(100), *(values for values in odd if not nobody_can_tell(template, values)), call(101)]
    data = b"".join(row(template, values) for values in written)
    found = split("auto" if auto else template, data)
    uuids = true(found, template, written)
    assert len(set(uuids)) == len(uuids)
    kept = b"".join(item.text for item in found)
    assert sorted(kept.replace(b"\n", b"").replace(b"\r", b"")) == sorted(data.replace(b"\n", b"").replace(b"\r", b""))


@settings(max_examples=300)
@given(templates, st.booleans(), calls(1))
def test_also_what_nobody_can_tell_is_kept_to_the_byte(template: str, auto: bool, odd: Values) -> None:
    data = row(template, call(100)) + row(template, odd) + row(template, call(101))
    for item in split("auto" if auto else template, data):
        assert data[item.at :].startswith(item.text)
        if isinstance(item, LegRow) and item.template.name != "safe":
            assert row(item.template.name, item.values) == item.text


@settings(max_examples=500)
@given(templates, calls(2))
def test_what_stands_beside_an_odd_row_is_never_touched_by_quotes_and_commas(template: str, odd: Values) -> None:
    odd = {
        name: b"x" if any(one in value for one in BREAKS) and "stamp" not in name else value
        for name, value in odd.items()
    }
    written = [call(1), odd, call(3)]
    uuids = true(split("auto", b"".join(row(template, values) for values in written)), template, written)
    assert {call(1)["uuid"], call(3)["uuid"]} <= set(uuids)


@settings(max_examples=300)
@given(templates, st.binary(max_size=40).map(lambda name: name.replace(b"\0", b"").replace(b'"', b"'")))
def test_without_quotes_anything_comes_back(template: str, name: bytes) -> None:
    written = [call(1), call(2, caller_id_name=name, context=name[:5], accountcode=name[5:9]), call(3)]
    found = split("auto", b"".join(row(template, values) for values in written))
    assert len(true(found, template, written)) == 3


@settings(max_examples=300)
@given(templates, st.lists(calls(2) | st.just(call(3)), max_size=3), st.data())
def test_where_a_read_ends_changes_nothing(template: str, odd: list[Values], data: st.DataObject) -> None:
    odd = [
        call(number, **{k: v for k, v in values.items() if k in ENCODED[:4]}) for number, values in enumerate(odd, 2)
    ]
    odd = [values for values in odd if not nobody_can_tell(template, values)]
    written = [call(1), *odd, call(100)]
    whole = b"".join(row(template, values) for values in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    rows_, at, found = LegRows(template), 0, []
    for cut in [*cuts, len(whole)]:
        items, taken = rows_.split(whole[at:cut], more=False, final=cut == len(whole))
        found += items
        at += taken
    true(found, template, written)
    assert at == len(whole)


@pytest.mark.parametrize("template", TEXTS)
def test_a_row_is_read_wherever_a_chunk_ends(template: str) -> None:
    whole = rows(template, 1) + row(template, call(2, caller_id_name=b'"li,\nne"')) + rows(template, 3)
    for cut in range(len(whole)):
        reader = LegRows("auto")
        first, taken = reader.split(whole[:cut], more=True, final=False)
        rest, _ = reader.split(whole[taken:], more=False, final=False)
        assert true(
            first + rest,
            template,
            [call(1, destination_number=b"1"), call(2, caller_id_name=b'"li,\nne"'), call(3, destination_number=b"3")],
        ) == [call(n)["uuid"] for n in (1, 2, 3)]


@pytest.mark.parametrize("template", [name for name in TEXTS if name not in ("safe", "opencdrrate")])
def test_what_nobody_can_tell(template: str) -> None:
    """A name with `","` and a word in it, of which the captures have one, reads like a number with the word in it."""
    name, number = b'x","y', b'y","2017'
    found = split(template, row(template, call(1, caller_id_name=name, caller_id_number=b"2017")))
    assert true(found, template, [call(1, caller_id_name=name, caller_id_number=b"2017")])
    if "caller_id" in TEMPLATES[template].head:
        # There the number stands twice.
        assert not true(split(template, row(template, call(1, caller_id_number=number))), template, [])


@pytest.mark.parametrize("template", [name for name in TEXTS if name != "safe"])
@pytest.mark.parametrize("number", [b'1","2', b'10","y', b'","1001', b'anonymous","1'])
def test_a_number_in_two_columns_is_a_reject(template: str, number: bytes) -> None:
    (junk,) = split("auto", row(template, call(1, caller_id_number=number)))
    assert isinstance(junk, NoRow)
    assert "more than one way" in junk.reason
