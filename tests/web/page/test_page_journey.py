"""The story of one call: by a click, or by the keyboard."""

from typing import Any

import pytest

from tests.web.page.page_data import board, call, status
from tests.web.page.page_hostile import NAMES
from tests.web.page.page_view import OVERFLOWS, Page

ENTER, ESCAPE, UP, DOWN = "\ue007", "\ue00c", "\ue013", "\ue015"
BOX = """
const box = document.querySelector("#journey");
return [box.scrollWidth, box.clientWidth, box.getBoundingClientRect().right];
"""


def over(number: int, **fields: Any) -> dict[str, Any]:
    usual = {
        "id": number, "start": "2026-11-21T14:02:00+01:00", "after_seconds": number * 70, "src": "+4915112345678",
        "dst": "support", "clid": "", "disposition": "NO ANSWER", "duration": 20, "billsec": 0, "lastapp": "Queue",
        "lastdata": "", "channel": "PJSIP/trunk-1", "dstchannel": "PJSIP/204-2", "uniqueid": "1.1",
    }  # fmt: skip
    return usual | fields


def story(*calls: dict[str, Any], note: str = "") -> tuple[int, Any]:
    return 200, {"tied_by": "linkedid", "id": "1.1", "note": note, "calls": list(calls)}


@pytest.mark.parametrize("way", ["click", "keyboard"])
def test_a_call_leads_to_its_story_and_back(page: Page, way: str) -> None:
    page.server.answers["journey.json"] = story(over(1), over(2, disposition="ANSWERED", billsec=5), note="Some lack.")
    page.open(status([board(calls=[call(1, from_name="Anna"), call(2)])]))
    if way == "click":
        page.browser.run("document.querySelector('.calls tbody tr').click()")
    else:
        page.until(lambda: page.browser.run("return document.querySelectorAll('.leads[tabindex=\"0\"]').length === 1"))
        page.browser.run("document.querySelector('.leads').focus()")
        page.browser.press(DOWN)
        page.browser.press(UP)
        page.browser.press(ENTER)
    page.until(lambda: page.texts("#journey tbody tr"))
    assert page.text("#journey h2") == "Anna \u2192 204"
    assert [one.splitlines()[0] for one in page.texts(".legs li")] == ["PJSIP/101: 101", "PJSIP/204: 101"]
    assert page.rows("story")[1] == [
        "2:20", "+4915112345678", "support (PJSIP/204-2)", "answered after 15 s", "0:05", "Queue",
    ]  # fmt: skip
    assert page.texts("#journey .empty") == ["Some lack."]
    page.browser.press(ESCAPE)
    page.until(lambda: not page.browser.run("return document.querySelector('#journey').open"))


def test_what_is_not_known_of_it_is_said(page: Page) -> None:
    page.server.answers["journey.json"] = story()
    page.open(status([board(calls=[call(1)])]))
    page.browser.run("document.querySelector('.calls tbody tr').click()")
    page.until(lambda: page.texts("#journey .empty") == ["Nothing of it is over yet, as far as the PBX has told."])
    page.browser.run("document.querySelector('#journey button').click()")
    page.server.answers["journey.json"] = 503, "the disk is full"
    page.browser.run("document.querySelector('.calls tbody tr').click()")
    page.until(lambda: 'not known: 503 "the disk is full"' in page.text("#journey .empty"))


@pytest.mark.parametrize("width", [360, 1280])
def test_whatever_callers_are_called_it_fits(page: Page, width: int) -> None:
    names = list(NAMES)
    page.server.answers["journey.json"] = story(
        *(over(n, src=name, dst=name, lastapp=name) for n, name in enumerate(names))
    )
    page.open(status([board(calls=[call(1, from_name=names[3], devices=names)])]), width, 740)
    page.browser.run("document.querySelector('.calls tbody tr').click()")
    page.until(lambda: page.texts("#journey tbody tr"))
    assert page.browser.run(OVERFLOWS) == []
    box = page.browser.run(BOX)
    assert box[0] <= box[1]
    assert box[2] <= width
    assert not page.browser.run("return window.pwned")
