"""Where things stand in each view: no cell of a table has two lines, nothing is cut, nothing leaves its place."""

import pytest

from tests.web.page.page_data import (
    Json,
    agent,
    board,
    board_down,
    call,
    connected,
    destination,
    figures,
    lines,
    member,
    queue,
    source,
    status,
    thresholds,
    trunk,
    waiting,
)
from tests.web.page.page_geometry import CUT, MISPLACED
from tests.web.page.page_hostile import hostile
from tests.web.page.page_view import CONTRASTS, OVERFLOWS, Page

WIDTHS = [(360, 740), (768, 1024), (1024, 768), (1280, 800), (1366, 768), (1600, 900), (1920, 1080), (3840, 2160)]
VIEWS = ["", "wall", "delivery"]
STATES_OF_AGENTS = ["in use", "idle", "ringing", "unavailable", "in use"]
STATES = ["ok", "starting", "failing", "paused", "stopped"]
LONG = 123 * 3600 + 45 * 60 + 6


def everything(seconds: float) -> Json:
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
            figures=figures(completed=123_456, abandoned=99_999, hold_seconds=seconds, talk_seconds=seconds),
            thresholds=thresholds(target=95, warn_waiting=1, critical_wait=1),
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
    trunks = [
        trunk("provider", channels=99_999),
        trunk("a-name-that-is-as-long-as-names-of-trunks-get-and-longer", False, "no authentication", channels=None),
        trunk("fax", None, "not monitored"),
        trunk("words", False, "a state of more words than a phone has room for in one line"),
    ]
    told = lines(*trunks, lacks=["PJSIP's phones are not told: in manager.conf, section [humbug], write needs system"])
    return status([board("ami", calls, queues) | {"lines": told}], agent(sources, destinations))


def crowd(calls: int) -> Json:
    """So many calls, a third of which wait, with twenty agents."""
    waits = [waiting(n, position=n + 1, seconds=400.0 - n) for n in range(calls // 3)]
    agents = [member(f"Agent {n}", f"PJSIP/{200 + n}", STATES_OF_AGENTS[n % 5]) for n in range(20)]
    limits = thresholds(target=90, warn_waiting=2, critical_waiting=50, warn_wait=300, critical_wait=390)
    queues = [queue("support", waits, [], agents, thresholds=limits), queue("sales", [], [], agents[:3])]
    return status(
        [
            board(
                calls=[
                    call(n, from_name=f"Caller {n}", queue="support" if n < len(waits) else "", seconds=900.0 - n)
                    for n in range(calls)
                ],
                queues=queues,
            )
        ]
    )


def faults(page: Page) -> list[object]:
    low = [found for found in page.browser.run(CONTRASTS) if found[0] < 4.5]
    return [*page.browser.run(MISPLACED), *page.browser.run(CUT), *page.browser.run(OVERFLOWS), *low]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 800), (1920, 1080)])
def test_it_fits_and_can_be_read(page: Page, width: int, height: int, view: str, dark: bool) -> None:
    page.open(crowd(5), width, height, view=view, dark=dark)
    two = status([board("one", [call(1)]), board("two")], agent(destinations={"humbug": destination(dead=1)}))
    for answer in (crowd(5), crowd(0), crowd(200), hostile(), status([board_down()]), two, status([])):
        page.show(answer)
        assert faults(page) == []
    page.server.code = 401
    page.server.cut()
    page.until(lambda: page.browser.run("return document.querySelector('#top').dataset.kind === 'lost'"))
    assert faults(page) == []


@pytest.mark.parametrize("view", ["", "delivery"])
@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_every_cell_is_one_line_and_stays_in_its_place(page: Page, width: int, height: int, view: str) -> None:
    page.open(everything(LONG), width, height, view=view)
    # The reader's own font may be a wide one.
    for font in ("", "monospace"):
        page.browser.run("document.body.style.fontFamily = arguments[0]", font)
        for seconds in (7.0, LONG):
            page.show(everything(seconds))
            misplaced = page.browser.run(MISPLACED)
            assert font or misplaced + page.browser.run(CUT) + page.browser.run(OVERFLOWS) == []


def test_columns_do_not_move_with_their_numbers(page: Page) -> None:
    left = "return [...document.querySelectorAll('.calls thead th')].map((cell) => cell.getBoundingClientRect().left)"
    page.open(status([board(calls=[call(1, seconds=7.0)])]))
    before = page.browser.run(left)
    lonely = call(1, seconds=754.0, devices=["PJSIP/101"], from_name="A long name " * 9)
    page.show(status([board(calls=[lonely])]))
    assert page.rows("calls")[0][3] == "answered"
    assert page.browser.run(left) == before
