"""`doctor` on a real Asterisk: nothing where all is well, and what is not by its code, from its files and from AMI."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from humbug_agent.cli.doctoring import doctor
from humbug_agent.host.codes import Code
from tests.kit.host import Host
from tests.pbx.pbx_daemon import Daemon, OnPath
from tests.pbx.pbx_host import Pbx

pytestmark = pytest.mark.slow


def as_seen_by_itself(pbx: Pbx, folder: Path) -> Path:
    """A root in which this instance's files stand where its own Asterisk has them."""
    inside = pbx.home.relative_to(pbx.root)
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/asterisk").symlink_to(pbx.home / "etc")
    (folder / inside.parent).mkdir()
    (folder / inside).symlink_to(pbx.home)
    shutil.copy("/usr/share/zoneinfo/UTC", folder / "etc/localtime")
    return folder


def found(host: Host, pbx: Pbx, user: str = "humbug") -> set[Code]:
    Daemon(host, pbx, user=user)
    with OnPath(pbx):
        report = doctor(host.ini, as_seen_by_itself(pbx, host.folder / user))
    assert report.unread == []
    return {one.code for one in report.findings}


def test_nothing_is_found_on_one_that_is_well(host: Host, pbx: Callable[..., Pbx]) -> None:
    assert found(host, pbx(csv="full")) == set()


def test_what_is_wrong_has_its_code(host: Host, pbx: Callable[..., Pbx]) -> None:
    one = pbx(csv="default", batch=(100, 300), cdr_manager=False)
    assert found(host, one, "humbug") == {Code.NO_UNIQUEID, Code.BATCH, Code.EVENTS_OFF}
    assert found(host, one, "callonly") == {
        Code.NO_UNIQUEID, Code.BATCH, Code.EVENTS_OFF, Code.AMI_BLIND, Code.AMI_MIGHTY,
    }  # fmt: skip


def test_ami_tells_what_the_files_do_not(host: Host, pbx: Callable[..., Pbx]) -> None:
    """They are those of tomorrow: nobody has reloaded them."""
    one = pbx(csv="full", cdr_manager=False)
    (one.home / "etc/cdr_manager.conf").write_text("[general]\nenabled = yes\n")
    assert found(host, one) == {Code.EVENTS_OFF}
