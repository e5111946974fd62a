"""What is shipped beside the program: the systemd units, the user they run as, the two commands of the README."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from humbug_agent.outbox import spill
from tests.kit.paths import TOP

pytestmark = pytest.mark.slow

SYSTEMD = TOP / "systemd"
UNIT = SYSTEMD / "humbug-agent.service"
NAMES = ["humbug-agent.service", "humbug-agent@office.service", "humbug-receiver.service"]
DROP_INS = sorted((SYSTEMD / "drop-ins").glob("*.conf"))
analyzed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with all units, and one of the template's."""
    subprocess.run([SYSTEMD / "units", tmp_path], check=True)
    shutil.copy(tmp_path / "humbug-agent@.service", tmp_path / NAMES[1])
    return tmp_path


def put_beside(unit: Path, drop_ins: list[Path]) -> None:
    """As an admin does."""
    folder = unit.with_name(f"{unit.name}.d")
    folder.mkdir()
    for drop_in in drop_ins:
        (folder / drop_in.name).symlink_to(drop_in)


@analyzed
@pytest.mark.parametrize("drop_ins", [[], DROP_INS], ids=["alone", "with drop-ins"])
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_wrong_with_the_units(units: Path, name: str, drop_ins: list[Path]) -> None:
    put_beside(units / name, drop_ins)
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"}
    command = ["systemd-analyze", "verify", "--man=no", str(units / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout + done.stderr == ""


@analyzed
@pytest.mark.parametrize("drop_ins", [[], *([one] for one in DROP_INS)], ids=["alone", *(one.stem for one in DROP_INS)])
@pytest.mark.parametrize("name", NAMES)
def test_systemd_thinks_the_units_are_well_locked_in(units: Path, name: str, drop_ins: list[Path]) -> None:
    put_beside(units / name, drop_ins)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(units / name)], capture_output=True, text=True, check=True
    )
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) < 1.6


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_systemd_can_make_the_user_and_makes_no_pbxs_group(tmp_path: Path) -> None:
    (tmp_path / "etc" / "sysusers.d").mkdir(parents=True)
    shutil.copy(SYSTEMD / "humbug-agent.sysusers", tmp_path / "etc" / "sysusers.d" / "humbug-agent.conf")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", "humbug-agent.conf"], check=True)
    assert "humbug-agent" in (tmp_path / "etc" / "passwd").read_text()
    assert re.fullmatch(r"humbug-agent:x:\d+:\nhumbug-receiver:x:\d+:\n", (tmp_path / "etc" / "group").read_text())


def test_what_could_not_be_stored_at_a_stop_outlives_the_unit() -> None:
    """By itself systemd removes the directory with the process."""
    lines = UNIT.read_text().splitlines()
    said = ("RuntimeDirectory=humbug-agent", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes")
    assert set(said) <= {*lines}
    assert spill.RUNTIME == "/run/humbug-agent"


def test_the_journal_knows_it_by_its_name_and_a_reload_waits_for_its_answer() -> None:
    lines = UNIT.read_text().splitlines()
    assert "SyslogIdentifier=humbug-agent" in lines
    assert [line for line in lines if line.startswith("ExecReload=")] == ["ExecReload=/usr/bin/env humbug-agent reload"]


def test_ci_runs_the_very_test_command_of_the_readme() -> None:
    command = re.search(
        r"One line sets up and passes the tests.*?```sh\n(.*?)\n```", (TOP / "README.md").read_text(), re.S
    )
    assert command
    assert command[1] in (TOP / ".ci" / "run").read_text().splitlines()


@pytest.mark.timeout(600)
def test_the_readmes_first_command_works_in_a_folder_with_a_space_and_twice_in_a_row(tmp_path: Path) -> None:
    command = re.search(r"## See it work.*?```sh\n(.*?)\n```", (TOP / "README.md").read_text(), re.S)
    assert command
    folder = tmp_path / "humbug agent"
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "tests")
    shutil.copytree(TOP, folder, ignore=ignored)
    for _ in range(2):
        done = subprocess.run(["sh", "-c", command[1]], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "18 calls were written, 18 have arrived, 0 of them twice." in done.stdout
