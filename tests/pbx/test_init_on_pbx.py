"""`init` on a real Asterisk, configured as its package or FreePBX leaves it: one command, and the calls arrive."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.etc_host import DAEMON, EtcHost
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.host_trees import TREES
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager

LAB = "[lab]\nsecret = lab-secret\nread = all\nwrite = all\n"
SECRETS = ("lab-secret", "0dd5ecret")


class AsteriskHost(EtcHost):
    """A host with the files of a kind of PBX, which this Asterisk has for its own when it is started."""

    def __init__(self, pbx: Pbx, kind: str, folder: Path) -> None:
        super().__init__(folder)
        self.pbx, self.kind, self.files = pbx, kind, pbx.home / "etc"
        (self.etc / "asterisk").mkdir()
        tree = TREES[kind] / "etc" / "asterisk"
        ours = shutil.ignore_patterns("asterisk.conf", "modules.conf")
        shutil.copytree(tree, self.files, dirs_exist_ok=True, ignore=ours)
        if kind.startswith("freepbx"):
            (self.etc / "freepbx.conf").touch()
            (self.files / "manager_additional.conf").write_text(LAB)
        else:
            (self.files / "manager.d" / "lab.conf").write_text(LAB)
        manager = self.files / "manager.conf"
        manager.write_text(manager.read_text().replace("5038", str(pbx.ami_port)))
        owner = self.files.stat()
        for path in self.files.rglob("*"):
            shutil.chown(path, owner.st_uid, owner.st_gid)
            path.chmod(0o755 if path.is_dir() else 0o640)
        self.mounts += [(self.files, "/etc/asterisk"), (pbx.root / "srv", "/srv")]
        self.watched.append(self.files)
        self.path.insert(0, str(pbx.console))

    def owned(self) -> dict[str, bytes]:
        """The files that FreePBX writes anew whenever it likes; up to 15 it had none for CDRs."""
        names = ["manager.conf", "*_additional.conf"] if self.kind.startswith("freepbx") else []
        names += ["cdr.conf", "cdr_manager.conf"] if self.kind.startswith("freepbx-17") else []
        return {path.name: path.read_bytes() for name in names for path in self.files.glob(name)}


@pytest.fixture(params=["asterisk", "freepbx-15", "freepbx-17", "freepbx-17-upgraded"])
def there(request: pytest.FixtureRequest, asterisk_root: Path, tmp_path: Path) -> Iterator[AsteriskHost]:
    pbx = Pbx(asterisk_root)
    found = AsteriskHost(pbx, request.param, tmp_path / "host")
    # Started when it is configured: what a module declines at its start is what has to be mended.
    with pbx:
        yield found


def test_one_command_and_the_calls_arrive(there: AsteriskHost, host: Host) -> None:
    owned, before = there.owned(), there.snapshot()
    assert "Nothing was changed" in there.run("init", secrets=SECRETS)
    assert "the API key is missing: give --api-key or $HUMBUG_API_KEY" in there.run("init", "--apply", code=2)
    assert "the country is missing: give --country" in there.run("init", "--apply", code=2, HUMBUG_API_KEY=API_KEY)
    assert there.snapshot() == before

    answers = {"HUMBUG_API_KEY": API_KEY, "HUMBUG_COUNTRY": "CH", "HUMBUG_URL": host.receiver.url}
    said = there.run("init", "--apply", code=0, secrets=SECRETS, **answers)
    assert "A test call reached the receiver of destination humbug." in said
    assert "fail" not in said.lower()
    assert there.owned() == owned
    backends = there.pbx.cli("cdr show status").partition("Registered Backends")[2].split()
    assert {"csv", "cdr_manager"} <= set(backends)
    assert "(suspended)" not in backends
    for name in ("agent.ini", "ami-secret"):
        status = (there.etc / "humbug-agent" / name).stat()
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 0, DAEMON)
    assert (there.state / "humbug-agent").stat().st_uid == DAEMON
    for path, (content, mode, owner) in there.snapshot().items():
        # The new file in manager.d is as closed as its neighbours, and each other file as closed as it was.
        if path.startswith(str(there.files)):
            assert mode & 0o777 == 0o640
            assert owner == there.files.stat().st_uid
        if path in before and before[path][0] != content:
            copies = list(Path(path).parent.glob(f"{Path(path).name}.before-humbug-agent-*"))
            assert [copy.read_bytes() for copy in copies] == [before[path][0]]

    first = len(list(host.store.rows()))
    daemon = subprocess.Popen(there.command("run"), stderr=subprocess.PIPE, env=there.environment)
    try:
        with Manager(there.pbx.ami_port) as lab:
            answer = lab.action("Originate", Channel="Local/1000@load/n", Application="NoOp", CallerID="Alice <7>")
            assert answer["Response"] == "Success"
        wait_until(lambda: len(list(host.store.rows())) > first, 60)
        wait_until(lambda: there.pbx.lines() > 0)
        after = there.snapshot()
        assert "Nothing to change" in there.run("init", "--apply")
        assert there.snapshot() == after
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, errors = daemon.communicate(timeout=30)
    assert b"Traceback" not in errors


def test_what_keeps_it_from_working_is_said(there: AsteriskHost, host: Host) -> None:
    """An Asterisk that does not run takes nothing; and a receiver that refuses the key gets no call."""
    answers = {"HUMBUG_API_KEY": "wrong", "HUMBUG_COUNTRY": "none", "HUMBUG_URL": host.receiver.url}
    there.pbx.stop()
    said = there.run("init", "--apply", code=1, **answers)
    assert "failed   asterisk -rx 'manager reload': Unable to connect to remote asterisk" in said
    assert "The test call has not reached the receiver" in said
    assert "country" not in (there.etc / "humbug-agent" / "agent.ini").read_text()
    there.pbx.start()
    assert "A test call reached the receiver" in there.run("init", "--apply", "--yes", HUMBUG_API_KEY=API_KEY)


def test_an_admins_own_user_gets_the_right_and_nobody_else_does(there: AsteriskHost, host: Host) -> None:
    """He is written in capital letters, and has his rights from a template, as another user does."""
    users = "\n[readers](!)\nread = system\nwrite =\n\n[boss](readers)\nsecret = 0dd5ecret\n"
    name = "manager_custom.conf" if there.kind.startswith("freepbx") else "manager.conf"
    with (there.files / name).open("a") as file:
        file.write(f"{users}\n[Humbug](readers)\nsecret = 0dd5ecret\n")
    there.pbx.cli("manager reload")
    answers = {"HUMBUG_API_KEY": API_KEY, "HUMBUG_COUNTRY": "CH", "HUMBUG_URL": host.receiver.url}
    there.run("init", "--apply", code=0, secrets=SECRETS, **answers)
    rights = {}
    for user in ("boss", "humbug"):
        shown = dict(
            line.strip().partition(": ")[::2] for line in there.pbx.cli(f"manager show user {user}").split("\n")
        )
        rights[shown["username"]] = shown["read perm"]
    assert rights == {"boss": "system", "Humbug": "system,cdr"}
