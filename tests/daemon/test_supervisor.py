"""What a source holds is given back at its end, whatever became of the outbox: another Agent may follow."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from humbug_agent.daemon.supervisor import Brought, Supervisor, let_go
from humbug_agent.outbox import spill
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import Holding, Source
from humbug_agent.sources.freeswitch.http.settings import FreeswitchHttpSettings
from humbug_agent.sources.freeswitch.http.source import FreeswitchHttp
from tests.kit import ami_calls, ami_feed, esl_calls
from tests.kit.ami_server import AmiServer
from tests.kit.esl_server import EslServer
from tests.kit.host import wait_until
from tests.kit.paths import DATA
from tests.kit.ports import free_port

MUCH = 1 << 30
(DOCUMENT,) = (DATA / "freeswitch" / "docs" / "answered_callee").glob("a_*.json")


class Place:
    """Where a source hears of calls: make ``source``; let one ``call`` be told; how many hold on to it."""

    def __init__(self, source: Callable[[], Source], call: Callable[[], object], held: Callable[[], bool]) -> None:
        self.source, self.call, self.held = source, call, held


@pytest.fixture
def posted() -> Place:
    port = free_port()

    def call() -> None:
        # What can't be stored is answered with 503, or not at all at the end.
        threading.Thread(target=post, args=(port,)).start()

    def held() -> bool:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
        except requests.ConnectionError:
            return False
        return True

    settings = FreeswitchHttpSettings("posted", "127.0.0.1", port, "", None, legs="a", drop_doubles=True, timezone=None)
    return Place(lambda: FreeswitchHttp(settings, esl_calls.ZONE), call, held)


def post(port: int) -> None:
    with suppress(requests.ConnectionError):
        requests.post(f"http://127.0.0.1:{port}/", data=DOCUMENT.read_bytes(), timeout=20)


@pytest.fixture
def told_by_esl() -> Iterator[Place]:
    with EslServer() as esl:
        yield Place(
            lambda: esl_calls.source(esl.port),
            lambda: esl.play(esl_calls.numbered(1)),
            lambda: bool(esl.listeners),
        )


@pytest.fixture
def told_by_ami() -> Iterator[Place]:
    with AmiServer() as ami:
        yield Place(
            lambda: ami_feed.source(port=ami.port),
            lambda: ami.play(ami_calls.events(1), (65536,)),
            lambda: bool(ami.listeners),
        )


@contextmanager
def supervised(source: Source, outbox: Path, max_bytes: int = MUCH) -> Iterator[list[Brought]]:
    found: list[Brought] = []
    stop = threading.Event()
    supervisor = Supervisor(source, outbox, max_bytes, found.append, lambda *_: None)
    thread = threading.Thread(target=supervisor.run, args=(["humbug"], stop))
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert isinstance(source, Holding)
        let_go(source.name, source, outbox)


def failing(outbox: Path) -> bool:
    with Outbox(outbox) as found:
        return any(one.state == "failing" for one in found.health().values())


@pytest.mark.parametrize("way", ["posted", "told_by_esl", "told_by_ami"])
def test_a_place_is_free_again_although_the_outbox_could_not_be_opened_at_the_end(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    place: Place = request.getfixturevalue(way)
    folder = tmp_path / "lib"
    folder.mkdir()
    outbox = folder / "outbox.db"
    Outbox(outbox).close()
    with supervised(place.source(), outbox, max_bytes=1):
        wait_until(place.held)
        place.call()
        # Nothing fits in, so the outbox is opened anew from now on ...
        wait_until(lambda: failing(outbox))
        # ... which can't be done at the last try.
        folder.rename(tmp_path / "away")
    wait_until(lambda: not place.held())
    # FreeSWITCH keeps what it posted; the others tell it once.
    kept = [*spill.waiting(outbox)]
    assert len(kept) == (way != "posted")
    assert ("of what it was told 1 event could not be put into the outbox" in caplog.text) == bool(kept)
    (tmp_path / "away").rename(folder)
    with supervised(place.source(), outbox) as found:
        wait_until(place.held)
        place.call()
        wait_until(lambda: found)
    assert found[0].new == 1
    assert caplog.text.count("of what it was told") == len(kept)
    with Outbox(outbox) as after:
        assert after.health()["source posted" if way == "posted" else f"source {way[-3:]}"].state == "ok"
