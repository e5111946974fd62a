"""Connections that break leave nothing behind: no memory, no timer, no file descriptor.

HUMBUG_TEST_CONNECTIONS says how many of them; some thousands are for every day.
"""

import gc
import logging
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.http_server import refusals, throttle
from humbug_agent.http_server.server import Server
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.ini import Secret
from humbug_agent.receiver import Receiver, Store
from humbug_agent.sources.freeswitch.http.postbox import Door, Postbox
from humbug_agent.web.guard import Guard
from tests.kit.asking import Certified, until
from tests.kit.breaking import WAYS, break_connections

pytestmark = pytest.mark.slow

CONNECTIONS = int(os.environ.get("HUMBUG_TEST_CONNECTIONS", "1200"))
"""Of each server."""

Serving = Callable[..., Server]


def resident() -> int:
    """Bytes of this process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Left:
    """What a server holds when nobody is connected to it."""

    def __init__(self, server: Server) -> None:
        until(lambda: not server._connections and not server._state.tasks)
        until(lambda: len([timer for timer in server._loop._scheduled if not timer.cancelled()]) == 1)  # type: ignore[attr-defined]
        self.timers = len(server._loop._scheduled)  # type: ignore[attr-defined]
        self.files = len([*Path("/proc/self/fd").iterdir()])
        gc.collect()
        self.objects = len(gc.get_objects())
        self.bytes = resident()


@pytest.mark.parametrize(("kind", "secure"), [("status", True), ("receiver", False), ("freeswitch_http", False)])
def test_nothing_is_left_of_them(
    serving: Serving,
    status: Callable[..., StatusSettings],
    certified: Certified,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    secure: bool,
) -> None:
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.1)
    monkeypatch.setattr(refusals, "LOG_SECONDS", 0.1)
    # What is logged is kept for the test.
    caplog.set_level(logging.ERROR)
    with closing(Store(tmp_path / "calls.db")) as store:
        receiver = Receiver(store, "the-key")
        apps = {
            "status": Guard(receiver, status(username="a", password=Secret("right"))),
            "receiver": receiver,
            "freeswitch_http": Door("door", Postbox(), "", ""),
        }
        certificate = certified.certificate if secure else None
        server = serving(apps[kind], {"patient": kind != "status"}, certificate=certificate)
        break_connections(server.port, 2 * WAYS, tls=secure)
        before = Left(server)
        break_connections(server.port, CONNECTIONS, tls=secure)
        after = Left(server)
    grown = after.bytes - before.bytes
    print(f"{CONNECTIONS} connections: {grown / 1000:+,.0f} kB, {after.objects - before.objects:+} objects")
    # The receiver's store has some for those who read in it, as many as threads do that at a time.
    assert after.files < before.files + 8
    # Those that are cancelled go when there are a hundred of them.
    assert after.timers <= 110
    assert after.objects - before.objects < 1500
    assert grown < 4_000_000
