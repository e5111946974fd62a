"""A line of megabytes in Master.csv, as a disk or another program makes it: a few rejects, and no call missed."""

from pathlib import Path

import pytest

from tests.kit.cdr_csv import Store, numbered

MEGABYTES = 3 * 2**20


@pytest.mark.parametrize("filler", [b"x", b"\0", b'"', b",", b'","'])
@pytest.mark.parametrize("behind", [b"", b"\n"])
def test_of_a_line_without_an_end_the_ends_are_kept(tmp_path: Path, filler: bytes, behind: bytes) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(numbered(1) + filler * (MEGABYTES // len(filler)) + behind + numbered(2, 3) + b"no call\n")
    read = Store(path).read()
    assert read.dialled == [1, 2, 3]
    assert len(read.rejects) <= 4
    assert sum(len(one.text) for one in read.rejects) < 2**20
    assert read.rejects[-1].text == b"no call"


def test_what_is_between_the_calls_of_such_a_line_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_bytes(b"".join(b"x" * 2**20 + numbered(number) for number in range(3)))
    read = Store(path).read()
    assert read.dialled == [0, 1, 2]
    assert 3 <= len(read.rejects) <= 9
