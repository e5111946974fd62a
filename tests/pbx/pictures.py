"""Makes docs/desk.png, wall.png, delivery.png and history.png: what the page shows of a real Asterisk on which a call
centre works, which has trunks at another one, and phones. What was called in the weeks before is invented.

    .venv/bin/python -m tests.pbx.pictures          as root, after tests/pbx/prepare and tests/web/page/prepare

It takes two minutes. All names and numbers are invented; the numbers are those that are kept for fiction.
"""

import math
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from humbug_agent.cdr import CDR, Batch, Disposition
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.calls import call
from tests.kit.host import API_KEY, KEY, Host, wait_until
from tests.kit.paths import TOP
from tests.kit.ports import free_port
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import VERSIONS, Pbx, roots
from tests.pbx.pbx_lines import PROVIDER, REGISTRATION, TRUNK_MODULES, USERS
from tests.pbx.pbx_manager import Manager
from tests.pbx.test_board_on_pbx import Ipps
from tests.web.page.page_browser import Browser
from tests.web.page.page_view import KNOWN
from tests.web.page.wall_data import FIRST, LAST

SECONDS = 100
STEP_SECONDS = 0.35
MOST_WAITING = 14
QUEUES = {"support": "541", "sales": "542"}
THRESHOLDS = """
[queues]
target = 80
warn_wait = 15
critical_wait = 60

[queue support]
warn_waiting = 5
critical_waiting = 20
"""
WIDE, HIGH = 1280, 720


PREFIXES = {"+4144": 60, "+49301": 16, "+4420": 9, "+331": 7, "+4312": 4, "+1212": 3, "+3902": 2}
"""How many of a hundred calls go there."""


def weeks_before(now: datetime) -> Iterator[CDR]:
    """Four weeks of calls: most in the late morning, fewer in the afternoon, few at the weekend."""
    chance = random.Random(4)
    for hour in range(4 * 7 * 24):
        begins = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hour)
        at = begins.hour
        busy = 100 * math.exp(-(((at - 10.5) / 2.2) ** 2)) + 70 * math.exp(-(((at - 15) / 2.0) ** 2))
        share = {5: 0.6, 6: 0.1}.get(begins.weekday(), 1.0)
        for number in range(round(share * busy * chance.uniform(0.85, 1.15))):
            start = begins + timedelta(seconds=chance.randrange(3600))
            if start > now:
                continue
            talked = timedelta(seconds=chance.expovariate(1 / 170) if chance.random() < 0.86 else 0)
            prefix = chance.choices(list(PREFIXES), list(PREFIXES.values()))[0]
            yield call(
                hour * 1000 + number, start=start, end=start + timedelta(seconds=9) + talked,
                billsec=int(talked.total_seconds()), dst=f"{prefix}{chance.randrange(10**6):06}",
                disposition=Disposition.ANSWERED if talked else Disposition.NO_ANSWER,
            )  # fmt: skip


@contextmanager
def with_trunks() -> Iterator[Pbx]:
    """With two trunks at a provider, who also plays its phones, but for one."""
    root = roots()[VERSIONS[0]]
    provider = Pbx(root, also=PROVIDER)
    account = f"{REGISTRATION}server_uri = sip:127.0.0.1:{provider.sip_port}\noutbound_auth = account\n"
    trunks = "".join(
        f"[{name}](phone)\naors = {name}\n[{name}](where)\ncontact = sip:127.0.0.1:{provider.sip_port}\n"
        f"[{name}]\n{account}client_uri = sip:{user}@127.0.0.1:{provider.sip_port}\n"
        for name, user in (("provider", "account"), ("provider-backup", "nobody"))
    )
    login = "[account]\ntype = auth\nusername = account\npassword = trunk-secret\n"
    pbx = Pbx(root, also={"modules.conf": TRUNK_MODULES, "pjsip.conf": login + trunks}, manager_users=USERS)
    conf, far = pbx.home / "etc" / "pjsip.conf", provider.home / "etc" / "pjsip.conf"
    conf.write_text(re.sub(r"contact = sip:(phone|never|\d+)@.*", "max_contacts = 1", conf.read_text()))
    with far.open("a") as written:
        for phone in ("201", "202", "203", "204", "205", "210", "211", "212", "213"):
            where = f"server_uri = sip:127.0.0.1:{pbx.sip_port}\nclient_uri = sip:{phone}@127.0.0.1:{pbx.sip_port}\n"
            written.write(f"[phone{phone}]\n{REGISTRATION}{where}")
    with pbx, provider:
        yield pbx


def staff(manager: Manager) -> list[str]:
    """Twenty agents, some of them of both queues; their interfaces."""
    for queue, member in (("support", "PJSIP/201"), ("support", "PJSIP/202"), ("sales", "Local/9901@agents/n")):
        manager.action("QueueRemove", Queue=queue, Interface=member)
    found = []
    for number in range(20):
        interface = f"Local/98{10 + number * 3:02}@agents/n"
        for queue in ["support", *["sales"] * (number % 4 == 0)]:
            name = f"{FIRST[number % 10]} {LAST[number % 6]}"
            manager.action(
                "QueueAdd", Queue=queue, Interface=interface, MemberName=name, Penalty=str(number % 2), Paused="false"
            )
        found.append(interface)
    return found


def work(manager: Manager, agents: list[str], waiting: Callable[[], int]) -> None:
    """Callers come, more of them for support; agents go on a break."""
    chance = random.Random(7)
    for number, reason in ((3, "lunch"), (9, "training"), (14, "lunch")):
        manager.action("QueuePause", Interface=agents[number], Paused="true", Reason=reason)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(STEP_SECONDS)
        if waiting() < MOST_WAITING:
            queue = "sales" if chance.random() < 0.2 else "support"
            caller = f"+44207946{chance.randrange(1000):04}"
            manager.action(
                "Originate", Channel=f"Local/{QUEUES[queue]}@from-internal", CallerID=f"<{caller}>",
                Application="Wait", Data=str(chance.choice([8, 30, 90])), Async="true",
            )  # fmt: skip


def picture(browser: Browser, ipps: Ipps, view: str, address: str, known: str) -> None:
    browser.screen(WIDE, HIGH, less_motion=True)
    browser.go(f"http://127.0.0.1:{ipps.port}/{address}")
    browser.until(lambda: browser.run(known))
    browser.picture(TOP / "docs" / f"{view}.png")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Store(Path(folder) / "calls.db")) as store,
        Background(Receiver(store, API_KEY, KEY)) as receiver,
        with_trunks() as pbx,
    ):
        host, ipps = Host(Path(folder), receiver, store), Ipps(free_port())
        with Outbox(host.folder / "outbox.db") as outbox:
            outbox.accept("master-csv", Batch(list(weeks_before(datetime.now(UTC))), [], None), ["humbug"], beside=True)
        with (
            Daemon(host, pbx, user="lines", more=f"{ipps.status}\n{THRESHOLDS}") as agent,
            Manager(pbx.ami_port) as manager,
            closing(Browser(Path(folder) / "profile")) as browser,
        ):
            wait_until(ipps.ready, 10)
            picture(browser, ipps, "history", "history", "return document.querySelector('#day rect') !== null")
            agents = staff(manager)
            work(manager, agents, lambda: sum(len(one["waiting"]) for one in ipps.board()["queues"]))
            for view, address in (("desk", ""), ("wall", "wall"), ("delivery", "delivery")):
                picture(browser, ipps, view, address, KNOWN)
            agent.end()


if __name__ == "__main__":
    main()
