"""A real Asterisk for a test: an instance of its own in one of the folders that `prepare` makes.

Instances share a root's programs and nothing else: each has its own configuration, logs, sockets and ports.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from tests.pbx.pbx_ports import Ports, until

HERE = Path(__file__).parent
VERSIONS = ("asterisk22", "asterisk16")
MANAGER_USERS = (HERE / "etc" / "manager-users.conf").read_text()
# The `[csv]` section of cdr.conf. An empty one counts as none, so the default one says something that is true anyway.
CSV = {
    "full": "loguniqueid = yes\nloguserfield = yes",
    "default": "accountlogs = yes",
    "new": "loguniqueid = yes\nloguserfield = yes\nnewcdrcolumns = yes",
    "debian": "usegmtime = yes\nloguniqueid = yes\nloguserfield = yes\naccountlogs = yes",
}
# A thousand calls at once need more files than a session usually may open.
_RUN = """
ulimit -n 32768 2>/dev/null || ulimit -n "$(ulimit -Hn)"
[ -z "$1" ] || mount --bind "$1" "$2" || exit
shift 2
exec "$@"
"""


def roots() -> dict[str, Path]:
    """What `prepare` has made, by name."""
    place = Path(os.environ.get("HUMBUG_TEST_PBX") or HERE.parent.parent / ".pbx")
    return {name: place / name for name in VERSIONS if (place / name).is_dir()}


def why_not() -> str:
    """Why there can be no real Asterisk here; empty when there can."""
    if os.geteuid() != 0:
        return "a real Asterisk is started with chroot, which only root may"
    if len(roots()) < len(VERSIONS):
        return "no real Asterisk here: run tests/pbx/prepare"
    return ""


class Pbx:
    """One Asterisk, from its configuration to the removal of all it has written."""

    def __init__(
        self,
        root: Path,
        *,
        csv: str = "full",
        custom: str = "",
        gmt: bool = False,
        timezone: str = "UTC",
        zone_file: Path | None = None,
        manager_users: str = MANAGER_USERS,
        manager_general: str = "",
        cdr_manager: bool = True,
        mappings: str = "",
        batch: tuple[int, int] | None = None,
        unanswered: bool = True,
        congestion: bool = True,
        tls: bytes | None = None,
        also: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``zone_file`` is that of a ``timezone`` which its host does not know, ``manager_general`` and ``mappings``
        lines of those sections, ``custom`` what cdr_custom writes, ``batch`` size and seconds, ``tls`` a key and its
        certificates (PEM), for ``ami_tls_port``. ``also`` is what its configuration files have besides, by name.
        """
        self.root, self.timezone = root.resolve(), timezone
        self._zone_file = zone_file or self.root / "usr/share/zoneinfo" / timezone
        self._process: subprocess.Popen[bytes] | None = None
        _sweep(self.root)
        self._inside = f"/srv/{os.getpid()}-{time.time_ns()}"
        self.home = self.root / self._inside[1:]
        self.ports = Ports()
        self.ami_port, self.ami_tls_port, self.sip_port = self.ports.ami, self.ports.ami_tls, self.ports.sip
        self.console = self.home / "console"
        self.master_csv = self.home / "log" / "cdr-csv" / "Master.csv"
        self.custom = self.home / "log" / "cdr-custom"
        for folder in ("etc", "log/cdr-csv", "log/cdr-custom", "run", "spool", "lib", "console", "phones"):
            (self.home / folder).mkdir(parents=True)
        certificate = self.home / "etc" / "manager.pem"
        if tls:
            certificate.write_bytes(tls)
        batching = f"batch = yes\nsize = {batch[0]}\ntime = {batch[1]}" if batch else ""
        tls_lines = [f"tlsbindaddr = 127.0.0.1:{self.ami_tls_port}", f"tlscertfile = {self._inside}/etc/manager.pem"]
        self._configure(
            also,
            home=self._inside,
            modules=_setting(self.root / "etc" / "asterisk" / "asterisk.conf", "astmoddir"),
            ami_port=str(self.ami_port),
            tls="\n".join(["tlsenable = yes", *tls_lines]) if tls else "",
            general=manager_general,
            users=manager_users,
            unanswered="yes" if unanswered else "no",
            congestion="yes" if congestion else "no",
            batch=batching,
            custom_mappings=custom,
            # Asterisk 22 has it in two modules; 16 says that it has not the first one, and goes on.
            custom_modules="load = res_cdrel_custom.so\nload = cdr_custom.so" if custom else "",
            csv=CSV[csv] + ("\nusegmtime = yes" if gmt else ""),
            cdr_manager="yes" if cdr_manager else "no",
            mappings=mappings,
            sip_port=str(self.sip_port),
            phones_port=str(self.ports.phones),
            iax_port=str(self.ports.iax),
            chan_sip_port=str(self.ports.chan_sip),
            rtp_start=str(self.ports.rtp[0]),
            rtp_end=str(self.ports.rtp[1]),
        )
        self._command = ["chroot", str(self.root), "/usr/sbin/asterisk", "-C", f"{self._inside}/etc/asterisk.conf"]
        script = self.console / "asterisk"
        script.write_text(f'#!/bin/sh\nexec {" ".join(self._command)} "$@"\n')
        script.chmod(0o755)
        self._own()
        self.version = self._asterisk("-V").split()[1].split("~")[0].split("+")[0]

    def _configure(self, also: Mapping[str, str], **values: str) -> None:
        templates = {template.name: template.read_text() for template in (HERE / "etc").glob("*.conf")}
        for file in templates.keys() | also.keys():
            text = templates.get(file, "") + also.get(file, "")
            for name, value in values.items():
                text = text.replace("{{" + name + "}}", value)
            (self.home / "etc" / file).write_text(text)

    def _own(self) -> None:
        user = re.search(r"^asterisk:[^:]*:(\d+):(\d+):", (self.root / "etc" / "passwd").read_text(), re.MULTILINE)
        assert user
        for path in [self.home, *self.home.rglob("*")]:
            os.chown(path, int(user[1]), int(user[2]))

    def _asterisk(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        return done.stdout.decode(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert not self.running
        # Asterisk knows its zone from /etc/localtime alone, so another one needs mounts of its own.
        elsewhere = self.timezone != "UTC"
        command = ["sh", "-c", _RUN, "sh", str(self._zone_file) if elsewhere else "", str(self.root / "etc/localtime")]
        command += [*self._command, "-U", "asterisk", "-G", "asterisk", "-f"]
        with (self.home / "log" / "output").open("ab") as output:
            self._process = subprocess.Popen(
                ["unshare", "--mount", *command] if elsewhere else command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait_for_boot(None)

    def _socket(self) -> int | None:
        """Tells one life of Asterisk from the next."""
        with contextlib.suppress(FileNotFoundError):
            return (self.home / "run" / "asterisk.ctl").stat().st_ctime_ns
        return None

    def _wait_for_boot(self, before: int | None) -> None:
        def booted() -> bool:
            if not self.running:
                raise RuntimeError(f"Asterisk ended while starting:\n{self.log()}")
            if self._socket() in (None, before):
                return False
            return "fully booted" in self._asterisk("-rx", "core waitfullybooted")

        try:
            until(booted, "Asterisk to boot", 60)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.log()}") from None

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        # A frozen one hears nothing else.
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            (self.home / "run" / "asterisk.ctl").unlink(missing_ok=True)

    def restart_now(self) -> None:
        before = self._socket()
        self.cli("core restart now")
        self._wait_for_boot(before)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def cli(self, command: str) -> str:
        return self._asterisk("-rx", command)

    def log(self) -> str:
        files = [self.home / "log" / name for name in ("output", "messages.log")]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def written(self) -> list[Path]:
        """Master.csv, and whatever it was renamed to since."""
        files = self.master_csv.parent.glob(f"{self.master_csv.name}*")
        return [file for file in files if file.suffix not in (".gz", ".bz2", ".xz")]

    def lines(self) -> int:
        """How many it has written. It may be renaming that very moment: then they are fewer."""
        found = 0
        for file in self.written():
            with contextlib.suppress(FileNotFoundError):
                found += file.read_bytes().count(b"\n")
        return found

    def close(self) -> None:
        """Without ceremony: what it would still write goes, too."""
        if self.running:
            self.kill()
        self.ports.close()
        shutil.rmtree(self.home)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _setting(file: Path, name: str) -> str:
    found = re.search(rf"^{name} *=> *(.+)$", file.read_text(), re.MULTILINE)
    assert found, f"{file} has no {name}"
    return found[1].strip()


def _runs(pid: str) -> bool:
    """Nobody may have reaped it yet; what it ran is gone all the same."""
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def _sweep(root: Path) -> None:
    """Ends and removes what a test run has left that was killed itself."""
    for home in (root / "srv").glob("*-*"):
        if _runs(home.name.split("-")[0]):
            continue
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"/srv/{home.name}/".encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)
