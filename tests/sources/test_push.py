"""When what a PBX told is handed over: a call at once, and of a flood a good deal together."""

import threading
import time
from collections.abc import Iterator

import pytest

from humbug_agent.cdr import Batch, Reject
from humbug_agent.host.pbx_first import FLOOD_REST
from humbug_agent.listening.inbox import Heard, Inbox
from humbug_agent.sources.push import PushReader
from tests.kit.threads import no_thread

pytestmark = pytest.mark.slow

MOST = 1000
EVENT = b"Event: Cdr\r\nUserField: " + b"x" * 400


def batch(heard: list[Heard]) -> Batch:
    return Batch([], [Reject(b"", one.block, "", "") for one in heard], None)


class Teller(threading.Thread):
    """A connection that hands over ``events`` every so many ``seconds``, as one does that rests in a flood."""

    def __init__(self, inbox: Inbox, events: int, seconds: float) -> None:
        super().__init__()
        self._inbox, self._events, self._seconds = inbox, events, seconds
        self._over = threading.Event()
        self.told = 0

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            self._inbox.heard(1, [EVENT] * self._events)
            self.told += self._events

    def stop(self) -> None:
        self._over.set()
        self.join()


def read(teller: Teller, inbox: Inbox, stop: threading.Event) -> Iterator[int]:
    """How many were handed over, each time."""
    try:
        for each in PushReader(inbox, batch, MOST, "nothing").read(lambda: teller, stop):
            yield len(each.rejects)
    finally:
        teller.stop()


@pytest.mark.parametrize(("events", "seconds"), [(140, 0.2), (15, 0.02)])
def test_a_flood_gathers_however_the_connection_rests(events: int, seconds: float) -> None:
    inbox, stop = Inbox([b"Event: "]), threading.Event()
    teller = Teller(inbox, events, seconds)
    began = time.monotonic()
    said = []
    for each in read(teller, inbox, stop):
        said.append((time.monotonic() - began, each))
        if time.monotonic() - began > FLOOD_REST + 1.5:
            stop.set()
    assert sum(each for _, each in said) == teller.told
    # One at its first moment, perhaps one more, and then nothing until it has gathered.
    early = [each for moment, each in said if moment < FLOOD_REST]
    assert len(early) <= 2
    assert sum(early) <= 2 * events + 50


def test_calls_in_a_row_do_not_wait() -> None:
    inbox, stop = Inbox([b"Event: "]), threading.Event()
    teller = Teller(inbox, 5, 0.1)
    began = time.monotonic()
    moments = []
    for _ in read(teller, inbox, stop):
        moments.append(time.monotonic() - began)
        if len(moments) == 10:
            stop.set()
    assert moments[9] < FLOOD_REST


def test_a_connection_that_has_no_thread_is_made_anew() -> None:
    inbox, stop = Inbox([b"Event: "]), threading.Event()
    tellers: list[Teller] = []

    def connect() -> Teller:
        tellers.append(Teller(inbox, 1, 0.01))
        return tellers[-1]

    reader = PushReader(inbox, batch, MOST, "nothing")
    with no_thread(), pytest.raises(RuntimeError):
        next(reader.read(connect, stop))
    for each in reader.read(connect, stop):
        if each.rejects:
            stop.set()
    assert len(tellers) == 2
