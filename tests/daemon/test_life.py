"""systemd's watchdog hears that every thread of the daemon lives, and not just that one does."""

import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.config import Config
from humbug_agent.daemon import agent, housekeeping, life
from humbug_agent.daemon.housekeeping import prepare
from humbug_agent.daemon.kept import Kept
from humbug_agent.daemon.life import Stop
from humbug_agent.outbox.lock import locked
from tests.kit.agent_ini import config_of
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


class Systemd:
    """Takes what it is told at once, as systemd does; ``heard`` is all of it."""

    def __init__(self, address: Path) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while said := self._socket.recv(100):
            self.heard.append(said)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def waits_for(self, said: bytes, times: int = 1) -> None:
        before = self.heard.count(said)
        wait_until(lambda: self.heard.count(said) >= before + times)

    def hears_nothing(self, seconds: float) -> bool:
        before = len(self.heard)
        time.sleep(seconds)
        return len(self.heard) == before


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.setattr(agent, "TICK_SECONDS", 0.05)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with closing(Systemd(tmp_path / "notify")) as listening:
        yield listening


@contextmanager
def running(config: Config) -> Iterator[None]:
    prepare(config)
    asked = SimpleQueue[agent.Ask]()
    thread = threading.Thread(target=agent.Agent(config, asked, Kept()).run)
    with locked(config.agent.outbox, config.path):
        thread.start()
        try:
            yield
        finally:
            asked.put(agent.Ask.STOP)
            thread.join(20)
            assert not thread.is_alive()


class Source:
    """One that hangs when it is told to: as a file on a share does whose server is gone."""

    name, unread_in, leaves_out = "csv", "bytes", ""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def read(self, cursor: str | None, stop: Stop, *, follow: bool) -> Generator[Batch]:
        while not stop.is_set():
            self.may_go_on.wait()
            yield Batch([], [], None)
            stop.wait(0.05)

    def doubt(self) -> str:
        return ""


def test_a_thread_that_hangs_is_named_and_the_watchdog_hears_nothing_until_it_goes_on(
    config: Config, systemd: Systemd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source()
    monkeypatch.setattr(Config, "make_sources", lambda _: [source])
    # A destination that has nothing to do looks up once a second.
    monkeypatch.setattr(life, "SILENT_SECONDS", 3.0)
    with caplog.at_level(logging.CRITICAL), running(config):
        try:
            systemd.waits_for(b"WATCHDOG=1")
            wait_until(lambda: caplog.records)
            wait_until(lambda: systemd.hears_nothing(0.3))
            assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["source csv: hangs"]
        finally:
            source.may_go_on.set()
        systemd.waits_for(b"WATCHDOG=1", 3)
        assert len(caplog.records) == 1


def test_house_keeping_that_waits_does_not_keep_the_watchdog_waiting(
    config: Config, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "KEEP_HOUSE_SECONDS", 0.01)
    with running(config):
        wait_until(lambda: b"READY=1" in systemd.heard)
        with closing(sqlite3.connect(config.agent.outbox, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            systemd.waits_for(b"WATCHDOG=1", 10)


def test_who_waits_with_a_timeout_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "SILENT_SECONDS", 0.1)
    stop = Stop()
    waiting = threading.Thread(target=stop.wait, args=(60,))
    waiting.start()
    began = time.monotonic()
    while time.monotonic() - began < 0.3:
        assert not stop.hangs()
    stop.set()
    waiting.join()
    wait_until(stop.hangs)
    assert stop.is_set()
    assert not stop.hangs()
