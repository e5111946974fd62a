"""Every way in which Asterisk, and who had the file in hands, writes a record of Master.csv."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR
from humbug_agent.sources.asterisk.csv.layouts import Row, Writer
from humbug_agent.sources.asterisk.csv.records import Junk, split
from tests.kit.calls import cdrs
from tests.kit.cdr_csv import CALL, LAYOUTS, RECORDED, call, calls, line, numbered, plain, source, stamps, texts
from tests.kit.writers import SAMPLE, cdr_csv, cdr_custom, filled, quoted, without_sequence

pytestmark = pytest.mark.slow

quick = settings(deadline=None, max_examples=60)
MAPPINGS = {name: SAMPLE[: SAMPLE.index(name) + 1] for name in ("accountcode", "uniqueid", "userfield", "sequence")}
"""cdr_custom's, by their last column; and one without a userfield."""
MAPPINGS["no userfield"] = [name for name in SAMPLE if name != "userfield"]
CUSTOM = CALL | {"clid": b'"Anna" <0441234567>', "src": b"0441234567", "dstchannel": b"PJSIP/202-00000002"}
CLIDS = [
    b'"Anna" <0441>',
    b'"" <0441>',
    b'"" <>',
    b'"Evil <100>" <999>',
    b'"Bob \\"Bobby\\" O\'Neil, Jr." <1>',
    b'"A long nam',
]
CLIDS += ['"Жанна \\"Ж\\" Müller, 山田" <7>'.encode(), b'"cut in a character \xe6\x97', b'"back\\\\" <3>']
unbroken = texts.filter(lambda value: b"\n" not in value and b"\r" not in value)
custom_calls = calls(
    [21],
    clid=st.sampled_from(CLIDS),
    src=plain,
    dst=plain,
    dcontext=st.just(b"from-internal"),
    accountcode=unbroken,
    channel=unbroken,
    dstchannel=unbroken,
    lastapp=plain,
    lastdata=unbroken,
    end=st.just(b"") | stamps,
)
"""Caller IDs as Asterisk makes them, and no line break but in a userfield: what a cut record is told by."""


def found(data: bytes, *, final: bool = False) -> list[Row | Junk]:
    items, taken = split(data, final=final)
    assert taken == len(data)
    return items


def rows(data: bytes, *, final: bool = False) -> list[dict[str, bytes]]:
    return [item.values for item in found(data, final=final) if isinstance(item, Row)]


def mapped(values: dict[str, bytes], columns: list[str] = SAMPLE) -> dict[str, bytes]:
    return {name: values[name] for name in columns}


def one_call(data: bytes) -> CDR:
    batch = source(Path("Master.csv")).parse(data)
    assert not batch.rejects, batch.rejects[0].reason
    (record,) = cdrs(batch.records)
    return record


def parsed(name: str) -> list[CDR]:
    batch = source(Path("Master.csv")).parse((RECORDED.parent / "csv" / name).read_bytes())
    assert not batch.rejects
    return cdrs(batch.records)


def test_cdr_customs_stock_layout_is_two_calls() -> None:
    first, second = parsed("custom.csv")
    assert (first.src, first.dst, first.clid) == ("0441234567", "202", '"Anna" <0441234567>')
    assert (first.start.isoformat(" "), first.duration, first.billsec) == ("2026-11-20 17:06:33+00:00", 10, 8)
    assert (first.uniqueid, first.extra) == ("1795190793.12", {"amaflags": "DOCUMENTATION", "sequence": "41"})
    assert (second.answer, second.disposition, second.extra["sequence"]) == (None, "NO ANSWER", "42")
    assert parsed("custom-resolution.csv") == [first]


def test_a_record_whose_sequence_found_no_room_is_a_call() -> None:
    first, second = parsed("no-sequence.csv")
    assert (len(first.userfield), first.linkedid) == (255, "1795190793.12")
    assert (first.extra, second.extra["sequence"]) == ({"amaflags": "DOCUMENTATION", "peeraccount": "p" * 79}, "41")


@pytest.mark.parametrize("fraction", [b".123456", b".999999", b".000000", b"."])
def test_high_resolution_is_cut_and_not_rounded(fraction: bytes) -> None:
    record = one_call(cdr_custom(CUSTOM, fraction=fraction))
    assert (record.duration, record.billsec) == (10, 8)
    assert record.identity == one_call(cdr_custom(CUSTOM)).identity


def test_fractions_of_times_are_cut() -> None:
    data = cdr_custom(CUSTOM).replace(b':33"', b':33.123456"').replace(b':35"', b':35.9"').replace(b':43"', b':43.999"')
    assert rows(data) == [mapped(CUSTOM)]


def test_a_duration_below_nothing_is_none() -> None:
    data = cdr_custom(CUSTOM | {"duration": b"-0", "billsec": b"0"}, fraction=b".000123")
    assert one_call(data).identity == one_call(line(call(21, CUSTOM, duration=b"0", billsec=b"0"))).identity


@pytest.mark.parametrize(("flag", "word"), [(b"1", "OMIT"), (b"2", "BILLING"), (b"3", "DOCUMENTATION")])
def test_flags_that_are_numbers_are_the_words_that_the_event_has(flag: bytes, word: str) -> None:
    record = one_call(cdr_custom(CUSTOM | {"amaflags": flag}))
    assert record.extra["amaflags"] == word
    assert record.identity == one_call(line(call(21, CUSTOM, amaflags=word.encode()))).identity


@pytest.mark.parametrize("columns", MAPPINGS.values(), ids=list(MAPPINGS))
@quick
@given(values=calls([21], clid=st.sampled_from(CLIDS) | texts.filter(lambda value: b'""' not in value)))
def test_any_text_comes_back_from_every_sample(columns: list[str], values: dict[str, bytes]) -> None:
    assert rows(cdr_custom(values, columns)) == [mapped(values, columns)]


@quick
@given(calls([21], clid=st.sampled_from(CLIDS)), st.sampled_from([b"", b".123456"]))
def test_a_call_is_the_same_call_in_both_layouts(values: dict[str, bytes], fraction: bytes) -> None:
    custom, stock = one_call(cdr_custom(values, fraction=fraction)), one_call(line(values))
    assert custom.identity == stock.identity
    assert (custom.uniqueid, custom.userfield, custom.start) == (stock.uniqueid, stock.userfield, stock.start)


@quick
@given(st.lists(st.tuples(custom_calls, st.booleans()), max_size=6))
def test_both_layouts_mix_in_one_file(several: list[tuple[dict[str, bytes], bool]]) -> None:
    data = b"".join(cdr_custom(values) if custom else line(values) for values, custom in several)
    assert rows(data) == [mapped(values) if custom else values for values, custom in several]


@settings(deadline=None, max_examples=30)
@given(custom_calls, custom_calls, st.booleans())
def test_every_prefix_waits_for_its_end(first: dict[str, bytes], second: dict[str, bytes], spaced: bool) -> None:
    records = [cdr_custom(values | {"userfield": b'one\ntwo "2"\r\n'}) for values in (first, second)]
    if spaced:
        records = [record.replace(b'","from-internal","', b'", "from-internal", "') for record in records]
    data, border = b"".join(records), len(records[0])
    for length in range(len(data)):
        items, taken = split(data[:length], final=False)
        assert [item.text for item in items] == (records[:1] if length >= border else []), data[:length]
        assert taken == (border if length >= border else 0), data[:length]


@quick
@given(
    st.lists(
        st.one_of(
            custom_calls.map(cdr_custom),
            calls(LAYOUTS, accountcode=plain, clid=st.sampled_from(CLIDS), src=plain).map(cdr_csv),
            st.sampled_from(
                [b"\n", b"garbage\n", b'"\n', b'a,"b\n', b"\xef\xbb\xbf", ",".join(SAMPLE).encode() + b"\n"]
            ),
        ),
        max_size=4,
    ).map(b"".join),
    st.data(),
)
def test_any_chunks_give_the_same_calls(data: bytes, draw: st.DataObject) -> None:
    at, whole = 0, [item.text for item in split(data, final=True)[0] if isinstance(item, Row)]
    in_chunks = []
    for cut in [*draw.draw(st.lists(st.integers(0, len(data)), max_size=5).map(sorted)), len(data)]:
        items, taken = split(data[at:cut], final=False)
        in_chunks += items
        at += taken
    in_chunks += split(data[at:], final=True)[0]
    assert [item.text for item in in_chunks if isinstance(item, Row)] == whole


@settings(deadline=None, max_examples=30)
@given(custom_calls, custom_calls, st.booleans())
def test_each_cut_of_a_custom_record_leaves_the_second_call_whole(
    first: dict[str, bytes], second: dict[str, bytes], before: bool
) -> None:
    written, rest = cdr_custom(first), cdr_custom(second)
    kept = cdr_custom(CUSTOM) if before else b""
    # Nobody can tell quotes alone from more of those that the next one begins with.
    quotes = len(written) - len(written.lstrip(b'"'))
    for cut in range(quotes + 1, len(written)):
        items = found(kept + written[:cut] + rest)[before:]
        assert isinstance(items[-1], Row), (cut, written[:cut])
        assert items[-1].values == mapped(second), (cut, written[:cut])
        for item in items[:-1]:
            assert isinstance(item, Junk) or item.values.items() <= mapped(first).items(), (cut, written[:cut])


@quick
@given(custom_calls, st.sampled_from([b"garbage\n", b'"half a record","\n', b"a,b\n", b'"\n', b"\0" * 40 + b"\n"]))
def test_a_line_that_is_none_costs_the_next_one_nothing(values: dict[str, bytes], garbage: bytes) -> None:
    stock = values | {"accountcode": b"acme"}
    for record, expected in ((cdr_custom(values), mapped(values)), (line(stock), stock)):
        *junk, row = found(garbage + record)
        assert isinstance(row, Row)
        assert row.values == expected
        assert all(isinstance(item, Junk) for item in junk)


# Where the sequence finds no room.


@pytest.mark.parametrize("columns", [19, 20, 21])
@pytest.mark.parametrize(
    "sequence", [b"7", b"99", b"100", b"1234", b"12345", b"1234567", b"2147483647", b"-2147483648"]
)
def test_what_cdr_csv_can_write_is_read_and_nothing_else_lacks_its_sequence(columns: int, sequence: bytes) -> None:
    # Quotes are doubled: without them no record of 19 columns could be long enough.
    values = call(columns, clid=b'"' * 40, lastapp=b'"' * 30, src=b'"' * 60, sequence=sequence)
    left_out = 0
    for length in range(995, 1025):
        long = filled(values, length)
        if not (record := cdr_csv(long)):
            continue
        shown = rows(line(call(columns)) + record)
        lacks = not record.endswith(b"," + sequence + b"\n")
        left_out += lacks
        if columns != 19:
            assert shown == [call(columns), without_sequence(long) if lacks else long]
        batch = source(Path("Master.csv")).parse(line(call(columns)) + record)
        last = batch.records[-1]
        assert isinstance(last, CDR)
        assert len(batch.records) == 2
        assert (last.linkedid, last.uniqueid) == (long["linkedid"].decode(), long.get("uniqueid", b"").decode())
        assert last.extra["peeraccount"] == long["peeraccount"].decode()
        assert last.extra.get("sequence", sequence.decode()) == sequence.decode()
    assert left_out == max(0, min(len(sequence) - 3, 8))


@settings(deadline=None, max_examples=200)
@given(calls([16, 17, 18, 19, 20, 21]), st.integers(900, 1030))
def test_whatever_cdr_csvs_buffer_makes_of_a_call_is_that_call(values: dict[str, bytes], length: int) -> None:
    long = filled(values, length)
    if record := cdr_csv(long):
        (item,) = found(record)
        assert isinstance(item, Row)
        if len(item.values) != 18:
            assert item.values in (long, without_sequence(long))


def test_20_columns_that_would_have_had_room_for_a_sequence_are_a_record_that_was_cut() -> None:
    short = without_sequence(call(21))
    assert rows(line(short)) == []


# Other quotes, blanks, headers.


@pytest.mark.parametrize("columns", [16, 17, 18])
@pytest.mark.parametrize("answer", [b"", b'""', b'"2026-11-20 17:06:35"'])
def test_cdr_csvs_columns_with_quoted_numbers(columns: int, answer: bytes) -> None:
    values = call(columns, answer=answer.strip(b'"'))
    data = b",".join(answer if name == "answer" else quoted(value) for name, value in values.items()) + b"\n"
    assert rows(data) == [values]
    assert one_call(data).identity == one_call(line(values)).identity
    assert rows(data * 2 + b"garbage\n" + data) == [values] * 3


def test_quoted_numbers_and_new_columns() -> None:
    for columns in (19, 20, 21):
        values = call(columns)
        assert rows(b",".join(map(quoted, values.values())) + b"\n") == [values]


@quick
@given(calls(LAYOUTS, clid=st.sampled_from(CLIDS), src=plain, userfield=plain), st.booleans())
def test_what_another_program_has_saved_is_the_same_call(values: dict[str, bytes], crlf: bool) -> None:
    one = {name: value.replace(b"\r", b"").replace(b"\n", b"").strip() for name, value in values.items()}
    # As spreadsheets do: quotes where they must be.
    file = io.StringIO(newline="")
    cells = [value.decode("latin-1") for value in one.values()]
    csv.writer(file, lineterminator="\r\n" if crlf else "\n").writerow(cells)
    saved = file.getvalue().encode("latin-1")
    assert rows(saved) == [one]
    assert rows(b", ".join(map(quoted, one.values())) + b"\n") == [one]


@pytest.mark.parametrize("clid", [b'"Anna" <0441>', b'"" <0441>', b'"" <>', b'"Bob \\"B\\" O, Jr." <1>', b'"A cut nam'])
def test_the_mapping_of_asterisk_14_doubles_no_quotes(clid: bytes) -> None:
    values = CUSTOM | {"clid": clid}
    columns = SAMPLE[:-1]
    data = b",".join(b'"' + values[name] + b'"' for name in columns) + b"\n"
    assert rows(data * 2 + b"garbage\n" + data) == [mapped(values, columns)] * 3


@pytest.mark.parametrize("absent", ["accountcode", "dstchannel", "lastdata", "userfield", "answer"])
def test_empty_values_without_quotes(absent: str) -> None:
    values = call(18, **{absent: b"", "clid": b'"Anna" <7>', "dstchannel": b""})
    for empty in (b",,", b",  ,", b', "",'):
        assert rows((b"\n" + line(values)).replace(b',"",', empty).replace(b'\n"",', b"\n,")) == [values]


HEADERS = [
    ",".join(LAYOUTS[18]),
    ",".join(f'"{name}"' for name in LAYOUTS[21]),
    ", ".join(SAMPLE),
    "#" + ",".join(LAYOUTS[16]),
    "\ufeff" + ",".join(LAYOUTS[16]),
    "Account Code,Source,Destination,Destination Context,CallerID,Channel,Destination Channel,Last Application,"
    "Last Data,Start Time,Answer Time,End Time,Duration,Billable Seconds,Disposition,AMA Flags,UniqueID,User Field",
]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_neither_a_call_nor_a_reject(header: str, ending: str) -> None:
    head = (header + ending).encode()
    assert found(head) == []
    assert rows(head + numbered(1) + head + numbered(2)) == rows(numbered(1, 2))
    assert len(found(head + numbered(1) + head + numbered(2) + head)) == 2
    assert len(found(head + cdr_custom(CUSTOM) + head)) == 1
    assert len(found(b"garbage\n" + head + numbered(1))) == 2
    for cut in range(len(head)):
        assert split(head[:cut], final=False)[0] == []


@pytest.mark.parametrize(
    "text",
    [
        ",".join(["src"] * 18),
        ",".join(LAYOUTS[18]) + ",price",
        "src,dst,start",
        ",".join(LAYOUTS[18]).replace("dst,", "202,"),
        ",".join(LAYOUTS[18]).replace("clid", "Anna"),
    ],
)
def test_what_only_looks_like_a_header_is_a_reject(text: str) -> None:
    items = found(text.encode() + b"\n" + numbered(1))
    assert [type(item) for item in items] == [Junk, Row]
    assert items[0].text == text.encode()


def test_a_byte_order_mark_costs_the_first_record_nothing() -> None:
    assert found(b"\xef\xbb\xbf" + numbered(1)) == [Row(3, numbered(1), rows(numbered(1))[0], Writer.CSV)]


def test_another_mapping_is_a_reject() -> None:
    swapped = ["src", "dst", "clid", "start", "duration", "billsec", "disposition", "uniqueid"]
    items = found(cdr_custom(CUSTOM, swapped))
    assert [type(item) for item in items] == [Junk]
    more = cdr_custom(CUSTOM)[:-1] + b',"outbound"\n'
    assert [type(item) for item in found(more)] == [Junk]


def test_a_record_behind_garbage_and_a_byte_order_mark_waits_for_its_end_wherever_it_is_cut() -> None:
    """The line break in one of its texts was taken for the one behind which the next record begins."""
    record = line(call(21, CUSTOM, lastdata=b"\n"))
    data = record + b"garbage\n\xef\xbb\xbf" + record
    whole = [item.text for item in split(data, final=True)[0] if isinstance(item, Row)]
    assert whole == [record, record]
    for cut in range(len(data)):
        items, taken = split(data[:cut], final=False)
        items += split(data[taken:], final=True)[0]
        assert [item.text for item in items if isinstance(item, Row)] == whole, data[:cut]


@pytest.mark.parametrize("columns", [16, 17, 18, 19, 20, 21])
@pytest.mark.parametrize("commas", [b",", b",,", b",,,", b",,,,,,", b", ,"])
def test_empty_cells_behind_a_row_are_a_padding(columns: int, commas: bytes) -> None:
    """As spreadsheets make all rows as long as the longest one."""
    values = call(columns, userfield=b"a text", accountcode=b"acme")
    (found,) = rows(line(values).replace(b"\n", commas + b"\n"))
    assert {name: value for name, value in found.items() if value} == {
        name: value for name, value in values.items() if value
    }
    mapping = cdr_custom(call(21, CUSTOM))
    assert rows(mapping.replace(b"\n", commas + b"\n")) == rows(mapping)
