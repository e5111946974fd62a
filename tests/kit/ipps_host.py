"""IPPS as its clients see it: the web server over a board that a test fills, asked with curl."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.board.model import Board, Channel, Member, QueueCall, State
from humbug_agent.config import load
from humbug_agent.http_server.server import Server
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status.gather import gather
from humbug_agent.web.app import App
from humbug_agent.web.facts import Facts
from humbug_agent.web.guard import Guard
from tests.kit.ports import free_port


@dataclass(frozen=True)
class Served:
    port: int
    boards: Sequence[Board]

    def curl(self, path: str, *options: str, scheme: str = "http", user: str = "") -> str:
        """The body, and in its last line the status."""
        url = f"{scheme}://{f'{user}@' if user else ''}127.0.0.1:{self.port}{path}"
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\\n%{http_code}", *options, url],
            capture_output=True,
            check=True,
            timeout=20,
        )
        return done.stdout.decode()

    def ask(self, path: str) -> str:
        body, _, status = self.curl(path).rpartition("\n")
        assert status == "200"
        return body


@contextmanager
def serving(folder: Path, boards: Sequence[Board], status: str = "", zone: str = "UTC") -> Iterator[Served]:
    ini = folder / "agent.ini"
    ini.write_text(
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = {zone}\n"
        "[source a]\ntype = asterisk_csv\n[destination d]\ntype = humbug\napi_key = k\n"
        "[numbers]\ndomestic_max_length = 9\ndefault_country = Switzerland\n"
        f"[status]\nlisten = 127.0.0.1:{free_port()}\n{status}"
    )
    config = load(ini)
    assert config.status

    def ask(question: Callable[[Outbox], object]) -> object:
        with Outbox(config.agent.outbox) as outbox:
            return question(outbox)

    facts = Facts(lambda: gather(config, config.make_sources(), time.time(), None), ask)
    app = App(config, config.status, boards, facts, {}).routes()
    server = Server(Guard(app, config.status), config.status)
    server.start()
    try:
        yield Served(config.status.port, boards)
    finally:
        server.stop()


def board(channels: Sequence[Channel] = (), calls: Sequence[QueueCall] = (), members: Sequence[Member] = ()) -> Board:
    """A live one."""
    made = Board("ami")
    made.replace(channels, {call.queue for call in calls}, calls, members)
    return made


def channel(
    name: str, state: State, number: str = "", caller: str = "", account: str = "", uniqueid: str = ""
) -> Channel:
    return Channel(
        uniqueid=uniqueid or name,
        channel=name,
        state=state,
        number=number,
        name=caller,
        account=account,
        since=time.time(),
    )
