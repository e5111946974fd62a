"""Copies of stock templates with columns of one's own: what all rows of a file show is no caller's name."""

import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.csv.own_columns import ENOUGH, OWN, FileRows
from humbug_agent.sources.freeswitch.csv.rows import LegRow
from tests.kit.calls import cdrs
from tests.kit.cdr_reader import RECORDED, Following, Reader, source
from tests.kit.mod_cdr_csv import TEXTS, Module, Values, call, row, rows, rows_of, uuid
from tests.kit.paths import DATA

pytestmark = pytest.mark.slow

CASE = DATA / "cases" / "freeswitch-own-column.csv"
"""The template example with ${domain_name} in front."""

BASES = [name for name in TEXTS if name != "fallback"]
"""fallback is what FreeSWITCH has compiled in, and nobody has a copy of it."""

LINES = [re.fullmatch(r"(INSERT INTO cdr VALUES \()?(.*?)(\);)?\n", TEXTS[base]) for base in BASES]
TEXT = {base: [part or "" for part in found.groups()] for base, found in zip(BASES, LINES, strict=True) if found}
"""What stands before the columns, the columns, and what stands behind them."""

FRONT, BEHIND = ["domain_name", "sip_from_host", "hostname"], ["sip_hangup_disposition", "sip_call_id", "gateway_name"]
OWN_VALUES = {
    "domain_name": b"acme", "sip_from_host": b"pbx.acme.example", "hostname": b"pbx-1",
    "sip_hangup_disposition": b"recv_bye", "sip_call_id": b"", "gateway_name": b"",
}  # fmt: skip


def text_with(base: str, front: int, behind: int) -> str:
    begin, columns, end = TEXT[base]
    before = "".join(f'"${{{name}}}",' for name in FRONT[:front])
    after = "".join(f',"${{{name}}}"' for name in BEHIND[:behind])
    return f"{begin}{before}{columns}{after}{end}\n"


def caller(number: int, **changed: bytes) -> Values:
    names = [b"Anna", b"Bob", b"Eve", b"Zoe Li", b"", b"1005"]
    dialled = [b"00440123123", b"8201", b"+41791234567"]
    own = OWN_VALUES | {
        "sip_call_id": b"%d@acme" % number,
        "accountcode": b"440123123",
        "destination_number": dialled[number % 3],
    }
    said = {"caller_id_name": names[number % 6], "caller_id_number": b"100%d" % (number % 6)}
    unanswered = {"answer_stamp": b"", "answer_uepoch": b"0", "billsec": b"0"} if number % 2 else {}
    return call(number, **(own | said | unanswered | changed))


def told(record: CDR) -> tuple[str, ...]:
    return record.clid, record.src, record.dst, record.dcontext, record.accountcode


def truth(values: Values, tmp_path: Path, base: str) -> CDR:
    """What the same call's row says without columns of one's own."""
    (tmp_path / "true").mkdir(exist_ok=True)
    (tmp_path / "true" / "Master.csv").write_bytes(row(base, values))
    (record,) = Reader(tmp_path / "true", template=base).read().records
    return record


def test_the_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "Master.csv").write_bytes(CASE.read_bytes())
    for template in ("auto", "example"):
        reader = Reader(tmp_path, template=template).read()
        assert (len(reader.calls), reader.rejects) == (20, [])
        assert {told(record) for record in reader.records} == {
            ('"Anna" <86630648>', "86630648", "00440123123", "default", "440123123")
        }
        assert reader.records[0].extra["column_1"] == "acme"
        said = source(tmp_path, template=template).check()
        assert ", template example with 1 column of one's own in front, " in said
    assert sum("is of template example with 1 column of one's own in front" in line for line in caplog.messages) == 2


def test_the_case_from_behind(tmp_path: Path) -> None:
    lines = CASE.read_bytes().splitlines()
    data = b"".join(line.removeprefix(b'"acme",') + b',"recv_bye"\n' for line in lines)
    (tmp_path / "Master.csv").write_bytes(data)
    reader = Reader(tmp_path).read()
    assert (len(reader.calls), reader.rejects) == (20, [])
    for record in reader.records:
        assert told(record) == ('"Anna" <86630648>', "86630648", "00440123123", "default", "440123123")
        assert (record.extra["write_codec"], record.extra["column_16"]) == ("PCMA", "recv_bye")
    assert "template example with 1 column of one's own behind" in source(tmp_path).check()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("front", "behind"), [(1, 0), (2, 0), (3, 0), (0, 1), (0, 3), (1, 1), (2, 3)])
def test_columns_in_front_and_behind_of_any_stock_template(
    tmp_path: Path, base: str, named: bool, front: int, behind: int
) -> None:
    written = [caller(number) for number in range(1, 13)]
    (tmp_path / "Master.csv").write_bytes(rows_of(text_with(base, front, behind), *written))
    reader = Reader(tmp_path, template=base if named else "auto").read()
    assert [reject.reason for reject in reader.rejects] == []
    for record, values in zip(reader.records, written, strict=True):
        wanted = truth(values, tmp_path, base)
        assert told(record) == told(wanted)
        assert (record.uniqueid, record.start, record.answer, record.end) == (
            wanted.uniqueid, wanted.start, wanted.answer, wanted.end,
        )  # fmt: skip
        assert not front or "acme" in record.extra["column_1"]


@pytest.mark.parametrize("count", range(1, 2 * ENOUGH))
def test_a_few_rows_are_rejects_or_calls_and_no_name_is_made_of_them(tmp_path: Path, count: int) -> None:
    lines = CASE.read_bytes().splitlines(keepends=True)[:count]
    (tmp_path / "Master.csv").write_bytes(b"".join(lines))
    reader = Reader(tmp_path).read()
    assert len(reader.records) == (count if count >= ENOUGH else 0)
    assert {record.clid for record in reader.records} <= {'"Anna" <86630648>'}
    assert {reject.reason for reject in reader.rejects} <= {OWN}
    if count < ENOUGH:
        with pytest.raises(SourceError, match="set template to the template's text"):
            source(tmp_path).check()


def test_rows_that_come_one_by_one_are_read_once_there_are_enough(tmp_path: Path) -> None:
    lines = CASE.read_bytes().splitlines(keepends=True)
    module = Module(tmp_path / "Master.csv")
    with Following(tmp_path / "Master.csv") as reader:
        for number, line in enumerate(lines, 1):
            module.write(line)
            reader.until_read(number)
    assert {record.clid for record in reader.records} == {'"Anna" <86630648>'}
    assert (len(reader.records), {reject.reason for reject in reader.rejects}) == (21 - ENOUGH, {OWN})
    # What was not told then is told by the file now.
    for reject in reader.rejects:
        (record,) = cdrs(reader.source.parse(reject.text).records)
        assert told(record)[0] == '"Anna" <86630648>'


def test_after_a_rotation_and_a_restart_it_is_still_known(tmp_path: Path) -> None:
    lines = CASE.read_bytes().splitlines(keepends=True)
    module = Module(tmp_path / "Master.csv")
    module.write(b"".join(lines[:5]))
    first = Reader(tmp_path).read()
    module.rotate("2026-11-20-16-53-00")
    module.write(lines[5])
    second = Reader(tmp_path, cursor=first.cursor).read()
    module.write(lines[6])
    third = Reader(tmp_path, cursor=second.cursor).read()
    assert [len(reader.records) for reader in (first, second, third)] == [5, 1, 1]
    assert first.rejects == second.rejects == third.rejects == []
    assert second.records[0].clid == third.records[0].clid == '"Anna" <86630648>'


@pytest.mark.parametrize("base", ["example", "asterisk", "linksys"])
def test_a_name_with_quotes_and_commas_among_other_rows_stays_a_name(tmp_path: Path, base: str) -> None:
    for odd in (1, 2, 5):
        same = [call(10 + number, caller_id_name=b'x","y', caller_id_number=b"2017") for number in range(odd)]
        data = rows(base, 1, 2) + b"".join(row(base, values) for values in same) + rows(base, 3)
        (tmp_path / "Master.csv").write_bytes(data)
        reader = Reader(tmp_path).read()
        assert [reject.reason for reject in reader.rejects] == []
        assert [record.clid for record in reader.records[2:-1]] == ['"x","y" <2017>'] * odd


@pytest.mark.parametrize("first", ["own", "stock"])
def test_a_file_that_goes_on_with_another_template(tmp_path: Path, first: str) -> None:
    """As after a reload of mod_cdr_csv, without a rotation."""
    own = [caller(number) for number in range(1, 7)]
    stock = [caller(number) for number in range(11, 17)]
    parts = [rows_of(text_with("example", 1, 1), *own), b"".join(row("example", values) for values in stock)]
    written = own + stock if first == "own" else stock + own
    (tmp_path / "Master.csv").write_bytes(b"".join(parts if first == "own" else parts[::-1]))
    reader = Reader(tmp_path).read()
    assert [reject.reason for reject in reader.rejects] == []
    assert [told(record) for record in reader.records] == [told(truth(one, tmp_path, "example")) for one in written]


@pytest.mark.parametrize("more", [0, 1])
def test_where_a_read_ends_changes_nothing(more: int) -> None:
    data = rows_of(text_with("example", 1, more), *(caller(number) for number in range(40)))
    for size in (200, 1000, 3000):
        reader, at, found = FileRows("auto"), 0, []
        while at < len(data):
            end = min(len(data), max(at + size, at + 3 * 300))
            items, taken = reader.split(data[at:end], more=end < len(data), final=end == len(data))
            found += items
            at += taken
        uuids = [item.values["uuid"] for item in found if isinstance(item, LegRow)]
        assert uuids == [uuid(number) for number in range(40)]


def test_odd_names_in_a_template_of_ones_own(tmp_path: Path) -> None:
    names = [b"li\nne", b'a "b" c', b'x","y', b'"', b'"\n"', b"Eve"]
    written = [caller(number) for number in range(1, 9)]
    written[4:4] = [caller(20 + at, caller_id_name=name) for at, name in enumerate(names)]
    (tmp_path / "Master.csv").write_bytes(rows_of(text_with("example", 1, 1), *written))
    reader = Reader(tmp_path).read()
    by_uuid = {values["uuid"].decode(): values for values in written}
    for record in reader.records:
        wanted = by_uuid[record.uniqueid]["caller_id_name"].decode()
        number = by_uuid[record.uniqueid]["caller_id_number"].decode()
        assert record.clid == (f'"{wanted}" <{number}>' if wanted else f"<{number}>")
    assert len(reader.records) + len(reader.rejects) >= len(written)
    assert len(reader.records) >= len(written) - 3


_own = st.sampled_from(["domain_name", "sip_call_id", "hostname", "digits", "names", "empty"])


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.integers(0, 20), _own), min_size=1, max_size=3),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
)
def test_wherever_the_columns_stand_no_wrong_number_is_made_of_them(
    base: str, own: list[tuple[int, str]], count: int, same: bool, named: bool
) -> None:
    begin, columns, end = TEXT[base]
    parts = re.split(r",(?= ?\")", columns)
    for place, name in own:
        parts.insert(place % (len(parts) + 1), f'"${{{name}}}"')
    text = f"{begin}{','.join(parts)}{end}\n"
    said = {"caller_id_name": b"Anna", "caller_id_number": b"1001"} if same else {}
    written = [
        caller(number, **said) | {"digits": b"4%d" % number, "names": b"Queue %d" % (number % 2)}
        for number in range(count)
    ]
    found, _ = FileRows(base if named else "auto").split(rows_of(text, *written), more=False, final=True)
    by_uuid = {values["uuid"]: values for values in written}
    for item in found:
        if isinstance(item, LegRow):
            values = by_uuid[item.values["uuid"]]
            checked = ["caller_id_number", "ani", "destination_number", "billsec", "end_stamp"]
            # Nobody can tell which one of several texts, first or last in a row, is a column of one's own.
            checked += ["context"] if "context" in item.template.head else []
            checked += ["accountcode"] if "accountcode" in item.template.tail else []
            for name in checked:
                found_there = item.values.get(name, values[name])
                if name in item.template.encoded:
                    found_there = unquote_to_bytes(found_there)
                assert found_there == values[name], text
            assert b'","' not in item.values.get("caller_id_name", b"")


def test_the_recordings_are_what_they_were() -> None:
    for recording, count in (("example", 70), ("asterisk", 70), ("custom-safe-template", 76)):
        found, _ = FileRows("auto").split((RECORDED / recording / "Master.csv").read_bytes(), more=False, final=True)
        assert [type(item) for item in found] == [LegRow] * count
