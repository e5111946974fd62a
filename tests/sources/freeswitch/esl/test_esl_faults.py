"""An event socket that goes wrong in every way there is: said in words that help, never hammered, healed by itself."""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from humbug_agent import backoff
from humbug_agent.listening import inbox
from humbug_agent.listening import link as either_link
from humbug_agent.listening.esl import client, link
from humbug_agent.listening.esl.client import LoginRefused
from humbug_agent.sources.contract import SourceError
from tests.kit.consumer import Consumer
from tests.kit.esl_calls import (
    A_LEG,
    CORE,
    hangup,
    heartbeat,
    numbered,
    reading,
    settings,
    source,
    uuid,
    uuids,
)
from tests.kit.esl_server import GOODBYE, RUDE, EslServer, Recording, event, reply
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

OTHER_CORE = "b07f409a-f83b-4911-91de-c8a149782668"
AFTER = "; calls that end now are not told again, only what FreeSWITCH writes or posts has them"


def breaks_off(esl: EslServer) -> None:
    esl.play(hangup(666)[:5000])
    esl.drop()


def crashes(esl: EslServer) -> None:
    esl.drop(reset=True)


def says_goodbye(esl: EslServer) -> None:
    esl.play(GOODBYE)


def sends_too_much(esl: EslServer) -> None:
    esl.play(b"Content-Type: text/event-json\nContent-Length: 99999999999\n\n{")


def raves(esl: EslServer) -> None:
    esl.play(b"x" * 5_000_000)


FAULTS: dict[str, tuple[Callable[[EslServer], object], str]] = {
    "breaks-off": (breaks_off, "has closed the connection in the midst of a message"),
    "crashes": (crashes, "has closed the connection (Connection reset by peer)"),
    "says-goodbye": (says_goodbye, "ends the connection (Disconnected, goodbye.)"),
    "sends-too-much": (sends_too_much, "sends a message of 99999999999 bytes, which is more than any real one"),
    "raves": (raves, "sends what is no event socket's"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_said_and_healed_within_seconds(esl: EslServer, kind: str) -> None:
    begins, words = FAULTS[kind]
    with reading(esl) as consumer:
        esl.play(numbered(1))
        assert uuids(consumer.take(1)) == [uuid(1)]
        begins(esl)
        assert consumer.until_failure() == f"event socket 127.0.0.1:{esl.port}: {words}{AFTER}"
        began = time.monotonic()
        wait_until(lambda: esl.connections == 2 and esl.listeners)
        esl.play(numbered(2))
        assert uuids(consumer.take(1)) == [uuid(2)]
        assert time.monotonic() - began < 2


GREETINGS: dict[str, tuple[dict[str, object], str]] = {
    "another-service": ({"greeting": b"SSH-2.0-x\r\n"}, "is no event socket: it begins with 'SSH-2.0-x"),
    "rude": ({"greeting": RUDE}, "does not let this host in: in event_socket.conf.xml, apply-inbound-acl must name"),
    "wrong-password": ({"password": "another"}, "refuses the password (-ERR invalid); it is the param password in"),
    "no-events": ({"event_reply": "-ERR no keywords supplied"}, "does not tell its events (-ERR no keywords supplied"),
}


@pytest.mark.parametrize("kind", GREETINGS)
def test_who_is_not_served_is_told_why_once_and_serves_itself_later(
    esl: EslServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour, words = GREETINGS[kind]
    monkeypatch.setattr(backoff, "EVENT_SOCKET_REFUSED", backoff.Growth(0.2, 30.0))
    for name, value in behaviour.items():
        setattr(esl, name, value)
    with Consumer(source(esl.port)) as consumer:
        assert words in consumer.until_failure()
        wait_until(lambda: esl.connections >= 3)
        esl.behave()
        wait_until(lambda: esl.listeners)
        esl.play(numbered(1))
        assert uuids(consumer.take(1)) == [uuid(1)]
        assert len(consumer.failures) == 1


def test_refused_logins_are_tried_at_leisure() -> None:
    patience = link.Patience()
    waits = [patience.after(LoginRefused("")) for _ in range(7)]
    assert waits == [2, 4, 8, 16, 30, 30, 30]
    assert patience.after(None) < 1


def test_the_recorded_refusal_is_one(esl: EslServer) -> None:
    esl.recording = Recording("auth_wrong")
    with pytest.raises(SourceError, match=r"refuses the password \(-ERR invalid\)"):
        source(esl.port).check()


def test_no_password_is_ever_shown(esl: EslServer, caplog: pytest.LogCaptureFixture) -> None:
    esl.greeting = b"Content-Type: auth/request\nReply-Text: " + settings().password.reveal().encode() + b"\n\n"
    esl.password = "another"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as refused:
        source(esl.port).check()
    assert settings().password.reveal() not in str(refused.value) + caplog.text


def test_a_server_that_says_nothing_is_given_up(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "LOGIN_SECONDS", 0.3)
    esl.freeze()
    with Consumer(source(esl.port)) as consumer:
        assert "does not answer within 0 s" in consumer.until_failure()
        esl.thaw()
        wait_until(lambda: esl.listeners)


def test_silence_is_noticed_and_another_connection_takes_over(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("SILENT_SECONDS", 0.3),
        ("PULSE_SECONDS", 0.3),
        ("LOGIN_SECONDS", 0.5),
    ):
        monkeypatch.setattr(link, name, seconds)
    monkeypatch.setattr(either_link, "BEAT_SECONDS", 0.1)
    with reading(esl) as consumer:
        esl.freeze()
        assert "nothing comes any more, neither HEARTBEATs nor an answer" in consumer.until_failure()
        # What it still has in hand may yet come.
        assert esl.open >= 1
        esl.thaw()
        wait_until(lambda: esl.listeners)
        esl.play(numbered(5))
        assert uuids(consumer.take(1)) == [uuid(5)]
        wait_until(lambda: sum(session.is_alive() for session in esl.sessions if session.frozen) == 0)


def test_a_server_without_heartbeats_that_answers_is_no_fault(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(either_link, "BEAT_SECONDS", 0.1)
    with reading(esl) as consumer:
        wait_until(lambda: esl.said.count("api status") >= 3)
        assert esl.connections == 1
        assert not consumer.failures


def test_heartbeats_are_enough(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(link, "PULSE_SECONDS", 0.1)
    monkeypatch.setattr(either_link, "BEAT_SECONDS", 0.05)
    esl.answers_api = False
    with reading(esl) as consumer:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            esl.play(heartbeat())
            esl.ended.wait(0.1)
        assert esl.connections == 1
        assert not consumer.failures
        assert "api status" not in esl.said


def test_a_freeswitch_that_was_started_anew_is_said(esl: EslServer, caplog: pytest.LogCaptureFixture) -> None:
    with reading(esl) as consumer:
        for core, words in ((CORE, 0), (CORE, 0), (OTHER_CORE, 1), (OTHER_CORE, 1)):
            wait_until(lambda: esl.listeners)
            esl.play(heartbeat(core) + numbered(1))
            consumer.take(1)
            assert caplog.text.count("FreeSWITCH has been started anew") == words
            esl.drop()
            consumer.until_failure()


def test_frames_that_nobody_asked_for_do_no_harm(esl: EslServer) -> None:
    others = reply("+OK bye") + b"Content-Type: log/data\nContent-Length: 3\n\nabc" + b"Content-Type: api/response\n\n"
    with reading(esl) as consumer:
        esl.play(others + event(b"<event/>", "xml") + numbered(1) + others, (1,))
        assert uuids(consumer.take(1)) == [uuid(1)]
        assert esl.connections == 1


def test_a_flood_is_read_without_end_and_nothing_is_lost(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 events of all kinds; of the hangups there come ten times as many as there is room for."""
    most = room(monkeypatch, 2**21)
    hangups, others = 2_000, 98_000
    noise = heartbeat() * (others // hangups)
    with reading(esl) as consumer:
        data = b"".join(noise + hangup(n) for n in range(hangups))
        sending = threading.Thread(target=esl.play, args=(data, (2**18,)))
        sending.start()
        found: list[str] = []
        kept = 0
        while len(found) < hangups:
            kept = max(kept, consumer.source._inbox._bytes)
            found += uuids(consumer.next().records)
        sending.join()
        assert found == [uuid(n) for n in range(hangups)]
        assert not consumer.failures
        assert kept < most
        assert esl.connections == 1


def test_while_nobody_takes_them_events_are_read_and_lost_ones_are_counted(
    esl: EslServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = room(monkeypatch, 2**20)
    monkeypatch.setattr(client, "HOLD_SECONDS", 0.5)
    number = 1000
    with reading(esl) as consumer:
        began = time.monotonic()
        # The outbox takes nothing meanwhile, and yet this returns.
        esl.play(numbered(*range(number)), (2**16,))
        held = consumer.source._inbox
        wait_until(lambda: held._lost and esl.sessions[0].subscribed)
        assert 0.4 < time.monotonic() - began < 20
        esl.play(numbered(number))
        wait_until(lambda: held._bytes > most)
        found: list[str] = []
        lost = 0
        while len(found) + lost < number + 1:
            with suppress(SourceError):
                found += uuids(consumer.next().records)
            words = "events found no room while the outbox could not be written"
            assert all(words in failure for failure in consumer.failures)
            lost = sum(int(failure.split()[0].replace(",", "")) for failure in consumer.failures)
        assert found[:50] == [uuid(n) for n in range(50)]
        assert len(found) > 50
        assert lost > 50
        esl.play(numbered(2000))
        assert uuids(consumer.take(1)) == [uuid(2000)]


def test_the_end_comes_quickly_whatever_goes_on(esl: EslServer) -> None:
    for freeze in (False, True):
        with reading(esl) as consumer:
            if freeze:
                esl.freeze()
            began = time.monotonic()
            consumer.rest()
            assert time.monotonic() - began < 2
        wait_until(lambda: not [one for one in esl.sessions if one.is_alive()])
        esl.thaw()


def test_cut_anywhere_a_connection_tells_whole_calls_only(esl: EslServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "CONNECTION", backoff.Growth(0.1, 0.1))
    whole = b"".join(map(event, Recording("json_calls").events()))
    with reading(esl) as consumer:
        for cut in range(200, len(whole), 4999):
            wait_until(lambda: esl.listeners)
            esl.play(whole[:cut])
            esl.drop()
            assert "has closed the connection" in consumer.until_failure()
        assert set(uuids(consumer.found)) == {json.loads(A_LEG)["Unique-ID"]}


def room(monkeypatch: pytest.MonkeyPatch, most: int) -> int:
    """For so many bytes only."""
    monkeypatch.setattr(inbox, "MOST_BYTES", most)
    return most
