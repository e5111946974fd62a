import pytest

from humbug_agent.http_server import throttle
from humbug_agent.sources.boxis import source as boxis
from humbug_agent.sources.fusionpbx import source as fusionpbx


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "DELAY_SECONDS", 0.01)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's own sources ask as fast as they are answered."""
    for source in (boxis, fusionpbx):
        monkeypatch.setattr(source, "PAUSE", 0.0)
