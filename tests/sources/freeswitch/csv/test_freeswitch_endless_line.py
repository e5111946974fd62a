"""A line of megabytes in FreeSWITCH's Master.csv: a few rejects, and no call missed."""

from pathlib import Path

import pytest

from tests.kit.cdr_reader import Reader
from tests.kit.mod_cdr_csv import rows


@pytest.mark.parametrize("filler", [b"\0", b'","'])
def test_of_a_line_without_an_end_the_ends_are_kept(tmp_path: Path, filler: bytes) -> None:
    path = tmp_path / "Master.csv"
    endless = filler * (2 * 2**20 // len(filler))
    path.write_bytes(rows("example", 1) + endless + b"\n" + rows("example", 2, 3))
    read = Reader(path).read()
    texts = b"".join(one.text for one in read.rejects)
    for number in (1, 2, 3):
        # Glued to such a text a row can be more than one thing.
        assert str(number) in read.dialled or rows("example", number).rstrip() in texts
    assert len(read.rejects) <= 4
    assert sum(len(one.text) for one in read.rejects) < 1.5 * 2**20
