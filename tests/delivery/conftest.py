"""Calls, destinations and an outbox for the tests of delivery."""

import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from humbug_agent import backoff
from humbug_agent.cdr import CDR, Batch, Direction, Disposition
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.contract import DeliveryError
from humbug_agent.destinations.humbug.destination import Humbug
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.ini import Secret
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox.outbox import Outbox
from tests.kit.ports import free_port
from tests.kit.rude import WARM
from tests.kit.sending import Ask, Call, Failure, Filled, Make, Run, Running, Sending

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def a_call(number: int = 1, **changes: Any) -> CDR:
    start = changes.get("start") or START + timedelta(seconds=number)
    values: dict[str, Any] = {
        "identity": number.to_bytes(16, "big"),
        "src": "0448450043",
        "dst": "401",
        "dcontext": "from-internal",
        "clid": '"Zoë" <0448450043>',
        "channel": f"SIP/trunk-{number:08x}",
        "dstchannel": "SIP/401-0000000e",
        "lastapp": "Dial",
        "lastdata": "SIP/401,30,tr",
        "start": start,
        "answer": start + timedelta(seconds=5),
        "end": start + timedelta(seconds=65),
        "duration": 65,
        "billsec": 60,
        "disposition": Disposition.ANSWERED,
        "direction": Direction.INBOUND,
        "uniqueid": f"1700000000.{number}",
    }
    return CDR(**(values | changes))


def a_humbug(url: str, *, zone: tzinfo = UTC, country: str | None = None, **changes: Any) -> Sending:
    for name in ("api_key", "encryption_key", "proxy"):
        if isinstance(changes.get(name), str):
            changes[name] = Secret(changes[name])
    settings: dict[str, Any] = {
        "name": "humbug",
        "url": url,
        "api_key": Secret("the-api-key"),
        "encryption_key": None,
        "connections": 1,
        "timeout": 5,
        "accept_pattern": None,
        "reject_pattern": None,
        "value_escaping": "reserved",
        "ca_file": None,
        "proxy": None,
    }
    return Sending(HumbugSettings(**(settings | changes)), zone, NumbersSettings(country, 9, ""))


@pytest.fixture(scope="session")
def call() -> Call:
    """Makes a call: its number, and what is to be different from any other."""
    return a_call


@pytest.fixture(scope="session")
def unsent() -> Make:
    """Makes a destination that is only asked what it would send."""
    return a_humbug


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A server that answers oddly gets a connection's first call, by requests, and a later one, by the loop."""
    odd = metafunc.module.__name__.rpartition(".")[2] in ("test_http", "test_answers", "test_unasked")
    if odd and "humbug" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("opening"):
        metafunc.parametrize("humbug", ["new", "kept"], indirect=True)


@pytest.fixture
def humbug(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes a destination that is closed after the test; ``kept``: it has a connection that was used already."""
    made: list[Sending] = []

    def make(url: str, **changes: Any) -> Sending:
        made.append(a_humbug(url, **changes))
        made[-1].warm = a_call(identity=WARM) if getattr(request, "param", "new") == "kept" else None
        return made[-1]

    yield make
    for destination in made:
        destination.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as opened:
        yield opened


@pytest.fixture
def filled(outbox: Outbox) -> Filled:
    """Puts that many more calls for destination ``humbug`` into the outbox and returns their identities as hex."""
    last = 0

    def fill(count: int) -> list[str]:
        nonlocal last
        calls = [a_call(number) for number in range(last + 1, last + count + 1)]
        last += count
        outbox.accept("test", Batch(calls, [], None), ["humbug"])
        return [cdr.identity.hex() for cdr in calls]

    return fill


@pytest.fixture(scope="session")
def failure() -> Failure:
    """Sends and says how that failed; the reason must be a readable sentence."""

    def send(destination: Sending, cdr: CDR) -> DeliveryError:
        with pytest.raises(DeliveryError) as caught:
            destination.send(cdr)
        reason = caught.value.reason
        assert not re.search(r"ConnectionPool|urllib3|requests|0x[0-9a-f]|Error\(|Exception|object at|\n", reason), (
            reason
        )
        return caught.value

    return send


@pytest.fixture(name="free_port")
def port_without_server() -> int:
    return free_port()


@pytest.fixture
def running(tmp_path: Path) -> Run:
    """Runs the delivery to a destination in a thread of its own, as the daemon does."""

    @contextmanager
    def run(destination: Humbug) -> Iterator[Running]:
        delivery, stop = Delivery(destination), threading.Event()
        thread = threading.Thread(target=delivery.run, args=(partial(Outbox, tmp_path / "outbox.db"), stop))
        thread.start()
        try:
            yield Running(delivery, stop, thread)
        finally:
            stop.set()
            delivery.wake()
            thread.join(30)
            assert not thread.is_alive()

    return run


@pytest.fixture
def ask(outbox: Outbox) -> Iterator[Ask]:
    """Asks the outbox's file over a connection of its own, from any thread: the rows, or the values of one column."""
    with closing(sqlite3.connect(outbox.path, check_same_thread=False, isolation_level=None, timeout=10)) as conn:
        lock = threading.Lock()

        def select(sql: str, *parameters: object) -> list[Any]:
            with lock:
                found = conn.execute(sql, parameters).fetchall()
            return [row[0] for row in found] if found and len(found[0]) == 1 else found

        yield select


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are short enough for a test."""
    for name in ("DESTINATION", "PAUSED", "DELIVERY"):
        monkeypatch.setattr(backoff, name, backoff.Growth(0.1, 0.4))


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that neither accepts nor refuses."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for filler in fillers:
            filler.close()
