"""What the measures share: the receiver, the agent as a child process, made-up lines, waiting for a condition."""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humbug_agent import config
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.ports import free_port

HERE = Path(__file__).parent
AGENT = Path(sys.executable).with_name("humbug-agent")
DEADLINE = 600.0
"""Seconds that no child process may take longer than."""

INI = """\
[agent]
outbox = {folder}/outbox.db
timezone = UTC
log_level = warning
max_size_mb = 100000

[source master-csv]
type = asterisk_csv
path = {folder}/Master.csv

[destination there]
{destination}
"""

HUMBUG = """\
type = humbug
url = {url}
api_key = bench
connections = {connections}
"""

WEBHOOK = """\
type = webhook
url = {url}
secret = whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
connections = {connections}
batch = {batch}
"""


class BenchError(Exception):
    """The bench itself did not work; no measure can be believed."""


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise BenchError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.02)


def compiled(folder: Path) -> Path | None:
    """rcv.c as a program in ``folder``; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "rcv"
    subprocess.run([compiler, "-O2", "-o", program, HERE / "rcv.c"], check=True, timeout=DEADLINE)
    return program


class Receiver:
    """rcv, running. It counts until `reset`."""

    def __init__(self, port: int) -> None:
        self.place = f"127.0.0.1:{port}"
        self.url = f"http://{self.place}/receiver.php"
        self._root = f"http://{self.place}"
        self._asked = 0

    def reset(self, *, delay_ms: int = 0) -> None:
        self._get(f"/_set?delay_ms={delay_ms}")
        self._get("/_reset")
        self._asked = 0

    def stats(self) -> dict[str, Any]:
        stats = dict(json.loads(self._get("/_stats")))
        # Ours are not meant.
        stats["connections"] -= self._asked
        return stats

    def calls(self) -> dict[str, int]:
        """Those in what it has accepted, of which several may stand in one request."""
        stats = self.stats()
        return {"accepted": stats["records"], "distinct": stats["distinct"], "duplicates": stats["duplicates"]}

    def wait_accepted(self, number: int, seconds: float) -> None:
        wait_for(lambda: self.stats()["accepted"] >= number, seconds, f"the receiver has {number:,} calls")

    def _get(self, path: str) -> bytes:
        self._asked += 1
        with urllib.request.urlopen(self._root + path, timeout=20) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def receiver(program: Path) -> Iterator[Receiver]:
    port = free_port()
    with running([str(program), "-p", str(port)], stdout=subprocess.DEVNULL) as process:

        def listening() -> bool:
            if process.poll() is not None:
                raise BenchError(f"rcv ended at once, code {process.returncode}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(listening, 10, "the receiver listens")
        yield Receiver(port)


@contextlib.contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended when this ends: by SIGTERM, and if that does not help by SIGKILL."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Ran:
    """A child process that ended well. ``cpu`` is user and system seconds, ``took`` seconds by the clock."""

    out: str
    took: float
    cpu: float

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def ran(command: Sequence[str | Path], *, also: int = 0) -> Ran:
    """``also`` is an exit code that is as good as 0."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, also):
        raise BenchError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return Ran(done.stdout, took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def child(*arguments: str | Path) -> dict[str, Any]:
    """What a workload of child.py says of itself."""
    return ran([sys.executable, HERE / "child.py", *arguments]).json()


class Site:
    """A PBX of its own in ``folder``: Master.csv, outbox, agent.ini with the lines of its ``destination``."""

    def __init__(self, folder: Path, destination: str) -> None:
        folder.mkdir()
        self.csv, self.outbox, self.ini = folder / "Master.csv", folder / "outbox.db", folder / "agent.ini"
        self.ini.write_text(INI.format(folder=folder, destination=destination))
        self.ini.chmod(0o600)
        self.csv.touch()
        self.lines = 0

    def grow(self, lines: int) -> None:
        """Append so many lines at once."""
        ran([*self._generator(lines), "-o", self.csv])
        self.lines += lines

    @contextlib.contextmanager
    def growing(self, lines: int, rate: float) -> Iterator[subprocess.Popen[bytes]]:
        """Append so many, ``rate`` a second, each with its time in userfield."""
        command = [*self._generator(lines), "-o", str(self.csv), "--rate", str(rate)]
        self.lines += lines
        with running(command) as process:
            yield process

    def _generator(self, lines: int) -> list[str]:
        return [sys.executable, str(HERE / "gen_master_csv.py"), "-n", str(lines), "--start", str(self.lines)]

    def run(self, *arguments: str) -> Ran:
        """humbug-agent with this site's agent.ini, until it ends."""
        # Where no daemon runs `status` says so by exit code 1.
        return ran([AGENT, "--config", self.ini, *arguments], also=int(arguments[0] == "status"))

    @contextlib.contextmanager
    def daemon(self) -> Iterator["Daemon"]:
        began = time.monotonic_ns()
        with running([str(AGENT), "--config", str(self.ini), "run"], env=_environment()) as process:
            yield Daemon(self, process, began)

    def sent(self) -> int:
        """How many calls the outbox holds as delivered."""
        with Outbox(self.outbox) as box:
            return sum(states["sent"] for states in queries.totals(box).deliveries.values())

    @contextlib.contextmanager
    def look(self) -> Iterator["Look"]:
        with Outbox(self.outbox) as box:
            yield Look(self.ini, box)


class Daemon:
    """``humbug-agent run``; ``began`` is time.monotonic_ns before it was started."""

    def __init__(self, site: Site, process: subprocess.Popen[bytes], began: int) -> None:
        self.began = began
        self._site = site
        self._process = process

    def peak_mib(self) -> float:
        """Its greatest resident size so far."""
        return vm_hwm_mib(self._process.pid)

    def cpu(self) -> float:
        """User and system seconds so far."""
        return cpu_of(self._process.pid)

    def stop(self) -> None:
        """By SIGTERM, in good order."""
        self._process.terminate()
        code = self._process.wait(30)
        if code:
            raise BenchError(f"humbug-agent run: exit code {code} after SIGTERM")


class Look:
    """Into a site's outbox, without a process for it."""

    def __init__(self, ini: Path, box: Outbox) -> None:
        settings = config.load(ini)
        self._box = box
        (self._source,) = settings.make_sources()

    def unread_bytes(self) -> int:
        return self._source.unread(self._box.cursor(self._source.name)) or 0

    def calls(self) -> int:
        """How many were read, from the source's own count: counting a million rows takes its time."""
        read = queries.read_so_far(self._box).get(self._source.name)
        return read.calls if read else 0

    def used_mib(self) -> float:
        return self._box.used_bytes() / 2**20


def cpu_of(pid: int) -> float:
    """User and system seconds that a process has used, also one that has ended and was not waited for yet."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def vm_hwm_mib(pid: int | str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise BenchError(f"process {pid} has no VmHWM; is this Linux?")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
