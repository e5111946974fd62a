"""`systemctl reload`: what the unit runs for it, with a real daemon; and that what was not taken never looks taken."""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from humbug_agent.config import load
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.receiver import Misbehaviour
from humbug_agent.status import taken
from tests.kit.host import PROGRAM, Host, wait_until
from tests.kit.paths import TOP
from tests.kit.served import Page, running

pytestmark = pytest.mark.slow

UNIT = TOP / "systemd" / "humbug-agent.service"


def unit(key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found
    return found[1]


def reload(host: Host, code: int) -> str:
    """The unit's own command, as systemd would run it. What it says on standard error goes to ``errors``."""
    paths = {"PATH": f"{Path(PROGRAM).parent}:/usr/bin:/bin", "HUMBUG_AGENT_CONFIG": str(host.ini)}
    command = shlex.split(unit("ExecReload"))
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, timeout=60, check=False, text=True)
    host.errors = done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def agent_ini(host: Host) -> tuple[str, str]:
    found = host.status()["agent_ini"]
    return found["state"], found["message"]


def test_a_reload_succeeds_when_the_daemon_has_taken_it(host: Host, page: Page) -> None:
    host.write()
    with running(host):
        wait_until(page.up, 20)
        assert agent_ini(host) == ("taken", "")
        page.more("username = admin\npassword = new-word\n")
        state, said = agent_ini(host)
        assert state == "changed"
        assert re.fullmatch(r"\S+ changed since it was read at [0-9: -]{19}[+-][0-9:]{5}; reload to take it: .*", said)
        assert said in host.run("status")
        assert "new-word" not in said
        assert "read again" in reload(host, 0)
        assert agent_ini(host) == ("taken", "")
        wait_until(lambda: page.status() == 401, 20)
    assert host.errors.count("read again") == 1


def test_a_reload_fails_when_agent_ini_is_refused_and_nothing_is_interrupted(host: Host, page: Page) -> None:
    with running(host):
        wait_until(page.up, 20)
        read = host.status()["agent_ini"]["read"]
        since = host.status()["page"]["since"]
        page.more("passwort = new-word\n")
        reload(host, 2)
        assert "[status] passwort: is not known here" in host.errors
        state, said = agent_ini(host)
        assert state == "refused"
        assert re.search(
            r"agent\.ini changed at \S+ \S+ and was refused at \S+ \S+; going on with the one read at "
            + re.escape(read.replace("T", " "))
            + r": \[status\] passwort: is not known here; did you mean password\?",
            said,
        )
        assert said in host.run("status", code=2)
        assert host.status()["page"]["since"] == since
        # Mended, and not taken yet.
        page.more("password = new-word\n")
        assert agent_ini(host)[0] == "changed"
        # As it was: the daemon uses what stands there.
        page.more("")
        assert agent_ini(host) == ("taken", "")
        page.more("password = new-word\n")
        reload(host, 0)
        assert agent_ini(host) == ("taken", "")
        assert host.run("status")
    assert "not reloaded, going on as before" in host.errors
    assert "new-word" not in host.errors


def test_a_comment_is_no_change_and_a_secret_in_a_file_of_its_own_is_one(host: Host, page: Page) -> None:
    secret = host.folder / "password"
    secret.write_text("first-word\n")
    page.more(f"password_file = {secret}\n")
    with running(host):
        wait_until(lambda: page.status() == 401, 20)
        host.ini.write_text(f"# a word about it\n\n{host.ini.read_text()}")
        assert agent_ini(host) == ("taken", "")
        secret.write_text("second-word\n")
        state, said = agent_ini(host)
        assert state == "changed"
        assert "second-word" not in said
        found = {one["part"]: one for one in host.json("check")}
        assert found["daemon"]["level"] == "warn"
        assert "changed since it was read at" in found["daemon"]["message"]
        assert found["status"]["message"].endswith("with a password, once the daemon has taken it")
        reload(host, 0)
        found = {one["part"]: one for one in host.json("check")}
        assert found["daemon"]["level"] == "ok"
        assert found["status"]["message"] == f"HTTP on 127.0.0.1:{page.port}, with a password"
        raw = b"".join(file.read_bytes() for file in host.folder.glob("outbox.db*"))
        assert b"-word" not in raw


def test_one_that_the_daemon_may_not_read_is_refused_though_it_says_the_same(host: Host) -> None:
    """The daemon of a test is root, who may read all: what another one would write down is written here."""
    with running(host):
        wait_until(lambda: agent_ini(host) == ("taken", ""), 20)
        config = load(host.ini)
        with Outbox(config.agent.outbox) as outbox:
            went = taken.read_back(config.agent.outbox, host.status()["pid"])
            assert went
            mistake = f"{host.ini}: Permission denied; the user that runs humbug-agent must be able to read it"
            taken.write_down(outbox, went.but_refused([mistake]))
        state, said = agent_ini(host)
        assert state == "refused"
        assert "Permission denied" in said
        assert "going on with the one read at" in said
        host.ini.chmod(0o640)
        assert agent_ini(host) == ("taken", "")


def test_reload_takes_config_behind_it_too(host: Host) -> None:
    with running(host):
        wait_until(lambda: agent_ini(host) == ("taken", ""), 20)
        done = subprocess.run([PROGRAM, "reload", "--config", str(host.ini)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_an_outbox_that_can_not_be_used_is_refused(host: Host) -> None:
    host.write()
    with running(host) as daemon:
        wait_until(lambda: host.status()["deliveries"]["sent"] == 126, 30)
        good = host.ini.read_text()
        host.ini.write_text(good.replace("outbox.db", "nowhere/outbox.db"))
        reload(host, 2)
        assert "nowhere/outbox.db" in host.errors
        assert daemon.poll() is None
        host.ini.write_text(good.replace("outbox.db", "another.db"))
        # It knows nothing of what was sent already.
        said = f"outbox {host.folder}/another.db is new and begins empty: everything that can still be read is read and"
        (checked,) = [one for one in host.json("check") if one["part"] == "outbox"]
        assert (checked["level"], checked["message"].startswith(said)) == ("warn", True)
        assert f"move {host.folder}/outbox.db to {host.folder}/another.db" in checked["message"]
        reload(host, 0)
        assert said in host.errors
        assert host.status()["outbox"]["path"] == f"{host.folder}/another.db"
        assert host.status()["pid"] == daemon.pid
        # That one is there already.
        host.ini.write_text(good)
        reload(host, 0)
        assert host.errors == ""
    assert host.errors.count("begins empty") == 1
    assert (
        f"outbox {host.folder}/another.db is new: everything that is in {host.master} is read and sent" in host.errors
    )


@pytest.mark.parametrize("key", ["outbox", "path"])
def test_a_path_that_can_be_no_files_is_refused(host: Host, key: str) -> None:
    host.write()
    with running(host) as daemon:
        wait_until(lambda: host.status()["deliveries"]["sent"] == 126, 30)
        host.ini.write_text(re.sub(rf"^{key} = .*$", f"{key} = /", host.ini.read_text(), flags=re.MULTILINE))
        reload(host, 2)
        assert f"{key}: / is a directory; name the file in it" in host.errors
        assert daemon.poll() is None
        assert host.run("status", "--nagios", code=1).startswith("WARNING")


def test_several_reloads_at_once_are_one_after_the_other(host: Host) -> None:
    with running(host) as daemon:
        wait_until(lambda: host.status()["agent_ini"]["state"] == "taken", 20)
        for _ in range(5):
            daemon.send_signal(signal.SIGHUP)
        reload(host, 0)
        reload(host, 0)
        assert host.status()["pid"] == daemon.pid


@pytest.mark.parametrize("said", ["[agent]\nnonsense = 1\n", None])
def test_without_a_daemon_a_reload_fails(host: Host, said: str | None) -> None:
    if said:
        host.ini.write_text(said)
    reload(host, 1)
    assert "no humbug-agent runs with" in host.errors


def test_a_daemon_that_ends_meanwhile_makes_a_reload_fail(host: Host) -> None:
    with host.daemon() as daemon:
        try:
            wait_until(lambda: host.status()["agent_ini"]["state"] == "taken", 20)
            daemon.send_signal(signal.SIGSTOP)
            asking = subprocess.Popen([PROGRAM, "--config", host.ini, "reload"], stderr=subprocess.PIPE)
            assert asking.stderr
            wait_until(lambda: "S" in Path(f"/proc/{asking.pid}/status").read_text() and _pending(daemon.pid), 20)
        finally:
            daemon.kill()
        assert asking.wait(20) == 1
        assert b"ended; what it wrote to its standard error says why" in asking.stderr.read()
        asking.stderr.close()
    # What it left behind is not how things are.
    assert agent_ini(host) == ("", "")


def _pending(pid: int) -> bool:
    """Whether a SIGHUP waits for it to go on."""
    found = re.search(r"^ShdPnd:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(found and int(found[1], 16) & 1 << (signal.SIGHUP - 1))


def test_a_run_once_is_not_taken_for_the_daemon(host: Host) -> None:
    """SIGHUP would end it."""
    host.write()
    host.receiver.receiver.misbehaviour = Misbehaviour(delay=1)
    with subprocess.Popen([PROGRAM, "--config", host.ini, "run", "--once"], stdout=subprocess.DEVNULL) as once:
        try:
            wait_until(lambda: host.status()["running"], 20)
            reload(host, 1)
            assert once.poll() is None
            assert agent_ini(host) == ("", "")
        finally:
            once.kill()
