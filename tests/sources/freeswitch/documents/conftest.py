from pathlib import Path

import pytest

from humbug_agent.sources.freeswitch.json import files
from humbug_agent.sources.freeswitch.json import source as directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """FreeSWITCH's log-dir."""
    (tmp_path / "json_cdr").mkdir()
    return tmp_path / "json_cdr"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories are looked at often, and documents given up soon."""
    monkeypatch.setattr(directory, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.3)
