"""What the waits between two tries owe to each other. That they are kept, tests/delivery and tests/sources show."""

import itertools

import pytest

from humbug_agent import backoff
from humbug_agent.backoff import Growth, jittered

GROWTHS = {name: value for name, value in vars(backoff).items() if isinstance(value, Growth)}
MOST_JITTER = 1.25


@pytest.mark.parametrize("name", GROWTHS)
def test_a_wait_doubles_up_to_the_longest_and_stays_there(name: str) -> None:
    growth = GROWTHS[name]
    waits = [growth.after(failures) for failures in range(1, 40)]
    assert waits[0] == growth.first
    assert all(later == min(2 * wait, growth.longest) for wait, later in itertools.pairwise(waits))
    assert waits[-1] == growth.longest


def test_jitter_is_a_quarter_at_most() -> None:
    waits = [jittered(1.0) for _ in range(1000)]
    assert 0.75 <= min(waits) < 0.8
    assert 1.2 < max(waits) <= MOST_JITTER


def test_no_delivery_is_put_off_for_longer_than_a_wait_that_a_start_believes() -> None:
    """What is due later than this was put off by a clock that was since set back, and is made due."""
    own = max(backoff.DELIVERY.longest, backoff.PAUSED.longest)
    assert max(MOST_JITTER * own, backoff.LONGEST_RETRY_AFTER) < backoff.LONGEST_PUT_OFF


def test_a_paused_destination_is_asked_less_often_than_one_that_is_away() -> None:
    assert backoff.PAUSED.first > backoff.DESTINATION.first
    assert backoff.PAUSED.longest > backoff.DESTINATION.longest


def test_a_connection_that_tells_each_call_once_is_made_again_before_anything_else_is() -> None:
    assert backoff.CONNECTION.longest < min(one.longest for one in GROWTHS.values() if one is not backoff.CONNECTION)
