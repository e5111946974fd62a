"""A PBX host in a folder, for tests that run the program as a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from humbug_agent.receiver import Background, Store
from tests.kit.paths import DATA

PROGRAM = str(Path(sys.executable).with_name("humbug-agent"))
RECORDED = DATA / "asterisk22"
API_KEY, KEY = "an-api-key", "an-encryption-key"
SECRETS = (API_KEY, KEY)


class Host:
    """A PBX host in a folder: agent.ini, Master.csv, outbox, and a receiver of its own."""

    def __init__(self, folder: Path, receiver: Background, store: Store) -> None:
        self.folder, self.receiver, self.store = folder, receiver, store
        self.ini, self.master = folder / "agent.ini", folder / "Master.csv"
        self.configure()

    def configure(self, source: str = "", destination: str = "", agent: str = "", timezone: str = "UTC") -> None:
        """``timezone`` is by default that of the host on which the recordings were made."""
        self.ini.touch(0o600)
        self.ini.write_text(
            f"[agent]\noutbox = {self.folder}/outbox.db\ntimezone = {timezone}\n{agent}\n"
            f"[source master-csv]\ntype = asterisk_csv\npath = {self.master}\n{source}\n"
            f"[destination humbug]\ntype = humbug\nurl = {self.receiver.url}\napi_key = {API_KEY}\n{destination}\n"
        )

    def write(self, name: str = "Master-full.csv") -> None:
        with self.master.open("ab") as master:
            master.write((RECORDED / name).read_bytes())

    def run(self, *arguments: str, code: int | None = 0, stdin: bytes = b"") -> str:
        """The command's standard output; standard error goes to ``errors``. No secret is ever in either."""
        done = subprocess.run(
            [PROGRAM, "--config", str(self.ini), *arguments], input=stdin, capture_output=True, timeout=60, check=False
        )
        self.errors = done.stderr.decode()
        output = done.stdout.decode()
        assert "Traceback" not in self.errors, self.errors
        assert not any(secret in output + self.errors for secret in SECRETS)
        assert code is None or done.returncode == code, output + self.errors
        return output

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))

    def status(self) -> Any:
        """`status --json`, whatever its exit code says."""
        return json.loads(self.run("status", "--json", code=None))

    def daemon(self, stderr: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen([PROGRAM, "--config", str(self.ini), "run"], stderr=stderr)


def wait_until(true: Callable[[], object], seconds: float = 30, every: float = 0.01) -> None:
    """``seconds`` only end a test that would hang, unless they are what it is about; ``every`` so many it looks."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every)
