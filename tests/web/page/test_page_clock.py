"""The page when a clock is set while it is open, the reader's or the PBX's, and when the reader's host has slept."""

import re
from typing import Any

from tests.web.page.page_data import afternoon
from tests.web.page.page_view import KNOWN, Page

HOUR = 3600
WATCH = """
window.kinds = new Set();
const top = document.querySelector("#top");
new MutationObserver(() => window.kinds.add(top.dataset.kind)).observe(top, { attributes: true });
"""


def clock(page: Page) -> str:
    return page.text("#clock")


def test_a_readers_clock_that_is_set_is_no_news(page: Page) -> None:
    page.open(afternoon())
    for seconds in (HOUR, -2 * HOUR, HOUR):
        page.browser.run(WATCH)
        asked = page.server.asked
        page.sets_clock(seconds)
        if seconds > 0:
            # Whether it slept nobody knows, so it asks at once.
            page.until(lambda asked=asked: page.server.asked == asked + 1)
        page.show(afternoon())
        assert page.browser.run("return [...window.kinds]") == []
        assert clock(page).startswith("14:03:")
        assert re.fullmatch(r"1:0\d", page.rows("calls")[0][5])
        assert page.texts("#remark") == []


def test_the_age_is_right_whatever_the_readers_clock_says(page: Page) -> None:
    page.open(afternoon())
    with page.server.gone():
        page.until(lambda: page.text("#remark"))
        page.sets_clock(-HOUR)
        page.later(11)
        page.until(lambda: not page.browser.run(KNOWN))
        assert re.match(r"Since 14:03:\d\d, for 0:1\d: ", page.text("#troubles .words"))
    page.until(lambda: page.browser.run(KNOWN))


def test_after_a_sleep_it_does_not_show_what_was_before(page: Page) -> None:
    """Its own clock has stood still meanwhile, and the connection may look alive."""
    page.open(afternoon())
    with page.server.gone():
        page.sets_clock(HOUR)
        page.until(lambda: not page.browser.run(KNOWN))
        assert re.match(r"Since 14:03:\d\d, for 1:00:\d\d: ", page.text("#troubles .words"))


def test_the_pbxs_clock_may_be_set_either_way(page: Page) -> None:
    page.open(afternoon())
    for hour in ("13", "15", "14"):
        set_to: Any = afternoon() | {"now": f"2026-11-21T{hour}:03:07+01:00"}
        page.show(set_to)
        page.until(lambda hour=hour: clock(page).startswith(f"{hour}:03:"))
        assert re.fullmatch(r"1:0\d", page.rows("calls")[0][5])
