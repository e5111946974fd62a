"""Where things stand on the page: no cell of its tables is broken into lines, and nothing leaves its cell."""

import pytest

from tests.web.page.page_data import agent, board, call, connected, destination, member, queue, source, status, waiting
from tests.web.page.page_view import OVERFLOWS, Page

WIDTHS = [(360, 740), (768, 1024), (1024, 768), (1280, 800), (1366, 768), (1600, 900), (1920, 1080), (3840, 2160)]
STATES = ["ok", "starting", "failing", "paused", "stopped"]
LONG = 123 * 3600 + 45 * 60 + 6

# What stands in a cell on more lines than one, and what reaches out of its cell.
MISPLACED = """
const cells = [...document.querySelectorAll("th, td, .agents li")].filter(
  (node) => node.checkVisibility() && node.closest("thead")?.clientWidth !== 1
);
const lines = (node) => {
  const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  const rects = [];
  while (walk.nextNode()) {
    const range = document.createRange();
    range.selectNode(walk.currentNode);
    if (walk.currentNode.data?.trim() || walk.currentNode.matches?.("svg")) rects.push(...range.getClientRects());
  }
  const beside = (one, other) => one.top < other.bottom - 1 && other.top < one.bottom - 1;
  return rects.filter((one, place) => !rects.slice(0, place).some((other) => beside(one, other)));
};
const found = [];
for (const cell of cells) {
  const name = `${cell.closest("table, ul").className} ${cell.className} “${cell.innerText}”`;
  const box = cell.getBoundingClientRect();
  for (const text of cell.querySelectorAll("span, bdi, time, svg")) {
    const { left, right, width } = text.getBoundingClientRect();
    if (width > 1 && (left < box.left - 0.5 || right > box.right + 0.5)) found.push(`out of its cell: ${name}`);
  }
  if (cell.scrollWidth > cell.clientWidth) found.push(`wider than its cell: ${name}`);
  const words = cell.matches(".words, .agents li");
  const persons = [...cell.querySelectorAll(".person > *")].filter((one) => !one.hidden);
  for (const one of persons.length ? persons : words ? [] : [cell]) {
    if (lines(one).length > 1) found.push(`${lines(one).length} lines: ${name}`);
  }
}
return found;
"""

# What is cut off that nobody's name or number is in.
CUT = """
return [...document.querySelectorAll(".people .word, .parts .word, .figure, .time, .waited, .place")]
  .filter((node) => node.checkVisibility() && node.clientWidth && node.scrollWidth > node.clientWidth + 1)
  .map((node) => node.innerText);
"""


def everything(seconds: float) -> dict[str, object]:
    """Calls and parts in every state that there is, and figures as long as they get."""
    calls = [
        call(1, from_name="Desk 101", devices=["PJSIP/101"], seconds=seconds),
        call(2, from_name="Somebody with a name that is as long as names get", seconds=seconds),
        call(3, state="ringing", seconds=seconds),
        call(4, state="ring", devices=["PJSIP/101"], seconds=seconds),
        call(5, devices=["PJSIP/trunk"], queue="support", seconds=seconds),
    ]
    queues = [
        queue(
            "support",
            [waiting(5, position=128, seconds=seconds)],
            [connected(6, waited_seconds=seconds, seconds=seconds), connected(7, waited_seconds=None)],
            [member("Anna", "PJSIP/201", "in use, ringing"), member("Bruno", "PJSIP/202", "idle", "lunch")],
        )
    ]
    sources = {
        f"{state}-source": source(
            state=state, calls=99_999, rejects=99_999, unread_bytes=1023 * 2**20, age_seconds=LONG
        )
        for state in STATES
    }
    sources["cloud"] = source(unread_bytes=None, unread_seconds=1_000 * 86_400, calls=10**9, age_seconds=None)
    destinations = {
        f"{state}-destination": destination(
            state=state, waiting=99_999, sent=123_456_789, dead=99_999, oldest_waiting_seconds=999 * 86_400
        )
        for state in STATES
    }
    return status([board("ami", calls, queues)], agent(sources, destinations))


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_every_cell_is_one_line_and_stays_in_its_place(page: Page, width: int, height: int) -> None:
    page.open(everything(LONG), width, height)
    # The reader's own font may be a wide one.
    for font in ("", "monospace"):
        page.browser.run("document.body.style.fontFamily = arguments[0]", font)
        for seconds in (7.0, 3723.0, LONG):
            page.show(everything(seconds))
            assert [row[2] for row in page.rows("calls")] == ["answered", "talking", "ringing", "dialling", "waiting"]
            misplaced = page.browser.run(MISPLACED)
            assert [one for one in misplaced if ": people " in one] == []
            assert font or misplaced + page.browser.run(CUT) + page.browser.run(OVERFLOWS) == []


def test_columns_do_not_move_with_their_numbers(page: Page) -> None:
    left = "return [...document.querySelectorAll('.calls thead th')].map((cell) => cell.getBoundingClientRect().left)"
    page.open(status([board(calls=[call(1, seconds=7.0)])]))
    before = page.browser.run(left)
    lonely = call(1, seconds=754.0, devices=["PJSIP/101"], from_name="A long name " * 9)
    page.show(status([board(calls=[lonely])]))
    assert page.rows("calls")[0][2] == "answered"
    assert page.browser.run(left) == before
