"""Trunks and phones: how often they are asked for, and what comes of the answers and of the events between them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest

from humbug_agent.board import asterisk_lines
from humbug_agent.board.asterisk import AsteriskFeeder
from humbug_agent.board.asterisk_lines import CONTACTS, ENDPOINTS, PHONES, REGISTRATIONS, TRUNKS
from humbug_agent.board.lines import Lines
from humbug_agent.host.pbx_first import PHONES_SECONDS, STIRRED_SECONDS, TRUNKS_SECONDS
from tests.kit.board_wire import Clock, Wire, answer, refusal
from tests.kit.small_asterisk import message

UNKNOWN = "Invalid/unknown command: SIPpeers. Use Action: ListCommands to show available commands."


def endpoint(name: str, *contacts: str, state: str = "Not in use") -> bytes:
    told = "".join(f"{name}/{contact}," for contact in contacts)
    return message("EndpointList", ObjectName=name, Aor=name, Contacts=told, DeviceState=state)


def contact(endpoint: str, uri: str) -> bytes:
    return message("ContactList", ObjectName=f"{endpoint};@1", Endpoint=endpoint, Uri=uri, Status="Reachable")


def registration(name: str, status: str, endpoint: str = "") -> bytes:
    return message("OutboundRegistrationDetail", ObjectName=name, Status=status, Endpoint=endpoint)


def peer(name: str, dynamic: str, address: str, status: str) -> bytes:
    return message("PeerEntry", ObjectName=name, Dynamic=dynamic, IPaddress=address, Status=status)


USUAL = {
    REGISTRATIONS: [registration("provider", "Registered", "trunk"), registration("backup", "Rejected")],
    "SIPshowregistry": [message("RegistryEntry", Host="sip.example", Port=5060, Username="me", State="Auth. Sent")],
    "IAXregistry": [message("RegistryEntry", Host="10.0.0.9:4570", Username="me", State="Registered")],
    ENDPOINTS: [
        endpoint("trunk", "sip:far.example"),
        endpoint("gateway", "sip:10.0.0.7", state="Unavailable"),
        endpoint("101", "sip:101@10.1.1.1"),
        endpoint("102", state="Unavailable"),
        endpoint("103", "sip:103@10.1.1.3", state="Unavailable"),
        message("EndpointList", ObjectName="anonymous", Aor="", Contacts="", DeviceState="Unavailable"),
    ],
    CONTACTS: [contact("101", "sip:101@10.1.1.1"), contact("103", "sip:103@10.1.1.3")],
    "SIPpeers": [
        peer("fax", "no", "10.0.0.8", "Unmonitored"),
        peer("slow", "no", "10.0.0.8", "LAGGED (3000 ms)"),
        peer("201", "yes", "10.1.1.4", "Unmonitored"),
        peer("202", "yes", "-none-", "UNKNOWN"),
    ],
    "IAXpeerlist": [peer("301", "yes", "(null)", "Unmonitored"), peer("far", "no", "10.0.0.9", "UNKNOWN")],
}
SHOWN = {
    "PJSIP/provider": (True, "registered", True, "PJSIP/trunk"),
    "PJSIP/backup": (True, "rejected", False, ""),
    "SIP/me@sip.example": (True, "auth. sent", False, ""),
    "IAX2/me@10.0.0.9:4570": (True, "registered", True, ""),
    "PJSIP/gateway": (True, "unavailable", False, "PJSIP/gateway"),
    "PJSIP/101": (False, "registered", True, "PJSIP/101"),
    "PJSIP/102": (False, "not registered", False, "PJSIP/102"),
    "PJSIP/103": (False, "unavailable", False, "PJSIP/103"),
    "SIP/fax": (True, "not monitored", None, "SIP/fax"),
    "SIP/slow": (True, "available", True, "SIP/slow"),
    "SIP/201": (False, "registered", True, "SIP/201"),
    "SIP/202": (False, "not registered", False, "SIP/202"),
    "IAX2/301": (False, "not registered", False, "IAX2/301"),
    "IAX2/far": (True, "unknown", None, "IAX2/far"),
}


def asks(wire: Wire) -> list[str]:
    wire.lines = []
    wire.beat()
    return wire.lines


def asks_after(wire: Wire, seconds: float) -> list[str]:
    wire.clock.now += seconds
    wire.beat()
    wire.list_all()
    return asks(wire)


def answered(
    wire: Wire, actions: Sequence[str] = (*TRUNKS, *PHONES), refused: Mapping[str, str] = MappingProxyType({})
) -> None:
    for action in actions:
        if action in refused:
            wire.hear(refusal(f"told-lines-{action}", refused[action]))
        else:
            wire.hear(*answer(f"told-lines-{action}", USUAL[action], f"{action}Complete"))


def lines(wire: Wire) -> Lines:
    found = wire.view.lines
    assert found
    return found


def shown(wire: Wire) -> dict[str, tuple[bool, str, bool | None, str]]:
    return {f"{one.technology}/{one.name}": (one.trunk, one.state, one.up, one.device) for one in lines(wire).found}


@pytest.fixture
def live(wire: Wire, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(asterisk_lines, "time", clock)
    wire.live()
    assert asks(wire) == [*TRUNKS, *PHONES]
    return wire


def test_all_of_them_are_told_as_they_are(live: Wire) -> None:
    answered(live, (*TRUNKS, *PHONES[:-1]))
    # As long as one answer is missing, nothing is said.
    assert live.view.lines is None
    answered(live, PHONES[-1:])
    assert shown(live) == SHOWN
    assert (lines(live).lacks, lines(live).phones_told, lines(live).missing_told) == ((), True, True)


def test_they_are_asked_for_rarely(live: Wire) -> None:
    answered(live)
    assert asks(live) == []
    assert asks_after(live, TRUNKS_SECONDS) == list(TRUNKS)
    assert asks_after(live, PHONES_SECONDS) == [*TRUNKS, *PHONES]
    live.lost()
    live.live()
    assert live.view.lines is None
    assert asks(live) == [*TRUNKS, *PHONES]


def test_a_registration_that_changes_has_all_asked_for_and_many_of_them_no_more(live: Wire, clock: Clock) -> None:
    answered(live)
    asked = 0
    for _ in range(100):
        live.hear(message("Registry", ChannelType="SIP", Username="me", Domain="sip.example", Status="Registered"))
        asked += bool(asks(live))
        clock.now += 0.2
    assert 20 / STIRRED_SECONDS <= asked <= 20 / STIRRED_SECONDS + 1


def test_phones_come_and_go(live: Wire) -> None:
    answered(live)

    def told(status: str, who: str = "102", uri: str = "sip:102@10.1.1.2") -> tuple[str, bool | None]:
        live.hear(message("ContactStatus", EndpointName=who, AOR=who, URI=uri, ContactStatus=status))
        return shown(live)[f"PJSIP/{who}"][1:3]

    def stands(device: str, status: str) -> tuple[str, bool | None]:
        live.hear(message("PeerStatus", ChannelType=device.partition("/")[0], Peer=device, PeerStatus=status))
        return shown(live)[device][1:3]

    told("NonQualified")
    assert stands("PJSIP/102", "Reachable") == ("registered", True)
    assert stands("PJSIP/102", "Unreachable") == ("unavailable", False)
    assert told("Removed") == ("not registered", False)
    # A fixed contact stays a trunk's, whatever is told of it.
    assert told("Reachable", "gateway", "sip:10.0.0.7") == ("unavailable", False)
    assert stands("PJSIP/gateway", "Reachable") == ("available", True)
    assert stands("SIP/202", "Registered") == ("registered", True)
    assert stands("SIP/202", "Unregistered") == ("not registered", False)
    assert stands("SIP/slow", "Unreachable") == ("unavailable", False)
    # What is listed is newer than what was told before.
    assert asks_after(live, PHONES_SECONDS) == [*TRUNKS, *PHONES]
    answered(live, PHONES)
    assert shown(live) == SHOWN


def test_a_phone_that_registers_while_both_lists_are_made_is_no_trunk(live: Wire) -> None:
    answered(live)
    assert asks_after(live, PHONES_SECONDS) == [*TRUNKS, *PHONES]
    moved = [endpoint("101", "sip:101@10.9.9.9"), *USUAL[ENDPOINTS][2:]]
    live.hear(*answer(f"told-lines-{ENDPOINTS}", moved, "EndpointListComplete"))
    assert not shown(live)["PJSIP/101"][0]


def test_trunks_of_one_name_are_told_apart(live: Wire) -> None:
    alike = {
        REGISTRATIONS: [registration("trunk", "Registered", "in"), registration("gateway", "Registered", "gateway")],
        "SIPshowregistry": USUAL["SIPshowregistry"] * 2,
    }
    for action, items in alike.items():
        live.hear(*answer(f"told-lines-{action}", items, f"{action}Complete"))
    answered(live, [one for one in (*TRUNKS, *PHONES) if one not in alike])
    trunks = [f"{one.technology}/{one.name}" for one in lines(live).found if one.trunk]
    assert trunks[:4] == ["PJSIP/trunk (in)", "PJSIP/gateway", "SIP/me@sip.example", "SIP/me@sip.example (2)"]
    assert "PJSIP/trunk" in trunks[4:]
    assert len(set(trunks)) == len(trunks)


def test_a_trunk_whose_provider_does_not_answer_is_not_up(live: Wire) -> None:
    answered(live)
    live.hear(message("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/trunk", PeerStatus="Unreachable"))
    assert shown(live)["PJSIP/provider"][1:3] == ("unavailable", False)


def test_what_the_user_may_not_see_is_said_and_not_asked_for_again(live: Wire) -> None:
    answered(live, refused={ENDPOINTS: "Permission denied", CONTACTS: "Permission denied", "SIPpeers": UNKNOWN})
    assert lines(live).lacks == (
        "PJSIP's phones and fixed trunks are not told: in manager.conf, section [humbug], write needs system, too "
        "(which permits Reload as well)",
    )
    assert lines(live).phones_told
    # Of which endpoint a registration is, Asterisk says alone.
    assert shown(live)["PJSIP/provider"] == (True, "registered", True, "PJSIP/trunk")
    assert set(asks_after(live, PHONES_SECONDS)) == {*TRUNKS, "SIPpeers", "IAXpeerlist"}


def test_where_there_may_be_phones_that_are_not_told_none_is_not_said(live: Wire) -> None:
    answered(live, refused={ENDPOINTS: "Permission denied", "SIPpeers": UNKNOWN, "IAXpeerlist": UNKNOWN})
    assert not lines(live).phones_told


def test_passwords_do_not_cross_a_network_that_others_can_read(wire: Wire) -> None:
    wire.feeder = AsteriskFeeder(wire.board, "humbug", private=False)
    wire.live()
    assert REGISTRATIONS not in asks(wire)
    answered(wire, (*TRUNKS[1:], *PHONES))
    assert "tls = yes" in lines(wire).lacks[0]
    assert "PJSIP/provider" not in shown(wire)
