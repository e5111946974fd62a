"""The real agent as a process that is killed, again and again."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.campaign.shim import Shim
from tests.kit.host import PROGRAM

API_KEY = "campaign-api-key"
ENCRYPTION_KEY = "campaign-encryption-key"
CONNECTIONS = 4


class Mortal:
    """The agent of ``home``: agent.ini, the outbox, and what it says.

    ``sections`` are those of its sources and destinations, for each life. Leaving the ``with`` block kills it.
    ``shim`` stands between it and its kernel, if it is there.
    """

    def __init__(
        self, home: Path, sections: Callable[[int], str], *, outbox: Path | None = None, shim: Shim | None = None
    ) -> None:
        self.life = 0
        self.zone = "Europe/Zurich"
        self.killed: set[int] = set()
        self.ini = home / "agent.ini"
        self.outbox = outbox or home / "outbox.db"
        self.said = home / "agent.log"
        self.shim = shim
        self._sections = sections
        self._process: subprocess.Popen[bytes] | None = None
        self.said.touch()

    def __enter__(self) -> "Mortal":
        self._configure()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *command: str) -> None:
        self.life += 1
        self._configure()
        with open(self.said, "ab") as said:
            said.write(f"--- life {self.life}\n".encode())
            said.flush()
            arguments = [PROGRAM, "--config", str(self.ini), *(command or ("run",))]
            environment = self.shim.environment() if self.shim else os.environ.copy()
            # On SIGABRT it tells where each of its threads is.
            environment["PYTHONFAULTHANDLER"] = "1"
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment
            )

    def kill(self) -> None:
        if self._process:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
                self.killed.add(self.life)
            self._process.wait()
            self._process = None

    def live(self, seconds: float) -> int | None:
        """Let it live so long at most; its exit status if it ended by itself."""
        assert self._process
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(max(0.0, seconds))
        return None

    def freeze(self, seconds: float) -> None:
        """Nothing of it runs for so long, as where the host is suspended."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        self.live(seconds)
        self._process.send_signal(signal.SIGCONT)

    def terminate(self, seconds: float) -> int | None:
        """SIGTERM; what it exits with within the seconds that it has, None where it does not end."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        if (status := self.live(seconds)) is not None:
            self._process = None
        return status

    def stop(self, seconds: float = 10) -> int:
        """As `terminate`, of one that has to end."""
        process = self._process
        assert process
        if (status := self.terminate(seconds)) is not None:
            return status
        process.send_signal(signal.SIGABRT)
        process.wait()
        raise AssertionError(
            f"no end within {seconds} s; what its threads did then stands last:\n{self.log()[-20_000:]}"
        )

    def ask(self, *command: str) -> Any:
        """What another command says with --json."""
        environment = self.shim.quiet_environment() if self.shim else None
        arguments = [PROGRAM, "--config", str(self.ini), *command, "--json"]
        done = subprocess.run(arguments, capture_output=True, timeout=120, env=environment)
        # `status` ends with 1 where something is wrong, which here it mostly is.
        assert done.returncode == 0 or command == ("status",), done.stderr.decode()
        return json.loads(done.stdout)

    def await_status(self, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """`status`, once it is as ``wanted`` or the time is over."""
        deadline = time.monotonic() + seconds
        found: dict[str, Any] = self.ask("status")
        while not wanted(found) and time.monotonic() < deadline:
            assert self.live(0.3) is None, self.tail()
            found = self.ask("status")
        return found

    def nothing_left(self, found: dict[str, Any]) -> bool:
        unread = any(one["unread_bytes"] or one["unread_seconds"] for one in found["sources"].values())
        return not found["deliveries"]["waiting"] and not unread

    def deleted_files(self) -> list[str]:
        """What it still has open although it is gone from the disk."""
        assert self._process
        opened = [str(one.readlink()) for one in Path(f"/proc/{self._process.pid}/fd").iterdir()]
        return [name for name in opened if name.endswith(" (deleted)")]

    def integrity(self) -> str:
        with closing(sqlite3.connect(self.outbox)) as db:
            return str(db.execute("PRAGMA integrity_check").fetchone()[0])

    def log(self) -> str:
        return self.said.read_text("utf-8", "replace")

    def tail(self) -> str:
        return self.log()[-6000:]

    def lines_with(self, word: str) -> list[str]:
        """The lines of its log that hold ``word``."""
        return [line for line in self.log().splitlines() if word in line]

    def has_begun(self) -> bool:
        """Whether it hears signals: before it says what it does they end it, as they end any process."""
        return "delivering to" in self.log().rpartition(f"--- life {self.life}\n")[2]

    def reload(self) -> None:
        """SIGHUP."""
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    def _configure(self) -> None:
        self.ini.touch(0o600)
        self.ini.write_text(
            f"[agent]\noutbox = {self.outbox}\ntimezone = {self.zone}\nlog_level = info\n\n{self._sections(self.life)}"
        )


def humbug(name: str, url: str, *, encoded: bool) -> str:
    """The section of a destination that sends to ``url``."""
    key = f"encryption_key = {ENCRYPTION_KEY}\n" if encoded else ""
    return (
        f"[destination {name}]\ntype = humbug\nurl = {url}\napi_key = {API_KEY}\n{key}"
        f"connections = {CONNECTIONS}\ntimeout = 10\n"
    )
