"""What the tests of the hosted PBXs share. The servers are in modules of their own, the helpers in pull_server."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from humbug_agent.sources.polling import client


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are short enough for a test."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.05)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    def make(name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"
