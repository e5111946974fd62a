"""The page at / in Debian's Chromium: what it says."""

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
    assert page.text("#calls-boards") == "No calls now."
    assert page.title() == "0 calls, 0 waiting - humbug-agent"

    # The page is not touched from here on: it asks by itself.
    page.server.show(status([board(calls=[call(1, from_name="Desk 101", state="ringing")])]))
    page.until(lambda: page.number("calls") == "1", "the call is counted")
    assert page.text("#tile-calls .note") == "1 ringing"
    assert page.title() == "1 call, 0 waiting - humbug-agent"
    ((who, whom, state, _),) = page.rows("calls")
    assert (who, whom, state) == ("Desk 101 / 101", "204", "ringing")

    page.server.show(status([board(calls=[call(1, from_name="Desk 101", state="up", seconds=0.1)])]))
    page.until(lambda: page.rows("calls")[0][2] == "talking", "it is answered")
    page.server.show(status([board()]))
    page.until(lambda: page.number("calls") == "0", "it is over")
    assert page.rows("calls") == []


def test_durations_go_on_and_never_back(page: Page) -> None:
    page.open(status([board(calls=[call(1, seconds=57.5)])]))
    seen = [page.rows("calls")[0][3]]

    def two_seconds_on() -> bool:
        if (text := page.rows("calls")[0][3]) != seen[-1]:
            seen.append(text)
        return seconds(text) >= seconds(seen[0]) + 2

    page.until(two_seconds_on)
    assert seen[0] == "0:57"
    assert [seconds(text) for text in seen] == sorted({seconds(text) for text in seen})
    assert page.browser.run("return document.querySelector('.running').title") == "since 14:02:55"


def test_how_long_an_agent_is_as_it_is_goes_on(page: Page) -> None:
    one = member("Anna", "PJSIP/201", "idle", state_seconds=57.5)
    page.open(status([board(queues=[queue("support", [], [], [one])])]))
    page.until(lambda: seconds(page.text(".agents .running")) >= 59)
    page.show(status([board(queues=[queue("support", [], [], [one | {"state": "in use", "state_seconds": 0.2}])])]))
    assert seconds(page.text(".agents .running")) < 30


def test_queues_say_who_waits_who_talks_and_who_could(page: Page) -> None:
    page.open(afternoon())
    assert page.number("waiting") == "2"
    assert page.text("#tile-waiting .note") == "no agent free: support"
    assert re.fullmatch(r"0:4\d", page.number("longest"))
    assert page.texts(".queue h4") == ["sales", "support"]
    assert page.texts(".queue .alarm") == ["No agent is free"]
    assert [row[:2] for row in page.rows("waiting")] == [
        ["1.", "+4915112345678 / Germany"],
        ["2.", "+33142685300 / France"],
    ]
    assert [row[:3] for row in page.rows("connected")] == [
        ["Lambeth Dental / +442079460123 · United Kingdom", "Bruno Keller / PJSIP/202", "0:18"],
        ["+41442681234 / Switzerland", "Anna Agent / PJSIP/201", "0:03"],
    ]
    agents = [re.sub(r"\n1:0\d", "", text).replace("\n", ": ") for text in page.texts(".agents li")]
    done = "7 calls, last 13 min ago, here for 3 h"
    assert agents == [
        f"Bruno Keller: in use: {done}", f"Dora Frei: ringing: {done}, penalty 2",
        "Finn Berger: idle: 0 calls, here for 3 h", f"Anna Agent: in use: {done}",
        f"Carla Rossi: paused: lunch: {done}", "Emil Huber: unavailable",
    ]  # fmt: skip
    assert page.texts(".queue .figures") == [
        "0 answered, 9 abandoned, hold 0:17, talk 3:04",
        "128 answered, 9 abandoned, 82.5\u00a0% within 30\u00a0s, hold 0:17, talk 3:04",
    ]
    # A caller who waits is a call too, and not one that talks.
    assert [row[2] for row in page.rows("calls")].count("waiting") == 2


def test_the_agent_tells_how_it_fares(page: Page) -> None:
    humbug = destination(
        state="paused", message="401 Unauthorized", waiting=1532, dead=3, oldest_waiting_seconds=2210,
        last_error="401 Unauthorized: no such gateway", last_error_at="2026-11-20T23:59:12+01:00",
    )  # fmt: skip
    csv = source(unread_bytes=5 * 2**20, age_seconds=300)
    cloud = source(unread_bytes=None, unread_seconds=266_000, calls=12)
    page.open(status([board()], agent({"master-csv": csv, "cloud": cloud}, {"humbug": humbug})))
    assert (page.number("unsent"), page.number("dead")) == ("1,532", "3")
    assert page.text("#tile-unsent .note") == "oldest 37 min, 31,207 sent"
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
    page.open(status([board()]) | {"sent_per_minute": {"humbug": [*[None] * 57, 0, 4, 2]}})
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


@pytest.mark.parametrize("path", ["", "wall"])
def test_every_mark_is_drawn(page: Page, path: str) -> None:
    page.open(afternoon())
    page.browser.go(f"{page.server.url}{path}")
    page.until(lambda: page.texts(".marked"), "it has marks")
    drawn = page.browser.run(
        "return [...document.querySelectorAll('.marked')].filter((one) => one.offsetParent)"
        ".map((one) => [one.querySelector('use').getAttribute('href'), one.querySelector('use').getBBox().width])"
    )
    assert drawn
    assert not [name for name, width in drawn if width < 8]
