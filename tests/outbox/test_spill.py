"""What was told once and can't be put into the outbox before the end: kept beside it, and read first at the next start.

The disk is a real one that is full: a small tmpfs, which only root can mount.
"""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import Batch, Damaged, Notice, Record, Reject, digest
from humbug_agent.outbox import queries, spill
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxFull
from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.ami_calls import events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_server import AmiServer
from tests.kit.calls import batch, call
from tests.kit.esl_calls import numbered
from tests.kit.esl_server import PASSWORD, EslServer
from tests.kit.host import API_KEY, KEY, wait_until

pytestmark = pytest.mark.slow

MUCH = 1 << 30
NAMES = ["humbug"]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    path = tmp_path / "lib" / "outbox.db"
    Outbox(path).close()
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/run:{tmp_path}/other")
    return tmp_path / "run"


def found(outbox: Path) -> tuple[list[Record], int]:
    with Outbox(outbox) as opened:
        entries = list(queries.entries(opened, queries.Filter()))
        records = [entry.record for entry in entries if not isinstance(entry.record, Damaged)]
        assert len(records) == len(entries)
        return records, len(queries.rejects(opened))


def notice() -> Notice:
    return Notice(identity=digest("n"), event="Alarm", at=call(1).end, fields={"DAHDIChannel": "1", "ü": "\n"})


def test_what_was_kept_is_what_it_was(outbox: Path) -> None:
    told = Batch([call(1), notice(), call(2, answer=None)], [Reject(b"key", b"\0\xff\n", "has 1 columns", "AMI")], None)
    path = spill.write(outbox, "ami", told)
    assert path.parent == outbox.parent
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert spill.waiting(outbox) == [path]
    spill.bring_in(outbox, NAMES, MUCH)
    records, rejects = found(outbox)
    assert {record.identity: record for record in records} == {record.identity: record for record in told.records}
    assert rejects == 1
    assert spill.waiting(outbox) == []
    with Outbox(outbox) as opened:
        (kept,) = queries.rejects(opened)
        assert (kept.text, kept.source) == (b"\0\xff\n", "ami")
        assert queries.read_so_far(opened)["ami"].calls == 3


def test_what_is_in_the_outbox_already_adds_nothing(outbox: Path) -> None:
    with Outbox(outbox) as opened:
        opened.accept("ami", batch(1, 2), NAMES)
    spill.write(outbox, "ami", batch(2, 3))
    spill.write(outbox, "ami", batch(3, 4))
    spill.bring_in(outbox, NAMES, MUCH)
    assert len(found(outbox)[0]) == 4
    with Outbox(outbox) as opened:
        assert opened.cursor("ami") == "c"


def test_without_room_it_stays_where_it_is(outbox: Path) -> None:
    path = spill.write(outbox, "ami", batch(1))
    with pytest.raises(OutboxFull):
        spill.bring_in(outbox, NAMES, 1)
    assert spill.waiting(outbox) == [path]
    spill.bring_in(outbox, NAMES, MUCH)
    assert len(found(outbox)[0]) == 1


def test_it_belongs_to_its_outbox_and_each_is_read_in_the_order_in_which_it_was_kept(outbox: Path, run: Path) -> None:
    other = outbox.parent.with_name("other") / "outbox.db"
    for number in range(3):
        spill.write(outbox, f"a.b-{number}", batch(number))
    outbox.parent.rename(outbox.parent.with_name("away"))
    spill.write(outbox, "ami", batch(3))
    spill.write(other, "ami", batch(4))
    outbox.parent.with_name("away").rename(outbox.parent)
    assert [path.parent for path in spill.waiting(outbox)] == [*[outbox.parent] * 3, run]
    spill.bring_in(outbox, NAMES, MUCH)
    assert [record.identity for record in found(outbox)[0]] == [call(number).identity for number in range(4)]
    assert len(spill.waiting(other)) == 1


def test_where_nothing_can_be_written_it_says_where_it_was_tried(run: Path, outbox: Path) -> None:
    outbox.parent.rename(outbox.parent.with_name("away"))
    run.write_bytes(b"no directory")
    with pytest.raises(spill.SpillError, match=rf"{outbox}\.spilled-\S+-ami: No such file .*; {run}/\S+: File exists"):
        spill.write(outbox, "ami", batch(1))


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.none() | st.integers(0, 255)), min_size=1, max_size=3))
def test_whatever_becomes_of_a_file_each_line_is_a_call_or_a_reject(
    tmp_path_factory: pytest.TempPathFactory, damages: list[tuple[float, int | None]]
) -> None:
    """A byte is another one, or, as None, the end is missing."""
    path = spill.write(tmp_path_factory.getbasetemp() / "damaged.db", "ami", batch(*range(5)))
    whole = path.read_bytes().splitlines()
    body = path.read_bytes()
    for where, byte in damages:
        at = int(where * len(body))
        body = body[:at] + (bytes([byte]) + body[at + 1 :] if byte is not None else b"")
    path.write_bytes(body)
    lines = body.removesuffix(b"\n").split(b"\n")
    found = spill.read(path)
    path.unlink()
    assert found.records == [call(whole.index(line)) for line in lines if line in whole]
    assert [reject.text for reject in found.rejects] == [line for line in lines if line not in whole]


# With real daemons.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk for the outbox."""
    folder = tmp_path / "state"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def pbx(tmp_path: Path, disk: Path) -> Iterator[AmiHost]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        yield AmiHost(tmp_path, receiver, store)


def on(disk: Path, pbx: AmiHost, port: int, source: str = "") -> None:
    pbx.listen_to(port)
    ini = pbx.ini.read_text().replace(str(pbx.outbox), str(disk / "outbox.db"))
    pbx.ini.write_text(re.sub(r"type = asterisk_ami[^\[]*", source, ini) if source else ini)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", 0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return filler


KEPT = re.compile(
    r"WARNING source ami: of what it was told 300 events could not be put into the outbox before the end; "
    r"the next start reads that first, from (\S+), unless this host is started anew before$"
)


@pytest.mark.usefixtures("run")
def test_what_is_in_hand_at_a_stop_with_a_full_disk_is_delivered_after_the_next_start(
    disk: Path, pbx: AmiHost, run: Path
) -> None:
    with AmiServer() as ami:
        on(disk, pbx, ami.port)
        with Daemon(pbx) as daemon:
            wait_until(lambda: pbx.status()["sources"]["ami"]["state"] == "ok")
            filler = fill(disk)
            ami.play(events(*range(300)), (2**20,), apart=True)
            daemon.says("source ami: outbox")
            daemon.reload()
            # By what SQLite finds free in its own files.
            wait_until(lambda: "not reloaded, going on as before: outbox" in daemon.log or "read again" in daemon.log)
            assert ami.connections == 1
        (said,) = [line for line in daemon.lines if "could not be put" in line]
        kept = KEPT.search(said)
        assert kept, said
        assert kept[1] == str(run)
        # Still without room it is there, and not forgotten.
        with Daemon(pbx) as daemon:
            daemon.says("reading ami")
        assert [*run.iterdir()]
        filler.unlink()
        with Daemon(pbx) as daemon:
            wait_until(lambda: pbx.store.count() == 300)
            daemon.says("kept at an earlier stop, is in the outbox now: 300 new calls, 0 rejects")
        assert pbx.store.repeats() == 0
        assert [*run.iterdir()] == []


@pytest.mark.usefixtures("run")
def test_a_run_once_reads_it_too(disk: Path, pbx: AmiHost) -> None:
    with EslServer() as esl:
        on(disk, pbx, 0, f"type = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n")
        with Daemon(pbx) as daemon:
            wait_until(lambda: pbx.status()["sources"]["ami"]["state"] == "ok")
            filler = fill(disk)
            esl.play(numbered(1))
            daemon.says("source ami: outbox")
    filler.unlink()
    pbx.run("run", "--once")
    assert (pbx.store.count(), pbx.store.repeats()) == (1, 0)
