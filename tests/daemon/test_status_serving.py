"""The daemon with [status]: what it serves, and that nothing about it keeps a call from being delivered."""

import signal
import socket
from pathlib import Path

import pytest
import requests

import humbug_agent
from tests.kit.ami_server import AmiServer
from tests.kit.host import Host, wait_until
from tests.kit.ports import free_port
from tests.kit.served import Page, running

pytestmark = pytest.mark.slow

CALLS = 126
LISTENS = "0A"
"""As /proc/net/tcp says it."""
STATIC = Path(humbug_agent.__file__).parent / "web" / "static"


def test_everything_that_can_be_asked(host: Host, page: Page) -> None:
    host.write()
    with AmiServer() as ami:
        page.more("", ami.port)
        with running(host):
            wait_until(lambda: host.store.count() == CALLS, 30)
            wait_until(page.up)
            assert "<html" in page.get().text
            assert all(page.get(f"/{file.name}").ok for file in STATIC.iterdir() if file.suffix != ".html")
            wait_until(lambda: page.get("/status.json").json()["agent"]["deliveries"]["sent"] == CALLS)
            told = page.get("/status.json").json()
            assert told["agent"]["sources"]["master-csv"]["unread_bytes"] == 0
            assert [board["name"] for board in told["boards"]] == ["ami"]
            minutes = told["sent_per_minute"]["humbug"]
            assert len(minutes) == 60
            assert minutes[0] is None
            assert sum(minute or 0 for minute in minutes) == CALLS
            assert f'humbug_delivered_total{{destination="humbug"}} {CALLS}.0' in page.get("/metrics").text
            assert told["boards"][0]["live"]
            assert page.get("/healthz").text == "ok\n"
            assert page.get("/nothing").status_code == 404
            ami.vanish()
            wait_until(lambda: page.get("/healthz").status_code == 503)
            assert f"AMI 127.0.0.1:{ami.port}" in page.get("/healthz").text
            wait_until(lambda: not page.get("/status.json").json()["boards"][0]["live"])


def test_the_last_hour_is_there_after_a_reload_and_a_restart(host: Host, page: Page) -> None:
    def sent() -> list[int | None]:
        return list(page.get("/status.json").json()["sent_per_minute"]["humbug"])

    def total() -> int:
        return sum(minute or 0 for minute in sent())

    host.write()
    with running(host) as daemon:
        wait_until(page.up)
        wait_until(lambda: total() == CALLS, 30)
        page.more("username = admin\n")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: page.status() == 401)
        page.more("")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: page.status() == 200)
        wait_until(lambda: total() == CALLS, 30)
    # Nor does it matter who sends, and what becomes of the calls.
    host.write("Master-default.csv")
    host.run("run", "--once")
    arrived = host.store.count()
    assert arrived > CALLS
    host.run("outbox", "purge", "--state", "sent", "--yes")
    with running(host):
        wait_until(page.up)
        wait_until(lambda: total() == arrived, 30)
        minutes = sent()
    assert minutes[0] is None


def test_health_is_good_when_all_is_well(host: Host, page: Page) -> None:
    host.write()
    with running(host):
        wait_until(lambda: host.store.count() == CALLS, 30)
        wait_until(lambda: page.up() and page.get("/healthz").text == "ok\n")
        assert page.get("/healthz").status_code == 200


def test_an_address_that_is_taken_is_said_and_delivers_nonetheless(host: Host, page: Page) -> None:
    host.write()
    with socket.create_server(("127.0.0.1", page.port)) as other:
        with running(host) as daemon:
            wait_until(lambda: host.store.count() == CALLS, 30)
            assert daemon.poll() is None
        assert f"[status] can't listen on 127.0.0.1:{page.port}" in host.errors
        assert host.errors.count("can't listen") == 1
        found = {part["part"]: part for part in host.json("check", code=1)}
        assert not found["status"]["ok"]
        assert str(page.port) in found["status"]["message"]
        with running(host):
            wait_until(lambda: host.status()["running"])
            other.close()
            wait_until(page.up, 15)


def test_a_reload_serves_anew_at_once(host: Host, page: Page) -> None:
    with running(host) as daemon:
        wait_until(page.up)
        with requests.Session() as kept:
            assert kept.get(f"http://127.0.0.1:{page.port}/", timeout=5).ok
            page.more("username = admin\npassword = new-word\n")
            daemon.send_signal(signal.SIGHUP)
            wait_until(lambda: page.status() == 401)
            assert page.get(auth=("admin", "new-word")).ok
            page.port = free_port()
            page.more("")
            daemon.send_signal(signal.SIGHUP)
            wait_until(page.up)
    assert "new-word" not in host.errors


def test_without_the_section_there_is_no_server(host: Host) -> None:
    host.configure()
    with running(host) as daemon:
        wait_until(lambda: host.status()["running"])
        sockets = {str(link.readlink()) for link in Path(f"/proc/{daemon.pid}/fd").iterdir() if link.is_symlink()}
        rows = [line.split() for line in Path(f"/proc/{daemon.pid}/net/tcp").read_text().splitlines()[1:]]
        assert not [row for row in rows if row[3] == LISTENS and f"socket:[{row[9]}]" in sockets]


def test_check_says_where_it_would_listen(host: Host, page: Page) -> None:
    host.write()
    page.more("username = admin\npassword = some-word\n")
    found = {part["part"]: part for part in host.json("check")}
    assert found["status"]["message"] == f"HTTP on 127.0.0.1:{page.port}, with a password"
    with running(host):
        wait_until(page.up)
        # The daemon has the address: that is no mistake.
        assert {part["part"]: part["ok"] for part in host.json("check")}["status"]
