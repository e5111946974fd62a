"""A path that is not what this host's Asterisk writes: found where nothing comes from there, and nowhere else."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.pbx_host import asterisk
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.sources.contract import NothingYet
from tests.doctor.sick_host import SickHost
from tests.kit.ami_calls import ZONE

DAY = 86400.0
Edit = Callable[[SickHost], None]


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[SickHost]:
    with SickHost("asterisk", tmp_path) as made:
        yield made


def reads(host: SickHost, path: Path) -> None:
    host.more("source master-csv", f"path = {path}")


def copied(host: SickHost, path: Path, ago: float = 0.0) -> Path:
    """A copy of Master.csv that was written to so many seconds before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(host.master, path)
    moment = host.master.stat().st_mtime - ago
    os.utime(path, (moment, moment))
    return path


def moved(host: SickHost) -> Path:
    """Its logs are in /srv/log by now: the file that it writes."""
    (host.etc / "asterisk.conf").write_text("[directories]\nastlogdir => /srv/log\n")
    return copied(host, host.root / "srv/log/cdr-csv/Master.csv")


def moved_and_gone(host: SickHost) -> None:
    moved(host)
    host.master.unlink()


def moved_without_calls_and_gone(host: SickHost) -> None:
    moved(host).unlink()
    host.master.unlink()


def moved_and_stale(host: SickHost) -> None:
    before = time.time() - 3600
    os.utime(host.master, (before, before))
    moved(host).touch()


def written_in_capitals(host: SickHost) -> None:
    reads(host, host.master.with_name("MASTER.CSV"))


def without_its_suffix(host: SickHost) -> None:
    reads(host, host.master.with_name("Master"))


def a_rotated_one(host: SickHost) -> None:
    reads(host, copied(host, host.master.with_name("Master.csv.1"), DAY))


def a_copy_that_has_ended(host: SickHost) -> None:
    reads(host, copied(host, host.root / "srv/Master.csv", 30 * DAY))


def an_accounts_that_is_not_written(host: SickHost) -> None:
    host.write("cdr.conf", "accountlogs = no\n")
    reads(host, copied(host, host.master.with_name("acme.csv"), DAY))


MISTAKES: list[tuple[Edit, str]] = [
    (written_in_capitals, "/var/log/asterisk"),
    (without_its_suffix, "/var/log/asterisk"),
    (a_rotated_one, "/var/log/asterisk"),
    (a_copy_that_has_ended, "/var/log/asterisk"),
    (an_accounts_that_is_not_written, "/var/log/asterisk"),
    (moved_and_gone, "/srv/log"),
    (moved_without_calls_and_gone, "/srv/log"),
    (moved_and_stale, "/srv/log"),
]


@pytest.mark.parametrize(("edit", "logs"), MISTAKES)
def test_what_asterisk_does_not_write_is_said_with_what_it_does(sick: SickHost, edit: Edit, logs: str) -> None:
    edit(sick)
    (one,) = sick.doctor().findings
    assert (one.code, one.part) == (Code.CSV_OFF, "source master-csv")
    assert one.said.endswith(", and this host's Asterisk does not write it")
    assert one.change == f"agent.ini, [source master-csv]: path = {logs}/cdr-csv/Master.csv"


def test_where_cdr_custom_alone_writes_its_file_is_named(sick: SickHost) -> None:
    (sick.etc / "cdr.conf").write_text("[general]\n")
    sick.write("cdr_custom.conf", "[mappings]\nCalls.csv => ${CSV_QUOTE(${CDR(clid)})}\n")
    written_in_capitals(sick)
    (one,) = sick.doctor().findings
    assert one.change.endswith(": path = /var/log/asterisk/cdr-custom/Calls.csv")


def test_a_link_into_a_folder_that_is_gone_keeps_asterisk_from_writing(sick: SickHost) -> None:
    sick.master.unlink()
    sick.master.symlink_to(sick.root / "mnt/larger/Master.csv")
    (one,) = sick.doctor().findings
    assert one.code is Code.CSV_OFF
    assert "a link into a folder that does not exist" in one.said
    (sick.root / "mnt/larger").mkdir(parents=True)
    assert sick.doctor().findings == []


def a_link(host: SickHost) -> None:
    link = host.root / "srv/calls.csv"
    link.parent.mkdir()
    link.symlink_to(host.master)
    reads(host, link)


def a_link_to_the_folder(host: SickHost) -> None:
    moved_and_gone(host)
    host.master.parent.rmdir()
    host.master.parent.symlink_to(host.root / "srv/log/cdr-csv")


def an_accounts(host: SickHost) -> None:
    reads(host, copied(host, host.master.with_name("acme.csv"), 30 * DAY))


def an_accounts_beside_another(host: SickHost) -> None:
    host.more("source acme", "type = asterisk_csv", f"path = {host.master.with_name('acme.csv')}")


def a_copy_that_grows(host: SickHost) -> None:
    reads(host, copied(host, host.root / "srv/Master.csv", DAY))


def a_copy_that_grows_where_it_was(host: SickHost) -> None:
    moved(host)
    host.master.touch()


def another_hosts(host: SickHost) -> None:
    reads(host, copied(host, host.root / "mnt/pbx2/Master.csv", 3 * DAY))


def no_call_yet(host: SickHost) -> None:
    host.master.unlink()


def cdr_customs(host: SickHost) -> None:
    """Which may be anywhere."""
    host.write("cdr_custom.conf", "[mappings]\n../mine/Calls.csv => ${CSV_QUOTE(${CDR(clid)})}\n")
    reads(host, copied(host, host.master.parent.with_name("mine") / "Calls.csv"))


@pytest.mark.parametrize(
    "edit",
    [
        a_link, a_link_to_the_folder, an_accounts, an_accounts_beside_another, a_copy_that_grows,
        a_copy_that_grows_where_it_was, another_hosts, no_call_yet, cdr_customs,
    ],
)  # fmt: skip
def test_what_has_the_calls_is_well(sick: SickHost, edit: Edit) -> None:
    edit(sick)
    found: list[Finding] = sick.doctor().findings
    assert found == []


def test_check_names_the_file_that_asterisk_writes(sick: SickHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asterisk, "ROOT", sick.root)

    def says(path: Path) -> str:
        with pytest.raises(NothingYet) as raised:
            AsteriskCsv(AsteriskCsvSettings("master-csv", path, "beginning", False), ZONE).check()
        return str(raised.value)

    misspelt = sick.master.with_name("master.csv")
    assert says(misspelt).startswith(
        f"{misspelt}: does not exist; this host's Asterisk writes /var/log/asterisk/cdr-csv/"
    )
    sick.master.unlink()
    assert "Asterisk makes it with the first call" in says(sick.master)
    (sick.etc / "cdr.conf").write_text("[general]\n")
    assert "if cdr.conf has a [csv]" in says(misspelt)
