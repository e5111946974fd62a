"""Each mistake is found by its code, alone and among all others; on hosts that are well nothing is found."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from humbug_agent.doctor.examine import Report
from humbug_agent.host.codes import Code
from humbug_agent.host.daemon_user import User, acting_as
from humbug_agent.status import coverage
from tests.doctor import plants
from tests.doctor.plants import ALONE, Plant
from tests.doctor.sick_host import SickHost
from tests.kit.host_trees import TREES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user, and mount a disk"),
]

BESIDE = {
    # What follows from the mistake itself.
    "csv_empty": {"HA-0003"},
    "disguise": {"HA-0021"},
    "zone_of_the_calls": set(),
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SickHost]:
    with SickHost("asterisk", tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", TREES)
def test_nothing_is_found_on_hosts_that_are_well(kind: str, tmp_path: Path) -> None:
    with SickHost(kind, tmp_path) as host:
        report = host.doctor()
        assert [(one.code, one.said) for one in report.findings] == []
        assert report.unread == []
        assert report.exit_code == 0


@pytest.mark.parametrize(("code", "plant"), [(code, plant) for code, many in ALONE.items() for plant in many])
def test_each_mistake_is_found_alone(host: SickHost, code: str, plant: Plant) -> None:
    plant(host)
    report = host.doctor()
    assert {one.code.value for one in report.findings} == {code} | BESIDE.get(plant.__name__, set()), report.findings
    assert all(one.said and str(host.root) + "/etc" not in one.said + one.change for one in report.findings)
    assert report.exit_code == max(one.kind.severity for one in report.findings)
    assert report.unread == []


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that any user may enter, as a host's are."""
    with TemporaryDirectory(prefix="humbug-doctor-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_all_mistakes_are_found_at_once(for_all: Path) -> None:
    with SickHost("asterisk", for_all) as host:
        report = all_of(host)
    # One that posts without a time-out posts, and nobody waits for it: it has no other of these mistakes.
    others = {Code.NOT_POSTED, Code.POSTED_ELSEWHERE, Code.POSTED_ROUND, Code.UNSENT, Code.REFUSED_XML}
    assert {one.code.value for one in report.findings} >= ALONE.keys() - others
    assert report.exit_code == 2
    severities = [one.kind.severity for one in report.findings]
    assert severities == sorted(severities, reverse=True)


def all_of(host: SickHost) -> Report:
    nobody = pwd.getpwnam("nobody")
    order: list[Plant] = [
        plants.disk, plants.no_uniqueid, plants.csv_empty, plants.csv_off, plants.cdr_off, plants.batch,
        plants.both_rotations, plants.ami_blind, plants.eventfilter, plants.ami_off, plants.events_off,
        plants.writetimeout, plants.ami_mighty, plants.asterisks_port, plants.fusionpbx_import, plants.no_timeout,
        plants.two_destinations, plants.clock, plants.receiver, plants.receivers_certificate, plants.disguise,
        plants.zone, plants.secret_open,
    ]  # fmt: skip
    for plant in order:
        plant(host)
    host.more("source master-csv", "utc = yes")
    host.daemon(nobody.pw_uid)
    host.told_by("master-csv", range(5))
    host.told_by("ami", range(100, 106))
    plants.closed(host)
    return host.doctor()


def test_only_the_daemons_own_user_and_root_can_tell_what_it_may_read(for_all: Path) -> None:
    with SickHost("hosted", for_all) as host:
        # What it imports may lie where root alone may read.
        assert host.doctor().unread == []
        host.ini.chmod(0o644)
        unread = {}
        for name in ("nobody", "daemon"):
            one = pwd.getpwnam(name)
            os.chown(host.outbox.parent, pwd.getpwnam("nobody").pw_uid, -1)
            with acting_as(User(name, one.pw_uid, one.pw_gid, ())):
                unread[name] = host.doctor().unread
    assert unread["nobody"] == []
    assert any("was not tried" in one for one in unread["daemon"])


def test_every_kind_of_mistake_of_the_table_is_planted_or_named_here() -> None:
    named = {Code.AGENT_INI, Code.SOURCE, Code.OUTBOX, Code.REFUSED_CONF, Code.PAGE}
    assert ALONE.keys() | named == set(Code)
    assert len(ALONE) >= 25
