"""Gateways, registered phones and mod_callcenter's figures on the board of a FreeSWITCH."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from humbug_agent.board import freeswitch_lines
from humbug_agent.board.freeswitch_lines import GATEWAYS, REGISTRATIONS
from humbug_agent.board.lines import Lines
from humbug_agent.board.model import Figures
from humbug_agent.host.pbx_first import PHONES_SECONDS, TRUNKS_SECONDS
from tests.kit.board_feed import AGENTS, QUEUES, TIERS, UNKNOWN, Fed
from tests.kit.esl_server import NOTHING, Recording


def gateway(name: str, state: str, status: str = "UP", pingfreq: int = 0) -> str:
    """As xml_gateway_status of mod_sofia.c writes it, without most of what is not looked at."""
    return (
        f"  <gateway>\n    <name>{name}</name>\n    <profile>external</profile>\n    <username>me & you</username>\n"
        f"    <password>yes</password>\n    <ping>0</ping>\n    <pingfreq>{pingfreq}</pingfreq>\n"
        f"    <state>{state}</state>\n    <status>{status}</status>\n    <calls-in>3</calls-in>\n  </gateway>\n"
    )


def gateways(*told: str) -> bytes:
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<gateways>\n{"".join(told)}</gateways>\n'.encode()


def registrations(*users: str) -> bytes:
    rows = [{"reg_user": user, "realm": "pbx.example", "token": str(at)} for at, user in enumerate(users)]
    return json.dumps({"row_count": len(rows), "rows": rows}).encode()


def lines(fed: Fed) -> Lines:
    fed.lists()
    assert fed.view.lines
    return fed.view.lines


def test_gateways_and_registered_phones(fed: Fed) -> None:
    fed.answers[GATEWAYS] = gateways(
        gateway("provider", "REGED"),
        gateway("deaf", "REGED", "DOWN", 25),
        gateway("refused", "FAIL_WAIT", "DOWN"),
        gateway("peer", "NOREG"),
        gateway("pinged", "NOREG", "UP", 25),
        gateway("lost & found", "NOREG", "DOWN (ping)", 25),
    )
    fed.answers[REGISTRATIONS] = registrations("101", "102", "101")
    found = lines(fed)
    assert [(one.name, one.state, one.up) for one in found.found if one.trunk] == [
        ("provider", "registered", True),
        ("deaf", "unavailable", False),
        ("refused", "fail wait", False),
        ("peer", "not monitored", None),
        ("pinged", "available", True),
        ("lost & found", "unavailable", False),
    ]
    # A phone that is registered from two devices is one; of those that are not FreeSWITCH does not tell.
    assert [one.name for one in found.found if not one.trunk] == ["101@pbx.example", "102@pbx.example"]
    assert (found.phones_told, found.missing_told) == (True, False)


@contextmanager
def clock() -> Iterator[list[float]]:
    now = [1000.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freeswitch_lines, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))
        yield now


def test_they_are_asked_for_rarely(fed: Fed) -> None:
    fed.answers |= {GATEWAYS: gateways(gateway("provider", "REGED")), REGISTRATIONS: registrations("101")}
    with clock() as now:

        def told(seconds: float) -> list[tuple[str, bool | None]]:
            now[0] += seconds
            fed.asks_again()
            return [(one.name, one.up) for one in lines(fed).found]

        assert told(0) == [("provider", True), ("101@pbx.example", True)]
        fed.answers |= {GATEWAYS: gateways(gateway("provider", "TRYING")), REGISTRATIONS: registrations()}
        assert told(TRUNKS_SECONDS - 1) == [("provider", True), ("101@pbx.example", True)]
        assert told(1) == [("provider", False), ("101@pbx.example", True)]
        assert told(PHONES_SECONDS) == [("provider", False)]


@pytest.mark.parametrize("answer", [UNKNOWN, b"", b"{}", b"[" * 100_000, b'{"row_count":1,"rows":[{"reg_user":1}]}'])
def test_what_is_no_such_list_tells_nothing(fed: Fed, answer: bytes) -> None:
    fed.answers |= {GATEWAYS: answer, REGISTRATIONS: answer}
    assert lines(fed).found == ()
    assert fed.view.live
    fed.answers[REGISTRATIONS] = NOTHING
    fed.connect(2)
    assert lines(fed).phones_told


def test_what_mod_callcenter_has_counted(fed: Fed) -> None:
    recorded = Recording("callcenter")
    fed.answers |= {one: recorded.answers(one)[-1] for one in (QUEUES, AGENTS)} | {TIERS: recorded.answers(TIERS)[0]}
    fed.lists()
    queues = fed.view.queues
    assert queues["support@default"].figures == Figures(completed=3, abandoned=2)
    assert queues["sales@default"].figures == Figures(completed=0, abandoned=1)
    one, two = queues["support@default"].members
    assert (one.taken, one.last_call, two.taken, two.last_call) == (3, 1795194228.0, 0, 0.0)
    # Whose calls are those of several queues has taken so many of none of them.
    fed.answers[TIERS] = fed.answers[TIERS].replace(b"+OK", b"sales@default|9001@default|Ready|1|1\n+OK")
    fed.answers[AGENTS] = fed.answers[AGENTS].replace(b"|Available|", b"|On Break|")
    fed.asks_again()
    fed.lists()
    one, two = fed.view.queues["support@default"].members
    assert (one.taken, two.taken) == (None, 0)
    # Since when it is on a break.
    assert (one.shown, one.since, one.last_pause) == ("paused", 1795193225.0, 1795193225.0)
