"""The agent on a real Asterisk, with Master.csv and AMI as its sources: each call once, whatever is restarted."""

import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.kit.host import Host, wait_until
from tests.kit.paths import TOP
from tests.pbx.pbx_daemon import CONNECTIONS, Daemon, OnPath, host_check
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.phones import burst, hundred_calls
from tests.pbx.witness import Call, Witness, received, written

PAGE = TOP / "docs" / "sources" / "asterisk.md"


def excused(told: list[tuple[float, Call]], away: list[tuple[float, float]]) -> Counter[Call]:
    return Counter(call for at, call in told if any(began <= at <= ended for began, ended in away))


def test_every_record_and_every_event_is_delivered_once_whatever_is_restarted(
    pbx: Callable[..., Pbx], host: Host
) -> None:
    there = pbx(csv="debian", timezone="Europe/Berlin")
    deeds: Iterator[Callable[[], object]] = iter(())
    with Daemon(host, there) as agent, Witness(there) as witness:

        def restart_asterisk() -> None:
            there.restart_now()
            witness.await_ear()
            agent.await_ear()

        deeds = iter((
            lambda: agent.again(signal.SIGKILL), restart_asterisk, lambda: agent.again(signal.SIGTERM),
            lambda: agent.again(signal.SIGKILL),
        ))  # fmt: skip
        begun = []

        def meanwhile(number: int) -> None:
            begun.append(number)
            if number >= 20 * len(done):
                done.append(next(deeds, int)())

        done: list[object] = [None]
        hundred_calls(there, meanwhile)
        assert begun[-1] >= 100
        assert len(done) >= 5
        # Too long for Master.csv, with nobody away.
        with Manager(there.ami_port) as manager:
            manager.action("Originate", Channel="Local/518@from-internal", Application="Wait", Data="1", Async="true")
            wait_until(lambda: manager.channels() == 0, 20)

        def expected() -> tuple[Counter[Call], Counter[Call]]:
            """What must have arrived, and what may have: what ended just when it went or came may have been heard."""
            records = written(there)
            events = Counter(call for _, call in witness.told)
            return records | (events - (excused(witness.told, agent.away) - records)), records | events

        def settled() -> bool:
            must, may = expected()
            return must <= received(host.store.rows()) <= may and bool(must - written(there))

        try:
            wait_until(settled, 30)
        except AssertionError:
            got, (must, may) = received(host.store.rows()), expected()
            pytest.fail(f"missing {must - got}\nsurplus {got - may}\n{agent.log.read_text()}")
        agent.end()
    assert sum(expected()[0].values()) >= 100
    assert host.store.repeats() <= CONNECTIONS * agent.kills
    log = agent.log.read_text()
    assert "Traceback" not in log
    assert "humbug-secret" not in log
    assert host.status()["rejects"] == 0


@pytest.mark.alone
def test_three_thousand_calls_at_once_lose_nothing_and_ami_is_never_cut(pbx: Callable[..., Pbx], host: Host) -> None:
    there = pbx(csv="debian")
    with Daemon(host, there) as agent:
        burst(there, 3000)
        wait_until(lambda: {"sources": ["ami", "master-csv"], "calls": 6000} in host.status()["sightings"], 30)
        wait_until(lambda: host.store.count() == 6000, 60)
        agent.end()
    assert received(host.store.rows()) == written(there)
    assert host.store.repeats() == 0
    assert "ERROR" not in agent.log.read_text()


def test_the_documented_user_suffices(pbx: Callable[..., Pbx], host: Host) -> None:
    (user,) = re.findall(r"```ini\n(\[humbug\].*?)```", PAGE.read_text(), re.DOTALL)
    secret = re.search(r"secret = (.*)", user)
    assert secret
    there = pbx(manager_users=user.replace(secret[1], "humbug-secret") + LAB)
    with ExitStack() as stack:
        stack.enter_context(OnPath(there))
        assert "may see cdr" in host_check(host, there)
        agent = stack.enter_context(Daemon(host, there))
        one_call(there)
        wait_until(lambda: host.store.count() == 2)
        wait_until(lambda: {"sources": ["ami", "master-csv"], "calls": 2} in host.status()["sightings"])
        agent.end()


LAB = "\n[lab]\nsecret = lab-secret\nread = all\nwrite = all\n"


def one_call(pbx: Pbx) -> None:
    with Manager(pbx.ami_port) as manager:
        manager.action("Originate", Channel="Local/500@from-internal", Application="Wait", Data="1", Async="true")
        wait_until(lambda: pbx.master_csv.exists() and manager.channels() == 0, 20)


@pytest.mark.parametrize(
    ("user", "more", "said"),
    [
        ("humbug", "", "may see cdr"),
        ("callonly", "", "section [callonly], write read = call,cdr, then asterisk -rx 'manager reload'"),
        ("noperm", "", "section [noperm], write read = cdr, then"),
        ("humbug", "events = cdr,alarm", "section [humbug], write read = cdr,system, then"),
        ("humbugsys", "events = cdr,alarm", "may see alarm, cdr"),
        ("denied", "", "refuses the login of denied"),
        ("nobody", "", "refuses the login of nobody"),
    ],
)
def test_check_says_which_line_of_manager_conf_to_change(
    pbx: Callable[..., Pbx], host: Host, user: str, more: str, said: str
) -> None:
    there = pbx()
    with OnPath(there):
        assert said in host_check(host, there, user=user, more=more)


def test_check_says_that_cdr_manager_is_off(pbx: Callable[..., Pbx], host: Host) -> None:
    there = pbx(cdr_manager=False)
    with OnPath(there):
        assert "in cdr_manager.conf, section [general], write enabled = yes" in host_check(host, there)


def test_a_user_without_the_right_is_called_deaf(pbx: Callable[..., Pbx], host: Host) -> None:
    there = pbx(csv="debian")
    with Daemon(host, there, user="noperm") as agent:
        for _ in range(4):
            one_call(there)
        said = re.compile("source ami: is deaf: of the last [0-9]+ calls it told 0, Master.csv all")
        wait_until(lambda: said.search(agent.log.read_text()), 40)
        assert "is deaf" in host.status()["sources"]["ami"]["message"]
        agent.end()


def test_reload_and_shutdown_are_forwarded(pbx: Callable[..., Pbx], host: Host) -> None:
    there = pbx(csv="debian")
    with Daemon(host, there, user="humbugsys", more="events = cdr, reload, shutdown, alarm") as agent:
        there.cli("core reload")
        wait_until(lambda: [event["Event"] for event in host.store.events()][:1] == ["Reload"])
        there.restart_now()
        wait_until(lambda: host.store.events()[-1]["Event"] == "Shutdown")
        assert host.store.events()[-1]["fields"] == {"Shutdown": "Cleanly", "Restart": "True"}
        one_call(there)
        wait_until(lambda: host.store.count() == 2)
        agent.end()


def test_whatever_is_mapped_each_call_is_what_master_csv_says(pbx: Callable[..., Pbx], host: Host) -> None:
    names = ("linkedid", "sequence", "peeraccount", "rate", "src", "clid => CallerID", "duration => Duration")
    again = ("uniqueid => UniqueID", "userfield => UserField", "peeraccount => Source", "rate => AMAFlags")
    lines = "\n".join(one if "=>" in one else f"{one} => {one}" for one in (*names, *again))
    there = pbx(csv="debian", mappings=lines)
    with Daemon(host, there) as agent:
        one_call(there)
        wait_until(lambda: {"sources": ["ami", "master-csv"], "calls": 2} in host.status()["sightings"], 20)
        wait_until(lambda: host.store.count() == 2)
        agent.end()
    assert received(host.store.rows()) == written(there)
    assert host.status()["rejects"] == 0


def test_an_asterisk_that_hangs_for_a_while_loses_nothing(pbx: Callable[..., Pbx], host: Host) -> None:
    there = pbx(csv="debian")
    with Daemon(host, there) as agent:
        there.freeze()
        wait_until(lambda: "nothing comes any more" in agent.log.read_text(), 15)
        there.thaw()
        one_call(there)
        wait_until(lambda: {"sources": ["ami", "master-csv"], "calls": 2} in host.status()["sightings"], 15)
        agent.end()
