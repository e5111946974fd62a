"""Receivers for the tests, on real sockets, with real files."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.http_server import throttle
from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.forms import API_KEY, KEY


@pytest.fixture(autouse=True)
def little_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of wrong keys."""
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "calls.db")) as opened:
        yield opened


@pytest.fixture
def running(store: Store) -> Iterator[Background]:
    with Background(Receiver(store, API_KEY, KEY)) as background:
        yield background


@pytest.fixture(scope="module")
def strict_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of one server for the many tests in which nothing is stored: starting and stopping one takes 0.2 s."""
    with (
        closing(Store(tmp_path_factory.mktemp("strict") / "calls.db")) as opened,
        Background(Receiver(opened, API_KEY, KEY)) as background,
    ):
        yield background.url
        assert opened.count() == 0
