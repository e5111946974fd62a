"""A host of its own to the programs that run on it: with its own /etc and /var/lib, by mounts that nobody else sees."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.kit.host import API_KEY, PROGRAM

DAEMON = 64998
"""Uid and gid of the daemon's user."""

_ENTER = """
set -e
while [ "$1" != -- ]; do
    mount --bind "$1" "$2"
    shift 2
done
shift
exec "$@"
"""


def why_not() -> str:
    """Why there can be no such host here; empty when there can."""
    return "" if os.geteuid() == 0 else "mounts of its own, which only root may make"


class EtcHost:
    """The host: this one's /etc with what a PBX's tree has beside it, and the daemon's user."""

    def __init__(self, folder: Path, tree: Path | None = None, *, daemon: bool = True) -> None:
        self.etc, self.state = folder / "etc", folder / "var-lib"
        self.programs = folder / "programs"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore=shutil.ignore_patterns("asterisk", "freeswitch"))
        for place in (self.state, self.programs):
            place.mkdir()
        if tree:
            shutil.copytree(tree / "etc", self.etc, dirs_exist_ok=True)
        if daemon:
            with (self.etc / "passwd").open("a") as users, (self.etc / "group").open("a") as groups:
                users.write(f"humbug-agent:x:{DAEMON}:{DAEMON}::/var/lib/humbug-agent:/usr/sbin/nologin\n")
                groups.write(f"humbug-agent:x:{DAEMON}:\n")
        self.mounts: list[tuple[Path, str]] = [(self.etc, "/etc"), (self.state, "/var/lib")]
        self.watched = [self.etc, self.state]
        self.path = [str(self.programs), os.environ["PATH"]]

    def program(self, name: str, script: str) -> None:
        """Another program of the host."""
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def command(self, *arguments: str) -> list[str]:
        mounts = [str(one) for pair in self.mounts for one in pair]
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", *mounts, "--", PROGRAM, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": ":".join(self.path)}

    def run(self, *arguments: str, code: int = 0, secrets: Sequence[str] = (), **environment: str) -> str:
        """What it says; the key, the AMI user's secret and other ``secrets`` are never in it."""
        done = subprocess.run(
            self.command(*arguments), env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == code, said
        hidden = [API_KEY, *secrets]
        if (file := self.etc / "humbug-agent" / "ami-secret").exists():
            hidden.append(file.read_text().strip())
        assert not [secret for secret in hidden if secret in said]
        return said

    def snapshot(self) -> dict[str, tuple[bytes, int, int]]:
        """Path -> content, mode and owner of whatever might be changed, but the outbox."""
        found = {}
        for place in self.watched:
            for path in place.rglob("*"):
                if path.is_file() and not path.is_symlink() and not path.name.startswith("outbox.db"):
                    status = path.stat()
                    found[str(path)] = (path.read_bytes(), status.st_mode, status.st_uid)
        return found
