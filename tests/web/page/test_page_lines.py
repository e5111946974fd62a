"""Trunks and phones on the desk and on the wall."""

from tests.web.page.page_data import Json, board, lines, status, trunk
from tests.web.page.page_view import Page


def told(**boards: Json | None) -> Json:
    return status([board(name) | {"lines": said} for name, said in boards.items()])


def test_the_desk_tells_trunks_and_which_phones_are_missing(page: Page) -> None:
    two = lines(trunk("provider", channels=4), trunk("fax", None, "not monitored", channels=None))
    page.open(told(ami=two))
    assert page.rows("trunks") == [["PJSIP/provider", "registered", "4"], ["PJSIP/fax", "not monitored", "–"]]
    assert page.number("trunks") == "1"
    assert page.text("#tile-trunks .note") == "of 2, 41 of 43 phones"
    assert page.texts("#trunks-words li") == [
        "Registered: 41 of 43 phones, asked for 41 s ago.",
        "Missing: PJSIP/205, PJSIP/231.",
    ]
    down = lines(trunk("provider", False, "rejected", channels=0), trunk("berlin"), lacks=["write needs system"])
    page.show(told(ami=down))
    assert page.number("trunks") == "1"
    assert page.text("#tile-trunks .note") == "1 of 2 down"
    assert page.browser.run("return document.querySelector('#tile-trunks .marked').dataset.kind") == "warn"
    assert page.texts("#trunks-words li")[-1] == "write needs system."


def test_of_what_is_not_told_nothing_is_said(page: Page) -> None:
    page.open(told(ami=None))
    assert (page.number("trunks"), page.text("#tile-trunks .note")) == ("–", "not told")
    assert page.texts("#trunks-words li") == ["The PBX has not told of its trunks and phones."]
    assert page.rows("trunks") == []
    page.show(told(ami=lines(trunk("provider"), phones=None)))
    assert page.text("#tile-trunks .note") == "of 1"
    # A FreeSWITCH tells of those that are there alone.
    page.show(told(esl=lines(phones={"registered": 12, "all": None, "missing": []})))
    assert page.text("#tile-trunks .note") == "of 0, 12 phones"


def test_many_missing_phones_are_counted(page: Page) -> None:
    names = [f"PJSIP/{number}" for number in range(300, 350)]
    page.open(told(ami=lines(phones={"registered": 30, "all": 130, "missing": names}), other=lines(trunk("far"))))
    missing = page.texts("#trunks-words li")[1]
    assert missing.startswith("Missing: PJSIP/300, ")
    assert missing.endswith(" PJSIP/319 and 82 more.")
    assert page.rows("trunks") == [["PJSIP/far", "registered", "2", "other"]]


def test_the_wall_has_them_too(page: Page) -> None:
    page.open(told(ami=lines(trunk("provider"), trunk("berlin", False, "not registered"))), view="wall")
    assert page.number("trunks") == "1"
    assert page.text("#tile-trunks .note") == "1 of 2 down"
