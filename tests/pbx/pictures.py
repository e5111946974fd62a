"""Makes docs/desk.png, wall.png and delivery.png: what the page shows of a real Asterisk on which a call centre works.

    .venv/bin/python -m tests.pbx.pictures          as root, after tests/pbx/prepare and tests/web/page/prepare

It takes two minutes. All names and numbers are invented; the numbers are those that are kept for fiction.
"""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.host import API_KEY, KEY, Host, wait_until
from tests.kit.paths import TOP
from tests.kit.ports import free_port
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import VERSIONS, Pbx, roots
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


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Store(Path(folder) / "calls.db")) as store,
        Background(Receiver(store, API_KEY, KEY)) as receiver,
        Pbx(roots()[VERSIONS[0]]) as pbx,
    ):
        host, ipps = Host(Path(folder), receiver, store), Ipps(free_port())
        with (
            Daemon(host, pbx, user="board", more=f"{ipps.status}\n{THRESHOLDS}") as agent,
            Manager(pbx.ami_port) as manager,
            closing(Browser(Path(folder) / "profile")) as browser,
        ):
            wait_until(ipps.ready, 10)
            agents = staff(manager)
            work(manager, agents, lambda: sum(len(one["waiting"]) for one in ipps.board()["queues"]))
            for view, address in (("desk", ""), ("wall", "wall"), ("delivery", "delivery")):
                browser.screen(WIDE, HIGH, less_motion=True)
                browser.go(f"http://127.0.0.1:{ipps.port}/{address}")
                browser.until(lambda: browser.run(KNOWN))
                browser.picture(TOP / "docs" / f"{view}.png")
            agent.end()


if __name__ == "__main__":
    main()
