"""A PBX of each type, an outbox beside it, and nobody who waits long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent import backoff
from humbug_agent.sources.freeswitch.json import source as directory
from humbug_agent.sources.polling import pace as polling
from tests.kit.pbxs import PBXS, Pbx


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, no_pause: None) -> None:
    """Waits that are short enough for a test."""
    monkeypatch.setattr(backoff, "SOURCE", backoff.Growth(0.05, 0.1))
    monkeypatch.setattr(directory, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(polling, "jittered", lambda seconds: 0.05)


@pytest.fixture(params=PBXS)
def pbx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pbx]:
    folder = tmp_path / "pbx"
    folder.mkdir()
    with PBXS[request.param](folder) as one:
        yield one


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"
