"""The page of history: charts, each with its table, that fit and can be read."""

from typing import Any

import pytest

from tests.web.page.page_data import afternoon
from tests.web.page.page_view import CONTRASTS, Page

# Names that lie over what is beside them.
BEYOND = """
const right = (node) => node.getBoundingClientRect().right;
return [...document.querySelectorAll(".names span")].filter((one) => right(one) > right(one.parentNode) + 1)
  .map((one) => one.innerText);
"""


def told() -> dict[str, Any]:
    times = [f"{n // 4:02}:{n % 4 * 15:02}" for n in range(96)]
    return {
        "now": "2026-11-21T14:03:07+01:00",
        "today": {"date": "2026-11-21", "quarters": [{"time": one, "answered": 3, "missed": 1} for one in times[:57]]},
        "week_ago": {"date": "2026-11-14", "quarters": [{"time": one, "answered": 2, "missed": 0} for one in times]},
        "weeks": 4,
        "hours": [[day * 24 + hour for hour in range(24)] for day in range(7)],
        "countries": [
            {"country": "Switzerland", "calls": 900, "answered": 700, "minutes": 2100},
            {"country": "", "calls": 3, "answered": 1, "minutes": 2},
        ],
    }


def empty() -> dict[str, Any]:
    return told() | {"today": {"date": "2026-11-21", "quarters": []}, "hours": [[0] * 24] * 7, "countries": []}


def show(page: Page, answer: object, code: int = 200, width: int = 1280, *, dark: bool = False) -> None:
    page.server.show(afternoon())
    page.server.answers["history.json"] = code, answer
    page.browser.screen(width, 900, dark=dark)
    page.browser.go(page.server.url + "history")
    page.until(lambda: page.text("#as-of") != "Asking the agent \u2026")


def test_each_chart_says_what_it_shows_and_has_its_table(page: Page) -> None:
    show(page, told())
    assert page.text("#as-of") == "As it was at 14:03:07"
    day, hours, countries = page.texts("figcaption")
    assert day == (
        "171 answered and, above them, 57 missed today (bars), 114 and 0 until the same time a week ago (line: "
        "2026-11-14); at most 4 in a quarter of an hour"
    )
    assert "most on Sundays at 23:00, 167" in hours
    assert "Switzerland first with 2,100" in countries
    for one in ("day", "hours", "countries"):
        assert page.browser.run("return document.querySelector(arguments[0]).getAttribute('aria-label')", f"#{one} svg")
        page.browser.run("document.querySelector(arguments[0]).open = true", f"#{one} details")
    assert page.texts("#day tbody tr")[57:58] == ["14:15\t\t\t2\t0"]
    assert page.texts("#day tbody tr")[0] == "00:00\t3\t1\t2\t0"
    assert page.texts("#hours tbody tr")[23] == "23:00\t23\t47\t71\t95\t119\t143\t167"
    assert page.texts("#countries tbody tr") == ["Switzerland\t900\t700\t2,100", "not known\t3\t1\t2"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits_and_can_be_read(page: Page, width: int, dark: bool) -> None:
    named = {"country": "Telecommunications for Disaster Relief", "calls": 1, "answered": 1, "minutes": 1}
    for answer in (told(), told() | {"countries": [named]}, empty()):
        show(page, answer, width=width, dark=dark)
        page.browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.browser.run(BEYOND) == []
        assert [found for found in page.browser.run(CONTRASTS) if found[0] < 4.5] == []


def test_when_there_is_no_news_it_says_so(page: Page) -> None:
    show(page, "no", code=503)
    assert page.text("#as-of").startswith("No news from the agent: it answers 503")
