"""What the agent says when its outbox is away: once, however often it looks."""

import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from humbug_agent.config import Config, load
from humbug_agent.daemon import agent
from humbug_agent.daemon.housekeeping import prepare
from humbug_agent.daemon.kept import Kept
from tests.kit.host import wait_until


def prepared(folder: Path) -> Config:
    """An outbox in ``lib`` of the folder, and an agent.ini that names it."""
    ini = folder / "agent.ini"
    (folder / "lib").mkdir()
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {folder}/lib/outbox.db\n[source a]\ntype = asterisk_csv\npath = {folder}/Master.csv\n"
        "[destination humbug]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = x\n"
    )
    config = load(ini)
    prepare(config)
    return config


def test_an_outbox_whose_directory_is_missing_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[object] = []
    monkeypatch.setattr(agent, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(agent, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(agent, "notify", looks.append)
    folder, config = tmp_path / "lib", prepared(tmp_path)
    asked = SimpleQueue[agent.Ask]()
    thread = threading.Thread(target=agent.Agent(config, asked, Kept()).run)
    thread.start()
    try:
        wait_until(lambda: len(looks) > 5)
        folder.rename(tmp_path / "away")
        # So it can't be made anew.
        folder.write_text("")
        wait_until(lambda: "agent" in {record.name.rpartition(".")[2] for record in caplog.records})
        before = len(looks)
        # Each of these is a tick, and the outbox is looked for at every fifth.
        wait_until(lambda: len(looks) > before + 50)
        said = [record.getMessage() for record in caplog.records if record.name == agent.__name__]
        assert len(said) == len(set(said)) <= 2
    finally:
        folder.unlink()
        (tmp_path / "away").rename(folder)
        asked.put(agent.Ask.STOP)
        thread.join(20)
    assert not thread.is_alive()


def test_a_fault_while_agent_ini_is_read_again_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(path: Path) -> Config:
        raise RecursionError("a fault")

    config = prepared(tmp_path)
    monkeypatch.setattr(agent, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(agent, "load", faulty)
    asked = SimpleQueue[agent.Ask]()
    thread = threading.Thread(target=agent.Agent(config, asked, Kept()).run)
    thread.start()
    asked.put(agent.Ask.RELOAD)
    said = "not reloaded, going on as before: a fault of this program: RecursionError('a fault')"
    wait_until(lambda: said in caplog.text)
    assert thread.is_alive()
    asked.put(agent.Ask.STOP)
    thread.join(20)
    assert not thread.is_alive()
