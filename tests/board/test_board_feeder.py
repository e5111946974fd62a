"""A board over a real connection: at its start, through every fault of an AMI, and in between."""

import time
from collections.abc import Callable

import pytest

from humbug_agent.board import asterisk, asterisk_list
from humbug_agent.board.asterisk_lines import PHONES
from humbug_agent.listening import link as either_link
from humbug_agent.listening.ami import link
from tests.kit import ami_server
from tests.kit.ami_calls import events
from tests.kit.ami_server import AmiServer, Session
from tests.kit.board_host import Live
from tests.kit.board_wire import shown
from tests.kit.host import wait_until
from tests.kit.small_asterisk import Chan, SmallAsterisk

pytestmark = pytest.mark.slow

NEVER_TOLD = "does not tell its channels and queues within 0 s"
SOON = 4.0
"""Seconds within which a board must know that its AMI is away."""


class Pbx(SmallAsterisk):
    """It plays on an AmiServer: its events as they happen, unless they are lost, and its lists as they then are."""

    def __init__(self, ami: AmiServer) -> None:
        super().__init__(time.time)
        self._ami = ami

    def say(self, *, lost: bool = False) -> None:
        """What has happened since; ``lost`` says that the events never come."""
        told = b"".join(block + b"\r\n\r\n" for _, block in self.pending)
        self.pending.clear()
        self.lingering.clear()
        self._ami.lists = {"CoreShowChannels": self.core_show_channels(), "QueueStatus": self.queue_status()}
        if told and not lost:
            self._ami.play(told)


@pytest.fixture
def pbx(ami: AmiServer) -> Pbx:
    return Pbx(ami)


def busy(pbx: Pbx) -> Chan:
    """Two wait and one talks to Anna, a call rings, another one talks. Returns who talks to Anna."""
    pbx.member("support", "PJSIP/201", "Anna Agent", "2", "0")
    pbx.member("support", "PJSIP/202", "Bert Break", "1", "1")
    first, second, third = (pbx.call("PJSIP/carrier", f"+4915100{number}", 'Ann, "B" O\'C') for number in range(3))
    talker = pbx.join(first, "support")
    pbx.join(second, "support")
    pbx.join(third, "support")
    pbx.connect(talker, "PJSIP/201", "Anna Agent")
    pbx.joined_by_bridge(talker)
    pbx.state(pbx.dial(pbx.call("PJSIP/101", "101", "Desk 101"), "PJSIP/204"), "5")
    caller = pbx.call("SIP/4003", "4003", "")
    callee = pbx.dial(caller, "IAX2/trunk")
    pbx.state(callee, "6")
    pbx.state(caller, "6")
    pbx.bridge(caller, callee)
    pbx.say()
    return first


def is_shown(live: Live, pbx: Pbx) -> Callable[[], bool]:
    return lambda: live.view.live and shown(live.view) == pbx.truth()


def away(live: Live, words: str) -> Callable[[], bool]:
    def so() -> bool:
        view = live.view
        assert view.live or not (view.channels or view.queues or view.devices)
        return not view.live and words in view.message

    return so


# The start.


def test_it_knows_what_was_there_before_it_came(ami: AmiServer, pbx: Pbx) -> None:
    talker = busy(pbx)
    began = time.monotonic()
    with Live(ami) as live:
        assert not live.view.live
        assert live.view.confirmed == 0
        wait_until(is_shown(live, pbx))
        (login,) = ami.asked("Login")
        assert login["Events"] == "agent,call,cdr"
        view = live.view
        assert began <= view.confirmed <= time.monotonic()
        (connected,) = [call for call in view.queues["support"].calls if call.connected]
        assert (connected.uniqueid, connected.agent_name, connected.waited) == (talker.uniqueid, "Anna Agent", None)
        assert connected.number == "+49151000"
        assert connected.name == 'Ann, "B" O\'C'
        assert abs(connected.entered - talker.born) < 3
        assert [one.name for one in view.queues["support"].members] == ["Anna Agent", "Bert Break"]
        assert [len(view.devices[name]) for name in ("pjsip/carrier", "pjsip/201", "sip/4003")] == [3, 1, 1]
        # It goes on from there.
        pbx.hang_up(talker)
        pbx.say()
        wait_until(is_shown(live, pbx))
        assert len(ami.asked("CoreShowChannels")) == 1


def test_before_the_first_list_is_complete_it_shows_nothing(ami: AmiServer, pbx: Pbx) -> None:
    ami.ignored = ("QueueStatus",)
    busy(pbx)
    with Live(ami) as live:
        wait_until(lambda: ami.asked("QueueStatus"))
        pbx.state(pbx.call("SIP/1", "1", ""), "6")
        pbx.say()
        ami.wait_until_read()
        wait_until(away(live, "asks which calls there are"))


def test_events_make_it_immediate(ami: AmiServer, pbx: Pbx) -> None:
    with Live(ami) as live:
        wait_until(lambda: live.view.live)
        wait_until(lambda: ami.listeners)
        talker = busy(pbx)
        wait_until(is_shown(live, pbx), 1)
        pbx.rename(talker)
        pbx.account(talker, "ACME")
        pbx.say()
        wait_until(is_shown(live, pbx), 1)
        for chan in list(pbx.channels.values()):
            pbx.hang_up(chan)
            pbx.say()
            wait_until(is_shown(live, pbx), 1)
        assert live.view.channels == ()
        assert len(ami.asked("CoreShowChannels")) == len(ami.asked("QueueStatus")) == 1


def test_an_asterisk_without_queues_has_channels(ami: AmiServer, pbx: Pbx) -> None:
    pbx.call("SIP/4003", "4003", "Jürgen")
    pbx.say()
    ami.lists = {"CoreShowChannels": pbx.core_show_channels()}
    with Live(ami) as live:
        wait_until(lambda: live.view.live)
        assert [one.name for one in live.view.channels] == ["Jürgen"]
        assert live.view.queues == {}


# Connections.


@pytest.mark.parametrize("how", ["dropped", "reset", "vanished"])
def test_after_a_lost_connection_it_shows_what_is_then(ami: AmiServer, pbx: Pbx, how: str) -> None:
    talker = busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        pbx.hang_up(talker)
        pbx.join(pbx.call("SIP/7", "7", "New"), "sales")
        if how == "vanished":
            ami.vanish()
            wait_until(away(live, "nobody listens there"))
            pbx.say(lost=True)
            ami.listen()
        else:
            pbx.say(lost=True)
            ami.drop(reset=how == "reset")
        wait_until(lambda: ami.logins == 2)
        wait_until(is_shown(live, pbx))
        assert any("connection" in failure for failure in live.failures)


@pytest.mark.alone
def test_a_frozen_ami_is_away_within_seconds_and_back_when_it_thaws(
    ami: AmiServer, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long it tries in vain what is begun while nothing answers.
    monkeypatch.setattr(link, "LOGIN_SECONDS", 1.0)
    talker = busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        wait_until(lambda: ami.pings)
        ami.freeze()
        froze = time.monotonic()
        wait_until(away(live, "nothing comes any more, not even an answer to a ping"), SOON)
        took = time.monotonic() - froze
        assert took < SOON
        pbx.hang_up(talker)
        pbx.say(lost=True)
        ami.thaw()
        wait_until(is_shown(live, pbx), 5)
        assert ami.logins == 2


def test_a_connection_that_speaks_again_is_believed_only_after_a_list(
    ami: AmiServer, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(either_link, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(link, "LOGIN_SECONDS", 0.5)
    talker = busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        (session,) = ami.sessions
        ami.freeze()
        wait_until(away(live, "nothing comes any more"), SOON)
        # What happened meanwhile it hears too late to show it by itself.
        pbx.hang_up(talker)
        pbx.say(lost=True)
        ami.ignored = ("QueueStatus",)
        before = len(ami.asked("QueueStatus"))
        speak(session)
        wait_until(lambda: len(ami.asked("QueueStatus")) > before)
        wait_until(away(live, "asks which calls there are"))
        ami.ignored = ()
        ami.thaw()
        session.drop(reset=False)
        wait_until(is_shown(live, pbx))


def speak(session: Session) -> None:
    session.frozen = False
    session.play([b"Event: DeviceStateChange\r\nDevice: PJSIP/201\r\nState: INUSE\r\n\r\n"], False)


def test_what_a_former_connection_says_is_not_heard(ami: AmiServer, pbx: Pbx) -> None:
    busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        before = live.view
        for chan in pbx.channels.values():
            # As the connection's thread would do it while there are two.
            live.feeder.heard(99, [b"Event: Hangup\r\nUniqueid: " + chan.uniqueid.encode()])
        assert live.view is before


def test_a_refused_login_is_told_and_mended(ami: AmiServer, pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_server, "REFUSED_SECONDS", 0.0)
    ami.allowed = False
    busy(pbx)
    with Live(ami) as live:
        wait_until(away(live, "refuses the login of humbug"))
        ami.allowed = True
        wait_until(is_shown(live, pbx))


# Lists.


@pytest.mark.usefixtures("hurried")
def test_a_user_who_may_not_list_channels_is_told_what_to_change(ami: AmiServer, pbx: Pbx) -> None:
    busy(pbx)
    ami.refused = {"CoreShowChannels": "Permission denied"}
    with Live(ami) as live:
        wait_until(away(live, "may not list channels (Permission denied)"))
        assert "manager.conf, section [humbug], write must have reporting" in live.view.message
        # Not all the time, and calls go on.
        wait_until(lambda: len(ami.asked("CoreShowChannels")) > 1)
        ami.play(events(1, 2, 3))
        wait_until(lambda: len(live.records) == 3)
        wait_until(away(live, "may not list channels"))
        ami.refused = {}
        wait_until(is_shown(live, pbx))
        ami.refused = {"CoreShowChannels": "Permission denied"}
        wait_until(away(live, "may not list channels"))


def test_without_the_right_nothing_else_is_said_in_between(ami: AmiServer, pbx: Pbx) -> None:
    """Half of the answer is refused, and the other one comes."""
    ami.refused = {"CoreShowChannels": "Permission denied"}
    busy(pbx)
    with Live(ami) as live:
        wait_until(away(live, "may not list channels"))
        pbx.join(pbx.call("SIP/8", "8", ""), "sales")
        pbx.say()
        ami.play(events(1))
        wait_until(lambda: live.records)
        assert away(live, "may not list channels")()


@pytest.mark.usefixtures("hurried")
def test_a_user_who_hears_of_no_calls_is_told_what_to_change(
    ami: AmiServer, pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asterisk_list, "SLACK_SECONDS", 0.0)
    # Durations are whole seconds.
    monkeypatch.setattr(asterisk, "CONFIRM_SECONDS", 1.5)
    with Live(ami) as live:
        wait_until(lambda: live.view.live)
        pbx.call("SIP/8", "8", "")

        def said_so() -> bool:
            # How long a channel has been there is for the list to say.
            pbx.say(lost=True)
            return away(live, "read must have call")()

        wait_until(said_so)
        assert "manager.conf, section [humbug]" in live.view.message
        # Now it may.
        monkeypatch.setattr(asterisk_list, "SLACK_SECONDS", 3.0)
        pbx.call("SIP/9", "9", "")
        pbx.say()
        wait_until(is_shown(live, pbx))


@pytest.mark.parametrize(
    ("how", "silent"),
    [
        ("ignored", ("CoreShowChannels", "QueueStatus")),
        ("ignored", ("CoreShowChannels",)),
        ("half", ("CoreShowChannels",)),
        ("half", ("QueueStatus",)),
    ],
)
@pytest.mark.usefixtures("hurried")
def test_a_list_that_never_ends_is_told_and_asked_for_again(
    ami: AmiServer, pbx: Pbx, monkeypatch: pytest.MonkeyPatch, how: str, silent: tuple[str, ...]
) -> None:
    monkeypatch.setattr(asterisk, "CONFIRM_SECONDS", 0.2)
    monkeypatch.setattr(asterisk, "ANSWER_SECONDS", 0.1)
    busy(pbx)
    setattr(ami, how, silent)
    said = set()
    with Live(ami) as live:

        def asked_again() -> bool:
            assert not live.view.live, live.view
            said.add(live.view.message)
            return len(ami.asked("QueueStatus")) > 2

        wait_until(asked_again)
        assert said <= {"not connected yet", "connected; asks which calls there are", NEVER_TOLD}
        ami.play(events(1))
        wait_until(lambda: live.records)
        setattr(ami, how, ())
        wait_until(is_shown(live, pbx))
        setattr(ami, how, silent)
        wait_until(away(live, NEVER_TOLD))


def test_half_a_list_and_a_lost_connection_leave_nothing(ami: AmiServer, pbx: Pbx) -> None:
    busy(pbx)
    ami.half = ("CoreShowChannels", "QueueStatus")
    with Live(ami) as live:
        wait_until(lambda: ami.asked("QueueStatus"))
        for chan in list(pbx.channels.values()):
            pbx.hang_up(chan)
        pbx.join(pbx.call("SIP/7", "7", "New"), "sales")
        pbx.say(lost=True)
        assert not live.view.live
        ami.half = ()
        ami.drop()
        wait_until(is_shown(live, pbx))


@pytest.mark.usefixtures("hurried")
def test_the_next_list_heals_what_events_did_not_tell(ami: AmiServer, pbx: Pbx) -> None:
    talker = busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        wait_until(lambda: ami.listeners)
        pbx.hang_up(talker)
        waiting = pbx.waiting["support"][0]
        pbx.gives_up(waiting)
        pbx.join(pbx.call("SIP/7", "7", "New"), "sales")
        pbx.no_member("support", "PJSIP/202")
        pbx.say(lost=True)
        wait_until(is_shown(live, pbx), 3)
        entered = live.view.queues["sales"].calls[0].entered
        before = len(ami.asked("QueueStatus"))
        wait_until(lambda: len(ami.asked("QueueStatus")) > before + 1)
        assert is_shown(live, pbx)()
        assert live.view.queues["sales"].calls[0].entered == entered


@pytest.mark.usefixtures("hurried")
def test_events_go_on_between_many_lists(ami: AmiServer, pbx: Pbx) -> None:
    with Live(ami) as live:
        wait_until(lambda: live.view.live)
        wait_until(lambda: ami.listeners)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            talker = busy(pbx)
            pbx.hang_up(talker)
            pbx.say()
            wait_until(is_shown(live, pbx))
            for chan in list(pbx.channels.values())[:7]:
                pbx.hang_up(chan)
            pbx.say()
            assert live.view.live
        wait_until(is_shown(live, pbx))
        assert len(ami.asked("QueueStatus")) > 2
        assert ami.connections == 1


def test_who_polls_causes_no_traffic(ami: AmiServer, pbx: Pbx) -> None:
    busy(pbx)
    with Live(ami) as live:
        wait_until(is_shown(live, pbx))
        wait_until(lambda: PHONES[-1] in [one["Action"] for one in ami.said])
        board, before = live.board, [one["Action"] for one in ami.said]
        for _ in range(1_000_000):
            board.view()
        more = [one["Action"] for one in ami.said][len(before) :]
        assert set(more) <= {"Ping"}
