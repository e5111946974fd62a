"""The agent as a process of its own, on a real Asterisk."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.kit.host import API_KEY, PROGRAM, Host, wait_until
from tests.pbx.pbx_host import Pbx

CONNECTIONS = 4
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system, of all threads, those that have ended too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Daemon:
    """The agent on a PBX, and the times at which it could not listen."""

    def __init__(
        self,
        host: Host,
        pbx: Pbx,
        *,
        user: str = "humbug",
        more: str = "",
        start: str = "beginning",
        nice: int = 0,
    ) -> None:
        self._nice = nice
        self.host, self.log = host, host.folder / "agent.log"
        self.away: list[tuple[float, float]] = []
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None
        host.ini.write_text(
            f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = {pbx.timezone}\n"
            f"[source master-csv]\ntype = asterisk_csv\npath = {pbx.master_csv}\nstart = {start}\n"
            f"[source ami]\ntype = asterisk_ami\nport = {pbx.ami_port}\nusername = {user}\n"
            f"secret = humbug-secret\n{more}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
            f"connections = {CONNECTIONS}\n"
        )

    def start(self) -> None:
        command = ["nice", "-n", str(self._nice), PROGRAM, "--config", str(self.host.ini), "run"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        self.await_ear()

    def cpu_seconds(self) -> float:
        assert self._process
        return cpu_seconds(self._process.pid)

    def await_ear(self) -> None:
        wait_until(lambda: self.host.status()["sources"]["ami"]["state"] == "ok", 60)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self._process
        self.kills += how is signal.SIGKILL
        self._process.send_signal(how)
        assert self._process.wait(15) == (-9 if how is signal.SIGKILL else 0)
        self._process = None

    def again(self, how: signal.Signals) -> None:
        began = time.time()
        self.end(how)
        self.start()
        self.away.append((began, time.time()))

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class OnPath:
    """``asterisk`` is this one's, as on a PBX of its own."""

    def __init__(self, pbx: Pbx) -> None:
        self._folder = str(pbx.console)

    def __enter__(self) -> None:
        self._before = os.environ["PATH"]
        os.environ["PATH"] = f"{self._folder}:{self._before}"

    def __exit__(self, *_: object) -> None:
        os.environ["PATH"] = self._before


def host_check(host: Host, pbx: Pbx, *, user: str = "humbug", more: str = "") -> str:
    """What `check` says of AMI."""
    Daemon(host, pbx, user=user, more=more)
    found = {one["part"]: one for one in host.json("check", code=None)}
    return str(found["source ami"]["message"])
