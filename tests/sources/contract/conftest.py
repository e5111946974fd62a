"""A PBX of each type, an outbox beside it, and nobody who waits long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent import backoff
from humbug_agent.sources.boxis import source as boxis
from humbug_agent.sources.freeswitch.json import source as directory
from humbug_agent.sources.fusionpbx import source as fusionpbx
from humbug_agent.sources.polling import pace as polling
from humbug_agent.sources.while1 import source as while1
from tests.kit.pbxs import PBXS, Pbx


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are short enough for a test."""
    monkeypatch.setattr(backoff, "SOURCE", backoff.Growth(0.05, 0.1))
    monkeypatch.setattr(directory, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(polling, "jittered", lambda seconds: 0.05)
    for api in (boxis, fusionpbx, while1):
        monkeypatch.setattr(api, "PAUSE", 0.0)


@pytest.fixture(params=PBXS)
def pbx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pbx]:
    folder = tmp_path / "pbx"
    folder.mkdir()
    with PBXS[request.param](folder) as one:
        yield one


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"
