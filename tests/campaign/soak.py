"""Soaks the daemon: a million calls with retention on, after which it must be as large as at the beginning.

    python tests/campaign/soak.py --calls 1000000

A Master.csv grows and is rotated, an oracle receives the calls and now and then answers badly, the daemon is told to
reload again and again. Memory, descriptors, the outbox and its log are looked at all the time. Exit status: 0 when
every call came as it had to and nothing grew, 1 otherwise. README.md tells more.
"""

import argparse
import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.campaign.soak_oracle import Oracle, record
from tests.kit.host import PROGRAM

UNIT = Path(__file__).parents[2] / "systemd" / "humbug-agent.service"
MAX_SIZE_MB = 128
AHEAD = 20_000
"""So many calls at most are written and not received yet."""

KEPT_FILES = 3
BURST = 200
SAMPLE_SECONDS = 0.1
LINES = 20
"""Of the table, a reload with each."""

GARBAGE = 10_000
"""Every so many-th line is followed by one that is no call."""

STILL_SECONDS = 120.0
"""Without a call that comes, before it is said to hang: reading rests for a minute where the outbox is full."""

MB = 2**20

MEMORY_MOST = 80 * MB
MEMORY_SLACK, MEMORY_PART = 4 * MB, 1.05
DESCRIPTORS_SLACK = 2
WAL_MOST = 64 * MB
IDENTITY_BYTES = 45
"""What the outbox may grow by for each call: that it was sent is known for two years."""
OUTBOX_SLACK = 8 * MB


@dataclass(frozen=True, slots=True)
class Sample:
    """The daemon and its files when so many calls had come to the receiver."""

    at: float
    received: int
    memory: int
    descriptors: int
    threads: int
    outbox: int
    wal: int


class Daemon:
    def __init__(self, home: Path, url: str) -> None:
        self.outbox, self.master, self.log = home / "outbox.db", home / "Master.csv", home / "agent.log"
        self._wal = home / "outbox.db-wal"
        ini = home / "agent.ini"
        ini.touch(0o600)
        ini.write_text(
            f"[agent]\noutbox = {self.outbox}\ntimezone = UTC\nkeep_days = 0\nmax_size_mb = {MAX_SIZE_MB}\n"
            f"[source master-csv]\ntype = asterisk_csv\npath = {self.master}\nutc = no\n"
            f"[destination oracle]\ntype = humbug\nurl = {url}\napi_key = soak\nconnections = 4\n"
        )
        with self.log.open("wb") as said:
            command = [PROGRAM, "--config", str(ini), "run"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=os.environ | of_the_unit()
            )
        self._proc = Path(f"/proc/{self._process.pid}")

    def runs(self) -> bool:
        return self._process.poll() is None

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """What it exits with after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def kill(self) -> None:
        if self.runs():
            self._process.kill()
        self._process.wait()

    def cpu(self) -> float:
        """Seconds, user and system."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self, received: int) -> Sample:
        said = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines())
        return Sample(
            time.monotonic(),
            received,
            int(said["VmRSS"].split()[0]) * 1024,
            len(list((self._proc / "fd").iterdir())),
            int(said["Threads"]),
            _size(self.outbox),
            _size(self._wal),
        )


def of_the_unit() -> dict[str, str]:
    """What systemd's unit puts into the environment."""
    lines = [line.removeprefix("Environment=") for line in UNIT.read_text().splitlines() if "Environment=" in line]
    return dict(line.split("=", 1) for line in lines)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class Master:
    """The growing file: as Asterisk it opens it anew for each write, as logrotate it renames it and deletes the old."""

    def __init__(self, path: Path, each: int) -> None:
        self._path = path
        self._each = each
        self.written = self.rejects = 0

    def add(self, count: int) -> None:
        lines = []
        for number in range(self.written, self.written + count):
            lines.append(record(number))
            if number % GARBAGE == GARBAGE // 2:
                lines.append(b"no call at all, number %d\n" % number)
                self.rejects += 1
        with self._path.open("ab") as file:
            file.write(b"".join(lines))
        before, self.written = self.written, self.written + count
        if before // self._each != self.written // self._each:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(KEPT_FILES, 0, -1):
            old = self._path.with_name(f"Master.csv.{number}")
            if old.exists():
                old.rename(self._path.with_name(f"Master.csv.{number + 1}"))
        self._path.with_name(f"Master.csv.{KEPT_FILES + 1}").unlink(missing_ok=True)
        self._path.rename(self._path.with_name("Master.csv.1"))


async def soak(calls: int, home: Path, say: Callable[[str], object]) -> list[str]:
    """Returns what is wrong."""
    oracle = Oracle(calls)
    server = await oracle.listen()
    daemon = Daemon(home, oracle.url)
    # A file that goes must have been read: what is not received yet is in the younger ones.
    master = Master(daemon.master, max(AHEAD, calls // LINES))
    due = calls - oracle.refused(calls)
    samples: list[Sample] = []
    reloads = 0
    moved = time.monotonic()
    say(f"{'calls':>10} {'seconds':>8} {'CPU s':>7} {'MB':>6} {'fds':>4} {'thr':>4} {'outbox MB':>10} {'WAL MB':>7}")
    try:
        while oracle.distinct < due:
            if master.written < calls and master.written - oracle.distinct - oracle.refused(master.written) < AHEAD:
                master.add(min(BURST, calls - master.written))
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(0.01)
            now = time.monotonic()
            if not daemon.runs():
                return [f"the daemon has ended: {_tail(daemon.log)}"]
            if not samples or now - samples[-1].at >= SAMPLE_SECONDS:
                if samples and oracle.distinct > samples[-1].received:
                    moved = now
                elif now - moved > STILL_SECONDS:
                    return [*oracle.judge(), f"nothing comes any more: {_tail(daemon.log)}"]
                samples.append(daemon.sample(oracle.distinct))
                if oracle.distinct * LINES // calls > reloads:
                    reloads = oracle.distinct * LINES // calls
                    say(_line(samples[-1], samples[0].at, daemon.cpu()))
                    daemon.reload()
        samples.append(daemon.sample(oracle.distinct))
        say(_line(samples[-1], samples[0].at, daemon.cpu()))
        # An answer is written down after it has come.
        while daemon.runs() and waiting(daemon.outbox) and time.monotonic() - moved < STILL_SECONDS:
            await asyncio.sleep(0.05)
        status = daemon.stop()
    finally:
        daemon.kill()
        server.close()
    wrong = oracle.judge() + grown(samples, due) + counted(daemon.outbox, oracle.refused(calls), master.rejects)
    if status:
        wrong.append(f"the daemon ended with {status}: {_tail(daemon.log)}")
    if "Traceback" in daemon.log.read_text():
        wrong.append(f"the daemon met a fault of its own: {_tail(daemon.log)}")
    return wrong


def grown(samples: Sequence[Sample], calls: int) -> list[str]:
    """What was larger in the last third of the calls than in the one before it; the first is for warming up."""
    before = [sample for sample in samples if calls // 3 <= sample.received < 2 * calls // 3]
    after = [sample for sample in samples if sample.received >= 2 * calls // 3]
    if not before or not after:
        return ["there are too few samples to judge by"]
    wrong = []
    memory = [max(sample.memory for sample in part) for part in (before, after)]
    if memory[1] > memory[0] * MEMORY_PART + MEMORY_SLACK:
        wrong.append(f"memory grew from {memory[0] / MB:.1f} to {memory[1] / MB:.1f} MB")
    if (most := max(sample.memory for sample in samples)) > MEMORY_MOST:
        wrong.append(f"it took {most / MB:.1f} MB of memory")
    # The most, since at the moment of a reload some are not there.
    descriptors = [max(sample.descriptors for sample in part) for part in (before, after)]
    if descriptors[1] > descriptors[0] + DESCRIPTORS_SLACK:
        wrong.append(f"descriptors grew from {descriptors[0]} to {descriptors[1]}")
    threads = [max(sample.threads for sample in part) for part in (before, after)]
    if threads[1] > threads[0]:
        wrong.append(f"threads grew from {threads[0]} to {threads[1]}")
    if (wal := max(sample.wal for sample in samples)) > WAL_MOST:
        wrong.append(f"the outbox's log grew to {wal / MB:.0f} MB")
    if (largest := max(sample.outbox for sample in samples)) > MAX_SIZE_MB * MB * 1.05:
        wrong.append(f"the outbox grew to {largest / MB:.0f} MB, of {MAX_SIZE_MB}")
    least = [min(sample.outbox for sample in part) for part in (before, after)]
    if least[1] > least[0] + IDENTITY_BYTES * calls // 3 + OUTBOX_SLACK:
        wrong.append(f"the outbox grew from {least[0] / MB:.0f} to {least[1] / MB:.0f} MB")
    return wrong


def waiting(outbox: Path) -> int:
    with closing(sqlite3.connect(outbox)) as db:
        return int(db.execute("SELECT count(*) FROM deliveries WHERE state = 'waiting'").fetchone()[0])


def counted(outbox: Path, dead: int, rejects: int) -> list[str]:
    """What the outbox says otherwise than it has to."""
    with closing(sqlite3.connect(outbox)) as db:
        states = dict(db.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())
        kept = db.execute("SELECT count(*) FROM rejects").fetchone()[0]
        sound = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    wrong = [] if sound == "ok" else [f"the outbox is damaged: {sound}"]
    if states.get("waiting"):
        wrong.append(f"{states['waiting']:,} deliveries wait that were accepted")
    if states.get("dead", 0) != dead:
        wrong.append(f"{states.get('dead', 0):,} deliveries are dead, and {dead:,} were refused")
    if kept != rejects:
        wrong.append(f"{kept:,} rejects are kept, and {rejects:,} lines were no calls")
    return wrong


def _line(sample: Sample, began: float, cpu: float) -> str:
    return (
        f"{sample.received:>10,} {sample.at - began:>8.0f} {cpu:>7.0f} {sample.memory / MB:>6.1f} "
        f"{sample.descriptors:>4} {sample.threads:>4} {sample.outbox / MB:>10.1f} {sample.wal / MB:>7.1f}"
    )


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-2000:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many (1,000,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as home:
        wrong = asyncio.run(soak(options.calls, Path(home), lambda line: print(line, flush=True)))
    for one in wrong:
        print(one)
    print("FAILED" if wrong else "ok: every call came as it had to, and nothing grew")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
