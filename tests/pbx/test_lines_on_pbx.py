"""Trunks and phones of a real Asterisk: what the agent says of them is what the consoles say."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.host import Host, wait_until
from tests.kit.ports import free_port
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_lines import console, missing, start
from tests.pbx.pbx_manager import Manager
from tests.pbx.test_board_on_pbx import Ipps

SOON = 8.0
"""Seconds in which what an event tells is shown, and a registration is asked for anew."""


def lines(ipps: Ipps) -> dict[str, Any]:
    return dict(ipps.board()["lines"] or {})


def trunks(ipps: Ipps) -> dict[str, tuple[str, Any]]:
    return {one["id"]: (one["state"], one["up"]) for one in lines(ipps).get("trunks", ())}


def registrations(ipps: Ipps, of: dict[str, str]) -> dict[str, str]:
    return {trunk: state for trunk, (state, _) in trunks(ipps).items() if trunk in of}


def settled(pbx: Pbx) -> bool:
    said = console(pbx)
    return said.get("PJSIP/provider") == said.get("PJSIP/desk301") == "registered" and "registered" in [
        state for trunk, state in said.items() if trunk.startswith("IAX2/account@")
    ]


def test_trunks_and_phones_are_those_of_the_consoles(pbx: Callable[..., Pbx], host: Host) -> None:
    there, _ = start(pbx)
    wait_until(lambda: settled(there), 60, 0.3)
    ipps = Ipps(free_port())
    with Daemon(host, there, user="lines", more=ipps.status) as agent:
        wait_until(ipps.ready, 10)
        wait_until(lambda: lines(ipps), 10)
        said = console(there)
        wait_until(lambda: registrations(ipps, said) == said, 70)
        assert said["PJSIP/refused"] != "registered"
        assert trunks(ipps)["PJSIP/provider"] == ("registered", True)
        assert trunks(ipps)["PJSIP/refused"][1] is False
        # What is no registration: fixed addresses, with nobody there, with a phone's, with one that is looked at.
        assert trunks(ipps)["PJSIP/carrier"] == ("available", True)
        assert trunks(ipps)["IAX2/far"] == ("available", True)
        wanted = missing(there)
        assert "PJSIP/302" in wanted
        assert "IAX2/303" in wanted
        assert lines(ipps)["phones"]["missing"] == wanted
        assert lines(ipps)["phones"] == {"registered": 1, "all": len(wanted) + 1, "missing": wanted}
        assert lines(ipps)["lacks"] == []
        # A phone leaves, and a registration with it: both are told, and seen long before all is asked for again.
        there.cli("pjsip send unregister desk301")
        wait_until(lambda: "PJSIP/301" in missing(there), 10)
        wait_until(lambda: "PJSIP/301" in lines(ipps)["phones"]["missing"], SOON)
        wait_until(lambda: trunks(ipps)["PJSIP/desk301"] == (console(there)["PJSIP/desk301"], False), SOON)
        there.cli("pjsip send register desk301")
        # Asterisk may let it wait for ten seconds.
        wait_until(lambda: "PJSIP/301" not in missing(there), 30)
        wait_until(lambda: "PJSIP/301" not in lines(ipps)["phones"]["missing"], SOON)
        wait_until(lambda: trunks(ipps)["PJSIP/desk301"] == ("registered", True), SOON)
        metrics = ipps.get("/metrics")
        assert 'humbug_trunk_up{board="ami",technology="PJSIP",trunk="provider"} 1.0' in metrics
        assert f'humbug_phones{{board="ami",state="missing"}} {len(wanted)}.0' in metrics
        # Of passwords, which an Asterisk tells with its registrations, nothing is left anywhere.
        agent.end()
    kept = [file for file in host.folder.rglob("*") if file.is_file()]
    assert not [file for file in kept if b"trunk-secret" in file.read_bytes()]


@pytest.mark.parametrize("asterisk_root", ["asterisk22"], indirect=True)
def test_channels_are_counted_by_trunk(pbx: Callable[..., Pbx], host: Host) -> None:
    there, _ = start(pbx)
    ipps = Ipps(free_port())
    with Daemon(host, there, user="lines", more=ipps.status), Manager(there.ami_port) as manager:
        wait_until(lambda: ipps.ready() and lines(ipps), 10)

        def channels() -> int:
            return sum(one["channels"] for one in lines(ipps)["trunks"] if one["id"] == "PJSIP/provider")

        assert channels() == 0
        for _ in range(2):
            manager.action("Originate", Channel="PJSIP/+4930542@provider", Application="Wait", Data="20", Async="true")
        wait_until(lambda: channels() == 2, 10)
        manager.action("Hangup", Channel="/^PJSIP/provider-.*$/")
        wait_until(lambda: channels() == 0, 10)


@pytest.mark.parametrize("asterisk_root", ["asterisk16"], indirect=True)
def test_what_a_user_may_not_see_is_said(pbx: Callable[..., Pbx], host: Host) -> None:
    there, _ = start(pbx)
    ipps = Ipps(free_port())
    with Daemon(host, there, user="board", more=ipps.status):
        wait_until(lambda: ipps.ready() and lines(ipps), 10)
        assert lines(ipps)["lacks"] == [
            "PJSIP's phones and fixed trunks are not told: in manager.conf, section [board], write needs system, too "
            "(which permits Reload as well)"
        ]
        # Its registrations it may see, and the phones of the others.
        assert "PJSIP/provider" in trunks(ipps)
        assert "IAX2/303" in lines(ipps)["phones"]["missing"]
        assert not any(one.startswith("PJSIP/") for one in lines(ipps)["phones"]["missing"])
