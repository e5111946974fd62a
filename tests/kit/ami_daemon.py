"""The daemon as a process of its own, whose log is read while it runs, on a host that listens to an AMI."""

import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.ami_calls import ZONE
from tests.kit.ami_server import SECRET, USER
from tests.kit.host import PROGRAM, SECRETS, Host, wait_until

STOP_SECONDS = 5.0


class AmiHost(Host):
    """Its agent.ini has one source, [source ami], unless ``csv`` puts Master.csv beside it."""

    def listen_to(
        self, port: int, ami: str = "", *, csv: bool = False, host: str = "127.0.0.1", timezone: str = ZONE.key
    ) -> None:
        beside = f"[source master-csv]\ntype = asterisk_csv\npath = {self.master}\n" if csv else ""
        self.ini.write_text(
            f"[agent]\noutbox = {self.outbox}\ntimezone = {timezone}\n"
            f"[source ami]\ntype = asterisk_ami\nhost = {host}\nport = {port}\n"
            f"username = {USER}\nsecret = {SECRET}\n{ami}\n{beside}"
            f"[destination humbug]\ntype = humbug\nurl = {self.receiver.url}\napi_key = {SECRETS[0]}\n"
        )

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox.db"

    def dialled(self) -> list[str]:
        """Whom the calls at the receiver were to, in the order of their arrival."""
        return [row["Destination"] for row in self.store.rows()]


class Daemon:
    """``humbug-agent run``, from start to SIGTERM. In no state of it is there a traceback or a secret in its log."""

    def __init__(self, host: Host) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen([PROGRAM, "--config", str(host.ini), "run"], stderr=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, name="daemon")
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as log:
            for line in log:
                self.lines.append(line.decode().rstrip("\n"))

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def says(self, text: str, seconds: float = 10) -> None:
        """Wait until it has said so."""
        try:
            wait_until(lambda: text in self.log, seconds)
        except AssertionError:
            raise AssertionError(f"never said {text!r}, only:\n{self.log}") from None

    def times(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def reload_and_wait(self) -> None:
        """SIGHUP; returns once agent.ini was read again."""
        again = "agent.ini: read again"
        before = self.times(again)
        self.reload()
        wait_until(lambda: self.times(again) == before + 1)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def peak(self) -> int:
        """The most memory it ever had, in bytes."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) * 1024
        raise AssertionError("the kernel does not tell")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def stop(self) -> float:
        """SIGTERM; returns how many seconds it took to end well."""
        began = time.monotonic()
        self._process.terminate()
        assert self._process.wait(30) == 0, self.log
        return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None and self._process.poll() is None:
                assert self.stop() < STOP_SECONDS, self.log
        finally:
            self._process.kill()
            self._process.wait(10)
            self._thread.join()
        if kind is None:
            assert not any(secret in self.log for secret in (SECRET, *SECRETS)), self.log
            assert "Traceback" not in self.log, self.log
