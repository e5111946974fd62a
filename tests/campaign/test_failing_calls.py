"""What the campaign found that failing system calls do to the agent, each without chance."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaign.battle import PATIENCE_SECONDS
from tests.campaign.faults import Front, front
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

SEED = 1


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Front]:
    """An agent that has delivered some calls."""
    with front(tmp_path, SEED, []) as made:
        made.field.agent.start()
        for _ in range(20):
            made.field.master.add()
        arrive(made)
        yield made


def arrive(there: Front) -> None:
    wait_until(lambda: there.field.received() == len(there.field.master.written), PATIENCE_SECONDS)


def lived_through_it(there: Front) -> None:
    """Whether it is the same process with the same outbox, and takes calls."""
    there.shim.heal()
    there.field.master.add()
    arrive(there)
    agent = there.field.agent
    assert agent.stop() == 0, agent.tail()
    assert sorted(agent.outbox.parent.glob("outbox.db.*")) == [agent.outbox.with_name("outbox.db.lock")]
    assert agent.log().count("---") == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_disk_that_does_not_read_for_a_while_is_no_damage(there: Front, times: int) -> None:
    """SQLite calls it damaged where a read ends with EIO, and the agent moved its outbox aside, or ended."""
    agent = there.field.agent

    def says(what: str, often: int) -> bool:
        there.field.master.add()
        assert agent.live(0.1) is None, agent.tail()
        return agent.log().count(what) == often

    for often in range(1, times + 1):
        there.shim.let_fail("outbox", "read", errno.EIO)
        wait_until(lambda: says("makes no sense", often), PATIENCE_SECONDS)  # noqa: B023
        # It is looked at again, which that keeps from being done, too.
        wait_until(lambda: says("disk I/O error. Trying again", often), PATIENCE_SECONDS)  # noqa: B023
        assert agent.live(1) is None, agent.tail()
        there.shim.heal()
        there.field.master.add()
        arrive(there)
    lived_through_it(there)
    assert not agent.said("damaged"), agent.tail()


def test_an_outbox_that_nobody_can_look_for_is_not_taken_away(there: Front) -> None:
    agent = there.field.agent
    there.shim.let_fail("outbox", "stat", errno.EIO)
    before = there.shim.failed("outbox")

    def is_met() -> bool:
        assert agent.live(0.1) is None, agent.tail()
        return there.shim.failed("outbox") > before + 2

    wait_until(is_met)
    lived_through_it(there)


def test_a_lock_that_cant_be_written_is_named(there: Front) -> None:
    agent = there.field.agent
    assert agent.stop() == 0
    there.shim.let_fail("outbox", "write", errno.ENOSPC)
    agent.start()
    assert agent.live(PATIENCE_SECONDS) == 1
    assert f"{agent.outbox}.lock: No space left on device" in agent.log()
