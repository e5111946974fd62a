"""The page when something is down, late, or not to be had: it says so, and shows nothing that may not be so."""

import re

import pytest

from tests.web.page.page_data import (
    afternoon,
    agent,
    agent_unknown,
    board,
    board_down,
    call,
    connected,
    destination,
    member,
    queue,
    source,
    status,
)
from tests.web.page.page_view import ASK, KNOWN, Page

HASTY = "const real = setTimeout; window.setTimeout = (done, ms) => real(done, ms / 10)"
"""Whatever the page waits for takes a tenth of the time."""

LIVE_TILES = ("calls", "waiting", "longest", "answered", "abandoned", "level", "free")


def test_with_ami_down_nothing_is_said_about_calls_and_all_about_the_agent(page: Page) -> None:
    page.open(afternoon())
    page.show(status([board_down()], agent({"ami": source(state="failing", message="Connection refused")})))
    assert {page.number(tile) for tile in LIVE_TILES} == {"–"}
    assert page.texts("tbody tr") == []
    assert {page.text(f"#{part}-empty") for part in ("calls", "queues", "agents")} == {"Not known: AMI is down."}
    assert page.texts("#troubles .marked") == ["AMI is down: ami"]
    assert page.text("#troubles .words") == "cannot connect to 127.0.0.1:5038: Connection refused"
    assert page.title() == "\u26a0 AMI is down: ami - calls not known - humbug-agent"
    page.show(afternoon())
    page.until(lambda: page.number("calls") == "7")
    page.open(status([board_down()]), view="delivery")
    assert page.rows("boards")[0][:2] == ["ami", "down"]
    assert page.number("dead") == "0"


def test_a_freeswitch_that_is_away_is_not_called_ami(page: Page) -> None:
    page.open(
        status([board_down("esl", "event socket 127.0.0.1:8021: nobody listens there") | {"over": "Event socket"}])
    )
    assert page.texts("#troubles .marked") == ["Event socket is down: esl"]
    assert page.text("#calls-empty") == "Not known: Event socket is down."
    page.browser.go(f"{page.server.url}delivery")
    page.until(lambda: page.browser.run(KNOWN))
    assert page.rows("boards")[0][:3] == ["esl", "down", "Event socket"]


def test_of_several_boards_each_has_its_name_and_its_own_trouble(page: Page) -> None:
    one = board("ami-main", [call(1)], [queue("support", [], [connected(1)], [member("Anna", "PJSIP/1", "idle")])])
    page.open(status([one, board_down("ami-branch"), board("ami-new")]))
    assert [page.rows(part)[0][-1] for part in ("queues", "calls", "agents")] == ["ami-main"] * 3
    assert page.text("#queues-empty") == "ami-branch is not known: AMI is down."
    assert page.number("calls") == "1"
    assert page.text("#tile-calls .note") == "without 1 PBX that is down"


def test_without_ami_it_says_what_to_do(page: Page) -> None:
    page.open(status([]))
    said = "No source that tells of calls as they happen: add one of type asterisk_ami or freeswitch_esl to agent.ini."
    assert {page.text(f"#{part}-empty") for part in ("calls", "queues", "agents")} == {said}
    assert page.number("calls") == "–"
    assert page.text("#verdict") == "All is well"


def test_what_is_not_known_of_the_agent_is_not_shown(page: Page) -> None:
    page.open(afternoon(), view="delivery")
    page.show(status([board()], agent_unknown("the outbox is locked")))
    assert {page.number(tile) for tile in ("unsent", "oldest", "sent", "dead", "rejects")} == {"–"}
    assert page.rows("destinations") == page.rows("sources") == page.rows("findings") == []
    assert page.rows("boards") == [["ami", "up", "AMI", "3 s ago"]]
    assert "The agent's state is not known" in page.text("#verdict")
    assert page.text("#findings-empty") == "The agent's state is not known: the outbox is locked"


def test_an_agent_that_is_gone_is_not_shown_as_if_it_were_there(page: Page) -> None:
    page.open(afternoon())
    with page.server.gone():
        said = r"Trying to reach the agent: it can't be reached. What is shown is 0:0\d old."
        page.until(lambda: re.fullmatch(said, page.text("#remark")))
        assert page.number("calls") == "7"
        page.later(11)
        page.until(lambda: not page.browser.run(KNOWN), "it says that it does not know")
        assert page.text("#troubles .marked") == "Not live: no news from the agent"
        assert re.fullmatch(
            r"Since 14:03:\d\d, for 0:1\d: it can't be reached. Trying again.", page.text("#troubles .words")
        )
        assert page.title().startswith("\u26a0 Not live")
        assert {page.number(tile) for tile in LIVE_TILES} == {"–"}
        assert page.texts("tbody tr") == []
        assert page.text("#clock") == "--:--:--"
    page.until(lambda: page.browser.run(KNOWN), "it comes back by itself")
    assert page.number("calls") == "7"
    assert page.text("#verdict") == "All is well"


def test_who_is_not_signed_in_any_more_sees_it_at_once_and_asks_no_more(page: Page) -> None:
    page.open(afternoon())
    page.server.code = 401
    page.server.cut()
    page.until(lambda: page.text("#troubles .marked") == "Not signed in")
    assert page.number("calls") == "–"
    asked = page.server.asked
    # Two ticks of the page's clock.
    page.browser.run(
        "window.looked = 0; const real = performance.now.bind(performance);"
        "performance.now = () => { window.looked += 1; return real(); }"
    )
    page.until(lambda: page.browser.run("return window.looked > 4"))
    assert page.server.asked == asked


@pytest.mark.parametrize(
    ("code", "raw", "said"),
    [(503, b"", "it answers 503 Service Unavailable"), (200, b"<html>", "it gives no answer that can be read")],
)
def test_an_answer_that_is_none_is_said_and_asked_again(page: Page, code: int, raw: bytes, said: str) -> None:
    page.open(afternoon())
    page.server.code, page.server.raw = code, raw
    page.server.cut()
    page.until(lambda: page.text("#remark").startswith(f"Trying to reach the agent: {said}. What is shown is 0:0"))
    page.show(afternoon())
    page.until(lambda: page.texts("#remark") == [])


def test_an_answer_that_does_not_come_is_not_waited_for(page: Page) -> None:
    page.open(afternoon())
    page.browser.run(HASTY)
    with page.server.silent():
        page.until(lambda: page.text("#remark").startswith("Trying to reach the agent: no answer within 8 s."))


def test_a_stream_in_which_nothing_comes_is_given_up(page: Page) -> None:
    page.open(afternoon())
    page.browser.run(HASTY)
    with page.server.mute():
        said = "nothing came for 8 s; does a proxy hold it back?"
        page.until(lambda: page.text("#remark").startswith(f"Trying to reach the agent: {said}"))
    page.until(lambda: page.texts("#remark") == [])


def test_a_page_that_nobody_sees_keeps_no_stream(page: Page) -> None:
    page.open(afternoon())
    assert page.server.open == 1
    asked = page.server.asked
    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => window.looked = true});"
    page.browser.run(hide + ASK)
    page.until(lambda: page.server.open == 0)
    # A tick of its clock.
    page.browser.run("window.looked = false")
    page.until(lambda: page.browser.run("return window.looked"))
    assert page.server.asked == asked
    page.browser.run("delete document.hidden;" + ASK)
    page.until(lambda: page.server.open == 1)
    page.until(lambda: page.texts("#remark") == [] and page.browser.run(KNOWN))


def test_after_an_upgrade_it_loads_the_new_page(page: Page) -> None:
    page.open(afternoon())
    page.browser.run("window.old = true")
    page.server.show(afternoon() | {"version": "0.2.0"})
    page.until(lambda: not page.browser.run("return window.old") and page.browser.run(KNOWN))
    assert page.text("#version") == "0.2.0"


def test_a_password_in_the_address_does_no_harm(page: Page) -> None:
    page.open(afternoon())
    page.browser.go(page.server.url.replace("//", "//admin:secret@"))
    page.until(lambda: page.browser.run(KNOWN))


def test_a_board_that_lacks_a_right_is_not_called_down(page: Page) -> None:
    words = "its user humbug may not list channels: in manager.conf, section [humbug], write must have reporting"
    lacks = board_down(message=words) | {"trouble": "The AMI user lacks a right"}
    page.open(status([lacks], agent({"ami": source(state="failing", message="is deaf")})))
    assert page.text("#calls-empty") == page.text("#queues-empty") == "Not known: The AMI user lacks a right."
    # What is wrong with the source is something else then.
    assert page.texts("#troubles .marked") == ["The AMI user lacks a right: ami", "Source ami is failing"]
    assert page.texts("#troubles .words") == [words, "is deaf"]
    assert page.text("#tile-calls .note") == "The AMI user lacks a right"
    assert "down" not in page.title()
    page.show(status([board(calls=[call(1)]), lacks | {"name": "other"}]))
    assert page.text("#tile-calls .note") == "without 1 PBX that is not live"
    page.open(status([lacks]), view="delivery")
    assert page.rows("boards")[0][:2] == ["ami", "not live"]


def test_what_doctor_finds_while_the_agent_runs_is_shown_by_its_code(page: Page) -> None:
    words = "/var/lib/humbug-agent: of its disk's 9,000 MB only 112 are free"
    failing = {"humbug": destination(state="paused", message="answered 401", code="HA-0021")}
    found = {"findings": [{"code": "HA-0020", "message": words, "since": "2026-11-21T13:03:05+01:00"}]}
    page.open(status([board()], agent(destinations=failing) | found), view="delivery")
    assert page.texts("#troubles .marked") == ["Destination humbug is paused", "HA-0020"]
    assert page.texts("#troubles .words") == ["answered 401 [HA-0021]", words]
    assert page.rows("findings") == [["HA-0020", "found", "13:03:05"], [words]]
