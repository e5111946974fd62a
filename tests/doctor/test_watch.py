"""What comes up while the daemon runs is in `status` by its code, once it has stayed for minutes."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from humbug_agent.cli.main import main
from humbug_agent.config import load
from humbug_agent.doctor import host as of_host
from humbug_agent.doctor import watch
from humbug_agent.doctor.watch import Watch
from humbug_agent.host.codes import Code
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status import coverage, gather
from tests.doctor import plants
from tests.doctor.sick_host import SickHost
from tests.kit.host import wait_until
from tests.kit.ports import free_port


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[SickHost]:
    with SickHost("asterisk", tmp_path) as made:
        yield made


def status(host: SickHost, *arguments: str) -> str:
    return CliRunner().invoke(main, ["--config", str(host.ini), "status", *arguments]).stdout


def codes(host: SickHost) -> dict[str, str]:
    """Code -> message of each trouble."""
    return {one["code"]: one["message"] for one in json.loads(status(host, "--json"))["troubles"] if one["code"]}


def look(host: SickHost, watching: Watch) -> None:
    with Outbox(host.outbox) as outbox:
        watching.look(outbox)


def test_a_finding_shows_once_it_has_stayed_and_goes_when_it_is_mended(
    sick: SickHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick.daemon()
    watching = Watch(load(sick.ini))
    look(sick, watching)
    assert codes(sick) == {}
    # All of a large disk is free, and it is to be more.
    monkeypatch.setattr(of_host, "MOST_BYTES", 2**60)
    monkeypatch.setattr(of_host, "SHARE", 1)
    look(sick, watching)
    assert codes(sick) == {}
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + gather.SETTLED_SECONDS - 2)
    look(sick, watching)
    assert codes(sick) == {}
    monkeypatch.setattr(time, "time", lambda: began + gather.SETTLED_SECONDS + 2)
    assert codes(sick).keys() == {Code.DISK}
    assert f"\nHA-0020: {sick.outbox.parent}: of its disk's " in status(sick)
    assert status(sick, "--nagios").startswith(f"WARNING - HA-0020 {sick.outbox.parent}: of its disk's ")
    (found,) = json.loads(status(sick, "--json"))["findings"]
    assert found.keys() == {"code", "message", "since"}
    monkeypatch.setattr(of_host, "SHARE", 10**9)
    monkeypatch.setattr(of_host, "LEAST_BYTES", 0)
    look(sick, watching)
    assert codes(sick) == {}
    # It comes and goes: each time it has to stay anew.
    monkeypatch.setattr(of_host, "SHARE", 1)
    look(sick, watching)
    assert codes(sick) == {}


def test_others_are_asked_seldom(sick: SickHost, monkeypatch: pytest.MonkeyPatch) -> None:
    plants.receivers_certificate(sick)
    plants.pages_certificate(sick)
    url = sick.receiver_with(timedelta(minutes=10))
    sick.more("destination late", "type = humbug", f"url = {url}", "api_key = another-key")
    sick.daemon()
    monkeypatch.setattr(coverage, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(gather, "SETTLED_SECONDS", 0.0)
    sick.told_by("ami", range(100, 106))
    watching = Watch(load(sick.ini))
    look(sick, watching)
    assert codes(sick).keys() == {Code.CERTIFICATE}
    assert "ended at" in codes(sick)[Code.CERTIFICATE]
    assert ";" not in codes(sick)[Code.CERTIFICATE]
    monkeypatch.setattr(watch, "SELDOM_SECONDS", 0.0)
    watching = Watch(load(sick.ini))

    def asked() -> bool:
        look(sick, watching)
        return codes(sick).keys() == {Code.CERTIFICATE, Code.CLOCK, Code.DISAGREE}

    wait_until(asked)
    found = codes(sick)
    assert found[Code.CLOCK] == "destination late: this host's clock is 10 min behind the receiver's"
    assert "source master-csv does not have 6 of 6 calls of this PBX" in found[Code.DISAGREE]

    def both_certificates() -> bool:
        look(sick, watching)
        return "; the certificate of 127.0.0.1:" in codes(sick)[Code.CERTIFICATE]

    wait_until(both_certificates)


@pytest.mark.parametrize(
    ("part", "state", "message", "code"),
    [
        ("destination humbug", "failing", "127.0.0.1:1: Connection refused", Code.RECEIVER),
        ("destination humbug", "paused", "https://x: certificate has expired", Code.RECEIVER),
        ("source ami", "failing", "AMI 127.0.0.1:1: cannot connect: Connection refused", Code.SOURCE),
        ("source master-csv", "failing", "/x: Permission denied; add nobody to group", Code.CLOSED_TO_DAEMON),
        ("page", "failing", "can't listen on 127.0.0.1:1: Address already in use; another program", Code.PORT),
        ("page", "failing", "certificate /x has no certificate in PEM format", Code.PAGE),
    ],
)
def test_what_the_daemon_notices_itself_has_its_code_after_minutes(
    sick: SickHost, monkeypatch: pytest.MonkeyPatch, part: str, state: str, message: str, code: Code
) -> None:
    sick.more("status", f"listen = 127.0.0.1:{free_port()}")
    sick.daemon()
    with Outbox(sick.outbox) as outbox:
        outbox.report(part, state, message)
    assert codes(sick) == {}
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + gather.SETTLED_SECONDS + 2)
    assert codes(sick).keys() == {code}
    assert f"{part}: {message} [{code}]" in status(sick)


def test_what_took_its_time_already_has_its_code_at_once(sick: SickHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "SETTLED_SECONDS", 0.0)
    sick.daemon()
    with Outbox(sick.outbox) as outbox:
        outbox.doubt("master-csv", "its times are 9 h ahead of what the uniqueids and the clock say")
    sick.told_by("master-csv", range(5))
    assert codes(sick).keys() == {Code.DEAF, Code.ZONE}


def test_a_log_that_nobody_may_look_for_costs_no_other_finding(sick: SickHost) -> None:
    """As where the disk fails to say whether it is there: it ended the daemon once."""
    sick.more("source far", "type = asterisk_csv", f"path = {sick.outbox.parent / ('x' * 300)}")
    sick.daemon()
    config = load(sick.ini)
    with pytest.raises(OSError, match="too long"):
        (config.sources[-1].reads or Path()).stat()
    assert list(of_host.of_disks(config)) == list(of_host.of_disks(replace(config, sources=config.sources[:-1])))
    look(sick, Watch(config))
