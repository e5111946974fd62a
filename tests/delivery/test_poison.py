"""Calls that always fail, many of them in a row: they must not hold up those that would get through."""

import time

import pytest

from tests.kit.rude import Act, Rude, until
from tests.kit.sending import Ask, Filled, Make, Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("status", [500, 403])
def test_a_hundred_calls_that_always_fail_do_not_hold_up_those_behind_them(
    filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None, status: int
) -> None:
    keys = filled(300)
    poison = set(keys[:100])
    with Rude(lambda request: Act(status=status if request.key in poison else 200)) as server:
        began = time.monotonic()
        with running(humbug(server.url, connections=4)):
            until(lambda: ask("SELECT count(*) FROM deliveries WHERE state = 'sent'") == [200], 20, "the good ones")
        print(
            f"200 good calls behind 100 bad ones took {time.monotonic() - began:.1f} s, {len(server.requests)} requests"
        )
        assert len(server.requests) < 1000


def test_a_lone_call_that_always_fails_does_not_hold_up_what_comes_later(
    filled: Filled, humbug: Make, running: Run, ask: Ask, hasty: None
) -> None:
    (poison,) = filled(1)
    with (
        Rude(lambda request: Act(status=500 if request.key == poison else 200)) as server,
        running(humbug(server.url)) as run,
    ):
        until(lambda: server.arrived().count(poison) >= 3, 10, "some tries")
        filled(5)
        run.delivery.wake()
        until(lambda: ask("SELECT count(*) FROM deliveries WHERE state = 'sent'") == [5], 5, "the others")
