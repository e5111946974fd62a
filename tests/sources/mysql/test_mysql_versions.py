"""What servers of old are asked: nothing that they don't know, by what their makers' manuals say of each statement."""

import pytest

from humbug_agent.sources.mysql.table import at_first, limited

READ_ONLY, UNCACHED = "SET SESSION TRANSACTION READ ONLY", "SET SESSION information_schema_stats_expiry = 0"

SERVERS = {
    # As they greet: version -> read only, uncached, what limits a question.
    "5.5.68-MariaDB": (False, False, ""),
    "5.5.5-10.0.38-MariaDB": (True, False, ""),
    "5.5.5-10.1.48-MariaDB-0ubuntu0.18.04.1": (True, False, "SET STATEMENT"),
    "5.5.5-10.11.6-MariaDB-0+deb12u1": (True, False, "SET STATEMENT"),
    "11.4.2-MariaDB-ubu2404": (True, False, "SET STATEMENT"),
    "5.1.73": (False, False, ""),
    "5.5.62-log": (False, False, ""),
    "5.6.51": (True, False, ""),
    "5.7.44-48": (True, False, "max_execution_time"),
    "8.0.36-0ubuntu0.22.04.1": (True, True, "max_execution_time"),
    "8.4.0": (True, True, "max_execution_time"),
    "9.1.0": (True, True, "max_execution_time"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_is_told_what_its_version_knows(server: str) -> None:
    read_only, uncached, limit = SERVERS[server]
    first = at_first(server)
    assert (READ_ONLY in first, UNCACHED in first) == (read_only, uncached)
    before, sql = limited(server, 12, "SELECT 1")
    assert (f"{before} {sql}".find(limit) >= 0) if limit else (before, sql) == ("", "SELECT 1")
    assert sql.endswith("SELECT 1")
