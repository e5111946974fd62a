"""The daemon as a process of its own, and what it serves."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.kit.ami_server import SECRET, USER
from tests.kit.host import Host
from tests.kit.ports import free_port


class Page:
    def __init__(self, host: Host) -> None:
        self.port = free_port()
        self.host = host
        self.more("")

    def more(self, status: str, ami: int | None = None) -> None:
        """``[status]`` with these lines, and a source at AMI's port."""
        source = (
            f"[source ami]\ntype = asterisk_ami\nport = {ami}\nusername = {USER}\nsecret = {SECRET}\n" if ami else ""
        )
        self.host.configure(agent=f"{source}[status]\nlisten = 127.0.0.1:{self.port}\n{status}")

    def get(self, path: str = "/", auth: tuple[str, str] | None = None) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, auth=auth)

    def up(self) -> bool:
        return self.status() != 0

    def status(self) -> int:
        """HTTP's, of the page; 0 where nobody answers."""
        try:
            return self.get().status_code
        except requests.ConnectionError:
            return 0


@contextmanager
def running(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    daemon = host.daemon()
    try:
        yield daemon
        daemon.send_signal(signal.SIGTERM)
        ended = daemon.wait(10)
        assert daemon.stderr
        assert ended == 0, daemon.stderr.read().decode()
    finally:
        daemon.kill()
        daemon.wait()
        assert daemon.stderr
        host.errors = daemon.stderr.read().decode()
        daemon.stderr.close()
        assert "Traceback" not in host.errors, host.errors
