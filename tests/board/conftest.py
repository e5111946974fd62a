"""An AMI to listen to, and a clock that stands still."""

from collections.abc import Iterator

import pytest

from humbug_agent.board import asterisk
from humbug_agent.listening import link
from humbug_agent.sources import push
from tests.kit.board_wire import Clock, Wire, own_clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    with own_clock() as clock:
        yield clock


@pytest.fixture
def wire(clock: Clock) -> Wire:
    return Wire(clock)


@pytest.fixture(autouse=True)
def _soon_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "LOOK_SECONDS", 0.05)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is asked for twice a second."""
    monkeypatch.setattr(link, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(asterisk, "CONFIRM_SECONDS", 0.4)
