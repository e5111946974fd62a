"""IPPS over a FreeSWITCH's board, in the daemon: what its clients ask finds what the recorded lists have."""

import json
from collections.abc import Iterator

import pytest

from tests.kit.board_feed import AGENTS, CHANNELS, MEMBERS, QUEUES, TIERS, listing, rows
from tests.kit.esl_server import PASSWORD, EslServer, Recording
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.served import Page, running

QUEUED = Recording("callcenter")
ENDED = "7005"


@pytest.fixture
def asked(host: Host, page: Page) -> Iterator[Page]:
    found = rows(listing("show_channels_states")) + rows(listing("callcenter"))
    for row in found:
        if row["cid_num"] == ENDED:
            # Its record is not written yet, so it is still in the list.
            row["callstate"] = "HANGUP"
    with EslServer() as esl:
        esl.answers |= {
            CHANNELS: json.dumps({"row_count": len(found), "rows": found}).encode(),
            QUEUES: QUEUED.answers(QUEUES)[0],
            AGENTS: QUEUED.answers(AGENTS)[1],
            TIERS: QUEUED.answers(TIERS)[0],
            MEMBERS: QUEUED.answers(MEMBERS)[2],
        }
        host.ini.write_text(
            f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n"
            f"[source live]\ntype = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
            f"[status]\nlisten = 127.0.0.1:{page.port}\n"
        )
        with running(host):
            wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["live"], 20)
            yield page


def test_channels_and_queues_of_the_recorded_lists(asked: Page) -> None:
    for name in ("SIP/7002", "sofia/internal/7002@127.0.0.1", "sofia/internal/7002"):
        said = asked.get(f"/ipps/channelinfo.php?channel={name}").text
        assert said.startswith("up,7002,Echo Up,"), said
    several = asked.get("/ipps/channelinfo.php?channel=SIP/7003,SIP/7005,SIP/1001&useid=1").text.splitlines()
    assert [line.split(",")[:3] for line in several] == [
        ["SIP/7003", "ring", "7003"],
        ["SIP/7005", "down", ""],
        ["SIP/1001", "down", ""],
    ]
    assert asked.get("/status.json").json()["boards"][0]["channels"] == 14 - 2 + 7
    # Not 5004, who gave up and is listed for a minute nonetheless.
    waiting = asked.get("/ipps/queueactive.php?queue_name=support@default").text.splitlines()
    assert [line.split(",")[1:4] for line in waiting] == [
        [number, "", "WAITING"] for number in ("5002", "5003", "5005")
    ]
