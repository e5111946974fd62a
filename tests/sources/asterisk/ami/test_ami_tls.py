"""TLS to the AMI, and what is said where it can't be: to whom, why, and which line of agent.ini to change."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from humbug_agent.sources.asterisk.ami import check as ami_check
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.asterisk.ami.source import AsteriskAmi
from humbug_agent.sources.contract import SourceError
from tests.kit.ami_calls import events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_feed import settings
from tests.kit.ami_server import SECRET, AmiServer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def secure(server_tls: Callable[..., ssl.SSLContext]) -> Iterator[AmiServer]:
    with AmiServer(server_tls()) as server:
        yield server


def test_calls_come_over_tls(secure: AmiServer, pbx: AmiHost, ca_file: Path) -> None:
    pbx.listen_to(secure.port, f"tls = yes\nca_file = {ca_file}")
    with Daemon(pbx) as daemon:
        wait_until(lambda: secure.listeners)
        secure.play(events(*range(200)), (1, 20_000, 3))
        wait_until(lambda: pbx.store.count() == 200)
        wait_until(lambda: secure.pings)
        secure.drop()
        daemon.says("has closed the connection")
        wait_until(lambda: secure.listeners)
        secure.play(events(200))
        wait_until(lambda: "200" in pbx.dialled())
        wait_until(lambda: secure.open == 1)
        assert len(daemon.lines) == 4, daemon.log
        # It ends soon even where nobody answers any more.
        secure.freeze()


def test_a_certificate_that_nobody_trusts_is_said_once(secure: AmiServer, pbx: AmiHost, ca_file: Path) -> None:
    pbx.listen_to(secure.port, "tls = yes")
    with Daemon(pbx) as daemon:
        daemon.says("its certificate is not trusted (")
        assert "ca_file names a CA of your own" in daemon.log
        wait_until(lambda: secure.connections == 4)
        assert daemon.times("its certificate") == 1, daemon.log
        assert secure.logins == 0
        assert not secure.said
        pbx.listen_to(secure.port, f"tls = yes\nca_file = {ca_file}")
        daemon.reload()
        wait_until(lambda: secure.listeners)
        wait_until(lambda: secure.open == 1)


def failure(of: AsteriskAmiSettings) -> str:
    with pytest.raises(SourceError) as raised:
        AsteriskAmi(of, UTC).check()
    said = str(raised.value)
    assert SECRET not in said
    assert said.startswith(f"AMI {of.host}:{of.port}: ")
    return said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_check, "LOGIN_SECONDS", 1.0)
    monkeypatch.setattr(ami_check, "LISTEN_SECONDS", 0.1)


def test_tls_to_a_server_without_it_names_the_port_to_use(ami: AmiServer) -> None:
    said = failure(replace(settings(ami.port), tls=True))
    assert "speaks no TLS there" in said
    assert "tls = yes wants the port of tlsbindaddr in manager.conf" in said
    assert not ami.said


def test_no_tls_to_a_server_with_it_says_so(secure: AmiServer) -> None:
    said = failure(settings(secure.port))
    assert "does not answer within 1 s" in said
    assert "tls = yes" in said


def test_a_certificate_of_somebody_else_is_not_taken(server_tls: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    with AmiServer(server_tls("pbx.example")) as stranger:
        said = failure(replace(settings(stranger.port), tls=True, ca_file=ca_file))
        assert "its certificate is not trusted" in said
        assert "127.0.0.1" in said.partition("its certificate")[2]
        assert not stranger.said


def no_pem(path: Path) -> None:
    path.write_text("hello\n")


def empty(path: Path) -> None:
    path.write_text("")


def half(path: Path) -> None:
    path.write_text(path.read_text()[:300])


@pytest.mark.parametrize("spoil", [no_pem, empty, half, Path.unlink])
def test_a_ca_file_that_is_none_is_named(secure: AmiServer, ca_file: Path, spoil: Callable[[Path], object]) -> None:
    spoil(ca_file)
    said = failure(replace(settings(secure.port), tls=True, ca_file=ca_file))
    assert f"ca_file {ca_file}" in said


def test_a_server_that_closes_within_the_handshake_is_told_of_in_words(ami: AmiServer) -> None:
    ami.closes_at_once = True
    assert len(failure(replace(settings(ami.port), tls=True))) > len(f"AMI 127.0.0.1:{ami.port}: x")


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("127.0.0.1", "127.0.0.2")])
def test_a_name_with_several_addresses_where_nobody_listens(
    ami: AmiServer, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    ami.vanish()
    found = [(2, 1, 6, "", (address, ami.port)) for address in addresses]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    assert "nobody listens there; does Asterisk run" in failure(replace(settings(ami.port), host="localhost"))


def test_a_host_that_does_not_exist_is_said() -> None:
    assert "there is no such host" in failure(replace(settings(), host="no-such-host.invalid"))


@pytest.mark.parametrize("name", ["pbx..example", "x" * 70 + ".example", ".example"])
def test_a_host_that_can_not_be_a_name_is_a_mistake_in_words(pbx: AmiHost, name: str) -> None:
    pbx.listen_to(5038, "tls = yes", host=name)
    said = pbx.run("check", code=None) + pbx.errors
    assert "can't be a name" in said or "no such host" in said
