"""Two rotated files that are called alike but for what packed them are two files, as long as they hold other calls."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.cdr_csv import Store, append, beside, numbered
from tests.sources.files.test_rotated_names import PACKERS, aged, pack

pytestmark = pytest.mark.slow

PACKED = ["", *PACKERS]

STAMPS = ["", ".1", ".2", "-20261120", "-1795194557", ".old", "~"]


def put(path: Path, stamp: str, suffix: str, seconds: int) -> None:
    """The log becomes a rotated file that was written to so long ago."""
    aged(path, seconds)
    # Under a name of its own, so that no file that has the plain one already is lost.
    aside = path.rename(path.with_name("rotating"))
    if suffix:
        pack(aside, suffix)
    aside.with_name(aside.name + suffix).rename(beside(path, stamp + suffix))


@pytest.mark.parametrize(
    ("stamp", "older", "younger"),
    [
        *((stamp, *suffixes) for stamp in STAMPS for suffixes in ((".gz", ".xz"), (".xz", ".gz"))),
        *((stamp, ".gz", "") for stamp in STAMPS if stamp),
    ],
)
def test_a_new_way_to_pack_hides_no_file(path: Path, stamp: str, older: str, younger: str) -> None:
    append(path, numbered(*range(30)))
    first = Store(path).read()
    append(path, numbered(30))
    put(path, stamp, older, 200)
    append(path, numbered(31, 32))
    put(path, stamp, younger, 100)
    append(path, numbered(33))
    then = Store(path, cursor=first.cursor).read()
    assert [*first.dialled, *then.dialled] == list(range(34))
    last = Store(path, cursor=then.cursor).read()
    assert not last.dialled


@settings(max_examples=15, deadline=None)
@given(
    files=st.lists(
        st.tuples(st.sampled_from(STAMPS), st.sampled_from(PACKED), st.booleans()),
        min_size=1,
        max_size=5,
        unique_by=lambda file: file[:2],
    )
)
def test_whatever_they_are_called_each_call_comes_once(
    files: list[tuple[str, str, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / "Master.csv"
    store, cursor, number = Store(path), None, 0
    identities: list[bytes] = []
    for place, (stamp, suffix, read) in enumerate(files):
        if stamp or suffix:
            append(path, numbered(*range(number, number + 3)))
            number += 3
            if read:
                store = Store(path, cursor=cursor).read()
                identities, cursor = [*identities, *store.identities], store.cursor
            put(path, stamp, suffix, 1000 - 100 * place)
    append(path, numbered(number))
    store = Store(path, cursor=cursor).read()
    assert len({*identities, *store.identities}) == number + 1


def test_what_is_being_packed_is_read_once_and_nothing_is_said_of_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(path, numbered(*range(400)))
    path.rename(beside(path, ".1"))
    append(path, numbered(400))
    whole = gzip.compress(beside(path, ".1").read_bytes())
    for size in (0, 5, len(whole) // 2, len(whole)):
        beside(path, ".1.gz").write_bytes(whole[:size])
        store = Store(path).read()
        assert store.dialled == list(range(401))
    assert not caplog.records
