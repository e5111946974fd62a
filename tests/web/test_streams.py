"""/stream: open pages are told what differs, and none of them costs the others anything."""

import itertools
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from humbug_agent.board.model import Board, Member, QueueCall, State
from humbug_agent.board.settings import NO_THRESHOLDS
from humbug_agent.http_server import connection
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.web import shown, streams
from tests.kit.asking import until
from tests.kit.ipps_host import Served, board, channel, serving
from tests.kit.stream import Reader, at


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times as quick as it is."""
    for name in ("EVERY", "LOOK", "BEAT"):
        monkeypatch.setattr(streams, f"{name}_SECONDS", getattr(streams, f"{name}_SECONDS") / 100)


@pytest.fixture
def busy(tmp_path: Path, quick: None) -> Iterator[Served]:
    with serving(
        tmp_path, [board(members=[Member(queue="support", interface="PJSIP/1", name="Anna", state="idle")])]
    ) as served:
        yield served


def happens(there: Board, rng: random.Random, serial: Iterator[int]) -> None:
    """Something that a PBX would tell."""
    channels, calls, members = there.channels(), there.calls(), there.members()
    match rng.randrange(6):
        case 0 | 1:
            number = next(serial)
            there.put(channel(f"PJSIP/{number}-1", State.RING, str(number), uniqueid=f"1.{number}"))
            if rng.random() < 0.5:
                called = QueueCall(
                    uniqueid=f"1.{number}", queue="support", channel="", number="+4915", entered=time.time()
                )
                there.put_call(called)
        case 2 if channels:
            there.hang_up(rng.choice(channels).uniqueid)
        case 3 if calls:
            there.leave(rng.choice(calls).uniqueid)
        case 4:
            state = rng.choice(("idle", "in use", "ringing"))
            there.put_member(Member(queue="support", interface=f"PJSIP/{rng.randrange(5)}", name="Ben", state=state))
        case _ if members:
            there.drop_member("support", rng.choice(members).interface)


def now(port: int) -> Any:
    """The document as it is told to who has just come."""
    with Reader(port) as reader:
        assert reader.hear()
        return reader.document


def test_what_a_page_makes_of_the_differences_is_what_a_new_page_is_told(busy: Served) -> None:
    rng, serial, there = random.Random(7), itertools.count(1), busy.boards[0]
    with Reader(busy.port) as page:
        page.hear()
        for _ in range(40):
            for _ in range(rng.randrange(1, 12)):
                happens(there, rng, serial)
            wanted = [shown_now(there)]
            while page.document["boards"] != wanted:
                assert page.hear()
            assert page.document["boards"] == now(busy.port)["boards"] == wanted
        told = json.loads(busy.ask("/status.json"))
        seen = at(page.document, page.told["at"])
        for one in (told, seen):
            # Looked up anew once in a while; the rest runs by itself.
            one.pop("agent")
        assert seen["boards"][0]["channels"] > 3
        assert without_seconds(seen | {"now": ""}) == without_seconds(told | {"now": ""})
        waits = [[call["seconds"] for call in one["boards"][0]["calls"]] for one in (seen, told)]
        assert all(abs(one - other) < 5 for one, other in zip(*waits, strict=True))


def shown_now(there: Board) -> Any:
    said = shown.board(there.view(), NumbersSettings(None, 9, "Switzerland"), NO_THRESHOLDS, UTC)
    return json.loads(json.dumps(said, default=lambda since: {"since": since.at}))


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_seconds(one) for name, one in value.items() if not name.endswith("seconds")}
    return [without_seconds(one) for one in value] if isinstance(value, list) else value


def test_where_nothing_happens_it_says_only_that(busy: Served) -> None:
    with Reader(busy.port) as page:
        page.hear()
        # The outbox is looked up once more meanwhile.
        told = []
        while [] not in told:
            page.hear()
            told.append(page.told["changes"])
        assert page.told.keys() == {"now", "at", "changes"}
        assert abs(page.told["at"] - time.time()) < 5
    assert b"text/event-stream" in page.head
    assert b"x-accel-buffering: no" in page.head
    assert b"cache-control: no-store, no-transform" in page.head


def test_a_clock_that_is_set_makes_nothing_older_or_younger(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    real, there = time.time, busy.boards[0]
    there._confirmed -= 30
    there.hang_up("nobody")
    with Reader(busy.port) as page:
        page.hear()

        def age() -> Any:
            return at(page.document, page.told["at"])["boards"][0]["age_seconds"]

        for step in (7200, -86_400, 0):
            monkeypatch.setattr(time, "time", lambda step=step: real() + step)
            while abs(page.told["at"] - time.time()) > 60:
                assert page.hear()
            assert 30 <= age() < 60
            assert 30 <= json.loads(busy.ask("/status.json"))["boards"][0]["age_seconds"] < 60
            assert (
                30
                <= float(
                    re.findall(r"^humbug_board_confirmed_age_seconds\{.*\} (.*)$", busy.ask("/metrics"), re.MULTILINE)[
                        0
                    ]
                )
                < 60
            )


def test_so_many_and_no_more(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    with Reader(busy.port) as one:
        with Reader(busy.port):
            assert busy.curl("/stream") == "ERROR: 2 PAGES ARE OPEN, WHICH IS ALL THAT THERE MAY BE\n\n503"
            assert busy.curl("/stream", "--head").endswith("200")
            assert one.hear()
        until(lambda: is_let_in(busy))


def test_it_is_for_those_who_may_see_the_page(tmp_path: Path) -> None:
    with serving(tmp_path, [board()], "username = admin\npassword = secret\n") as served:
        assert served.curl("/stream").endswith("401")
        with Reader(served.port, "Authorization: Basic YWRtaW46c2VjcmV0\r\n") as reader:
            assert reader.hear()


def test_who_takes_what_it_is_told_is_never_cut_off(busy: Served, hasty: Callable[..., None]) -> None:
    # As below: this process reads beside serving, on a machine that may be busy.
    hasty(request=1.0)
    with Reader(busy.port) as page:
        began = time.monotonic()
        while time.monotonic() - began < 3:
            assert page.hear()


def test_who_takes_nothing_is_cut_off_in_time_and_the_others_are_not(
    busy: Served, hasty: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time enough for the page, which this process reads beside serving it.
    hasty(request=3.0)
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    ended: list[object] = []

    def take() -> None:
        with suppress(OSError, ValueError, AssertionError):
            while page.hear():
                pass
        ended.append(page)

    with Reader(busy.port), Reader(busy.port) as page:
        # Always, also while another one that asks to be let in is told all of it.
        taking = threading.Thread(target=take)
        taking.start()
        # Less than what is cut off for its size, however slowly it is taken.
        crowd(busy.boards[0], 2_000)
        until(lambda: is_let_in(busy))
        assert not ended
        page.sock.shutdown(socket.SHUT_RDWR)
        taking.join(20)
        assert not taking.is_alive()


def test_who_is_too_far_behind_is_cut_off(busy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_UNTAKEN_BYTES", 1000)
    monkeypatch.setattr(streams, "MOST_STREAMS", 1)
    with Reader(busy.port):
        for size in itertools.cycle((8000, 100)):
            crowd(busy.boards[0], size)
            if is_let_in(busy):
                break


def is_let_in(served: Served) -> bool:
    with Reader(served.port) as other:
        return b"200 OK" in other.head


def crowd(there: Board, size: int) -> None:
    there.replace([channel(f"PJSIP/{n}-1", State.UP, str(n)) for n in range(size)], [], [], [])


def test_a_server_that_stops_ends_them_at_once(tmp_path: Path, quick: None) -> None:
    with ExitStack() as open_:
        with serving(tmp_path, [board()]) as served:
            pages = [open_.enter_context(Reader(served.port)) for _ in range(20)]
            for page in pages:
                assert page.hear()
            began = time.monotonic()
        assert time.monotonic() - began < 1.5
        for page in pages:
            while page.hear():
                pass
    assert not [thread for thread in threading.enumerate() if thread.name == "web"]
