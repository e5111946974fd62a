"""The package, built once a run, and a clean Debian of each version to install it in."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.machine import SUITES, BootError, Machine, place, why_not
from tests.packaging.pbx import give_asterisk, start_asterisk
from tests.pbx import pbx_host


def not_here(reason: str) -> None:
    # Where they must be there, a skipped test would look like a good one.
    (pytest.fail if os.environ.get("HUMBUG_TEST_ROOTS_REQUIRED") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("dpkg-deb"):
        not_here("dpkg-deb is not installed")
    # Of all that run tests at the same time, who comes first builds it for the others.
    mine = tmp_path_factory.getbasetemp()
    folder = (mine.parent if os.environ.get("PYTEST_XDIST_WORKER") else mine) / "deb"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("*.deb")):
            subprocess.run([TOP / "packaging" / "deb" / "build", folder], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.deb"))


@pytest.fixture(params=SUITES)
def unbooted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """Where one of them is enough, a test names it."""
    if reason := why_not():
        not_here(reason)
    with Machine(place() / request.param, tmp_path) as machine:
        yield machine


@pytest.fixture
def machine(unbooted: Machine) -> Machine:
    try:
        unbooted.boot()
    except BootError as error:
        not_here(f"systemd-nspawn boots no Debian here: {error}")
    return unbooted


@pytest.fixture(params=["asterisk", "freepbx-17"])
def pbx(request: pytest.FixtureRequest, unbooted: Machine) -> Machine:
    """A Debian on which a real Asterisk runs, as its package or FreePBX leaves it."""
    if reason := pbx_host.why_not():
        not_here(reason)
    give_asterisk(unbooted, request.param)
    booted: Machine = request.getfixturevalue("machine")
    start_asterisk(booted)
    return booted
