"""freeswitch_http in the daemon, when a thousand calls end at once, and when strangers crowd its port."""

import itertools
import json
import resource
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread

import pytest

from humbug_agent.http_server.connection import HEAD_SECONDS
from humbug_agent.outbox.outbox import Outbox
from tests.kit.ami_daemon import Daemon
from tests.kit.fs_folder import numbered
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.paths import KIT
from tests.kit.ports import free_port

pytestmark = pytest.mark.slow

CALLS = 1500
FILES = 1024
"""That a process may have open where nobody has set more."""


class Posted:
    """A daemon with this one source, a status page, and no more files than is usual."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.port, self.page = free_port(), free_port()
        host.ini.write_text(
            f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
            f"[source posted]\ntype = freeswitch_http\nlisten = 127.0.0.1:{self.port}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
            f"[status]\nlisten = 127.0.0.1:{self.page}\n"
        )

    @contextmanager
    def running(self) -> Iterator[Daemon]:
        with Daemon(self.host) as daemon:
            resource.prlimit(daemon._process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
            wait_until(lambda: answers(self.port) and answers(self.page), 20)
            yield daemon

    def post(self, number: int) -> tuple[int, float]:
        began = time.monotonic()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("POST", "/", numbered(number)[1])
            return connection.getresponse().status, time.monotonic() - began

    def calls(self) -> int:
        with Outbox(self.host.folder / "outbox.db") as outbox:
            return int(outbox.select("SELECT count(*) FROM calls")[0][0])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def half_open(ports: list[int], each: int) -> Iterator[None]:
    """So many connections to each port that say nothing or half a head; one that is closed is opened anew at once."""
    ended = Event()

    def keep(port: int, said: bytes) -> None:
        while not ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), 30) as sock:
                    sock.sendall(said)
                    sock.settimeout(0.5)
                    while not ended.is_set():
                        try:
                            if not sock.recv(100):
                                break
                        except TimeoutError:
                            continue
            except OSError:
                continue

    saids = b"", b"POST / HTTP/1.1\r\nHost: x\r\nX-", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
    with ExitStack() as stack:
        threads = [Thread(target=keep, args=(port, saids[n % 3])) for port in ports for n in range(each)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(ended.set)
        yield


@pytest.fixture
def posted(host: Host) -> Posted:
    return Posted(host)


@pytest.mark.alone
def test_fifteen_hundred_posts_at_once_are_all_stored_and_answered(posted: Posted) -> None:
    crowd = [sys.executable, str(KIT / "fs_crowd.py"), str(posted.port), str(CALLS), "60"]
    with posted.running() as daemon:
        done = subprocess.run(crowd, capture_output=True, check=True)
        found = json.loads(done.stdout)
        took, peak = found["slowest"], daemon.peak() / 2**20
        print(f"{CALLS} posts at once: {found['answers']}, the slowest after {took:.1f} s, {peak:.0f} MB at most")
        assert found["answers"] == {"200": CALLS}
        assert posted.calls() == CALLS
        # The unit's MemoryMax is 256.
        assert peak < 200
        assert [line for line in daemon.lines if "WARNING" in line or "ERROR" in line] == []


def test_half_open_connections_keep_nobody_waiting_for_long(posted: Posted) -> None:
    with posted.running() as daemon, half_open([posted.port, posted.page], 700):
        took = []
        for number in range(3):
            status, seconds = posted.post(number)
            assert status == 200
            took.append(seconds)
        print(f"among 700 half-open connections: {', '.join(f'{one:.1f}' for one in took)} s")
        assert max(took) < HEAD_SECONDS
        assert posted.calls() == 3
        assert "can't accept" not in daemon.log


@contextmanager
def posting(posted: Posted) -> Iterator[list[int]]:
    """Four clients that post one document after the other; yields the numbers of those that were answered with 200."""
    answered: list[int] = []
    numbers, ended = itertools.count(), Event()

    def client() -> None:
        while not ended.wait(0.005):
            number = next(numbers)
            try:
                status, _ = posted.post(number)
            except (OSError, HTTPException):
                continue
            assert status in (200, 503)
            if status == 200:
                answered.append(number)

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        try:
            yield answered
        finally:
            ended.set()
    for one in clients:
        one.result()


def fifty_more(answered: list[int]) -> None:
    before = len(answered)
    wait_until(lambda: len(answered) > before + 50, 30)


def test_what_was_answered_is_on_disk_whatever_is_killed_or_read_again(posted: Posted) -> None:
    with posting(posted) as answered:
        for life in range(4):
            with posted.running() as daemon:
                fifty_more(answered)
                if life % 2:
                    daemon.reload()
                    daemon.says("read again")
                    fifty_more(answered)
                daemon._process.kill()
                daemon._process.wait(10)
    with Outbox(posted.host.folder / "outbox.db") as outbox:
        stored = {uuid.UUID(row[0]).int for row in outbox.select("SELECT uniqueid FROM calls")}
        assert outbox.select("SELECT count(*) FROM rejects")[0][0] == 0
    assert len(answered) > 300
    assert stored >= {*answered}
