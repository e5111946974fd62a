"""What a caller or a PBX chooses is one value wherever it goes, and begins nothing of its own."""

from datetime import UTC
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.board.model import Channel, Queue, QueueCall, State, View
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.fusionpbx.source import Fusionpbx
from humbug_agent.web.ipps import channelinfo, queueactive
from tests.fuzz.fuzz_pbx import _told
from tests.fuzz.fuzz_web import settings_of
from tests.kit.calls import call
from tests.kit.rude import Rude
from tests.kit.sending import Sending

EVIL = 'x\r\nX-Forged: 1\r\n\r\nPOST /evil HTTP/1.1\r\n&gateway=evil&encoded=0="\0\n,\u2028,\x85'
NUMBERS = NumbersSettings(None, 9, "")


def test_nothing_of_a_call_is_in_the_head_of_its_request() -> None:
    chosen = "src dst dcontext clid channel dstchannel lastapp lastdata uniqueid userfield"
    texts = dict.fromkeys(chosen.split(), EVIL)
    with Rude() as server:
        destination = Sending(settings_of(server.port), UTC, NUMBERS)
        try:
            destination.send(call(1, **texts, extra={EVIL: EVIL}))
        finally:
            destination.close()
        (request,) = server.requests
    assert request.method == "POST"
    assert request.headers.keys() == {
        "host", "user-agent", "accept-encoding", "accept", "content-type", "idempotency-key", "content-length",
    }  # fmt: skip
    assert not any("orged" in value or "evil" in value for value in request.headers.values())
    assert request.body.isascii()
    assert request.body.count(b"gateway=") == 1
    assert request.form["CallerID"] == EVIL


@given(st.text(max_size=20))
def test_a_line_of_ipps_is_one_line_of_its_fields(text: str) -> None:
    for said in (text, EVIL):
        waits = QueueCall(uniqueid=said, queue="q", channel="SIP/a-1", number=said, name=said, entered=1.0)
        talks = QueueCall(
            uniqueid=said, queue="q", channel="SIP/a-1", entered=1.0, agent=f"Local/{said}", agent_name=said, waited=1
        )
        busy = Channel(uniqueid=said, channel="SIP/a-1", state=State.UP, number=said, name=said, account=said)
        view = View("pbx", "AMI", True, "", 1.0, (busy,), {"q": Queue("q", (waits, talks))}, {"SIP/a": (busy,)})
        lines = channelinfo({"channel": "SIP/a", "useid": "1"}, [view]).splitlines()
        assert [line.count(",") for line in lines] == [5]
        lines = queueactive({"queue_name": "q", "res_cc": "1"}, [view], NUMBERS, UTC).splitlines()
        assert [line.count(",") for line in lines] == [6, 6]


@pytest.mark.parametrize("token", ["a\\r\\nX-Forged: 1", "a b", "", "\\u00e9", "a\\u0000"])
def test_a_token_that_is_no_word_is_none(token: str) -> None:
    settings, asker = _told("fusionpbx", b'{"token":"%b"}' % token.encode())
    source = Fusionpbx(settings, UTC)
    source.asker = asker
    with pytest.raises(SourceError, match="without a token"):
        source._log_in(Event())
