"""The page as the agent serves it: a call on the board is a call on the page."""

import time
from pathlib import Path

from humbug_agent.board.model import Member, QueueCall, State
from tests.kit.ipps_host import board, channel, serving
from tests.web.page.page_view import Page

HOSTILE = "<script>alert(1)</script>\u202e"


def test_a_call_comes_and_goes_on_the_real_thing(page: Page, tmp_path: Path) -> None:
    there = board(
        [channel("PJSIP/101-00000001", State.RING, "101", "Desk 101", "", "1.1")],
        members=[Member(queue="support", interface="PJSIP/201", name="Anna Agent", state="in use")],
    )
    with serving(tmp_path, [there]) as served:
        page.browser.screen(1280, 900)
        page.browser.go(f"http://127.0.0.1:{served.port}/")
        page.until(lambda: page.number("calls") == "1")
        assert page.rows("calls")[0][3] == "dialling"

        there.put(channel("PJSIP/49-00000002", State.UP, "+4915112345678", HOSTILE, "", "1.2"))
        there.put_call(
            QueueCall(
                uniqueid="1.2",
                queue="support",
                channel="PJSIP/49-00000002",
                number="+4915112345678",
                name=HOSTILE,
                entered=time.time() - 75,
            )
        )
        page.until(lambda: page.number("calls") == "2")
        page.until(lambda: page.number("waiting") == "1")
        assert page.rows("calls")[1][3] == "waiting"
        assert page.rows("calls")[1][0].startswith(HOSTILE.replace("\u202e", "\\u202e"))
        assert page.rows("calls")[1][2] == "support / place 1"
        assert page.rows("calls")[1][4] in ("1:15", "1:16", "1:17")
        assert [row[:2] for row in page.rows("queues")] == [["support", "1"], ["no agent is free"]]
        assert page.rows("agents")[0][:2] == ["Anna Agent", "in use"]

        there.hang_up("1.1")
        there.hang_up("1.2")
        page.until(lambda: page.number("calls") == "0")
        there.away("AMI 127.0.0.1:5038: has closed the connection")
        page.until(lambda: page.number("calls") == "–")
        page.browser.go("about:blank")
