"""Master.csv's bytes -> records, against a model of cdr_csv and against Python's csv module."""

import csv
import io
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from humbug_agent.sources.asterisk.csv.layouts import Row
from humbug_agent.sources.asterisk.csv.records import Junk, split
from tests.kit.cdr_csv import LAYOUTS, RECORDED, call, calls, line, numbered, plain, texts

pytestmark = pytest.mark.slow

quick = settings(deadline=None, max_examples=60)
# What is always so: no quote in an account code, no line break but in a userfield, a context. Without that a record
# could be made whose beginning, seen from inside a text that was cut, reads like the end of one.
unbroken = texts.filter(lambda value: b"\n" not in value and b"\r" not in value)
real = dict.fromkeys(["clid", "channel", "dstchannel", "lastapp", "lastdata"], unbroken) | {
    "accountcode": plain,
    "src": plain,
    "dst": plain,
    "dcontext": st.just(b"from-internal"),
}
GARBAGE = [b"\n", b"\r\n", b"garbage\n", b'"\n', b"\0" * 40, b'a,"b\n', b'"","50', b'","",\n', b"1,2,3\n", b"\xff\xfe"]


def rows(data: bytes, *, final: bool = True) -> list[dict[str, bytes]]:
    return [item.values for item in split(data, final=final)[0] if isinstance(item, Row)]


def junk(data: bytes, *, final: bool = True) -> list[Junk]:
    return [item for item in split(data, final=final)[0] if isinstance(item, Junk)]


def bare(data: bytes) -> bytes:
    return data.replace(b"\r", b"").replace(b"\n", b"")


@pytest.mark.parametrize(("name", "count", "columns"), [("default", 127, 16), ("full", 126, 18)])
def test_recorded_file_reads_as_pythons_csv_module_reads_it(name: str, count: int, columns: int) -> None:
    data = (RECORDED / f"Master-{name}.csv").read_bytes()
    found, taken = split(data, final=False)
    expected = list(csv.reader(io.StringIO(data.decode("latin-1"), newline="")))
    assert (len(found), taken) == (count, len(data))
    assert all(isinstance(item, Row) for item in found)
    assert [[value.decode("latin-1") for value in values.values()] for values in rows(data, final=False)] == expected
    assert {len(values) for values in expected} == {columns}
    assert b"".join(item.text for item in found) == data


def test_full_disks_file_is_23_calls_and_the_cut_one_as_a_reject() -> None:
    data = (RECORDED / "Master-diskfull.csv").read_bytes()
    found, taken = split(data, final=False)
    (cut,) = [item for item in found if isinstance(item, Junk)]
    assert (len(found), taken) == (24, len(data))
    assert cut.text.startswith(b'"","","501"')
    assert cut.text.endswith(b'"Busy","1","2026-11-20 17:06:33",,"2026-')
    assert data[cut.at :].startswith(cut.text)
    assert "cut short" in cut.reason
    assert b"00000013;1" in found[found.index(cut) + 1].text


@quick
@given(calls(LAYOUTS))
def test_any_text_comes_back_as_it_was_said(values: dict[str, bytes]) -> None:
    assert rows(line(values), final=False) == [values]


@quick
@given(st.lists(calls(LAYOUTS), max_size=6))
def test_any_layouts_mix_in_one_file(several: list[dict[str, bytes]]) -> None:
    assert rows(b"".join(map(line, several)), final=False) == several


def test_a_field_of_a_thousand_bytes_comes_back() -> None:
    values = call(userfield=b'say "yes", \xe4' * 50)
    assert 800 < len(line(values)) <= 1024
    assert rows(line(values)) == [values]


@pytest.mark.parametrize("userfield", [b"", b"customer 12", b"a\nb"])
def test_17_columns_may_end_with_the_userfield(userfield: bytes) -> None:
    # loguniqueid=no, loguserfield=yes
    data = line(call(16))[:-1] + b',"' + userfield + b'"\n'
    assert rows(data) == [call(16) | {"userfield": userfield}]


def test_a_price_in_the_17th_column_is_no_uniqueid() -> None:
    assert rows(line(call(16))[:-1] + b',"0.05"\n') == [call(16) | {"userfield": b"0.05"}]


def test_crlf_ends_a_record_too() -> None:
    assert rows((line(call(18))[:-1] + b"\r\n") * 2, final=False) == [call(18)] * 2


@quick
@given(calls([18, 21], userfield=st.just(b'one\ntwo "2"\r\n')), calls(LAYOUTS))
def test_every_prefix_waits_for_its_end(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    data = line(first) + line(second)
    border = len(line(first))
    for length in range(len(data)):
        found, taken = split(data[:length], final=False)
        assert [item.text for item in found] == ([data[:border]] if length >= border else [])
        assert taken == (border if length >= border else 0)


@settings(deadline=None, max_examples=150)
@given(st.lists(calls(**real).map(line) | st.sampled_from(GARBAGE), max_size=6).map(b"".join), st.data())
def test_any_chunks_give_the_same_calls_and_lose_no_byte(data: bytes, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=5).map(sorted))
    texts, wanted = in_chunks(data, cuts), [item.text for item in split(data, final=True)[0] if isinstance(item, Row)]
    assert [text for kind, text in texts if kind is Row] == wanted
    assert bare(b"".join(text for _, text in texts)) == bare(data)


def in_chunks(data: bytes, cuts: list[int]) -> list[tuple[type, bytes]]:
    """Split as a reader does that sees the data grow to each of ``cuts``."""
    found: list[Row | Junk] = []
    at = 0
    for cut in [*cuts, len(data)]:
        items, taken = split(data[at:cut], final=False)
        found, at = found + items, at + taken
    found += split(data[at:], final=True)[0]
    return [(type(item), item.text) for item in found]


def test_a_record_glued_to_a_cut_one_is_waited_for_though_a_line_break_is_in_it() -> None:
    whole = line(call(18, userfield=b"first line\nsecond line"))
    data = line(call())[:60] + whole
    for cut in range(60, len(data)):
        assert (Row, whole) in in_chunks(data, [cut]), f"lost when seen {cut - 60} bytes behind the cut: {data[:cut]!r}"


def test_a_record_behind_a_hole_of_zeros_is_waited_for() -> None:
    data = b"\0" * 20000 + numbered(1)
    for cut in range(20000, len(data), 7):
        assert (Row, numbered(1)) in in_chunks(data, [cut]), f"lost when seen {cut - 20000} bytes behind the zeros"


def cut_and_glued(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    written, rest = line(first), line(second)
    # Right behind an account code nobody can tell: it might be an account code with a quote in it. See below.
    account = len(first["accountcode"]) + 2
    for cut in [*range(1, account), *range(account + 1, len(written))]:
        data = written[:cut] + rest
        found, taken = split(data, final=False)
        assert taken == len(data), cut
        assert isinstance(found[-1], Row), (cut, written[:cut])
        assert found[-1].values == second, (cut, written[:cut])
        if isinstance(found[0], Row):
            assert len(found) == 2, (cut, written[:cut])
            assert found[0].values.items() <= first.items(), (cut, written[:cut])
            assert set(LAYOUTS[16]) <= found[0].values.keys()
        else:
            assert bare(b"".join(item.text for item in found[:-1])) == bare(written[:cut])


@pytest.mark.parametrize("columns", [16, 18])
def test_of_a_recorded_looking_pair_each_cut_leaves_the_second_call_whole(columns: int) -> None:
    cut_and_glued(call(columns), call(columns, src=b"", accountcode=b"acme"))
    cut_and_glued(call(columns, accountcode=b"acme"), call(columns, src=b""))


@settings(deadline=None, max_examples=40)
@given(calls([16, 17, 18], **real, userfield=st.sampled_from([b"", b"two\nlines", b"a,b"])), calls(**real))
def test_each_cut_of_any_record_leaves_the_second_call_whole(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    cut_and_glued(first, second)


@pytest.mark.parametrize("columns", [19, 20, 21])
def test_a_cut_in_the_new_columns_makes_no_wrong_value(columns: int) -> None:
    cut_and_glued(call(columns, peeraccount=b"acme"), call(columns))


@quick
@given(st.lists(st.tuples(calls([16, 18], **real), st.floats(0.3, 0.99)), min_size=2, max_size=3))
def test_several_cut_records_in_a_row_are_kept_to_the_byte(cut: list[tuple[dict[str, bytes], float]]) -> None:
    data = b"".join(line(values)[: int(len(line(values)) * part)] for values, part in cut)
    found, _ = split(data + numbered(7), final=False)
    assert isinstance(found[-1], Row)
    # One that was cut behind a line break and a blank leaves that blank to the next one, which may begin with some.
    blank = found[-1].text.removesuffix(numbered(7))
    assert not blank.strip()
    assert bare(b"".join(item.text for item in found[:-1]) + blank) == bare(data)


@pytest.mark.parametrize(("first", "second"), [(b"", b""), (b"acme", b""), (b"", b"acme"), (b"acme", b"acme")])
def test_a_cut_right_behind_the_account_code_is_told_by_nobody_but_loses_no_call(first: bytes, second: bytes) -> None:
    glued = b'"' + first + b'"' + line(call(accountcode=second))
    (row,) = rows(glued)
    assert row | {"accountcode": second} == call(accountcode=second)


def test_a_record_that_only_lacks_its_line_break_is_a_call() -> None:
    assert rows(numbered(1)[:-1] + numbered(2), final=False) == rows(numbered(1, 2))
    assert rows(numbered(1)[:-1]) == rows(numbered(1))


@example(b'accountcode,src,dst,"dcontext"\n')
@example(b"\0" * 5000)
@example(b"\0" * 5000 + b"\n")
@example(b'"half a record","\n')
@example(b"\n\r\n\n")
@example(bytes(range(256)) * 5)
@quick
@given(st.lists(st.sampled_from(GARBAGE), max_size=8).map(b"".join))
def test_what_stands_between_records_costs_neither_of_them(garbage: bytes) -> None:
    # The line break: right behind an open quote the next record would begin inside a text.
    found, _ = split(numbered(1) + garbage + b"\n" + numbered(2), final=False)
    assert [item.text for item in found if isinstance(item, Row)] == [numbered(1), numbered(2)]
    assert bare(b"".join(item.text for item in found)) == bare(numbered(1) + garbage + numbered(2))


def test_a_reject_says_what_is_wrong_with_its_line() -> None:
    few, bad = junk(b'"a","b"\n' + numbered(1) + numbered(2).replace(b"2026-11-20", b"20.11.2026"))
    assert (few.text, few.at) == (b'"a","b"', 0)
    assert "2 columns" in few.reason
    assert "three times" in bad.reason


@pytest.mark.parametrize(
    "garbage",
    [
        "random.Random(1).randbytes(5_000_000)",
        "b'\\0' * 5_000_000",
        "b'\\n' * 5_000_000",
        "b'a,\"b\\n' * 1_000_000",
        "b'\"' * 250_000",
        "b'\"\",' * 80_000",
        "b'\"' + b'\"\",\"' * 60_000",
    ],
)
def test_garbage_takes_no_longer_than_its_size_warrants(garbage: str) -> None:
    # In a process of its own: a regular expression that runs away can't be interrupted otherwise. Its time is the
    # processor's, which no neighbour makes longer.
    code = (
        "import random, resource; resource.setrlimit(resource.RLIMIT_CPU, (6, 6)); "
        f"from humbug_agent.sources.asterisk.csv.records import split; split({garbage}, final=False)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
