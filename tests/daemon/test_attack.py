"""Whatever strangers do to the port of [status]: calls are delivered, and who may ask is answered."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from tests.kit.host import Host, wait_until
from tests.kit.served import Page, running

pytestmark = pytest.mark.slow

USER, WORD = "wallboard", "right-word"
LINES = 126
HALF_OPEN = 300


def half_open(port: int, ended: threading.Event) -> None:
    """Some say nothing, some half a head, some half of TLS; who is closed comes back."""
    beginnings = (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", b"\x16\x03\x01\x02\x00\x01")
    while not ended.is_set():
        with ExitStack() as stack:
            for number in range(HALF_OPEN):
                peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
                peer.sendall(beginnings[number % len(beginnings)])
            ended.wait(5)


def wrong_passwords(port: int, ended: threading.Event) -> None:
    with requests.Session() as session:
        while not ended.is_set():
            found = session.get(f"http://127.0.0.1:{port}/", auth=(USER, "wrong-word"), timeout=10)
            assert (found.status_code, found.text) == (401, "ERROR: AUTHENTICATION FAILED")


def long_lines(port: int, ended: threading.Event) -> None:
    said = b"GET /ipps/channelinfo.php?channel=" + b"A" * 2**20 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    while not ended.wait(0.1):
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            try:
                peer.sendall(said)
                assert b" 431 " in peer.recv(100)
            except ConnectionError:
                pass  # It need not read all of it.


def odd_bytes(port: int, ended: threading.Event) -> None:
    while not ended.is_set():
        for byte in range(256):
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                peer.sendall(b"GET /ipps/queueactive.php?queue_name=%c HTTP/1.0\r\n\r\n" % byte)
                assert peer.recv(100).startswith(b"HTTP/1.1 4")
            if ended.wait(0.01):
                return


@contextmanager
def attacked(attack: Callable[[int, threading.Event], None], port: int, attackers: int) -> Iterator[None]:
    failed: list[Exception] = []
    ended = threading.Event()

    def run() -> None:
        try:
            attack(port, ended)
        except (AssertionError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(attackers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failed, failed[0]


@pytest.mark.parametrize(
    ("attack", "attackers"), [(half_open, 1), (wrong_passwords, 40), (long_lines, 4), (odd_bytes, 4)]
)
def test_calls_are_delivered_and_the_board_is_shown(
    host: Host, page: Page, attack: Callable[[int, threading.Event], None], attackers: int
) -> None:
    page.more(f"username = {USER}\npassword = {WORD}\n")
    with running(host):
        wait_until(page.up)
        with attacked(attack, page.port, attackers):
            slowest = 0.0
            host.write()
            until = time.monotonic() + 4
            while time.monotonic() < until or host.store.count() < LINES:
                asked = time.monotonic()
                assert asked < until + 20, "calls are not delivered"
                assert page.get("/status.json", auth=(USER, WORD)).status_code == 200
                slowest = max(slowest, time.monotonic() - asked)
        assert slowest < 3
    assert WORD not in host.errors
    assert "wrong-word" not in host.errors
    assert len(host.errors.splitlines()) < 10
