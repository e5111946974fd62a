"""The daemon on an event socket that tells 100,000 events at once: no call is lost, and the memory is bounded."""

from pathlib import Path

import pytest

from humbug_agent.listening.inbox import MOST_BYTES
from humbug_agent.outbox.outbox import Outbox
from tests.kit.ami_daemon import Daemon
from tests.kit.esl_calls import heartbeat, numbered, uuid
from tests.kit.esl_server import PASSWORD, EslServer
from tests.kit.host import API_KEY, Host, wait_until

pytestmark = pytest.mark.slow

EVENTS, CALLS, TURNS = 100_000, 5_000, 50


def accepted(path: Path) -> list[str]:
    with Outbox(path) as outbox:
        return [row[0] for row in outbox.select("SELECT uniqueid FROM calls ORDER BY uniqueid")]


def test_a_hundred_thousand_events_at_once(host: Host, esl: EslServer) -> None:
    outbox = host.folder / "outbox.db"
    host.ini.write_text(
        f"[agent]\noutbox = {outbox}\ntimezone = UTC\n"
        f"[source live]\ntype = freeswitch_esl\nport = {esl.port}\npassword = {PASSWORD}\n"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
    )
    others = heartbeat() * ((EVENTS - CALLS) // TURNS)
    with Daemon(host) as daemon:
        wait_until(lambda: esl.listeners, 20)
        before = daemon.peak()
        for turn in range(TURNS):
            esl.play(others + numbered(*range(turn, CALLS, TURNS)), (2**18,))
        wait_until(lambda: len(accepted(outbox)) == CALLS, 60)
        grown = daemon.peak() - before
        print(f"{EVENTS:,} events, {CALLS:,} of them calls: {grown / 2**20:.0f} MB more memory at most")
        assert accepted(outbox) == [uuid(number) for number in range(CALLS)]
        assert grown < 3 * MOST_BYTES
        assert esl.connections == 1
        assert PASSWORD not in daemon.log
        assert "no room" not in daemon.log
