"""The desk and the view of deliveries in Debian's Chromium: what they say."""

import re

import pytest

from tests.web.page.page_data import afternoon, agent, board, call, destination, member, queue, source, status
from tests.web.page.page_hostile import NAMES, hostile
from tests.web.page.page_view import Page


def seconds(text: str) -> int:
    minutes, rest = text.split(":")
    return int(minutes) * 60 + int(rest)


def test_the_numbers_change_when_a_call_does(page: Page) -> None:
    page.open(status([board()]))
    assert page.number("calls") == "0"
    assert page.text("#calls-empty") == "No calls now."
    assert page.title() == "0 calls, 0 waiting - humbug-agent"

    # The page is not touched from here on: it asks by itself.
    page.server.show(status([board(calls=[call(1, from_name="Desk 101", state="ringing")])]))
    page.until(lambda: page.number("calls") == "1", "the call is counted")
    assert page.text("#tile-calls .note") == "1 ringing"
    assert page.title() == "1 call, 0 waiting - humbug-agent"
    ((who, whom, _, state, _, _),) = page.rows("calls")
    assert (who, whom, state) == ("Desk 101 / 101", "204", "ringing")

    page.server.show(status([board(calls=[call(1, from_name="Desk 101", state="up", seconds=0.1)])]))
    page.until(lambda: page.rows("calls")[0][3] == "talking", "it is answered")
    page.server.show(status([board()]))
    page.until(lambda: page.number("calls") == "0", "it is over")
    assert page.rows("calls") == []


def test_durations_go_on_and_never_back(page: Page) -> None:
    page.open(status([board(calls=[call(1, seconds=57.5)])]))
    seen = [page.rows("calls")[0][5]]

    def two_seconds_on() -> bool:
        if (text := page.rows("calls")[0][5]) != seen[-1]:
            seen.append(text)
        return seconds(text) >= seconds(seen[0]) + 2

    page.until(two_seconds_on)
    assert seen[0] in ("0:57", "0:58"), "on a busy machine it may be read late"
    assert [seconds(text) for text in seen] == sorted({seconds(text) for text in seen})
    assert page.browser.run("return document.querySelector('.running').title") == "since 14:02:55"


def test_how_long_an_agent_is_as_it_is_goes_on(page: Page) -> None:
    one = member("Anna", "PJSIP/201", "idle", state_seconds=57.5)
    page.open(status([board(queues=[queue("support", [], [], [one])])]))
    page.until(lambda: seconds(page.text(".agents tbody .running")) >= 59)
    page.show(status([board(queues=[queue("support", [], [], [one | {"state": "in use", "state_seconds": 0.2}])])]))
    assert seconds(page.text(".agents tbody .running")) < 30


def test_the_desk_has_each_call_and_each_agent_once(page: Page) -> None:
    page.open(afternoon())
    assert page.number("waiting") == "2"
    assert page.text("#tile-waiting .note") == "no agent free: support"
    assert re.fullmatch(r"0:4\d", page.number("longest"))
    assert page.rows("queues") == [
        ["sales", "0", "0:00", "1", "1 of 3", "0", "9", "–", "0:17", "3:04"],
        ["support", "2", page.number("longest"), "1", "0 of 3", "128", "9", "82.5\u00a0%", "0:17", "3:04"],
        ["no agent is free"],
    ]
    calls = [[re.sub(r"^0:4\d$", "0:4x", cell) for cell in row[:5]] for row in page.rows("calls")]
    assert calls[:3] == [
        ["+41442681234", "Anna Agent / 201", "support", "talking", "0:03"],
        ["Lambeth Dental / +442079460123", "Bruno Keller / 202", "sales", "talking", "0:18"],
        ["+4915112345678", "801", "support / place 1", "waiting", "0:4x"],
    ]
    # A call that is in no queue waits for nobody.
    assert calls[3] == ["Reception / 104", "+41791234567", "", "talking", ""]
    assert len(calls) == 7
    agents = [[re.sub(r"^1:0\d$", "1:0x", cell) for cell in row] for row in page.rows("agents")]
    assert agents == [
        ["Anna Agent", "in use", "1:0x", "support", "7", "13 min", "3 h", "0"],
        ["Bruno Keller", "in use", "1:0x", "sales", "7", "13 min", "3 h", "0"],
        ["Carla Rossi", "paused: lunch", "1:0x", "support", "7", "13 min", "3 h", "0"],
        ["Dora Frei", "ringing", "1:0x", "sales", "7", "13 min", "3 h", "2"],
        ["Finn Berger", "idle", "1:0x", "sales", "0", "–", "3 h", "0"],
        ["Emil Huber", "unavailable", "", "support", "–", "13 min", "3 h", "0"],
    ]


def test_an_agent_of_several_queues_is_one(page: Page) -> None:
    anna = member("Anna", "PJSIP/201", "idle", "lunch", calls_taken=3, last_call_seconds=900.0)
    again = member("Anna", "PJSIP/201", "idle", calls_taken=4, last_call_seconds=None, penalty=5)
    page.open(status([board(queues=[queue("sales", [], [], [anna]), queue("support", [], [], [again])])]))
    ((name, state, _, queues, *figures),) = page.rows("agents")
    # It takes calls while it is paused in one of them only.
    assert (name, state, queues, figures) == ("Anna", "idle", "sales, support", ["7", "15 min", "3 h", "0, 5"])
    assert page.text("#tile-free .note") == "of 1, 0 paused"


def test_the_agent_tells_how_it_fares(page: Page) -> None:
    humbug = destination(
        state="paused", message="401 Unauthorized", waiting=1532, dead=3, oldest_waiting_seconds=2210,
        last_error="401 Unauthorized: no such gateway", last_error_at="2026-11-20T23:59:12+01:00",
    )  # fmt: skip
    csv = source(unread_bytes=5 * 2**20, age_seconds=300)
    cloud = source(unread_bytes=None, unread_seconds=266_000, calls=12)
    page.open(status([board()], agent({"master-csv": csv, "cloud": cloud}, {"humbug": humbug})), view="delivery")
    assert (page.number("unsent"), page.number("dead")) == ("1,532", "3")
    assert page.text("#tile-unsent .note") == "1 destination not well"
    assert [page.number(tile) for tile in ("oldest", "sent", "rejects")] == ["37 min", "31,207", "0"]
    assert page.rows("destinations") == [
        ["humbug", "paused", "1,532", "37 min", "31,207", "3"],
        ["401 Unauthorized. Last error 2026-11-20 23:59:12: 401 Unauthorized: no such gateway"],
    ]
    assert page.rows("sources") == [
        ["master-csv", "ok", "5 min", "5 MB", "31,207", "0"],
        ["cloud", "ok", "41 s", "3 days of calls", "12", "0"],
    ]
    assert page.rows("boards") == [["ami", "up", "AMI", "3 s ago"]]
    assert page.texts("#troubles .marked") == [
        "Destination humbug is paused",
        "Destination humbug refused calls for good",
    ]
    assert page.title().startswith("\u26a0 Destination humbug is paused")
    # Aloud it says that, and no number that would have it said again and again.
    assert page.text("#said") == "Destination humbug is paused. Destination humbug refused calls for good"


def test_all_is_well_is_said_too(page: Page) -> None:
    page.open(afternoon())
    assert page.text("#verdict") == "All is well"
    assert page.text("#version") == "0.1.0"


def test_the_chart_has_a_bar_a_minute_and_says_it_in_words(page: Page) -> None:
    page.open(status([board()]) | {"sent_per_minute": {"humbug": [*[None] * 57, 0, 4, 2]}}, view="delivery")
    words = "6 in the last hour, at most 4; 57 minutes before the agent started not known"
    bars = page.browser.run(
        "return [...document.querySelectorAll('.bars rect')].map((bar) => bar.getAttribute('class'))"
    )
    assert bars == [*["unknown"] * 57, "none", "sent", "sent"]
    assert page.text("figcaption") == f"Sent per minute to humbug: {words}"
    assert page.browser.run("return document.querySelector('.bars').getAttribute('aria-label')") == words


def test_times_are_the_pbxs_wherever_the_browser_is(page: Page) -> None:
    page.browser.cdp("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    page.open(afternoon())
    assert page.text("#clock").startswith("14:03:")
    page.browser.cdp("Emulation.setTimezoneOverride", timezoneId="")


def test_hostile_names_are_shown_and_do_nothing(page: Page) -> None:
    page.open(hostile())
    shown = [text for row in page.rows("calls") for text in row[:2]]
    for name, expected in NAMES.items():
        assert any(text.startswith(expected) for text in shown), name
    everything = page.browser.run("return document.documentElement.outerHTML")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", everything)
    assert page.browser.run("return document.querySelectorAll('img, main script, b').length") == 0
    assert page.browser.run("return window.pwned") is None
    # However long a name is, it takes the place of one, and is there to be read.
    heights = page.browser.run(
        "return [...document.querySelectorAll('.called')].map((n) => n.getBoundingClientRect().height)"
    )
    assert len({round(height) for height in heights}) == 1
    assert page.browser.run("return [...document.querySelectorAll('.called')].some((n) => n.title === 'W'.repeat(200))")


def test_a_name_from_right_to_left_leaves_its_neighbours_alone(page: Page) -> None:
    page.open(status([board(calls=[call(1, from_name="שלום עולם 123", from_number="101"), call(2, from_name="Anna")])]))
    first, second = page.browser.run("""
        const rows = [...document.querySelectorAll(".calls tbody tr")];
        return rows.map((row) => [...row.cells].map((cell) => cell.getBoundingClientRect().x));
    """)
    assert first == second
    assert page.rows("calls")[0][0] == "שלום עולם 123 / 101"


@pytest.mark.parametrize("view", ["", "wall", "delivery"])
def test_every_mark_is_drawn(page: Page, view: str) -> None:
    page.open(afternoon(), view=view)
    drawn = page.browser.run("""
        const shown = [...document.querySelectorAll(".mark")].filter((one) => one.getBoundingClientRect().width);
        return shown.map((one) => [one.firstChild.getAttribute("href"), one.firstChild.getBBox().width]);
    """)
    assert drawn
    assert not [name for name, width in drawn if width < 8]
