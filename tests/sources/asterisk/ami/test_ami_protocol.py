"""What is odd but may come: the events around it are handed over, and the connection stays."""

import pytest

from humbug_agent.listening.ami import protocol
from tests.kit.ami_calls import call, event, events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_feed import Wire, blocks
from tests.kit.ami_server import BANNER, AmiServer
from tests.kit.host import wait_until
from tests.kit.pbx_server import pieces

pytestmark = pytest.mark.slow

TWICE = b"Event: UserEvent\r\nPrivilege: user,all\r\nEvent: Again\r\nUserEvent: x\r\n\r\n"
LATIN = event(call(8, clid='"Zoë" <7>'.encode("latin-1")))
ODD = {
    "an-event-header-twice": TWICE,
    "an-unknown-response": b"Response: Perhaps\r\nMessage: who knows\r\n\r\n",
    "a-response-without-a-body": b"Response: Follows\r\n\r\n",
    "a-failure-without-a-body": b"Response: Failure\r\n\r\n",
    "a-response-twice": b"Response: Success\r\nResponse: Error\r\n\r\n",
    "an-id-twice": b"Response: Success\r\nActionID: 1\r\nActionID: 2\r\n\r\n",
    "an-event-with-an-id-twice": b"Event: Status\r\nActionID: 1\r\nActionID: 2\r\n\r\n",
    "a-list-that-ends": b"Event: StatusComplete\r\nActionID: 1\r\nEventList: Complete\r\nListItems: 0\r\n\r\n",
    "a-shutdown-within-a-response": b"Response: Success\r\nEvent: Shutdown\r\n\r\n",
    "an-empty-response": b"Response: \r\n\r\n",
    "no-header": b"Call Manager\r\nno colon\r\n\r\n",
    "blank-lines": b"\r\n" * 7,
    "every-byte": bytes(range(256)) + b"\r\n\r\n",
    "half-a-megabyte": b"x" * 500_000 + b"\r\n\r\n",
    "a-greeting-again": BANNER + b"\r\n",
    "a-long-value": event(call(9, userfield=b"y" * 900_000)),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_takes_nothing_with_it(kind: str) -> None:
    before, after = events(1), events(2)
    found = blocks([BANNER + before + ODD[kind] + after])
    assert found[0] == before.removesuffix(b"\r\n\r\n")
    assert found[-1] == after.removesuffix(b"\r\n\r\n")


def test_only_too_much_of_what_is_unknown_ends_the_connection() -> None:
    odd = b"y" * 100_000 + b"\r\n\r\n"
    assert len(blocks([BANNER, *[odd * 9, events(1)] * 50])) == 50
    assert left([BANNER, events(1), odd * 9, odd * 3])


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01", b"\r\n", BANNER[:-2] + b"x" * 200])
def test_what_greets_otherwise_is_left_at_once(greeting: bytes) -> None:
    assert left([greeting])


def test_a_greeting_may_come_byte_by_byte() -> None:
    assert len(blocks(pieces(BANNER + events(1), (1,)))) == 1


def test_no_more_is_kept_than_a_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_UNKNOWN", 1000)
    assert not left([BANNER, b"x" * 600])
    assert left([BANNER, b"x" * 600, b"x" * 600])


def left(parts: list[bytes]) -> bool:
    """Whether the connection is ended over it."""
    wire = Wire()
    blocks(parts, wire)
    return wire.aborted


def test_characters_arrive_whole_whatever_the_segments(ami: AmiServer, pbx: AmiHost) -> None:
    whole = event(call(7, clid='"Zoë Żółć" <7>'.encode()))
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        ami.play(whole, (whole.index("ë".encode()) + 1, 1, 5, 1, 1), apart=True)
        ami.play(LATIN, (1, 40), apart=True)
        wait_until(lambda: pbx.store.count() == 2)
        assert {row["CallerID"] for row in pbx.store.rows()} == {'"Zoë Żółć" <7>', '"Zoë" <7>'}
        assert len(daemon.lines) == 2, daemon.log


def test_the_daemon_hears_what_comes_around_the_odd(ami: AmiServer, pbx: AmiHost) -> None:
    with Daemon(pbx) as daemon:
        wait_until(lambda: ami.listeners)
        for number, odd in enumerate(ODD.values(), 100):
            ami.play(odd + events(number), (7000,))
        wait_until(lambda: {str(number) for number in range(100, 100 + len(ODD))} <= set(pbx.dialled()))
        assert (ami.connections, ami.open) == (1, 1)
        assert len(daemon.lines) == 2, daemon.log
