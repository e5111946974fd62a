"""FreeSWITCH's rotated files are known by what they hold, too, and are found beside what Master.csv is a link to."""

import os
import subprocess
from pathlib import Path

import pytest

from humbug_agent.sources.files import unpacking
from tests.kit.cdr_reader import Following, Reader
from tests.kit.mod_cdr_csv import rows

pytestmark = pytest.mark.slow


def write(path: Path, *numbers: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(rows("example", number) for number in numbers))


@pytest.mark.parametrize("suffix", [".old", "~", ".Nov2026", "_20261120", ".2026-11-20-17-06-33", ".1"])
@pytest.mark.parametrize("packed", ["", ".zst", ".sent"])
def test_under_any_name_it_is_read_on(path: Path, suffix: str, packed: str) -> None:
    write(path, 1)
    first = Reader(path).read()
    write(path, 2)
    away = path.rename(path.with_name(path.name + suffix))
    if packed:
        subprocess.run(["zstd", "-q", "--rm", away, "-o", f"{away}{packed}"], check=True)
    write(path, 3)
    then = Reader(path, cursor=first.cursor).read()
    assert first.dialled + then.dialled == ["1", "2", "3"]
    assert not then.rejects


def test_beside_what_it_is_a_link_to(path: Path) -> None:
    target = path.parent / "data" / "calls.csv"
    target.parent.mkdir()
    path.symlink_to(target)
    write(target, 1)
    with Following(path) as reader:
        reader.until_dialled(1)
        target.rename(target.with_name("calls.csv.2026-11-20-17-06-33"))
        write(target, 2)
        reader.until_dialled(1, 2)


def test_what_cant_be_unpacked_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, 1)
    packed = path.with_name("Master.csv.2026-11-20-17-06-33.zst")
    packed.write_bytes(
        subprocess.run(["zstd", "-qc"], input=rows("example", 0), stdout=subprocess.PIPE, check=True).stdout
    )
    os.utime(packed, (10**9, 10**9))
    magic, _, command = unpacking._KINDS["zstd"]
    monkeypatch.setitem(unpacking._KINDS, "zstd", (magic, None, command))
    monkeypatch.setenv("PATH", str(path.parent))
    reader = Reader(path).read()
    assert reader.dialled == ["1"]
    assert str(packed) in reader.source.trouble()
    assert "apt install zstd" in reader.source.trouble()
