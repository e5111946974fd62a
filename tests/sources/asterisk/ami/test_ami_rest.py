"""How often the connection reads: for a call at once, and in a flood as seldom as may be, for each costs the PBX."""

import statistics
import threading
import time
from collections.abc import Sequence

import pytest

from humbug_agent.listening.ami.link import Link
from tests.kit.ami_calls import events
from tests.kit.ami_feed import settings
from tests.kit.ami_server import AmiServer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


class Ear:
    def __init__(self) -> None:
        self.reads: list[float] = []
        self.events = 0

    def heard(self, _: int, blocks: Sequence[bytes]) -> None:
        self.reads.append(time.monotonic())
        self.events += len(blocks)

    def until(self, events: int) -> None:
        wait_until(lambda: self.events == events)

    def beat(self, connection: int, tell: object) -> None:
        pass

    def stands(self, trouble: str) -> None:
        pass


@pytest.mark.parametrize("a_second", [1000, 3000])
def test_a_flood_is_read_a_few_times_a_second(ami: AmiServer, a_second: int) -> None:
    ear = Ear()
    link = Link(settings(ami.port), "cdr", [ear])
    link.start()
    try:
        wait_until(lambda: ami.listeners)
        began, sent, pause = time.monotonic(), 0, threading.Event()
        while (now := time.monotonic() - began) < 2:
            due = int(now * a_second)
            if due > sent:
                ami.play(events(*range(sent, due)))
                sent = due
            pause.wait(0.001)
        wait_until(lambda: ear.events == sent)
    finally:
        link.stop()
    # Five a second, and what is right behind a large one; never the fifty of a calm time.
    assert len(ear.reads) <= 40


def test_a_call_is_heard_at_once(ami: AmiServer) -> None:
    ear = Ear()
    link = Link(settings(ami.port), "cdr", [ear])
    link.start()
    try:
        wait_until(lambda: ami.listeners)
        took = []
        for number in range(5):
            began = time.monotonic()
            ami.play(events(number))
            ear.until(number + 1)
            took.append(ear.reads[-1] - began)
    finally:
        link.stop()
    assert statistics.median(took) < 0.15
