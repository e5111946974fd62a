"""A disk that fills up just then. It is a tmpfs, which only root can mount."""

import logging
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.config import load
from humbug_agent.daemon import agent
from humbug_agent.outbox.outbox import Outbox
from tests.campaign.battle import fill, small_disk
from tests.kit.calls import call
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


class Fill(logging.Handler):
    """Fills the disk when something is said."""

    def __init__(self, disk: Path, when: str) -> None:
        super().__init__()
        self._disk, self._when = disk, when

    def emit(self, record: logging.LogRecord) -> None:
        if self._when in record.getMessage():
            fill(self._disk)


def test_one_that_is_full_when_the_next_agent_begins_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "TICK_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    asked, ended = SimpleQueue[agent.Ask](), list[BaseException | None]()

    def says(what: str, times: int = 1) -> None:
        wait_until(lambda: ended or sum(what in said for said in [*caplog.messages]) >= times)
        assert ended == []

    with small_disk(tmp_path / "disk", 6) as disk:
        destination = "type = humbug\nurl = http://127.0.0.1:9/\napi_key = x\n"
        lines = (
            f"[agent]\noutbox = {disk}/outbox.db\n[source a]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
            f"[destination stays]\n{destination}"
        )
        ini.write_text(f"{lines}[destination goes]\n{destination}")
        with Outbox(disk / "outbox.db") as outbox:
            outbox.accept("a", Batch([call(1)], [], None), ["stays", "goes"])
        # It is said while the outbox is prepared for the next Agent, once what that writes is written.
        filling = Fill(disk, "call waits for [destination goes]")
        logging.getLogger().addHandler(filling)

        def run() -> None:
            try:
                agent.run_daemon(load(ini), asked, lambda _: None)
                ended.append(None)
            except BaseException as error:  # noqa: BLE001
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            says("reading a, delivering to stays, goes")
            ini.write_text(lines)
            asked.put(agent.Ask.RELOAD)
            says("its disk is full; free some space there, nothing is lost meanwhile. Trying again")
            (disk / "ballast").unlink()
            logging.getLogger().removeHandler(filling)
            says("reading a, delivering to stays", times=2)
        finally:
            logging.getLogger().removeHandler(filling)
            asked.put(agent.Ask.STOP)
            thread.join(20)
        assert ended == [None]
