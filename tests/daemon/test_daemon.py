"""The commands that stay: the daemon, the receiver, the demo."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.host import API_KEY, PROGRAM, Host, wait_until

pytestmark = pytest.mark.slow


def ended(daemon: subprocess.Popen[bytes]) -> str:
    """All that the daemon has logged, which SIGTERM ends cleanly."""
    daemon.terminate()
    assert daemon.wait(10) == 0
    assert daemon.stderr
    return daemon.stderr.read().decode()


def test_the_daemon_delivers_at_once_and_ends_cleanly(host: Host) -> None:
    with host.daemon() as daemon:
        try:
            host.write()
            wait_until(lambda: host.store.count() == 126)
            wait_until(lambda: host.status()["deliveries"]["sent"] == 126)
            found = host.status()
            assert (found["running"], found["pid"]) == (True, daemon.pid)
            assert found["sources"]["master-csv"]["state"] == found["destinations"]["humbug"]["state"] == "ok"
            host.run("run", "--once", code=1)
            assert f"another humbug-agent is running on it, pid {daemon.pid}" in host.errors
            began = time.monotonic()
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(10) == 0
            assert time.monotonic() - began < 5
        finally:
            daemon.kill()
        assert daemon.stderr
        log = daemon.stderr.read().decode()
        # Whether there were calls already when it began depends on who was faster.
        assert len([line for line in log.splitlines() if "is new: everything" not in line]) == 1, log
    assert host.status()["running"] is False


def test_a_daemon_without_a_master_csv_yet_is_well_and_says_what_is_missing(host: Host) -> None:
    with host.daemon() as daemon:
        try:
            wait_until(lambda: host.status()["sources"]["master-csv"]["state"] == "ok")
            assert "does not exist; Asterisk makes it" in host.status()["sources"]["master-csv"]["message"]
            host.write()
            wait_until(lambda: host.store.count() == 126)
            found = host.status()["sources"]["master-csv"]
            assert (found["state"], found["message"]) == ("ok", "")
            daemon.terminate()
            assert daemon.wait(10) == 0
        finally:
            daemon.kill()
    # Idle after a restart it is well, too.
    with host.daemon() as daemon:
        try:
            wait_until(lambda: host.status()["sources"]["master-csv"]["state"] == "ok")
        finally:
            daemon.kill()


def test_a_missing_directory_is_in_the_log_and_waited_for(host: Host) -> None:
    host.master = host.folder / "cdr-csv" / "Master.csv"
    host.configure()
    log, waits = host.folder / "log", f"WARNING {host.master.parent}: no such directory; waiting for it"
    with log.open("wb") as stderr, host.daemon(stderr) as daemon:
        try:
            wait_until(lambda: host.status()["sources"].get("master-csv", {}).get("state") == "ok")
            # That it can be read is told before it waits for anything.
            wait_until(lambda: waits in log.read_text())
            host.master.parent.mkdir()
            host.write()
            wait_until(lambda: host.store.count() == 126, 20)
            daemon.terminate()
            assert daemon.wait(10) == 0
        finally:
            daemon.kill()
    assert log.read_text().count(waits) == 1


def test_a_source_that_can_not_be_read_is_said_once_and_read_when_it_can_be(host: Host) -> None:
    host.master.mkdir()
    with host.daemon() as daemon:
        try:
            wait_until(lambda: host.status()["sources"]["master-csv"]["state"] == "failing")
            message = host.status()["sources"]["master-csv"]["message"]
            assert message.endswith(f"Is a directory; path names the file in it, such as {host.master}/Master.csv")
            host.master.rmdir()
            host.write()
            wait_until(lambda: host.store.count() == 126, 20)
            wait_until(lambda: host.status()["sources"]["master-csv"]["state"] == "ok")
            log = ended(daemon)
        finally:
            daemon.kill()
    assert log.count("Is a directory") == 1
    assert "reading again" in log


def test_systemd_is_told_when_it_runs_lives_reloads_and_ends(host: Host) -> None:
    address, before = host.folder / "notify", time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(30)
        environment = os.environ | {"NOTIFY_SOCKET": str(address), "JOURNAL_STREAM": "8:1"}
        command = [PROGRAM, "--config", str(host.ini), "run"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as daemon:
            try:
                told = [systemd.recv(1000) for _ in range(3)]
                daemon.send_signal(signal.SIGHUP)
                while told[-1] != b"READY=1":
                    told.append(systemd.recv(1000))
                host.ini.write_text("nonsense = 1\n")
                daemon.send_signal(signal.SIGHUP)
                while told[-1] != b"READY=1":
                    told.append(systemd.recv(1000))
                host.write()
                while told[-1] != b"STATUS=126 calls, 0 waiting, 126 sent, 0 dead, 0 rejects":
                    told.append(systemd.recv(1000))
                daemon.terminate()
                while told[-1] != b"STOPPING=1":
                    told.append(systemd.recv(1000))
                assert daemon.wait(10) == 0
                assert daemon.stderr
                log = daemon.stderr.read().splitlines()
            finally:
                daemon.kill()
    assert told[:3] == [b"STATUS=reading master-csv, delivering to humbug", b"READY=1", b"WATCHDOG=1"]
    # One that took agent.ini (twice the same: it is told again), one that refused it. Both end with READY=1.
    reloads = [state.split(b"\nMONOTONIC_USEC=") for state in told if state.startswith(b"RELOADING=1")]
    began = [int(reload[1]) / 1e6 for reload in reloads]
    assert len(began) == 3
    assert before < began[0] < began[-1] < time.monotonic()
    # For the journal: the priority in front, and no time, which it knows itself.
    assert log[0].startswith(b"<6>reading master-csv")


def test_sighup_reads_agent_ini_again_and_keeps_the_old_one_when_the_new_is_wrong(host: Host, tmp_path: Path) -> None:
    with (
        closing(Store(tmp_path / "other.db")) as other,
        Background(Receiver(other)) as elsewhere,
        host.daemon() as daemon,
    ):
        try:
            host.write("Master-diskfull.csv")
            wait_until(lambda: host.store.count() == 23)
            good = host.ini.read_text()
            host.ini.write_text("[agent]\nnonsense = 1\n")
            daemon.send_signal(signal.SIGHUP)
            wait_until_said(daemon, b"not reloaded, going on as before")
            host.ini.write_text(good.replace(host.receiver.url, elsewhere.url))
            wait_until_said(daemon, b"reading master-csv")
            daemon.send_signal(signal.SIGHUP)
            wait_until_said(daemon, b"agent.ini: read again")
            host.write()
            wait_until(lambda: other.count() == 126)
            daemon.terminate()
            assert daemon.wait(10) == 0
        finally:
            daemon.kill()
    assert host.store.count() == 23


def wait_until_said(daemon: subprocess.Popen[bytes], text: bytes) -> None:
    assert daemon.stderr
    for line in daemon.stderr:
        if text in line:
            return
    raise AssertionError(f"never said {text!r}")


def test_the_receiver_command_takes_calls_and_says_where(host: Host) -> None:
    store = host.folder / "collected.db"
    command = [PROGRAM, "receiver", "--listen", "127.0.0.1:0", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"HUMBUG_API_KEY": API_KEY}) as process:
        try:
            assert process.stdout
            said = process.stdout.readline().decode()
            url = re.search(r"http://127\.0\.0\.1:\d+/receiver\.php", said)
            assert url, said
            host.ini.write_text(host.ini.read_text().replace(host.receiver.url, url[0]))
            host.write()
            host.run("run", "--once")
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()
    with closing(Store(store)) as collected:
        assert (collected.count(), collected.repeats()) == (126, 0)


def test_the_demo_shows_every_call_and_ends_by_itself() -> None:
    began = time.monotonic()
    done = subprocess.run([PROGRAM, "demo"], capture_output=True, timeout=60, check=True, text=True)
    assert time.monotonic() - began < 15
    assert "18 calls were written, 18 have arrived, 0 of them twice." in done.stdout
    assert "4930555999   ANSWERED" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("started", ["", 'trap "" INT; '], ids=["by hand", "in the background"])
def test_the_demo_goes_on_with_keep_until_it_is_interrupted(started: str) -> None:
    command = ["sh", "-c", f'{started}exec "$0" demo --keep', PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            calls = 0
            while calls < 25:
                calls += "  179" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "have arrived, 0 of them twice" in rest
    assert errors == ""
