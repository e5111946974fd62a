"""A thousand channels, five hundred queue calls, fifty clients: quick answers, and the PBX does not notice."""

import http.client
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from humbug_agent.board.asterisk_lines import PHONES
from tests.kit.ami_server import AmiServer
from tests.kit.host import Host, wait_until
from tests.kit.served import Page, running

pytestmark = pytest.mark.alone

CHANNELS, QUEUES, CALLS, CLIENTS = 1000, 50, 500, 50
POLLS_A_SECOND = 4
"""Of each client: twelve times as many as the page of IPPS suggests."""

SECONDS = 4.0
ROUNDS = 12
"""Of so many seconds, of which one must be quick: neighbours take a machine's processors away for some of them."""

MEDIAN = 0.005


def channel(number: int) -> bytes:
    queued = number < CALLS
    return (
        f"Event: CoreShowChannel\r\nChannel: PJSIP/{number}-{number:08x}\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
        f"CallerIDNum: +4179{number:07}\r\nCallerIDName: Caller {number}\r\nConnectedLineNum: <unknown>\r\n"
        f"ConnectedLineName: <unknown>\r\nLanguage: en\r\nAccountCode: \r\nContext: from-trunk\r\nExten: 800\r\n"
        f"Priority: 2\r\nUniqueid: 1795194317.{number}\r\nLinkedid: 1795194317.{number}\r\n"
        f"Application: {'Queue' if queued else 'Wait'}\r\nApplicationData: q{number % QUEUES}\r\nDuration: 00:00:09\r\n"
        "BridgeId: "
    ).encode()


def queue_entry(number: int) -> bytes:
    return (
        f"Event: QueueEntry\r\nQueue: q{number % QUEUES}\r\nPosition: {number // QUEUES + 1}\r\n"
        f"Channel: PJSIP/{number}-{number:08x}\r\nUniqueid: 1795194317.{number}\r\nCallerIDNum: +4179{number:07}\r\n"
        f"CallerIDName: Caller {number}\r\nConnectedLineNum: unknown\r\nConnectedLineName: unknown\r\nWait: 5\r\n"
        "Priority: 0"
    ).encode()


@contextmanager
def polled(port: int) -> Iterator[list[float]]:
    """Fifty clients, each with a connection for every question; yields how long the answers took, in seconds."""
    took: list[float] = []
    ended = threading.Event()

    def client(number: int) -> None:
        paths = (
            f"/ipps/channelinfo.php?channel=PJSIP/{number},PJSIP/{number + 500}",
            f"/ipps/queueactive.php?queue_name=q{number}&res_cc=1",
        )
        ended.wait(random.random() / POLLS_A_SECOND)
        while not ended.wait(1 / POLLS_A_SECOND):
            for path, lines in zip(paths, (2, CALLS // QUEUES), strict=True):
                began = time.perf_counter()
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", path)
                body = connection.getresponse().read()
                connection.close()
                took.append(time.perf_counter() - began)
                assert body.count(b"\n") == lines

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield took
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def busy_ami() -> Iterator[AmiServer]:
    with AmiServer() as ami:
        params = [b"Event: QueueParams\r\nQueue: q%d\r\nMax: 0\r\nCalls: 10" % number for number in range(QUEUES)]
        ami.lists = {
            "CoreShowChannels": [channel(number) for number in range(CHANNELS)],
            "QueueStatus": [*params, *(queue_entry(number) for number in range(CALLS))],
        }
        yield ami


def test_fifty_clients_get_quick_answers_and_cost_the_pbx_nothing(
    host: Host, page: Page, busy_ami: AmiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def traffic(until: float) -> tuple[int, int]:
        """Questions but for pings, and bytes sent, until then."""
        asked, pings, sent = len(busy_ami.said), busy_ami.pings, busy_ami.sent
        wait_until(lambda: time.monotonic() >= until, SECONDS + 5)
        return len(busy_ami.said) - asked - (busy_ami.pings - pings), busy_ami.sent - sent

    page.more("", busy_ami.port)
    with running(host):
        wait_until(lambda: page.up() and page.get("/status.json").json()["boards"][0]["channels"] == CHANNELS)
        # Trunks and phones are asked for at the beginning, and then no more for a minute.
        wait_until(lambda: busy_ami.asked(PHONES[-1]))
        alone = traffic(time.monotonic() + SECONDS)
        for _ in range(ROUNDS):
            with polled(page.port) as took:
                beside = traffic(time.monotonic() + SECONDS)
            quick = statistics.quantiles(took, n=100)
            with capsys.disabled():
                print(
                    f"\n{len(took)} answers for {CLIENTS} clients: median {quick[49] * 1000:.2f} ms, 99 % within "
                    f"{quick[98] * 1000:.1f} ms; AMI in {SECONDS:.0f} s: {alone[0]} questions and {alone[1]} bytes "
                    f"without them, {beside[0]} and {beside[1]} with them"
                )
            # Two pings a list may fall on either side.
            assert alone[0] == beside[0] == 0
            assert abs(alone[1] - beside[1]) < 400
            if quick[49] < MEDIAN:
                break
    assert len(took) > CLIENTS * POLLS_A_SECOND * SECONDS
    assert quick[49] < MEDIAN
