"""What a source's records tell of its zone goes on after a restart, and what is not of that kind is left."""

from zoneinfo import ZoneInfo

import pytest

from humbug_agent.sources.zone_watch import LastingWatch

KYIV = ZoneInfo("Europe/Kyiv")


@pytest.mark.parametrize("kept", ["", "x", "1,x in Europe/Kyiv", "in Europe/Kyiv", " in Europe/Kyiv", "7200 in UTC"])
def test_what_a_damaged_outbox_or_another_zone_kept_tells_nothing(kept: str) -> None:
    watch = LastingWatch(KYIV)
    watch.go_on(kept)
    assert watch.seen == ""


def test_what_was_kept_goes_on() -> None:
    before, after = LastingWatch(KYIV), LastingWatch(KYIV)
    for made in (1000.0, 2000.0, 3000.0):
        before.began(made + 7200, made)
    after.go_on(before.seen)
    assert after.shift() == before.shift() == 7200
