"""IPPS, from the page that describes it: its example requests, its sample lines, its errors; asked with curl."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from humbug_agent.board.model import Board, QueueCall, State
from tests.kit.host import wait_until
from tests.kit.ipps_host import Served, board, channel, serving

pytestmark = pytest.mark.slow

CHANNELS = "/ipps/channelinfo.php"
QUEUES = "/ipps/queueactive.php"

# The page's own sample lines, of channels and of a queue.
SAMPLE_CHANNELS = "SIP/4002,down,,,,\nSIP/5011,ring,5007,John McManx,5007@default,1267042128.359\n"
SAMPLE_CALLS = """\
1236606951.132,99532356420,Georgia,WAITING,09:55:51,,
1236606991.135,99532356420,Georgia,CONNECTED,09:56:31,3,SIP/4002
1236607029.138,448450043606,United Kingdom,CONNECTED,09:57:10,1,SIP/4002
1236607156.144,792074279,Switzerland,CONNECTED,09:59:16,2,SIP/4002
1236607198.147,444557400,Switzerland,WAITING,09:59:59,,
1236607246.150,688677809010,Tuvalu,CONNECTED,10:00:46,2,SIP/4002
1236607333.153,6596489564,Singapore,CONNECTED,10:02:13,2,SIP/4002
1236607363.156,12124611807,North America and Caribbean,CONNECTED,10:02:43,1,SIP/4002
"""
# The page has this call twice, once in each state it was in.
LATER = "1236607198.147,444557400,Switzerland,CONNECTED,09:59:59,6,SIP/4002\n"


def sample(line: str) -> QueueCall:
    uniqueid, number, _, state, entered, waited, agent = line.strip().split(",")
    at = datetime.strptime(f"2009-03-09 {entered}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    return QueueCall(
        uniqueid=uniqueid,
        queue="MC",
        channel="SIP/trunk-00000001",
        number=number,
        entered=at,
        agent=agent,
        waited=int(waited) if state == "CONNECTED" else None,
    )


def busy() -> Board:
    return board(
        [
            channel("SIP/5011-0000001a", State.RING, "5007", "John McManx", "5007@default", "1267042128.359"),
            channel("SIP/4003-0000001b", State.DOWN, "1"),
            channel("PJSIP/7-00000001", State.UP, "7", "Line, one\r\nx", "a,b", "1.1"),
            channel("PJSIP/7-00000002", State.UP, "7", "Line two", "", "1.2"),
            channel("Local/9@agents-00000001;1", State.UP, "", "", "", "1.3"),
            channel("DAHDI/i1/0441234567-2", State.UP, "", "", "", "1.4"),
            channel("IAX2/box-17", State.UP, "", "", "", "1.5"),
        ],
        [sample(line) for line in SAMPLE_CALLS.splitlines()],
    )


@pytest.fixture
def ipps(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, [busy()]) as served:
        yield served


def test_the_samples_of_the_page(ipps: Served) -> None:
    assert ipps.ask(f"{CHANNELS}?channel=SIP/4002,SIP/5011") == SAMPLE_CHANNELS
    assert ipps.ask(f"{QUEUES}?queue_name=MC&res_cc=1") == SAMPLE_CALLS
    ipps.boards[0].put_call(sample(LATER))
    wait_until(lambda: LATER in ipps.ask(f"{QUEUES}?queue_name=MC&res_cc=1"))


@pytest.mark.parametrize(
    ("query", "body"),
    [
        # The page's two example requests.
        ("channel=SIP/4003", "down,,,,\n"),
        ("channel=SIP/4003,SIP/5011", f"SIP/4003,down,,,,\n{SAMPLE_CHANNELS.splitlines()[1]}\n"),
        ("channel=SIP/5011", "ring,5007,John McManx,5007@default,1267042128.359\n"),
        ("channel=SIP/5011&useid=1", SAMPLE_CHANNELS.splitlines()[1] + "\n"),
        ("channel=SIP/4003&useid=1", "SIP/4003,down,,,,\n"),
        ("channel=SIP/5011&useid=0", "ring,5007,John McManx,5007@default,1267042128.359\n"),
        # A device with two calls; nothing within a value can be taken for what parts them.
        ("channel=PJSIP/7", "up,7,Line  one  x,a b,1.1\nup,7,Line two,,1.2\n"),
        ("channel=Local/9@agents", "up,,,,1.3\n"),
        ("channel=DAHDI/i1/0441234567", "up,,,,1.4\n"),
        ("channel=IAX2/box&useid=1", "IAX2/box,up,,,,1.5\n"),
        ("channel=SIP%2F5011%2C%20SIP/4003,&useid=1", f"{SAMPLE_CHANNELS.splitlines()[1]}\nSIP/4003,down,,,,\n"),
        # However it is written: the answer has the name that was asked for.
        ("channel=sip/5011&useid=1", "sip/5011,ring,5007,John McManx,5007@default,1267042128.359\n"),
        ("channel=local/9@AGENTS", "up,,,,1.3\n"),
        ("channel=SIP/7", "down,,,,\n"),
        ("channel=%C3%BC%0A", "down,,,,\n"),
        ("channel=x%0D%0Ay&useid=1", "x  y,down,,,,\n"),
        ("channel=", "ERROR: NO CHANNEL SUPPLIED"),
        ("channel=%20,,", "ERROR: NO CHANNEL SUPPLIED"),
        ("", "ERROR: NO CHANNEL SUPPLIED"),
    ],
)
def test_channels(ipps: Served, query: str, body: str) -> None:
    assert ipps.ask(f"{CHANNELS}?{query}") == body


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("queue_name=MC", "".join(line + "\n" for line in SAMPLE_CALLS.splitlines())),
        ("queue_name=mc", "".join(line + "\n" for line in SAMPLE_CALLS.splitlines())),
        ("queue_name=nobody", ""),
        ("queue_name=nobody,none&res_cc=1", ""),
        ("queue_name=&res_cc=1", "ERROR: NO QUEUE NAME SUPPLIED"),
        ("", "ERROR: NO QUEUE NAME SUPPLIED"),
    ],
)
def test_queues(ipps: Served, query: str, body: str) -> None:
    expected = [line.split(",") for line in body.splitlines()]
    for fields in expected:
        if len(fields) == 7:
            # Without res_cc=1 there is no country.
            fields[2] = ""
    found = ipps.ask(f"{QUEUES}?{query}")
    assert [line.split(",") for line in found.splitlines()] == expected


def test_several_queues_are_merged_by_the_time_of_entering(tmp_path: Path) -> None:
    def call(queue: str, uniqueid: str, entered: float) -> QueueCall:
        return QueueCall(uniqueid=uniqueid, queue=queue, channel="SIP/1-1", number="anonymous", entered=entered)

    calls = [call("a", "1", 20.0), call("b", "2", 10.0), call("c", "3", 15.0), call("b", "4", 30.0)]
    with serving(tmp_path, [board(calls=calls)], zone="Europe/Zurich") as ipps:
        assert ipps.ask(f"{QUEUES}?queue_name=a,b&res_cc=1") == (
            "2,anonymous,,WAITING,01:00:10,,\n1,anonymous,,WAITING,01:00:20,,\n4,anonymous,,WAITING,01:00:30,,\n"
        )


def test_what_is_posted_is_asked(ipps: Served) -> None:
    assert ipps.curl(CHANNELS, "--data", "channel=SIP/4002,SIP/5011") == f"{SAMPLE_CHANNELS}\n200"
    assert ipps.curl(CHANNELS, "--data-urlencode", "channel=SIP/4002,SIP/5011") == f"{SAMPLE_CHANNELS}\n200"
    assert ipps.curl(f"{QUEUES}?res_cc=1", "--data", "queue_name=MC") == f"{SAMPLE_CALLS}\n200"
    assert ipps.curl(CHANNELS, "--data", "") == "ERROR: NO CHANNEL SUPPLIED\n200"
    assert ipps.curl(CHANNELS, "--data", "channel=" + "x" * 70_000) == "ERROR: TOO LONG\n413"
    assert ipps.curl("/status.json", "--data", "x=y") == "ERROR: METHOD NOT ALLOWED\n405"


def test_what_is_posted_in_parts_is_asked(ipps: Served) -> None:
    """As curl -F does, and PHP's cURL where it is given an array."""
    assert ipps.curl(CHANNELS, "--form", "channel=SIP/4002,SIP/5011") == f"{SAMPLE_CHANNELS}\n200"
    assert ipps.curl(QUEUES, "-F", "res_cc=1", "-F", "queue_name=MC;type=text/plain") == f"{SAMPLE_CALLS}\n200"
    assert ipps.curl(f"{QUEUES}?res_cc=1&queue_name=MC", "-F", "queue_name=") == f"{SAMPLE_CALLS}\n200"
    assert ipps.curl(CHANNELS, "-F", "x=y") == "ERROR: NO CHANNEL SUPPLIED\n200"
    assert ipps.curl(CHANNELS, "-F", "channel=" + "x" * 70_000) == "ERROR: TOO LONG\n413"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{"channel": "SIP/4002"}'),
        ("multipart/form-data", "--x\r\ncontent-disposition: form-data; name=channel\r\n\r\nSIP/4002\r\n--x--"),
        ("multipart/form-data; boundary=y", "--x\r\ncontent-disposition: form-data; name=channel\r\n\r\na\r\n--x--"),
        ("multipart/form-data; boundary*=z''%ff", "--x"),
    ],
)
def test_what_is_no_form_is_refused_as_such(ipps: Served, kind: str, body: str) -> None:
    said, _, status = ipps.curl(CHANNELS, "--header", f"Content-Type: {kind}", "--data-binary", body).rpartition("\n")
    assert (said.splitlines()[0], status) == ("ERROR: NOT A FORM", "415")


def test_a_client_of_sip_finds_phones_of_pjsip_where_it_may(tmp_path: Path) -> None:
    there = busy()
    there.put(channel("SIP/7-00000003", State.RINGING, "7", "", "", "1.6"))
    there.put_call(QueueCall(uniqueid="2.1", queue="new", channel="", entered=0.0, agent="PJSIP/7", waited=2))
    with serving(tmp_path, [there], "sip_is_pjsip = yes\n") as ipps:
        both = "SIP/7,ringing,7,,,1.6\nSIP/7,up,7,Line  one  x,a b,1.1\nSIP/7,up,7,Line two,,1.2\n"
        assert ipps.ask(f"{CHANNELS}?channel=SIP/7&useid=1") == both
        assert ipps.ask(f"{CHANNELS}?channel=PJSIP/7").count("\n") == 2
        assert ipps.ask(f"{QUEUES}?queue_name=new") == "2.1,,,CONNECTED,00:00:00,2,SIP/7\n"
    with serving(tmp_path, [there]) as ipps:
        assert ipps.ask(f"{CHANNELS}?channel=SIP/7") == "ringing,7,,,1.6\n"
        assert ipps.ask(f"{QUEUES}?queue_name=new") == "2.1,,,CONNECTED,00:00:00,2,PJSIP/7\n"


def test_with_basic_authentication(tmp_path: Path) -> None:
    with serving(tmp_path, [busy()], "username = myuser\npassword = pass\n") as ipps:
        assert ipps.curl(CHANNELS, "--data", "channel=SIP/4003") == "ERROR: AUTHENTICATION FAILED\n401"
        assert ipps.curl(CHANNELS, "--data", "channel=SIP/4003", user="myuser:pass") == "down,,,,\n\n200"
        path = f"{CHANNELS}?channel=SIP/4003,SIP/5011"
        good = f"SIP/4003,down,,,,\n{SAMPLE_CHANNELS.splitlines()[1]}\n\n200"
        assert ipps.curl(path, user="myuser:pass") == good
        assert ipps.curl(path, "--user", "myuser:pass") == good
        assert ipps.curl(path) == "ERROR: AUTHENTICATION FAILED\n401"
        assert ipps.curl(path, user="myuser:wrong") == "ERROR: AUTHENTICATION FAILED\n401"
        assert ipps.curl(f"{QUEUES}?queue_name=MC&res_cc=1", user="myuser:pass") == SAMPLE_CALLS + "\n200"


def test_with_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusted = ("--cacert", str(tmp_path / "ca.pem"))
    path = f"{CHANNELS}?channel=SIP/4002,SIP/5011"
    status = f"certificate = {tmp_path}/server.pem\n"
    with serving(tmp_path, [busy()], status) as ipps:
        assert ipps.curl(path, *trusted, scheme="https") == SAMPLE_CHANNELS + "\n200"
        assert ipps.curl(path) == SAMPLE_CHANNELS + "\n200"
        with pytest.raises(subprocess.CalledProcessError):
            ipps.curl(path, scheme="https")
    with serving(tmp_path, [busy()], f"{status}require_tls = yes\nusername = u\n") as ipps:
        assert ipps.curl(path, *trusted, scheme="https", user="u:") == SAMPLE_CHANNELS + "\n200"
        assert ipps.curl(path, *trusted, scheme="https") == "ERROR: AUTHENTICATION FAILED\n401"
        assert ipps.curl(path, user="u:") == "ERROR: SSL QUERY REQUIRED\n200"


@pytest.mark.parametrize(
    ("path", "location"),
    [("/wall/?queue=a%20b", "../wall?queue=a%20b"), ("/ipps/queueactive.php/", "../queueactive.php")],
)
def test_a_slash_too_many_leads_to_the_same_host(tmp_path: Path, path: str, location: str) -> None:
    with serving(tmp_path, [board()], "username = me\npassword = word\n") as ipps:
        said = ipps.curl(path, "--include", "--header", "Host: evil.example", user="me:word")
        assert f"\r\nlocation: {location}\r\n" in said
        assert "evil" not in said
        assert ipps.curl(path, "--location", "--output", "/dev/null", user="me:word").endswith("200")
        assert ipps.curl("/nothing/", user="me:word").endswith("404")


def test_without_ami_nothing_stale_is_told(tmp_path: Path) -> None:
    there = busy()
    with serving(tmp_path, [there]) as ipps:
        there.away("AMI 127.0.0.1:5038: has closed the connection")
        wait_until(lambda: ipps.curl(f"{QUEUES}?queue_name=MC").endswith("503"))
        for path in (f"{CHANNELS}?channel=SIP/5011", f"{QUEUES}?queue_name=MC"):
            assert ipps.curl(path) == "ERROR: NOT CONNECTED TO THE PBX\n503"
        assert ipps.ask(CHANNELS) == "ERROR: NO CHANNEL SUPPLIED"
        assert ipps.curl("/healthz").endswith("\n503")
    with serving(tmp_path, []) as ipps:
        assert ipps.curl(f"{QUEUES}?queue_name=MC") == "ERROR: NOT CONNECTED TO THE PBX\n503"


def test_all_byte_values_in_parameters(ipps: Served) -> None:
    for byte in range(256):
        body, _, status = ipps.curl(f"{CHANNELS}?channel=1%{byte:02x}x&useid=1&%{byte:02X}=%{byte:02x}").rpartition(
            "\n"
        )
        assert status == "200"
        assert all(line.count(",") == 5 for line in body.splitlines()) or byte in b"&"
        if byte % 16 == 0:
            assert ipps.ask(f"{QUEUES}?queue_name=%{byte:02x}") in ("", "ERROR: NO QUEUE NAME SUPPLIED")


def test_a_view_is_never_older_than_it_may_be(ipps: Served) -> None:
    ipps.ask(f"{CHANNELS}?channel=SIP/1")
    ipps.boards[0].put(channel("SIP/1-00000001", State.RINGING, "1", "", "", "9.9"))
    changed = time.monotonic()
    while ipps.ask(f"{CHANNELS}?channel=SIP/1") == "down,,,,\n":
        assert time.monotonic() - changed < 0.3
    assert ipps.ask(f"{CHANNELS}?channel=SIP/1") == "ringing,1,,,9.9\n"
