"""A stock Asterisk, whose Master.csv is in UTC, in zones whose clocks are put forward or back while calls go on.

Nothing is said of it in agent.ini. The zones are made for the test, by zic: their change comes some seconds from now.
"""

import csv
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.host import API_KEY, KEY, Host, wait_until
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.pbx_ports import until

# Hours from UTC in winter, and what summer adds.
ZONES = {
    "Zurich": ("1:00", "1:00"),
    "New_York": ("-5:00", "1:00"),
    "Kolkata": ("5:30", "1:00"),
    "Howe": ("10:30", "0:30"),
}
BOOT_SECONDS = 45
BEFORE_SECONDS = 7
AFTER_SECONDS = 6
CHANGES = ("forward", "back")


def compile_zones(folder: Path, change: str, at: int) -> None:
    """Zones whose clocks are put ``forward`` or ``back`` ``at`` this second since the epoch, and at no other."""
    moment = datetime.fromtimestamp(at, UTC)
    rules, zones = [], []
    for name, (standard, save) in ZONES.items():
        first, then = ("0", save) if change == "forward" else (save, "0")
        rules.append(f"Rule {name} 2000 only - Jan 1 0:00u {first} -")
        rules.append(f"Rule {name} {moment:%Y} only - {moment:%b} {moment.day} {moment:%H:%M:%S}u {then} -")
        zones.append(f"Zone Test/{name} {standard} {name} %z")
    source = folder / "zones"
    source.write_text("\n".join([*rules, *zones]) + "\n")
    # Asterisk reads the old form only, which a slim file does not hold.
    subprocess.run(["zic", "-b", "fat", "-d", str(folder), str(source)], check=True)


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "zoneinfo"
    folder.mkdir()
    monkeypatch.setenv("PYTHONTZPATH", f"{folder}:/usr/share/zoneinfo")
    return folder


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, Host]]:
    with ExitStack() as stack:
        found = {}
        for name in ZONES:
            (folder := tmp_path / name).mkdir()
            store = stack.enter_context(closing(Store(folder / "calls.db")))
            found[name] = Host(folder, stack.enter_context(Background(Receiver(store, API_KEY, KEY))), store)
        yield found


class Started:
    """An Asterisk in each zone, and an agent beside each, before the clocks change at second ``at``."""

    def __init__(self, root: Path, hosts: dict[str, Host], zones: Path, change: str, at: int) -> None:
        self.at = at
        self.pbxs: dict[str, Pbx] = {}
        self.agents: dict[str, Daemon] = {}
        self._all = ExitStack()
        compile_zones(zones, change, at)
        for name in ZONES:
            pbx = Pbx(
                root, csv="debian", timezone=f"Test/{name}", zone_file=zones / "Test" / name,
                unanswered=False, congestion=False,
            )  # fmt: skip
            self._all.callback(pbx.close)
            self.pbxs[name], self.agents[name] = pbx, Daemon(hosts[name], pbx)
            self._all.push(self.agents[name].__exit__)
        try:
            with ThreadPoolExecutor(len(ZONES)) as pool:
                list(pool.map(self._start, ZONES))
        except BaseException:
            self.close()
            raise

    def _start(self, name: str) -> None:
        self.pbxs[name].start()
        self.agents[name].start()

    def close(self) -> None:
        self._all.close()


def started(root: Path, hosts: dict[str, Host], zones: Path, change: str) -> Started:
    """A busy machine takes longer."""
    for patience in (1, 2, 4):
        found = Started(root, hosts, zones, change, int(time.time()) + patience * BOOT_SECONDS)
        if time.time() < found.at - BEFORE_SECONDS:
            return found
        found.close()
    pytest.fail("it takes too long to start an Asterisk")


def call_until(pbx: Pbx, end: float) -> None:
    """Calls of a second, two a second."""
    with Manager(pbx.ami_port) as manager:
        while time.time() < end:
            asked = manager.action(
                "Originate", Channel="Local/500@from-internal", Application="Wait", Data="9", Async="true"
            )
            assert asked["Response"] == "Success", asked
            time.sleep(0.5)
        until(lambda: manager.channels() == 0, "all calls to end", 30)


@pytest.mark.parametrize("change", CHANGES)
def test_every_call_comes_once_and_at_its_right_hour(
    asterisk_root: Path, zones: Path, hosts: dict[str, Host], change: str
) -> None:
    with closing(started(asterisk_root, hosts, zones, change)) as here:
        until(lambda: time.time() > here.at - BEFORE_SECONDS, "the change to come near", 4 * BOOT_SECONDS)
        with ThreadPoolExecutor(len(ZONES)) as pool:
            list(pool.map(lambda pbx: call_until(pbx, here.at + AFTER_SECONDS), here.pbxs.values()))
        for name, host in hosts.items():
            _judge(name, host, here.pbxs[name], zones, here.at)
            here.agents[name].end()
            assert "times are" not in here.agents[name].log.read_text()


def _judge(name: str, host: Host, pbx: Pbx, zones: Path, at: int) -> None:
    rows = _records(pbx)
    wait_until(lambda: host.store.count() >= len(rows), 60)
    seen = {"sources": ["ami", "master-csv"], "calls": len(rows)}
    wait_until(lambda: host.status()["sightings"] == [seen], 60)
    with (zones / "Test" / name).open("rb") as file:
        zone = ZoneInfo.from_file(file)
    expected = Counter((row[16], *(_local(row[column], zone) for column in (9, 10, 11)), row[12]) for row in rows)
    names = ("UniqueID", "StartTime", "AnswerTime", "EndTime", "Duration")
    assert Counter(tuple(str(row[name]) for name in names) for row in host.store.rows()) == expected
    assert host.store.repeats() == 0
    moments = [datetime.fromisoformat(row[9]).replace(tzinfo=UTC).timestamp() for row in rows]
    ends = [datetime.fromisoformat(row[11]).replace(tzinfo=UTC).timestamp() for row in rows]
    assert min(moments) < at < max(moments)
    assert any(start < at < end for start, end in zip(moments, ends, strict=True))


def _records(pbx: Pbx) -> list[list[str]]:
    with pbx.master_csv.open(newline="") as file:
        return list(csv.reader(file, strict=True))


def _local(stamp: str, zone: ZoneInfo) -> str:
    if not stamp:
        return ""
    return f"{datetime.fromisoformat(stamp).replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"
