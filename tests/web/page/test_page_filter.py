"""Which rows the desk shows, and in which order: in its address, by the keyboard, and back again."""

import pytest

from tests.web.page.page_data import afternoon, board, call, status
from tests.web.page.page_view import KNOWN, OVERFLOWS, Page

TAB, ENTER, SPACE = "\ue004", "\ue007", "\ue00d"


def opened(page: Page, query: str, width: int = 1280) -> None:
    page.server.show(afternoon())
    page.browser.screen(width, 900)
    page.browser.go(f"{page.server.url}{query}")
    page.browser.until(lambda: page.browser.run(KNOWN))


def callers(page: Page) -> list[str]:
    return [row[0].partition(" / ")[0] for row in page.rows("calls")]


def agents(page: Page) -> list[str]:
    return [row[0] for row in page.rows("agents")]


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
    assert page.texts("#calls-empty") == ([] if shown else ["None of the calls."])
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
    assert page.browser.run("return location.search") == "?queue=sales&state=waiting"
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


def test_a_queue_and_a_text_choose_among_queues_and_agents_too(page: Page) -> None:
    opened(page, "?queue=sales")
    assert [row[0] for row in page.rows("queues")] == ["sales"]
    assert agents(page) == ["Bruno Keller", "Dora Frei", "Finn Berger"]
    opened(page, "?text=finn")
    assert (callers(page), agents(page)) == ([], ["Finn Berger"])
    assert [row[0] for row in page.rows("queues")] == ["sales"]
    opened(page, "?text=pjsip/203")
    assert agents(page) == ["Carla Rossi"]


@pytest.mark.parametrize(
    ("state", "calls", "found"),
    [
        ("idle", 7, ["Finn Berger"]),
        ("paused", 7, ["Carla Rossi"]),
        ("ringing", 1, ["Dora Frei"]),
        # No agent can be in this state, so all of them stay.
        ("waiting", 2, 6),
        ("busy", 7, []),
    ],
)
def test_a_state_chooses_among_those_that_can_be_in_it(page: Page, state: str, calls: int, found: object) -> None:
    opened(page, f"?state={state}")
    assert len(callers(page)) == calls
    assert (len(agents(page)) if isinstance(found, int) else agents(page)) == found


def heads(page: Page, kind: str) -> dict[str, str]:
    """Heading -> its order."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => [one.innerText, one.ariaSort])"
    return dict(page.browser.run(script, f"table.{kind} thead th"))


def click(page: Page, kind: str, head: str) -> None:
    script = "[...document.querySelectorAll(arguments[0])].find((one) => one.innerText === arguments[1]).click()"
    page.browser.run(script, f"table.{kind} thead button", head)


def test_every_column_sorts_both_ways(page: Page) -> None:
    opened(page, "")
    for kind in ("queues", "calls", "agents"):
        for head in [head for head in heads(page, kind) if head != "PBX"]:
            click(page, kind, head)
            first = [row[0] for row in page.rows(kind)]
            click(page, kind, head)
            orders = {one: order for one, order in heads(page, kind).items() if order != "none"}
            assert orders.keys() == {head}
            assert sorted(row[0] for row in page.rows(kind)) == sorted(first), head


def test_an_order_is_in_the_address_and_left_by_the_back_button(page: Page) -> None:
    opened(page, "?agents=-calls")
    assert agents(page)[-2:] == ["Finn Berger", "Emil Huber"], "fewest calls, and one whose calls are not known"
    click(page, "agents", "Calls")
    assert page.browser.run("return location.search") == "?agents=calls"
    assert (agents(page)[0], agents(page)[-1]) == ("Finn Berger", "Emil Huber")
    click(page, "calls", "Wait")
    assert page.browser.run("return location.search") == "?agents=calls&calls=-wait"
    assert callers(page)[:3] == ["+4915112345678", "Lambeth Dental", "+33142685300"]
    choose(page, "queue", "support")
    assert callers(page) == ["+4915112345678", "+33142685300", "+41442681234"]
    for query in ("?agents=calls&calls=-wait", "?agents=calls"):
        page.browser.run("history.back()")
        page.until(lambda: page.browser.run("return location.search") == query)  # noqa: B023
    page.until(lambda: callers(page)[0] == "+41442681234")
    assert heads(page, "agents")["Calls"] == "ascending"
    # What is not known, or no column, is no order.
    opened(page, "?calls=nonsense")
    assert callers(page)[0] == "+41442681234"
    assert set(heads(page, "calls").values()) == {"none"}


def test_durations_that_run_stay_in_their_order(page: Page) -> None:
    opened(page, "?calls=for")
    before = callers(page)
    assert before[0] == "Workshop"
    clock = page.text("#clock")
    page.until(lambda: page.text("#clock") != clock)
    assert callers(page) == before


def test_the_keyboard_sorts_and_stays_where_it_is(page: Page) -> None:
    opened(page, "")
    page.browser.run("document.querySelector('.queues thead button').focus()")
    page.browser.press(TAB)
    assert page.browser.run("return document.activeElement.innerText") == "Waiting"
    page.browser.press(ENTER)
    assert heads(page, "queues")["Waiting"] == "descending"
    assert page.rows("queues")[0][0] == "support"
    page.browser.press(SPACE)
    assert heads(page, "queues")["Waiting"] == "ascending"
    assert page.browser.run("return document.activeElement.innerText") == "Waiting"


def test_the_way_between_the_views_is_the_browsers(page: Page) -> None:
    opened(page, "?queue=sales&agents=-calls")

    def sees(view: str) -> bool:
        return page.texts("#views [aria-current]") == [view] and bool(page.browser.run(KNOWN))

    views = ["Desk", "Wall", "Delivery"]
    for view in views[1:]:
        page.browser.run("document.querySelectorAll('#views a')[arguments[0]].focus()", views.index(view))
        page.browser.press(ENTER)
        page.until(lambda: sees(view))  # noqa: B023
    for view in views[1::-1]:
        page.browser.run("history.back()")
        page.until(lambda: sees(view))  # noqa: B023
    assert page.browser.run("return location.search") == "?queue=sales&agents=-calls"
    assert callers(page) == ["Lambeth Dental"]
    assert agents(page) == ["Bruno Keller", "Dora Frei", "Finn Berger"]
