"""The wall: everything on one screen, nothing cut, and what has no place counted."""

import re

import pytest

from tests.web.page.page_data import board_down, status
from tests.web.page.page_hostile import NAMES
from tests.web.page.page_view import CONTRASTS, KNOWN, Page
from tests.web.page.wall_data import alarmed, floor, hostile_floor

QUEUE_TILES = ("waiting", "longest", "answered", "abandoned", "level", "free")
WALLS = [(1280, 720), (1920, 1080), (3840, 2160)]

# What reaches out of the window, of the box that it is in, or lies over something else.
MISPLACED = """
const found = [];
const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
if (arguments[0] && root.scrollHeight > root.clientHeight) found.push(`the page is ${root.scrollHeight} high`);
const inside = (one, box, what) => {
  const a = one.getBoundingClientRect(), b = box.getBoundingClientRect();
  if (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1)
    found.push(`${what} “${one.innerText}”: ${JSON.stringify(a)} not in ${JSON.stringify(b)}`);
};
for (const box of document.querySelectorAll("header, .fit li, #tiles li, section")) {
  if (!box.checkVisibility()) continue;
  for (const one of box.querySelectorAll("h1, h2, p, span, bdi, time, button, .value, #troubles li")) {
    // What is too long has its first lines here, and the rest in its tooltip.
    if (one.checkVisibility() && one.getClientRects().length && !one.matches(".unseen, #troubles li *"))
      inside(one, box, box.id || box.tagName);
  }
}
for (const row of document.querySelectorAll(".fit li")) if (arguments[0]) inside(row, row.closest(".fit"), "row");
for (const one of document.querySelectorAll(".value, .running, #choice a, h2, .more")) {
  if (one.checkVisibility() && !one.matches(".foreign") && one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
    found.push(`cut: ${one.innerText}`);
}
return found;
"""


def opened(page: Page, width: int, height: int, query: str = "", *, dark: bool = False) -> None:
    page.browser.screen(width, height, dark=dark)
    page.browser.go(f"{page.server.url}wall{query}")
    page.browser.until(lambda: page.browser.run(KNOWN))


def left(page: Page, part: str) -> int:
    """How many are said to have no place."""
    return sum(
        int(number.replace(",", "")) for text in page.texts(f"#{part}-more") for number in re.findall(r"[\d,]+", text)
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [*WALLS, (360, 740)])
def test_it_fits_whatever_there_is(page: Page, width: int, height: int, dark: bool) -> None:
    page.server.show(floor())
    opened(page, width, height, dark=dark)
    for agents, waits in ((20, 30), (0, 0), (1, 5), (3, 200), (200, 200)):
        page.show(floor(agents, waits))
        assert page.browser.run(MISPLACED, width > 1000) == [], (agents, waits)
        assert len(page.texts("#line-rows li")) + left(page, "line") == waits
        assert len(page.texts("#people-rows li")) + left(page, "people") == agents
        assert [found for found in page.browser.run(CONTRASTS) if found[0] < 4.5] == []
    for answer in (hostile_floor(), status([board_down(message="cannot connect: " + "x" * 400)]), status([])):
        page.show(answer)
        assert page.browser.run(MISPLACED, width > 1000) == []
        assert [found for found in page.browser.run(CONTRASTS) if found[0] < 4.5] == []


@pytest.mark.parametrize(("width", "height"), WALLS)
def test_twenty_agents_have_a_place_and_those_who_wait_longest(page: Page, width: int, height: int) -> None:
    page.server.show(floor())
    opened(page, width, height)
    assert len(page.texts("#people-rows li")) == 20
    rows = page.texts("#line-rows li")
    assert len(rows) >= 6
    assert rows[0].startswith("+41442000000")


LONG_NAMES = ["Kundendienst und Störungsannahme Nord " + "lang " * 9 + str(place) for place in range(3)]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("names", [(), LONG_NAMES, list(NAMES)], ids=["usual", "long", "hostile"])
@pytest.mark.parametrize(("width", "height"), [(1024, 576), *WALLS, (360, 740)])
def test_it_fits_however_many_queues_are_in_alarm(
    page: Page, width: int, height: int, names: list[str], dark: bool
) -> None:
    for number in (1, 8, 25, 60):
        page.server.show(alarmed(number, names))
        opened(page, width, height, dark=dark)
        # Also the first picture, before anything was drawn anew.
        assert page.browser.run(MISPLACED, width > 1000) == [], number
        agents, rows = len(page.texts("#people-rows li")), len(page.texts("#line-rows li"))
        assert (agents + left(page, "people"), rows + left(page, "line")) == (20, 30 + number)
        assert width == 1024 or (agents, rows >= 6) == (20, True), number
        assert number == 1 or f"{number} queues" in page.text("#troubles")
        assert [found for found in page.browser.run(CONTRASTS) if found[0] < 4.5] == []


def test_a_screen_that_changes_is_filled_anew(page: Page) -> None:
    page.server.show(floor(60, 60))
    opened(page, 1280, 720)
    before = len(page.texts("#people-rows li"))
    page.browser.screen(1920, 1080)
    page.until(lambda: len(page.texts("#people-rows li")) > before)
    page.until(lambda: page.browser.run(MISPLACED, True) == [])


def test_the_figures_are_those_of_the_queues_that_are_asked_for(page: Page) -> None:
    page.server.show(floor())
    opened(page, 1280, 720)
    tiles = ("waiting", "answered", "abandoned", "level", "free")
    assert [page.number(one) for one in tiles] == ["30", "168", "11", "85 %", "5"]
    assert page.text("#tile-free .note") == "of 20, 3 paused"
    assert page.texts("#choice a") == ["All queues", "sales", "support"]
    opened(page, 1280, 720, "?queue=sales")
    assert [page.number(one) for one in tiles] == ["0", "40", "2", "95 %", "1"]
    assert page.text("#people-title") == "Agents: 3"
    opened(page, 1280, 720, "?queue=sales&queue=support")
    assert page.number("answered") == "168"
    opened(page, 1280, 720, "?queue=SALES&queue=")
    assert (page.number("answered"), page.text("#choice [aria-current=true]")) == ("40", "sales")
    opened(page, 1280, 720, "?queue=")
    assert (page.number("answered"), page.texts("#why")) == ("168", [])
    opened(page, 1280, 720, "?queue=slaes")
    assert page.text("#why") == "There is no queue slaes."
    assert page.number("answered") == "–"


def test_a_queue_is_chosen_by_the_keyboard_and_left_by_the_back_button(page: Page) -> None:
    page.server.show(floor())
    opened(page, 1280, 720)
    # Past the four views and "All queues".
    for _ in range(6):
        page.browser.press("\ue004")
    assert page.browser.run("return document.activeElement.innerText") == "sales"
    assert page.browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.browser.press("\ue007")
    page.until(lambda: page.browser.run("return location.search") == "?queue=sales")
    page.until(lambda: page.number("answered") == "40")
    page.browser.run("history.back()")
    page.until(lambda: page.browser.run("return location.search") == "")
    page.until(lambda: page.number("answered") == "168")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 720)])
def test_of_many_queues_each_can_be_read_and_the_chosen_one_is_in_sight(page: Page, width: int, height: int) -> None:
    page.server.show(alarmed(40, ["W" * 80]))
    opened(page, width, height, "?queue=Kundendienst+Nord+30")
    cut = "return [...document.querySelectorAll('#choice a')].filter((one) => one.scrollWidth > one.clientWidth + 1)"
    assert page.browser.run(f"{cut}.map((one) => one.innerText)") == ["W" * 80]
    left, right = page.browser.run(
        "const box = document.querySelector('#choice [aria-current=true]').getBoundingClientRect();"
        "return [box.left, box.right]"
    )
    assert 0 <= left < right <= width


def test_of_a_tiles_note_as_much_is_seen_as_there_is_room_for(page: Page) -> None:
    answer = floor()
    for one in answer["boards"][0]["queues"][1]["members"]:
        one.update(paused=True, reason="lunch")
    page.server.show(answer)
    opened(page, 1280, 720)
    assert page.text("#tile-waiting .note") == "no agent free: support"
    # Of the queue's name at least a letter is on the note's one line.
    seen = """
    const note = document.querySelector("#tile-waiting .note"), text = note.querySelector(".word").firstChild;
    const range = document.createRange();
    range.setStart(text, text.data.indexOf("support"));
    range.setEnd(text, text.data.indexOf("support") + 1);
    return range.getBoundingClientRect().top < note.getBoundingClientRect().bottom;
    """
    assert page.browser.run(seen)


def test_on_paper_nothing_is_left_out(page: Page) -> None:
    page.server.show(floor(40, 60))
    opened(page, 1280, 720)
    assert left(page, "line") > 0
    page.browser.cdp("Emulation.setEmulatedMedia", media="print")
    try:
        page.browser.run("dispatchEvent(new Event('resize'))")
        assert (len(page.texts("#line-rows li")), len(page.texts("#people-rows li"))) == (60, 40)
    finally:
        page.browser.cdp("Emulation.setEmulatedMedia", media="")


def test_with_ami_down_nothing_is_said_about_the_queues(page: Page) -> None:
    page.server.show(floor())
    opened(page, 1280, 720)
    page.show(status([board_down()]))
    assert {page.number(one) for one in (*QUEUE_TILES, "trunks")} == {"–"}
    assert page.text("#why") == "Not known: AMI is down."
    assert page.texts(".fit li") == []
    # That nobody waits would be a statement.
    assert page.texts("h2") == ["Waiting: not known", "Agents: not known"]
    assert page.texts("#troubles .marked") == ["AMI is down: ami"]
