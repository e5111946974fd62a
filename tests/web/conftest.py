"""Web servers on free ports of this host, with and without TLS."""

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from starlette.types import ASGIApp

from humbug_agent.http_server import connection
from humbug_agent.http_server import server as server_module
from humbug_agent.http_server.server import Server
from humbug_agent.http_server.settings import StatusSettings
from tests.kit.asking import Certified, close_all


@pytest.fixture(autouse=True)
def no_client_left_open() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    folder = tmp_path_factory.mktemp("certified")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    return Certified(folder / "server.pem", folder / "ca.pem", context)


@pytest.fixture(scope="session")
def status() -> Callable[..., StatusSettings]:
    """[status] with these changes; port 0 is a free one."""

    def make(**changes: Any) -> StatusSettings:
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "username": "",
            "password": None,
            "require_tls": False,
            "certificate": None,
            "private_key": None,
        }
        return StatusSettings(**(values | changes))

    return make


@pytest.fixture
def serving(status: Callable[..., StatusSettings]) -> Iterator[Callable[..., Server]]:
    """Starts a server for an app and [status], ``crowd`` being its limits; it is stopped after the test."""
    servers: list[Server] = []

    def serve(app: ASGIApp, crowd: dict[str, Any] | None = None, **changes: Any) -> Server:
        server = Server(app, status(**changes), **(crowd or {}))
        server.start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets limits of connections, in seconds, and has them looked after often."""

    def set_limits(**limits: float) -> None:
        monkeypatch.setattr(server_module, "TICK_SECONDS", 0.02)
        for name, seconds in limits.items():
            monkeypatch.setattr(connection, f"{name.upper()}_SECONDS", seconds)

    return set_limits
