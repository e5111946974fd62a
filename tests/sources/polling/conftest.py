"""What the tests of the hosted PBXs share. The servers are in modules of their own, the helpers in pull_server."""

import threading

import pytest

from humbug_agent import backoff


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are short enough for a test."""
    monkeypatch.setattr(backoff, "API", backoff.Growth(0.05, 90.0))
