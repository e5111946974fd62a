"""`doctor` beside a real Asterisk on a booted Debian: each mistake is found alone, and among all others."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from humbug_agent.host.codes import Code
from tests.packaging.machine import Machine, wait_until
from tests.packaging.mistakes import ALONE, ENDS_READING, LATE, LIVE, MEND, MISTAKES, PREPARE, WORDS
from tests.packaging.pbx import initialised

# The first of them builds the package.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Host:
    """A host that `init` has set up, with calls of its own; and what is planted in it."""

    def __init__(self, machine: Machine, deb: Path) -> None:
        self.machine = machine
        initialised(machine, deb)
        authority, now = trustme.CA(), datetime.now(UTC)
        old = authority.issue_cert("127.0.0.1", not_before=now - timedelta(9), not_after=now - timedelta(1))
        self._pem("old", old.private_key_and_cert_chain_pem.bytes())
        self._pem("others", authority.issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
        machine.write("/root/late.py", LATE)
        machine.run("systemd-run", "--quiet", "--unit", "late", "python3", "/root/late.py")
        self.shell("call 1")
        self.shell(PREPARE)

    def _pem(self, name: str, content: bytes) -> None:
        path = f"/etc/humbug-agent/{name}.pem"
        self.machine.write(path, content)
        self.machine.run("sh", "-ec", f"chown root:humbug-agent {path}; chmod 0640 {path}")

    def shell(self, script: str) -> None:
        self.machine.run("sh", "-ec", WORDS + script)

    def codes(self) -> set[str]:
        """What doctor finds."""
        return {one["code"] for one in json.loads(self.machine.run("humbug-agent", "doctor", "--json", code=None))}

    def finds(self, codes: set[str]) -> Callable[[], bool]:
        return lambda: self.codes() == codes


@pytest.fixture
def host(pbx: Machine, deb: Path) -> Host:
    return Host(pbx, deb)


@pytest.mark.parametrize(
    ("pbx", "unbooted"),
    [("asterisk", "bookworm"), ("freepbx-15", "trixie"), ("freepbx-17", "bookworm"), ("freepbx-17-upgraded", "trixie")],
    indirect=True,
)
def test_each_mistake_is_found_alone_and_among_all_others(host: Host) -> None:
    assert host.codes() == set()
    for codes, mistake in MISTAKES:
        host.shell(mistake)
        assert host.codes() == set(codes.split()), mistake
        host.shell(MEND)
        assert host.codes() == set(), mistake
    for step, codes in LIVE:
        host.shell(step)
        wait_until(host.finds(set(codes.split())))
    counted = each_code(codes for _, codes in LIVE)
    planted = each_code(codes for codes, _ in MISTAKES)
    assert counted | planted == set(Code)
    for last in (False, True):
        for codes, mistake in MISTAKES:
            if codes not in ALONE and (codes in ENDS_READING) is last:
                host.shell(mistake)
        assert host.codes() >= planted - ALONE - (set() if last else ENDS_READING) | (set() if last else counted)


def each_code(several: Iterable[str]) -> set[str]:
    return set(" ".join(several).split())
