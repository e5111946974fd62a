"""What is small and becomes large, in a log that was rotated or in an answer, stays within the memory that there is."""

import gzip
import lzma
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.paths import TOP

pytestmark = pytest.mark.slow

MEGABYTES = 200
"""The unit has 256."""

READ = """
import sys
from pathlib import Path
{}
for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) // 1024)
"""
FILE = """
from humbug_agent.sources.files.position import OpenFile
with OpenFile(Path(sys.argv[1])) as file:
    while piece := file.peek(262144):
        file.advance(piece)
    file.unread()
"""
DOCUMENT = """
from tests.fuzz.fuzz_pbx import a_source, good
good(a_source("freeswitch_json").parse(Path(sys.argv[1]).read_bytes()))
"""
ANSWER = """
from tests.fuzz.fuzz_pbx import _told, Response
_, asker = _told("boxis", b"")
try:
    asker.json(Response(200, Path(sys.argv[1]).read_bytes()[: asker_module.LONGEST_ANSWER]))
except asker_module.TooMuch as error:
    assert "answered more than" in str(error)
"""


def megabytes(script: str, path: Path) -> int:
    """The most that the script ever had; getrusage would count what the test run has, which it is forked from."""
    done = subprocess.run(
        [sys.executable, "-c", READ.format(script), path],
        cwd=TOP,
        capture_output=True,
        timeout=100,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)),
    )
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


def lzma_of_four_gigabytes(size: int) -> bytes:
    packed = lzma.compress(bytes(size), lzma.FORMAT_ALONE, preset=0)
    # The size of the dictionary, which is to be kept in memory.
    return packed[:1] + (3 << 30).to_bytes(4, "little") + packed[5:]


@pytest.mark.parametrize("name", ["gz", "lzma", "zst"])
def test_a_packed_log_that_swells(tmp_path: Path, name: str) -> None:
    size = 250 * 2**20
    path = tmp_path / f"Master.csv.1.{name}"
    if name == "zst":
        zstd = pytest.importorskip("backports.zstd")
        path.write_bytes(zstd.compress(bytes(size), options={zstd.CompressionParameter.window_log: 27}))
    else:
        path.write_bytes(gzip.compress(bytes(size), 1) if name == "gz" else lzma_of_four_gigabytes(size))
    assert path.stat().st_size < 2 * 2**20
    assert megabytes(FILE, path) < MEGABYTES


DOCUMENTS = {
    "callflows": lambda: b'{"variables":{"uuid":"u"},"callflow":[' + b'{"times":{}},' * 300_000 + b"{}]}",
    "objects": lambda: b'{"variables":{},"x":[' + b"{}," * 1_380_000 + b"{}]}",
    "elements": lambda: b"<cdr><variables>" + b"".join(b"<a%d/>" % n for n in range(420_000)) + b"</variables></cdr>",
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_largest_document_there_may_be(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a_1.cdr.json"
    path.write_bytes(DOCUMENTS[kind]()[: 4 * 2**20])
    assert megabytes(DOCUMENT, path) < MEGABYTES


@pytest.mark.parametrize("value", [b"{}", b"[[]]", b'{"a":{}}', b"1"])
def test_the_largest_answer_of_a_hosted_pbx(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "answer"
    path.write_bytes(b"[" + (value + b",") * (8 * 2**20 // (len(value) + 1)) + b"1]")
    assert megabytes("import humbug_agent.sources.polling.client as asker_module\n" + ANSWER, path) < MEGABYTES


def test_as_many_values_as_an_answer_may_have(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    path.write_bytes(b"[" + b"{}," * 149_000 + b"{}]")
    script = "from tests.fuzz.fuzz_pbx import boxis_answer\nboxis_answer(Path(sys.argv[1]).read_bytes())"
    assert megabytes(script, path) < MEGABYTES
