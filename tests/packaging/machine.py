"""A clean Debian for a test: an overlay over one of the folders that `prepare` makes, booted by systemd-nspawn.

It has a network of its own with nothing but loopback in it, and is gone with all that was changed in it.
"""

import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit import host
from tests.kit.paths import TOP

# A look into a machine takes processes, which those in it could use.
wait_until = partial(host.wait_until, seconds=60, every=0.2)
SUITES = ("bookworm", "trixie")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
NSPAWN = os.environ | {
    # The newer systemd does not boot with the older kind of cgroups, which the host may have.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    # Its /tmp is the root's own.
    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
}
COUNT = """
import sqlite3, sys
db = sqlite3.connect("file:/var/lib/humbug-receiver/calls.db?mode=ro", uri=True)
print(*db.execute("SELECT count(*), coalesce(sum(repeats), 0) FROM calls").fetchone())
"""


class BootError(Exception):
    """It does not boot here; the text is the end of what it said."""


def place() -> Path:
    return Path(os.environ.get("HUMBUG_TEST_ROOTS") or TOP / ".roots")


def why_not() -> str:
    """Why there can be no such machine here; empty when there can."""
    if os.geteuid() != 0:
        return "a Debian is booted by systemd-nspawn, which only root may"
    if not shutil.which("systemd-nspawn") or not all((place() / suite).is_dir() for suite in SUITES):
        return "no clean Debian here: run tests/packaging/prepare"
    return ""


class Machine:
    """One Debian, from its boot to its removal. Raises BootError."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root"
        # In memory, where what is synced costs nothing.
        _mount("-t", "tmpfs", "tmpfs", folder)
        for name in ("root", "changed", "work"):
            (folder / name).mkdir()
        options = f"lowerdir={root},upperdir={folder}/changed,workdir={folder}/work"
        _mount("-t", "overlay", "-o", options, "overlay", self.root)
        self._nspawn = ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--private-network"]
        self._nspawn += ["--register=no", "--keep-unit", "--link-journal=no", f"--machine=humbug-{os.getpid()}"]
        self._console = folder / "console"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process:
            # It shuts down as a host does; what hangs then must not stay.
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        # With whatever was mounted within.
        subprocess.run(["umount", "--recursive", self.root], check=True)
        subprocess.run(["umount", self._folder], check=True)

    def overlay(self, lower: Path, where: str) -> Path:
        """Another folder to be at ``where`` in it, before it boots; what is changed there is gone with the rest."""
        there = self.root / where.lstrip("/")
        changed, work = (self._folder / f"{there.name}-{name}" for name in ("changed", "work"))
        for folder in (there, changed, work):
            folder.mkdir(parents=True)
        _mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={changed},workdir={work}", "overlay", there)
        return there

    def boot(self) -> None:
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                [*self._nspawn, "--boot", "--console=pipe"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=NSPAWN,
            )
        try:
            wait_until(self._is_up)
        except AssertionError:
            raise BootError(self._console.read_text(errors="replace")[-2000:]) from None

    def _is_up(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise BootError(self._console.read_text(errors="replace")[-2000:])
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        done = self._enter("systemctl", "is-system-running", "--wait")
        return done.stdout.strip() in (b"running", b"degraded")

    def _enter(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        into = ["nsenter", f"--target={self._leader}", "--all", "--", "env", "-i"]
        into += [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return subprocess.run([*into, *command], input=stdin, capture_output=True, timeout=100, check=False)

    def run(self, *command: str, code: int | None = 0, stdin: bytes = b"") -> str:
        """What root's command in it says, on both outputs."""
        done = self._enter(*command, stdin=stdin)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if code is not None and done.returncode != code:
            # Why a unit does not start is told to its journal alone.
            journal = self._enter("journalctl", "--output=short-precise", "--lines=60").stdout.decode(errors="replace")
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{said}\n{journal}")
        return said

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A command of root's that goes on; whoever starts it ends it, by `end`."""
        into = ["nsenter", f"--target={self._leader}", "--all", "--", *command]
        return subprocess.Popen(into, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)

    def run_unbooted(self, *command: str, user: str = "root") -> str:
        """The same where no systemd runs, as in a container: the command is all that there is."""
        done = subprocess.run(
            [*self._nspawn, "--as-pid2", f"--user={user}", "--pipe", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=100,
            check=False,
            env=NSPAWN,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{said}"
        return said

    def install(self, deb: Path, *options: str) -> str:
        """As the documentation says it: apt, with a file."""
        shutil.copy(deb, self.root / "root")
        try:
            return self.run("apt-get", "install", "--yes", "--quiet", *options, f"/root/{deb.name}")
        finally:
            (self.root / "root" / deb.name).unlink()

    def write(self, path: str, text: str | bytes) -> None:
        """Into a file, which keeps its owner and mode, or is root's and readable by root alone."""
        self.run("sh", "-c", f"umask 077 && cat >{path}", stdin=text.encode() if isinstance(text, str) else text)

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def processes(self) -> list[str]:
        """What is ours and runs, each by its file of /proc."""
        return self.run("sh", "-c", "grep -al '[h]umbug-' /proc/[0-9]*/cmdline || true").split()

    def received(self) -> tuple[int, int]:
        """What humbug-receiver.service has: calls, and how many came again."""
        calls, again = self.run("python3", "-c", COUNT).split()
        return int(calls), int(again)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Returns when the command has ended, and not just nsenter, whose child it is."""
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
