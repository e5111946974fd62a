"""What others take for the same work: a Master.csv from its beginning, one POST a line, each taken once.

A peer that is not installed here is left out. Debian has syslog-ng-core with syslog-ng-mod-http, and php-cli.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.lab import HERE, Receiver, cpu_of, wait_for

SYSLOG_NG = """\
@version: {version}
options {{ stats-freq(0); }};
source s {{ file("{log}" flags(no-parse) follow-freq(0.1) read-old-records(yes)); }};
destination d {{
    http(url("{url}") method("POST") headers("Content-Type: application/x-www-form-urlencoded")
        body("line=$(url-encode ${{MESSAGE}})") workers(4)
        disk-buffer(reliable(yes) dir("{folder}") mem-buf-size(10485760) disk-buf-size(1073741824)));
}};
log {{ source(s); destination(d); flags(flow-control); }};
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program for the work. ``command`` makes its command line, and what files it needs in the folder."""

    name: str
    program: str
    command: Callable[[str, Path, Path, str, int], Sequence[str | Path]]
    """(program, log, folder, receiver's URL, lines)"""


def _syslog_ng(program: str, log: Path, folder: Path, url: str, _: int) -> list[str | Path]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    version = next(line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Config version:"))
    config = folder / "syslog-ng.conf"
    config.write_text(SYSLOG_NG.format(version=version, log=log, folder=folder, url=url))
    own = ("--persist-file", folder / "persist", "--pidfile", folder / "pid", "--control", folder / "control")
    return [program, "--foreground", "--no-caps", "--cfgfile", config, *own]


def _php(program: str, log: Path, _: Path, url: str, lines: int) -> list[str | Path]:
    to = urlsplit(url)
    return [program, HERE / "peers.php", log, to.hostname or "", str(to.port), to.path, str(lines)]


PEERS = (Peer("syslog-ng", "syslog-ng", _syslog_ng), Peer("php, one kept connection", "php", _php))


def present() -> list[Peer]:
    return [peer for peer in PEERS if shutil.which(peer.program)]


def cpu_per_line(peer: Peer, log: Path, folder: Path, receiver: Receiver, lines: int) -> float:
    """User and system seconds that it takes for a line, less what it takes to start on an empty log."""
    folder.mkdir()
    empty = folder / "empty.csv"
    empty.touch()
    with _running(peer, empty, folder / "nothing", receiver, 0) as process:
        began = _settled(process)
    receiver.reset()
    with _running(peer, log, folder / "all", receiver, lines) as process:
        receiver.wait_accepted(lines, 600)
        used = cpu_of(process.pid)
    return max(used - began, 0.0) / lines


def _settled(process: subprocess.Popen[bytes]) -> float:
    """The CPU seconds that it has used once it uses no more."""
    last = [-1.0]

    def rests() -> bool:
        if process.poll() is not None:
            return True
        before, last[0] = last[0], cpu_of(process.pid)
        return last[0] == before and last[0] > 0

    wait_for(rests, 30, f"{process.args!r} to have started")
    return max(last[0], 0.0)


@contextmanager
def _running(peer: Peer, log: Path, folder: Path, receiver: Receiver, lines: int) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    command = peer.command(shutil.which(peer.program) or peer.program, log, folder, receiver.url, lines)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
            process.wait(30)
