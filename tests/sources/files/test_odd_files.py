"""What stands where the log should is a pipe or a device: it is said at once, and nothing waits for it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from humbug_agent.config import load
from humbug_agent.sources.contract import Source, SourceError

KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device without an end": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture(params=["asterisk_csv", "freeswitch_csv"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    ini = tmp_path / "agent.ini"
    ini.write_text(
        f"[agent]\noutbox = {tmp_path}/outbox.db\ntimezone = UTC\n"
        f"[source csv]\ntype = {request.param}\npath = {tmp_path}/log/Master.csv\n"
        "[destination humbug]\ntype = humbug\napi_key = k\n"
    )
    ini.chmod(0o600)
    (tmp_path / "log").mkdir()
    (one,) = load(ini).make_sources()
    return one


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_said_and_not_waited_for(source: Source, tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path / "log" / "Master.csv")
    for cursor in (None, ""):
        with pytest.raises((SourceError, OSError)) as found:
            list(source.read(cursor, threading.Event(), follow=False))
        assert "Master.csv" in str(found.value)
    with pytest.raises((SourceError, OSError)):
        source.check()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
def test_beside_a_log_it_is_passed_over(source: Source, tmp_path: Path, kind: str) -> None:
    (tmp_path / "log" / "Master.csv").write_bytes(b"")
    KINDS[kind](tmp_path / "log" / "Master.csv.1")
    batches = list(source.read(None, threading.Event(), follow=False))
    assert not any(batch.records or batch.rejects for batch in batches)
