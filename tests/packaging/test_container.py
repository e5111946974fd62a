"""The package where no systemd runs, and the recipe that puts it into a container."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.packaging.machine import Machine
from tests.packaging.pbx import INI

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

RECIPE = (TOP / "packaging" / "container" / "Containerfile").read_text()


@pytest.mark.parametrize("unbooted", ["trixie"], indirect=True)
def test_the_recipes_steps_make_a_container_that_runs_it(unbooted: Machine, deb: Path) -> None:
    """Its instructions, carried out as its program would; what they fetch of Debian is in the root already."""
    steps = dict(re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", RECIPE, re.MULTILINE))
    pattern, target = steps["COPY"].split()
    assert deb.match(pattern)
    shutil.copy(deb, unbooted.root / target[1:])
    packages = re.sub(r"apt-get update|systemd-standalone-sysusers|zstd", "", steps["RUN"].replace("\\\n", ""))
    unbooted.run_unbooted("sh", "-ec", packages.lstrip(" &"))
    assert not list((unbooted.root / "tmp").glob("*.deb"))
    command = json.loads(steps["ENTRYPOINT"])
    (unbooted.root / "etc/humbug-agent/agent.ini").write_text(INI)
    said = unbooted.run_unbooted(*command, "--version", user=steps["USER"])
    assert said.startswith("humbug-agent, version ")
    assert "18 calls were written, 18 have arrived, 0 of them twice." in unbooted.run_unbooted(
        *command, "demo", user=steps["USER"]
    )
    # No call so far, and no receiver: all that could be sent is.
    (unbooted.root / "var/log/asterisk/cdr-csv").mkdir(parents=True)
    assert "0 sent, 0 waiting, 0 dead, 0 rejects" in unbooted.run_unbooted(
        *command, *json.loads(steps["CMD"]), "--once", user=steps["USER"]
    )
    assert (unbooted.root / steps["VOLUME"][1:] / "outbox.db").stat().st_mode & 0o077 == 0
