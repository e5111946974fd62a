"""Which of the calls the page shows: by text, state and queue, in its address, by the keyboard, and back again."""

import pytest

from tests.web.page.page_data import afternoon, board, call, status
from tests.web.page.page_view import KNOWN, OVERFLOWS, Page


def opened(page: Page, query: str, width: int = 1280) -> None:
    page.server.show(afternoon())
    page.browser.screen(width, 900)
    page.browser.go(f"{page.server.url}{query}")
    page.browser.until(lambda: page.browser.run(KNOWN))


def callers(page: Page) -> list[str]:
    return [row[0].partition(" / ")[0] for row in page.rows("calls")]


def choose(page: Page, field: str, value: str) -> None:
    """As a reader does: the value changes, and the page is told."""
    script = """
        const field = document.getElementById(`filter-${arguments[0]}`);
        if (field.matches("input")) field.value = arguments[1];
        else field.selectedIndex = [...field.options].findIndex((one) => one.text === arguments[1]);
        field.dispatchEvent(new Event(field.tagName === "INPUT" ? "input" : "change", {bubbles: true}));
    """
    page.browser.run(script, field, value)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?queue=support", ["+41442681234", "+4915112345678", "+33142685300"]),
        ("?queue=support&state=waiting", ["+4915112345678", "+33142685300"]),
        ("?state=dialling", ["Workshop"]),
        ("?text=LAMBETH", ["Lambeth Dental"]),
        ("?text=+41791234567".replace("+", "%2B"), ["Reception"]),
        ("?text=pjsip/107", ["Workshop"]),
        ("?text=nobody", []),
    ],
)
def test_the_address_says_which_calls_are_shown(page: Page, query: str, shown: list[str]) -> None:
    opened(page, query)
    assert callers(page) == shown
    assert page.text("#calls-boards .empty") == ("" if shown else "None of the calls.")
    # The numbers are those of all calls all the same.
    assert page.number("calls") == "7"


def test_a_queue_that_is_gone_stays_chosen(page: Page) -> None:
    opened(page, "?queue=gone")
    assert callers(page) == []
    assert page.browser.run("return document.getElementById('filter-queue').value") == "gone"
    options = "return [...document.querySelectorAll('#filter-queue option')].map((one) => one.text)"
    assert page.browser.run(options) == ["Any queue", "sales", "support", "gone"]


def test_what_is_chosen_is_in_the_address_and_left_by_the_back_button(page: Page) -> None:
    opened(page, "")
    assert len(callers(page)) == 7
    choose(page, "queue", "sales")
    assert callers(page) == ["Lambeth Dental"]
    choose(page, "state", "waiting")
    assert callers(page) == []
    assert page.browser.run("return location.search") == "?state=waiting&queue=sales"
    page.browser.run("history.back()")
    page.until(lambda: callers(page) == ["Lambeth Dental"])
    page.browser.run("history.back()")
    page.until(lambda: len(callers(page)) == 7)
    assert page.browser.run("return document.getElementById('filter-queue').value") == ""


def test_the_keyboard_types_and_new_calls_are_judged_as_they_come(page: Page) -> None:
    opened(page, "")
    page.browser.run("document.getElementById('filter-text').focus()")
    for key in "desk":
        page.browser.press(key)
    page.until(lambda: callers(page) == ["Desk 101"])
    # No letter is sent on.
    page.browser.press("\ue007")
    assert page.browser.run("return location.search") == "?text=desk"
    page.show(status([board(calls=[call(1, from_name="Desk 7"), call(2, from_name="Anna")])]))
    assert callers(page) == ["Desk 7"]
    assert page.browser.run("return document.activeElement.id") == "filter-text"


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_a_queue_of_any_name_can_be_chosen_and_nothing_overflows(page: Page, width: int) -> None:
    answer = afternoon()
    name = "<b>\u202e" + "W" * 150
    answer["boards"][0]["queues"][0]["name"] = name
    answer["boards"][0]["calls"][0]["queue"] = name
    opened(page, "", width)
    page.show(answer)
    choose(page, "queue", name.replace("\u202e", "\\u202e"))
    assert callers(page) == ["+41442681234"]
    assert page.browser.run(OVERFLOWS) == []
    assert "\u202e" not in page.text("#filter-queue")
