"""Thresholds: what is beyond them is marked, in words, and told to a reader who wants that, once."""

import pytest

from tests.web.page.page_data import Json, board, board_down, call, figures, member, queue, status, thresholds, waiting
from tests.web.page.page_view import ASK, KNOWN, Page

LIMITS = thresholds(target=80, warn_waiting=2, critical_waiting=4, warn_wait=60, critical_wait=120)

# Counts what a click or an alarm makes sound, and what the browser is asked to notify of.
HEARD = """
    window.tones = 0;
    const real = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () { window.tones += 1; return real.call(this); };
    window.notes = [];
    window.Notification = class extends Notification {
        constructor(title, options) { super(title, options); window.notes.push([title, options.body]); }
    };
"""


def support(waits: int, seconds: float = 5.0, *, level: float = 90.0, limits: Json = LIMITS) -> Json:
    callers = [waiting(n, position=n + 1, seconds=seconds - n) for n in range(waits)]
    those = figures(service_level_percent=level)
    there = queue("support", callers, [], [member("Anna", "PJSIP/1", "idle")], figures=those, thresholds=limits)
    quiet = queue("sales", [], [], [], figures=None)
    return status([board(calls=[call(n, queue="support") for n in range(waits)], queues=[quiet, there])])


def kinds(page: Page, selector: str) -> list[str]:
    return list(
        page.browser.run("return [...document.querySelectorAll(arguments[0])].map((n) => n.dataset.kind)", selector)
    )


@pytest.mark.parametrize(
    ("answer", "marked", "words"),
    [
        (support(1), {}, []),
        (support(2), {"waiting": "warn"}, ["2 waiting, warning from 2 on"]),
        (support(4, level=79.9), {"waiting": "bad", "level": "warn"},
         ["4 waiting, critical from 4 on", "service level 79\u00a0%, target 80\u00a0%"]),
        (support(1, 61.0), {"longest": "warn"}, ["longest wait 1:01, warning from 1:00 on"]),
        (support(1, 120.0), {"longest": "bad"}, ["longest wait 2:00, critical from 2:00 on"]),
        (support(9, 500.0, level=1.0, limits=thresholds()), {}, []),
    ],
)  # fmt: skip
def test_what_is_beyond_a_threshold_has_a_mark_and_words(
    page: Page, answer: Json, marked: dict[str, str], words: list[str]
) -> None:
    for view in ("", "wall"):
        page.open(answer, view=view)
        for tile in ("waiting", "longest", "level"):
            (kind,) = kinds(page, f"#tile-{tile} .marked")
            assert (kind if kind in ("warn", "bad") else None) == marked.get(tile), (view, tile)
            shown = page.browser.run(
                "return document.querySelector(arguments[0]).checkVisibility()", f"#tile-{tile} .mark"
            )
            assert shown == (tile in marked)
        head = {"bad": ["Critical: support"], "warn": ["Warning: support"]}
        worst = min(marked.values(), default="")
        assert page.texts("#troubles .marked") == head.get(worst, ["All is well"])
        if view == "":
            told = page.texts(".alarms .word")
            assert [text.replace("2:01", "2:00") for text in told] == words
    if "longest" in marked:
        word = {"warn": "warning", "bad": "critical"}[marked["longest"]]
        assert page.texts("#line-rows .word") == [word]


def test_one_queues_tile_tells_the_threshold(page: Page) -> None:
    page.open(support(4), view="wall?queue=support")
    assert page.text("#tile-waiting .note") == "critical from 4 on"
    page.open(support(4), view="wall")
    assert page.text("#tile-waiting .note") == "critical: support"


def test_without_thresholds_there_is_nothing_to_switch_on(page: Page) -> None:
    page.open(support(3, limits=thresholds()))
    assert page.texts(".switch") == []


def pass_time(page: Page, seconds: float) -> None:
    """And wait until the page has news of after that, over a new connection, for the clocks are compared on one."""
    with page.server.gone():
        page.later(seconds)
        page.until(lambda: not page.browser.run(KNOWN))
    page.until(lambda: page.browser.run(ASK + KNOWN))


@pytest.mark.parametrize("view", ["", "wall"])
def test_a_sound_is_off_until_it_is_switched_on_and_then_heard_once(page: Page, view: str) -> None:
    page.open(support(0), view=view)
    page.browser.run(HEARD)
    tones = "return window.tones"
    page.show(support(4))
    assert page.browser.run(tones) == 0
    page.show(support(0))
    pressed = "return document.querySelector('.switch').ariaPressed"
    assert (page.texts(".switch"), page.browser.run(pressed)) == (["Sound", "Notify"], "false")

    page.browser.run("document.querySelector('.switch').focus()")
    page.browser.press("\ue007")
    page.until(lambda: page.browser.run(pressed) == "true")
    one = page.browser.run(tones)
    assert one > 0, "it sounds when it is switched on, so that its reader knows it"
    page.show(support(0))
    pass_time(page, 61)
    page.show(support(2))
    assert page.browser.run(tones) == 2 * one
    # It stays as it is, comes back at once, and gets worse.
    for waits, times in ((2, 2), (1, 2), (2, 2), (4, 3), (4, 3)):
        page.show(support(waits))
        assert page.browser.run(tones) == times * one, waits
    # After a while, and although the PBX was away, it is news again.
    page.show(status([board_down()]))
    page.show(support(0))
    pass_time(page, 61)
    page.show(support(4))
    assert page.browser.run(tones) == 4 * one


def test_a_sound_that_the_browser_does_not_let_be_heard_yet_is_said(page: Page) -> None:
    page.open(support(0))
    page.browser.run("localStorage.setItem('humbug-agent Sound', 'on')")
    page.browser.go("about:blank")
    page.load()
    page.until(lambda: page.texts(".switch")[0] == "Sound: touch this page first")
    page.browser.press("a")
    page.until(lambda: page.texts(".switch")[0] == "Sound")
    # Chromium complains of it in its own words.
    assert all("AudioContext was not allowed" in entry["message"] for entry in page.browser.log("browser"))


def test_a_notification_is_asked_for_and_comes_while_nobody_sees_the_page(page: Page) -> None:
    origin = page.server.url.rstrip("/")
    page.open(support(0))
    page.browser.cdp("Browser.setPermission", permission={"name": "notifications"}, setting="denied", origin=origin)
    page.browser.run(HEARD)
    press = "document.querySelectorAll('.switch')[1].click()"
    page.browser.run(press)
    page.until(lambda: page.texts(".switch")[1] == "Notify: not allowed by the browser")
    page.browser.cdp("Browser.setPermission", permission={"name": "notifications"}, setting="granted", origin=origin)
    page.load()
    page.browser.run(HEARD)
    page.browser.run(press)
    page.until(lambda: page.browser.run("return document.querySelectorAll('.switch')[1].ariaPressed") == "true")
    page.browser.run("Object.defineProperty(document, 'hidden', {get: () => true})")
    page.server.show(support(4, 130.0))
    page.until(lambda: page.browser.run("return window.notes.length") == 2)
    assert page.browser.run("return window.notes.map(([title, body]) => title.split(':')[0] + '; ' + body)") == [
        "support; critical from 4 on", "support; critical from 2:00 on",
    ]  # fmt: skip


def test_a_name_in_a_notification_is_shown_and_not_obeyed(page: Page) -> None:
    answer = support(0)
    answer["boards"][0]["queues"][1]["name"] = "a\u202eb"
    page.open(answer)
    assert "\u202e" not in page.browser.run("return document.body.innerHTML")
