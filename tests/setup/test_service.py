"""Commands on the host: which unit is started for which agent.ini."""

from pathlib import Path

import pytest

from humbug_agent.config import DEFAULT_PATH
from humbug_agent.setup import service


@pytest.mark.parametrize(
    ("config", "unit"),
    [
        (DEFAULT_PATH, "humbug-agent.service"),
        (Path("/etc/humbug-agent/office.ini"), "humbug-agent@office.service"),
        # It is the unit's by $HUMBUG_AGENT_CONFIG.
        (Path("/srv/agent.ini"), "humbug-agent.service"),
    ],
)
def test_an_instances_agent_ini_is_its_own_units(config: Path, unit: str) -> None:
    assert service.unit_of(config) == unit
