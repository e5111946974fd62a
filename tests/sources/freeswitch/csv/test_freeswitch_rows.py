"""Rows of every template, torn ones, and what is no row."""

import csv
import io
import time
from collections.abc import Callable
from statistics import median

import pytest

from humbug_agent.sources.freeswitch.csv.rows import LINES, LegRow, LegRows, NoRow
from tests.kit.cdr_reader import RECORDED
from tests.kit.mod_cdr_csv import TEXTS, call, row, rows, uuid
from tests.kit.narrow import only

pytestmark = pytest.mark.slow


def split(data: bytes, template: str = "auto", *, more: bool = False, final: bool = True) -> list[LegRow | NoRow]:
    found, taken = LegRows(template).split(data, more=more, final=final)
    assert taken == len(data) or not final
    return found


def numbers(found: list[LegRow | NoRow]) -> list[int | bytes]:
    """Of a row its number, of junk its text."""
    return [int(item.values["uuid"][:8], 16) if isinstance(item, LegRow) else item.text for item in found]


@pytest.mark.parametrize("template", TEXTS)
@pytest.mark.parametrize("auto", [True, False])
def test_a_template_is_recognised_and_its_columns_are_named(template: str, auto: bool) -> None:
    found = split(rows(template, 1, 2, 3), "auto" if auto else template)
    assert numbers(found) == [1, 2, 3]
    for number, item in enumerate(found, 1):
        assert isinstance(item, LegRow)
        assert item.template.name == template
        written = call(number, destination_number=b"%d" % number)
        assert item.values == {name: written.get(name, b"") for name in item.template.columns}


def test_rows_of_several_templates_in_one_file_are_each_what_they_are() -> None:
    order = [*TEXTS, *reversed(TEXTS), "default", "snom", "default", "sql", "asterisk", "fallback", "safe", "example"]
    data = b"".join(row(name, call(number)) for number, name in enumerate(order))
    found = split(data)
    assert numbers(found) == list(range(len(order)))
    assert [item.template.name for item in found if isinstance(item, LegRow)] == order


@pytest.mark.parametrize("template", ["example", "snom", "safe"])
def test_rows_of_another_template_than_the_named_one_are_rejects(template: str) -> None:
    found = split(rows("opencdrrate", 1, 2), template)
    assert [type(item) for item in found] == [NoRow, NoRow]


@pytest.mark.parametrize("template", TEXTS)
def test_a_torn_row_and_its_repetition_on_one_line_are_a_reject_and_a_call(template: str) -> None:
    whole = row(template, call(2, accountcode=b"ACME"))
    for cut in range(1, len(whole)):
        found = split(rows(template, 1) + whole[:cut] + whole + rows(template, 3))
        torn = whole[:cut].strip(b"\n")
        # Within its first columns it may as well be a text with a quote in it.
        assert numbers(found) in ([1, torn, 2, 3], [1, (whole[:cut] + whole).strip(b"\n"), 3])
        if whole[:cut].count(b'","') >= 4:
            assert numbers(found) == [1, torn, 2, 3]


def test_torn_twice() -> None:
    whole = row("example", call(2))
    assert numbers(split(whole[:25] + whole[:60] + whole)) == [whole[:25], whole[:60], 2]
    assert numbers(split(whole[:120] + whole[:125] + whole)) == [whole[:120], whole[:125], 2]


def test_the_recorded_torn_row() -> None:
    values = call(
        22,
        caller_id_name=b"Full22",
        caller_id_number=b"22",
        destination_number=b"hup_USER_BUSY",
        answer_stamp=b"",
        hangup_cause=b"USER_BUSY",
        read_codec=b"L16",
        write_codec=b"L16",
    )
    whole = row("example", values)
    assert numbers(split(rows("example", 1) + whole[:21] + whole)) == [1, b'"Full22","22","hup_US', 22]


@pytest.mark.parametrize("template", TEXTS)
def test_a_torn_row_before_another_one_makes_no_wrong_call(template: str) -> None:
    """The row was lost after ten tries, or the power went."""
    for cut in range(1, len(row(template, call(2)))):
        data = (
            rows(template, 1)
            + row(template, call(2))[:cut]
            + row(template, call(3, caller_id_name=b"Eve"))
            + rows(template, 4)
        )
        found = split(data)
        assert [n for n in numbers(found) if isinstance(n, int)] in ([1, 3, 4], [1, 4])
        for item in found:
            if isinstance(item, LegRow) and item.values["uuid"] == uuid(3):
                # Within the name it may as well be a name with a quote in it.
                assert (
                    item.text == row(template, call(3, caller_id_name=b"Eve"))
                    or b'","' not in row(template, call(2))[:cut]
                )


def test_a_torn_row_at_the_end_waits_until_nothing_more_will_come() -> None:
    torn = rows("example", 2)[:100]
    reader = LegRows("auto")
    found, taken = reader.split(rows("example", 1) + torn, more=False, final=False)
    assert numbers(found) == [1]
    assert taken == len(rows("example", 1))
    found, taken = reader.split(torn, more=False, final=True)
    assert numbers(found) == [torn]
    assert "cut short" in only(NoRow, found).reason


def test_what_a_crash_leaves_between_rows_is_passed_over() -> None:
    found = split(rows("example", 1) + b"\0" * 4000 + rows("example", 2) + b"\n\r\n" + rows("example", 3))
    assert numbers(found) == [1, 2, 3]


def test_lines_of_an_unknown_template_are_rejects_each() -> None:
    lines = [b'"%d","2026-11-20","custom"' % number for number in range(100)]
    data = b"\n".join(lines) + b"\n"
    assert numbers(split(data)) == lines
    # Some at the end may be the beginning of a row yet.
    assert numbers(split(data, final=False)) == lines[:-LINES]


def test_garbage_is_rejects_and_an_end() -> None:
    data = bytes(range(256)) * 4000
    reader, at, found = LegRows("auto"), 0, []
    while at < len(data):
        items, taken = reader.split(data[at : at + 512 * 1024], more=at + 512 * 1024 < len(data), final=True)
        assert taken
        found += items
        at += taken
    assert found
    assert all(isinstance(item, NoRow) for item in found)


@pytest.mark.parametrize(
    "name", [b'"\n"', b'","', b'"', b'"\n","', b'"a', b'";"', b"\n", b'","PCMU","PCMU"\n"', b'"\n"a","b","c","d"']
)
def test_a_caller_with_an_endless_name_costs_no_time(name: bytes) -> None:
    data = b"".join(row("example", call(number, caller_id_name=name * 3000)) for number in range(5))
    began = time.process_time()
    split(data)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(("first", "second"), [("example", "linksys"), ("linksys", "example"), ("default", "snom")])
def test_after_a_change_of_the_template_rows_are_read_on(first: str, second: str) -> None:
    assert numbers(split(rows(first, 1, 2) + rows(second, 3, 4) + rows(first, 5))) == [1, 2, 3, 4, 5]


def test_an_accountcode_like_another_templates_columns_is_a_reject() -> None:
    odd = row("example", call(2, accountcode=b'a","b","c'))
    assert numbers(split(rows("example", 1) + odd + rows("example", 3))) == [1, odd.strip(b"\n"), 3]


def test_uuids_that_a_dialplan_sets_are_read() -> None:
    for template in TEXTS:
        for own in (b"call-007", b"MyOwnCall", b"7@pbx.example.com"):
            (item,) = split(row(template, call(uuid=own)))
            assert isinstance(item, LegRow)
            assert item.values["uuid"] == own


def test_asterisks_rows_may_have_amaflags() -> None:
    for flags in (b"DOCUMENTATION", b"billing", b"3"):
        (item,) = split(row("asterisk", call(amaflags=flags)))
        assert isinstance(item, LegRow)
        assert (item.values["amaflags"], item.values["uuid"]) == (flags, uuid(1))


def test_parsing_keeps_pace() -> None:
    """Against the csv module on the same rows and machine; alone it does some 100,000 a second."""
    data = (RECORDED / "example" / "Master.csv").read_bytes() * 50
    reader = LegRows("auto")

    def ours() -> object:
        return reader.split(data, more=False, final=True)

    def theirs() -> object:
        return list(csv.reader(io.StringIO(data.decode("latin-1"))))

    ratio = median(_seconds(ours) / _seconds(theirs) for _ in range(5))
    assert ratio < 12


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
