"""What only a file as a whole tells: its 17th column, and the account whose file is Master.csv."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.sources.contract import SourceError
from tests.kit.calls import cdrs
from tests.kit.cdr_csv import Following, Store, append, beside, call, dialled, line, source
from tests.kit.writers import SAMPLE, cdr_csv, cdr_custom, filled

pytestmark = pytest.mark.slow


def seventeen(*values: str, more: int = 0) -> bytes:
    """Records with these in the 17th column, of calls from different channels."""
    return b"".join(
        line(
            call(16, dst=b"%d" % n, channel=b"PJSIP/101-%08x" % n)
            | {"17th": value.encode()}
            | ({"peeraccount": b"", "linkedid": b"1795190793.%d" % n, "sequence": b"%d" % n} if more else {})
        )
        for n, value in enumerate(values)
    )


def told(data: bytes) -> list[tuple[str, str]]:
    batch = source(Path("Master.csv")).parse(data)
    assert not batch.rejects
    return [(record.uniqueid, record.userfield) for record in cdrs(batch.records)]


TIMES = [f"1795190793.{n}" for n in range(40)]
UNIQUEIDS = {
    "Asterisk's": TIMES,
    "with a system name": [f"pbx-1-{one}" for one in TIMES],
    "some of ARI": [*TIMES, "ari-call-1", "ari-call-2", "operator"],
    "one of AMI": [*TIMES[:3], "callback-77"],
    "UUIDs": [f"550e8400-e29b-41d4-a716-4466554400{n:02}" for n in range(30)],
    "a few UUIDs": [f"550e8400-e29b-41d4-a716-4466554400{n:02}" for n in range(2)],
    "only of ARI": [f"call-{n:04x}" for n in range(40)],
    "forked ones": [one for n in range(30) for one in [f"call-{n:04x}"] * (2 if n % 5 == 0 else 1)],
    "a queue's": [one for one in TIMES[:4] for _ in range(10)],
}
USERFIELDS = {
    "empty": [""] * 3,
    "mostly empty": ["", "", "call-0001", "", "call-0002"],
    "one is empty": [*[f"call-{n:04x}" for n in range(40)], ""],
    "with Asterisk's among them": ["", "1795190793.1", "", "1795190794.2"],
    "always the same": ["tenant-7"] * 30,
    "the same UUID": ["550e8400-e29b-41d4-a716-446655440000"] * 30,
    "a few": ["tenant-7", "tenant-8", "tenant-9"] * 10,
    "words": ["sales", "support", "marketing"],
    "texts": [f"customer {n}" for n in range(30)],
    "prices": [f"0.{n:02}" for n in range(30)],
    "numbers": [f"04412345{n:02}" for n in range(30)],
    "recordings": [f"20261120-1706{n:02}-101.wav" for n in range(30)],
    "paths": [f"/monitor/2026/{n}" for n in range(30)],
    "with line breaks": [f"first{n}\nsecond" for n in range(30)],
}


@pytest.mark.parametrize("new_columns", [0, 1])
@pytest.mark.parametrize("values", UNIQUEIDS.values(), ids=list(UNIQUEIDS))
def test_uniqueids_are_told_by_the_file(values: Sequence[str], new_columns: int) -> None:
    assert told(seventeen(*values, more=new_columns)) == [(value, "") for value in values]
    assert told(seventeen(*reversed(values), more=new_columns)) == [(value, "") for value in reversed(values)]


@pytest.mark.parametrize("new_columns", [0, 1])
@pytest.mark.parametrize("values", USERFIELDS.values(), ids=list(USERFIELDS))
def test_userfields_are_told_by_the_file(values: Sequence[str], new_columns: int) -> None:
    assert told(seventeen(*values, more=new_columns)) == [("", value) for value in values]
    assert told(seventeen(*reversed(values), more=new_columns)) == [("", value) for value in reversed(values)]


@pytest.mark.parametrize("value", ["1795190793.1", "pbx-1-1795190793.1", "550e8400-e29b-41d4-a716-446655440000"])
def test_a_single_line_goes_by_its_look_and_this_is_a_uniqueid(value: str) -> None:
    assert told(seventeen(value)) == [(value, "")]


@pytest.mark.parametrize("value", ["", "customer 12", "0.05", "tenant-7", "sales"])
def test_a_single_line_goes_by_its_look_and_this_is_a_userfield(value: str) -> None:
    assert told(seventeen(value)) == [("", value)]


def test_a_linkedid_that_is_the_same_makes_it_a_uniqueid() -> None:
    values = call(16) | {"17th": b"operator", "peeraccount": b"", "linkedid": b"operator", "sequence": b"7"}
    other = call(16) | {"17th": b"operator", "peeraccount": b"", "linkedid": b"operator", "sequence": b"8"}
    assert told(line(values) + line(other)) == [("operator", "")] * 2


@pytest.mark.parametrize("restart", [False, True])
def test_what_a_file_has_shown_holds_for_what_comes(tmp_path: Path, restart: bool) -> None:
    for values, expected in ((TIMES, ("ari-1", "")), (["", "x", "", "y", *TIMES[:1]], ("", "ari-1"))):
        path = tmp_path / f"{len(values)}.csv"
        path.write_bytes(seventeen(*values))
        reader = Store(path).read()
        append(path, seventeen("ari-1"))
        reader = Store(path, cursor=reader.cursor) if restart else reader
        last = reader.read().records[-1]
        assert (last.uniqueid, last.userfield) == expected


@pytest.mark.parametrize("new_columns", [0, 1])
@pytest.mark.parametrize(("before", "behind"), [(10, 10), (16, 4), (3, 900), (1000, 2)])
@pytest.mark.parametrize("field", ["sales", ""])
def test_cdr_conf_may_be_changed_from_one_to_the_other_in_the_midst_of_a_file(
    tmp_path: Path, before: int, behind: int, field: str, new_columns: int
) -> None:
    fields, uniqueids = [field] * before, [f"1795190793.{n}" for n in range(behind)]
    expected = [("", field)] * before + [(one, "") for one in uniqueids]
    data = seventeen(*fields, *uniqueids, more=new_columns)
    assert told(data) == expected
    assert told(seventeen(*reversed(uniqueids), *fields, more=new_columns)) == expected[::-1]
    path = tmp_path / "Master.csv"
    path.write_bytes(data)
    assert [(one.uniqueid, one.userfield) for one in Store(path).read().records] == expected


def test_a_file_is_judged_by_itself_when_cdr_conf_was_changed_with_its_rotation(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    beside(path, ".1").write_bytes(seventeen(*TIMES))
    path.write_bytes(seventeen("", "call-1", "call-2"))
    records = Store(path).read().records
    assert [record.userfield for record in records[-3:]] == ["", "call-1", "call-2"]
    assert all(record.uniqueid for record in records[:-3])
    path.write_bytes(seventeen(*TIMES[:3]))
    beside(path, ".1").write_bytes(seventeen("", "x", "y"))
    assert all(record.uniqueid for record in Store(path).read().records[-3:])


def test_a_rotated_files_habits_hold_for_the_first_records_of_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    beside(path, ".1").write_bytes(seventeen(*[f"call-{n:04x}" for n in range(30)]))
    path.write_bytes(seventeen("call-ffff"))
    assert Store(path).read().records[-1].uniqueid == "call-ffff"


def long_18(peeraccount: bytes = b"", linkedid: bytes = b"1795190793.12") -> bytes:
    """A record of 19 columns without its sequence: 18 that look like uniqueid and userfield."""
    values = filled(call(19, clid=b'"' * 70, src=b'"' * 60, linkedid=linkedid, sequence=b"12345"), 1017)
    record = cdr_csv(values)
    assert len(record) == 1017
    return record


def test_peeraccount_and_linkedid_alone_are_told_by_the_records_around_them(tmp_path: Path) -> None:
    short, other = line(call(19, sequence=b"7")), line(call(18, userfield=b"x", uniqueid=b"1795190793.12"))
    for data in (long_18() + short, short + long_18()):
        path = tmp_path / "Master.csv"
        path.write_bytes(data)
        assert [(one.uniqueid, bool(one.linkedid)) for one in Store(path).read().records] == [("", True)] * 2
    path.write_bytes(short)
    reader = Store(path).read()
    append(path, long_18())
    assert Store(path, cursor=reader.cursor).read().records[-1].linkedid
    eighteen = cdr_csv(filled(call(18, clid=b'"' * 79, uniqueid=b"ari-1"), 1017))
    assert len(eighteen) == 1017
    assert [one.uniqueid for one in cdrs(source(path).parse(other + eighteen).records)] == ["1795190793.12", "ari-1"]


# The account called Master.


def masters(*numbers: int, account: bytes = b"Master", **changed: bytes) -> bytes:
    return b"".join(line(call(18, accountcode=account, dst=b"%d" % n, **changed)) for n in numbers)


def pairs(*numbers: int) -> bytes:
    return b"".join(masters(n) * 2 for n in numbers)


def test_a_pair_is_one_call() -> None:
    batch = source(Path("Master.csv")).parse(pairs(1, 2, 3))
    assert [record.dst for record in cdrs(batch.records)] == ["1", "2", "3"]
    alone = [source(Path("Master.csv")).parse(masters(n)).records[0].identity for n in (1, 2, 3)]
    assert [record.identity for record in batch.records] == alone


def test_two_pairs_that_are_equal_are_two_calls() -> None:
    batch = source(Path("Master.csv")).parse(pairs(1, 2, 2, 3))
    assert len({record.identity for record in batch.records}) == len(batch.records) == 4
    unpaired = source(Path("Master.csv")).parse(masters(1, 2, 2, 3))
    assert [record.identity for record in batch.records] == [record.identity for record in unpaired.records]


@pytest.mark.parametrize(
    "numbers", [(1, 2, 3), (1, 1, 2, 3), (1, 2, 2, 3), (1, 2, 2, 2, 3), (1, 2, 3, 4, 4), (1,), (1, 2, 2)]
)
def test_without_accountlogs_there_are_no_pairs(numbers: Sequence[int]) -> None:
    batch = source(Path("Master.csv")).parse(masters(*numbers))
    assert dialled(cdrs(batch.records)) == list(numbers)
    assert len({record.identity for record in batch.records}) == len(numbers)


@pytest.mark.parametrize("account", [b"", b"master", b"MASTER", b"Master.csv", b"acme"])
def test_other_accounts_have_no_pairs(account: bytes) -> None:
    assert len(source(Path("Master.csv")).parse(masters(1, 1, 2, 2, account=account)).records) == 4


def test_cdr_custom_writes_no_pairs() -> None:
    data = cdr_custom(call(21, accountcode=b"Master")) * 2
    assert len(source(Path("Master.csv")).parse(data).records) == 2


def test_a_pair_that_a_full_disk_broke_leaves_the_others_pairs() -> None:
    data = pairs(1, 2) + masters(3) + pairs(4, 5)
    assert dialled(cdrs(source(Path("Master.csv")).parse(data).records)) == [1, 2, 3, 4, 5]
    torn = pairs(1, 2) + masters(3) + masters(3)[:90] + pairs(4, 5)
    batch = source(Path("Master.csv")).parse(torn)
    assert dialled(cdrs(batch.records)) == [1, 2, 3, 4, 5]
    assert len(batch.rejects) == 1


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("border", ["batch", "file", "packed"])
def test_a_pair_that_is_split_is_one_call(tmp_path: Path, border: str, restart: bool) -> None:
    path = tmp_path / "Master.csv"
    append(path, pairs(1, 2) + masters(3))
    reader = Store(path).read()
    assert reader.new == [1, 2, 3]
    if border != "batch":
        path.rename(beside(path, ".1"))
    append(path, masters(3) + pairs(4))
    if restart:
        again = Store(path, cursor=reader.cursor)
        again.records = reader.records
        reader = again
    assert reader.read().dialled == [1, 2, 3, 4]
    assert len(set(reader.identities)) == 4
    assert Store(path).read().identities == reader.identities


def offset(reader: Store) -> int:
    return int(json.loads(reader.cursor or '{"offset": 0}')["offset"])


def test_a_pair_is_one_call_when_followed_record_by_record(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    with Following(path) as reader:
        for number in (1, 2, 2, 3):
            append(path, masters(number))
            reader.until(lambda: offset(reader) == path.stat().st_size)
            append(path, masters(number))
        append(path, masters(9, account=b"acme"))
        reader.until(lambda: 9 in reader.dialled)
    assert reader.dialled == [1, 2, 2, 3, 9]
    assert len(set(reader.identities)) == 5


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=12),
    st.lists(st.integers(0, 4000), max_size=4),
    st.booleans(),
)
def test_any_calls_are_counted_rightly_however_they_arrive(
    calls: list[tuple[int, bool]], cuts: list[int], rotated: bool
) -> None:
    data = b"".join(masters(n) * 2 if mine else masters(n, account=b"acme") for n, mine in calls)
    with TemporaryDirectory() as directory:
        path = Path(directory) / "Master.csv"
        reader, at = Store(path), 0
        for cut in sorted({*(cut for cut in cuts if cut < len(data)), len(data)}):
            append(path, data[at:cut])
            at = cut
            cursor = reader.read().cursor
            if rotated and path.exists() and data[:cut].endswith(b"\n"):
                os.utime(path, (cut, cut))
                path.rename(beside(path, f"-{cut:08}"))
            again = Store(path, cursor=cursor)
            again.records = reader.records
            reader = again
        assert reader.read().dialled == [n for n, _ in calls]
        assert len(set(reader.identities)) == len(calls)


def test_check_names_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    for data, expected in {
        line(call(18)): "cdr_csv's layout",
        cdr_custom(call(21)): "cdr_custom's layout",
        line(call(18)) + cdr_custom(call(21)): "cdr_csv's layout, cdr_custom's layout",
        seventeen(*TIMES): "cdr_csv's layout, the 17th column is the uniqueid",
        seventeen("", "x"): "cdr_csv's layout, the 17th column is the userfield",
    }.items():
        path.write_bytes(data)
        assert f" bytes, 0 rotated files beside it, {expected}" in source(path).check()


def test_check_of_a_header_alone_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_text(",".join(SAMPLE) + "\n")
    assert "0 rotated files beside it" in source(path).check()
    assert "layout" not in source(path).check()


@pytest.mark.parametrize(("folder", "says"), [("cdr-custom", "cdr-csv/Master.csv"), ("cdr-csv", "4 columns")])
def test_check_says_which_mapping_of_cdr_custom_can_be_read(tmp_path: Path, folder: str, says: str) -> None:
    path = tmp_path / folder / "Master.csv"
    path.parent.mkdir()
    path.write_bytes(cdr_custom(call(21), ["src", "dst", "start", "duration"]))
    with pytest.raises(SourceError, match=says) as raised:
        source(path).check()
    assert ("stock mapping" in str(raised.value)) is (folder == "cdr-custom")
