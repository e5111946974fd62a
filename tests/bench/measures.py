"""What is measured, each in a site of its own. Absolute numbers belong to the machine; ratios are of one run."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tests.bench import engines
from tests.bench import peers as other_peers
from tests.bench.asking import CLIENTS, Board, middle_and_most, paging
from tests.bench.lab import HERE, HUMBUG, WEBHOOK, BenchError, Daemon, Receiver, Site, child, running, wait_for
from tests.kit.ami_server import AmiServer
from tests.kit.many_calls import fill

ASTERISK_LINES = 3500
"""Lines a second: the most that Asterisk was seen to write on two cores."""

WEBHOOKS = (("webhook", 1, 16), ("webhook of 100", 100, 4))
"""What they are called, how many calls go in one request, and over how many connections."""

WORSE = 1.2
"""A ratio that got worse by this factor fails."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of everything. ``fast`` is for the runs at 0 ms; ``slow`` is seconds that a run at 50 ms takes."""

    rounds: int
    read: int
    fast: int
    slow: float
    backlog: int
    delivered: int
    followed: float
    sustained: float
    drained: int
    looked: float


QUICK = Size(
    rounds=1,
    read=4000,
    fast=1000,
    slow=1,
    backlog=50_000,
    delivered=1000,
    followed=2,
    sustained=1,
    drained=2000,
    looked=2,
)
FULL = Size(
    rounds=3,
    read=50_000,
    fast=20_000,
    slow=10,
    backlog=1_000_000,
    delivered=20_000,
    followed=15,
    sustained=20,
    drained=100_000,
    looked=20,
)


@dataclass(frozen=True)
class Measure:
    """``ratio``: both sides are of this run, so it can be compared with another run's; which way it gets worse."""

    name: str
    value: float
    unit: str
    target: str
    met: bool | None
    ratio: Literal["", "worse when less", "worse when more"] = ""


@dataclass(frozen=True)
class Count:
    """What the receiver must have (``lines`` calls), what the sender says it has, and what it has."""

    name: str
    lines: int
    sent: int
    accepted: int
    distinct: int
    duplicates: int

    @property
    def good(self) -> bool:
        return self.lines == self.sent == self.accepted == self.distinct and not self.duplicates


@dataclass
class Report:
    measures: list[Measure] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)

    def add(
        self, name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        met, target = None, ""
        if at_least is not None:
            met, target = value >= at_least, f">= {at_least:g}"
        elif at_most is not None:
            met, target = value <= at_most, f"<= {at_most:g}"
        self.measures.append(Measure(name, value, unit, target, met))

    def ratio(self, name: str, value: float, *, worse: Literal["less", "more"], at_least: float | None = None) -> None:
        self.add(name, value, "", at_least=at_least)
        self.measures[-1] = replace(
            self.measures[-1], ratio="worse when less" if worse == "less" else "worse when more"
        )

    def worse_than(self, recorded: Mapping[str, float]) -> list[str]:
        """The ratios that are worse by more than a fifth than they were."""
        found = []
        for one in self.measures:
            before = recorded.get(one.name)
            if not one.ratio or before is None:
                continue
            better, worse = (before, one.value) if one.ratio == "worse when more" else (one.value, before)
            if worse > WORSE * better:
                found.append(f"{one.name} is {one.value:.3g}, was {before:.3g}")
        return found

    def count(self, name: str, lines: int, sent: int, stats: dict[str, Any]) -> None:
        self.counts.append(Count(name, lines, sent, stats["accepted"], stats["distinct"], stats["duplicates"]))


@dataclass(frozen=True)
class Bench:
    size: Size
    folder: Path
    receiver: Receiver
    report: Report

    def site(self, name: str, *, connections: int = 4) -> Site:
        return Site(self.folder / name, HUMBUG.format(url=self.receiver.url, connections=connections))


def reading(bench: Bench) -> None:
    report, size = bench.report, bench.size
    raw, read = [], []
    for number in range(size.rounds):
        site = bench.site(f"reading-{number}")
        site.grow(size.read)
        raw.append(child("raw", site.csv, site.csv.with_name("raw.db")))
        read.append(child("read", site.ini))
        for one in (raw[-1], read[-1]):
            if one["calls"] != site.lines:
                raise BenchError(f"{one['calls']:,} of {site.lines:,} lines were read")
    rate, baseline = (statistics.median(one["calls"] / one["took"] for one in them) for them in (read, raw))
    report.add("read: into the outbox", rate, "lines/s", at_least=ASTERISK_LINES)
    report.add("read: CPU per 1,000", statistics.median(one["cpu"] / one["calls"] * 1000 for one in read), "s")
    report.add("read: csv module into plain sqlite", baseline, "lines/s")
    report.ratio("read: ratio to that", rate / baseline, worse="less")


def delivering(bench: Bench) -> None:
    report, size, receiver = bench.report, bench.size, bench.receiver
    idle = bench.site("idle")
    nothing = [idle.run("run", "--once").cpu for _ in range(3)]
    report.add("deliver: CPU of a run with nothing to do", statistics.median(nothing), "s")

    site = bench.site("bare")
    site.grow(size.fast)
    receiver.reset()
    bare = child("bare", site.csv, receiver.place)
    bare_rate, bare_cpu = bare["calls"] / bare["took"], bare["cpu"] / bare["calls"] * 1000
    report.count("deliver: bare http.client, 0 ms", site.lines, bare["calls"], receiver.stats())
    report.add("deliver: bare http.client, 0 ms x1", bare_rate, "records/s")
    report.add("deliver: CPU per 1,000, bare http.client", bare_cpu, "s")

    site = bench.site("bare-50")
    site.grow(round(20 * size.slow))
    receiver.reset(delay_ms=50)
    slow = child("bare", site.csv, receiver.place)
    report.count("deliver: bare http.client, 50 ms", site.lines, slow["calls"], receiver.stats())
    report.add("deliver: ratio to the ideal, bare http.client, 50 ms x1", slow["calls"] / slow["took"] / 20, "")

    for delay, connections in ((0, 4), (0, 16), (50, 4), (50, 16)):
        name = f"{delay} ms x{connections}"
        ideal = connections / (delay / 1000) if delay else 0.0
        site = bench.site(f"delivering-{delay}-{connections}", connections=connections)
        site.grow(round(ideal * size.slow) + connections if delay else size.fast)
        receiver.reset(delay_ms=delay)
        # The least of them, one at the same time among them: a slow one would leave less than nothing.
        nothing.append(idle.run("run", "--once").cpu)
        cpu = (site.run("run", "--once").cpu - min(nothing)) / site.lines * 1000
        stats = receiver.stats()
        report.count(f"deliver: {name}", site.lines, site.sent(), stats)
        # The clock begins with the first ones accepted, which are as many as there are connections.
        rate = (stats["accepted"] - connections) / stats["span_s"]
        report.add(f"deliver: {name}", rate, "records/s")
        report.add(f"deliver: CPU per 1,000, {name}", cpu, "s")
        if ideal:
            report.ratio(f"deliver: ratio to the ideal, {name}", rate / ideal, worse="less", at_least=0.95)
        else:
            report.ratio(f"deliver: ratio to bare, {name}", rate / bare_rate, worse="less")
            report.ratio(f"deliver: CPU ratio to bare, {name}", cpu / bare_cpu, worse="more")


def peers(bench: Bench) -> None:
    """The agent beside what others would use, each alone and one after the other."""
    report, size, receiver = bench.report, bench.size, bench.receiver
    idle = bench.site("peers-idle")
    site = bench.site("peers")
    site.grow(size.fast)
    receiver.reset()
    cpu = (site.run("run", "--once").cpu - idle.run("run", "--once").cpu) / size.fast
    report.count("peers: humbug-agent", site.lines, site.sent(), receiver.stats())
    report.add("peers: CPU per 1,000, humbug-agent", cpu * 1000, "s")
    for peer in other_peers.present():
        others = other_peers.cpu_per_line(peer, site.csv, bench.folder / peer.program, receiver, site.lines)
        report.add(f"peers: CPU per 1,000, {peer.name}", others * 1000, "s")
        report.ratio(f"peers: humbug-agent's CPU to that of {peer.name}", cpu / others, worse="more")


def backlog(bench: Bench) -> None:
    report, size, receiver = bench.report, bench.size, bench.receiver
    site = bench.site("backlog")
    site.grow(size.backlog)
    filled = child("read", site.ini)
    report.add("backlog: calls", filled["calls"], "calls")
    report.add("backlog: reading them", filled["calls"] / filled["took"], "lines/s", at_least=ASTERISK_LINES)
    report.add("backlog: peak memory of reading", filled["peak_mib"], "MiB", at_most=80)
    with site.look() as look:
        report.add("backlog: outbox", look.used_mib(), "MiB")

    empty = bench.site("empty")
    empty.run("run", "--once")
    for name, command in (("status", ("status",)), ("outbox list", ("outbox", "list", "--limit", "50"))):
        took, baseline = (statistics.median(one.run(*command).took for _ in range(3)) for one in (site, empty))
        report.add(f"backlog: {name}", took, "s")
        report.ratio(f"backlog: {name}, ratio to an empty outbox", took / baseline, worse="more")

    receiver.reset()
    with site.daemon() as daemon:
        receiver.wait_accepted(1, 300)
        report.add("backlog: start to first POST", _first_post(receiver, daemon), "s")
        site.grow(size.delivered)
        with site.look() as look:
            wait_for(lambda: look.calls() >= site.lines, 300, "the daemon has read what was appended")
        receiver.wait_accepted(size.delivered, 300)
        peak = daemon.peak_mib()
        daemon.stop()
    report.add("backlog: peak memory of the daemon", peak, "MiB", at_most=80)
    # It was stopped long before the end: the receiver must have what the outbox says was sent, once.
    report.count("backlog: stopped half-way", site.sent(), site.sent(), receiver.stats())
    with site.look() as look:
        if look.calls() != site.lines:
            raise BenchError(f"{look.calls():,} of {site.lines:,} lines were read")


def following(bench: Bench) -> None:
    report, size, receiver = bench.report, bench.size, bench.receiver
    for rate in (20, 200):
        site = bench.site(f"following-{rate}")
        site.grow(1)
        receiver.reset()
        with site.daemon() as daemon:
            receiver.wait_accepted(1, 60)
            if rate == 20:
                report.add("follow: start to first POST", _first_post(receiver, daemon), "s")
            receiver.reset()
            lines, cpu = round(rate * size.followed), daemon.cpu()
            with site.growing(lines, rate) as asterisk:
                asterisk.wait(size.followed * 3 + 30)
            receiver.wait_accepted(lines, 60)
            cpu = daemon.cpu() - cpu
            daemon.stop()
        stats = receiver.stats()
        report.count(f"follow: {rate}/s", lines, site.sent() - 1, stats)
        report.add(f"follow: line to POST, p50 at {rate}/s", stats["latency_p50_us"] / 1000, "ms", at_most=50)
        report.add(f"follow: line to POST, p99 at {rate}/s", stats["latency_p99_us"] / 1000, "ms", at_most=250)
        report.add(f"follow: CPU per 1,000 at {rate}/s", cpu / lines * 1000, "s")
        bare = _bare_follower(bench.site(f"following-bare-{rate}"), receiver, lines, rate)
        report.add(f"follow: CPU per 1,000, bare loop at {rate}/s", bare / lines * 1000, "s")
        report.ratio(f"follow: CPU ratio to bare loop at {rate}/s", cpu / bare, worse="more")
        report.add(f"follow: connections opened after the first at {rate}/s", stats["connections"], "", at_most=3)


def _bare_follower(site: Site, receiver: Receiver, lines: int, rate: float) -> float:
    """The processor seconds of bare_follower.py for so many lines."""
    receiver.reset()
    command = [sys.executable, str(HERE / "bare_follower.py"), str(site.csv), receiver.place, str(lines)]
    with running(command, stdout=subprocess.PIPE) as bare:
        assert bare.stdout
        bare.stdout.readline()
        with site.growing(lines, rate) as asterisk:
            asterisk.wait(lines / rate * 3 + 30)
        receiver.wait_accepted(lines, 60)
        return float(json.loads(bare.stdout.read())["cpu"])


def sustained(bench: Bench) -> None:
    report, size, receiver = bench.report, bench.size, bench.receiver
    site = bench.site("sustained")
    site.grow(1)
    receiver.reset()
    lines = round(ASTERISK_LINES * size.sustained)
    with site.daemon() as daemon:
        receiver.wait_accepted(1, 60)
        began = time.monotonic()
        with site.look() as look, site.growing(lines, ASTERISK_LINES) as asterisk:
            behind = [0]
            while asterisk.poll() is None:
                behind.append(look.unread_bytes())
                try:
                    asterisk.wait(0.25)
                except subprocess.TimeoutExpired:
                    if time.monotonic() - began > size.sustained * 5 + 30:
                        raise BenchError("the generator of lines does not come to an end") from None
            ended = time.monotonic()
            behind.append(look.unread_bytes())
            wait_for(lambda: look.calls() >= site.lines, 120, "the daemon has read everything")
            read = time.monotonic()
        receiver.wait_accepted(site.lines, lines / 100 + 60)
        delivered = time.monotonic()
        peak = daemon.peak_mib()
        daemon.stop()
    report.count("sustained", site.lines, site.sent(), receiver.stats())
    line = site.csv.stat().st_size / site.lines
    report.add("sustained: lines written", lines / (ended - began), "lines/s")
    report.add("sustained: lines unread, at most", max(behind) / line, "lines")
    report.add("sustained: lines unread at the end", behind[-1] / line, "lines", at_most=2 * ASTERISK_LINES)
    report.add("sustained: read so long after the end", read - ended, "s", at_most=2)
    report.add("sustained: delivered so long after the end", delivered - ended, "s")
    report.add("sustained: delivered meanwhile and after", lines / (delivered - began), "records/s")
    report.add("sustained: peak memory of the daemon", peak, "MiB", at_most=80)


def draining(bench: Bench) -> None:
    """A backlog to each type of destination, one after the other: sending it, and nothing else."""
    receiver, report = bench.receiver, bench.report
    receiver.reset()
    usual = _drained(bench, "humbug", HUMBUG.format(url=receiver.url, connections=16), receiver.calls)
    for name, batch, connections in WEBHOOKS:
        receiver.reset()
        lines = WEBHOOK.format(url=receiver.url, batch=batch, connections=connections)
        _compared(report, name, _drained(bench, name, lines, receiver.calls), usual)
    for place in engines.present():
        with place() as engine:
            lines = f"type = {engine.type}\n{engine.lines()}"
            own = _drained(bench, engine.type, lines, engine.calls, at_least=engine.at_least)
        _compared(report, engine.type, own, usual)


def _drained(
    bench: Bench, name: str, destination: str, calls: Callable[[], dict[str, int]], at_least: float | None = None
) -> tuple[float, float]:
    """Calls a second, and CPU seconds a call, of this program alone. ``calls`` counts those that are there."""
    site = Site(bench.folder / f"draining-{name.replace(' ', '-')}", destination)
    site.grow(bench.size.drained)
    child("read", site.ini)
    sent = child("send", site.ini)
    rate, cpu = sent["calls"] / sent["took"], sent["cpu"] / sent["calls"]
    bench.report.add(f"drain: {name}", rate, "calls/s", at_least=at_least)
    bench.report.add(f"drain: CPU per 1,000, {name}", cpu * 1000, "s")
    bench.report.count(f"drain: {name}", site.lines, site.sent(), calls())
    return rate, cpu


def _compared(report: Report, name: str, own: tuple[float, float], usual: tuple[float, float]) -> None:
    report.ratio(f"drain: {name}, ratio to humbug", own[0] / usual[0], worse="less")
    report.ratio(f"drain: {name}, CPU ratio to humbug", own[1] / usual[1], worse="more")


def asking(bench: Bench) -> None:
    """What many who page through all calls do to deliveries, and to the live board."""
    report, size, receiver = bench.report, bench.size, bench.receiver
    site = bench.site("asking")
    fill(site.outbox, size.backlog)
    with AmiServer() as ami:
        board = Board(site, ami)
        with site.daemon() as daemon:
            board.wait()
            for clients in (0, CLIENTS):
                said = f"{clients} clients"
                receiver.reset()
                lines, cpu = round(20 * size.followed), daemon.cpu()
                shown: list[float] = []
                told: dict[str, float] = {}
                with (
                    paging(board.api, size.followed, size.backlog, told) if clients else nullcontext(),
                    board.watched(shown),
                    site.growing(lines, 20) as asterisk,
                ):
                    asterisk.wait(size.followed * 3 + 60)
                    receiver.wait_accepted(lines, 60)
                stats, (middle, most) = receiver.stats(), middle_and_most(shown)
                report.add(f"asking: line to POST, p50, {said}", stats["latency_p50_us"] / 1000, "ms")
                report.add(f"asking: line to POST, p99, {said}", stats["latency_p99_us"] / 1000, "ms", at_most=1000)
                report.add(f"asking: channel to page, p50, {said}", middle * 1000, "ms")
                report.add(f"asking: channel to page, most, {said}", most * 1000, "ms", at_most=3000)
                report.add(f"asking: CPU, {said}", (daemon.cpu() - cpu) / size.followed * 100, "% of a core")
                report.count(f"asking: {said}", lines, stats["accepted"], stats)
            report.add("asking: pages", told["pages"] / size.followed, "/s")
            report.add("asking: a page, p50", told["middle"] * 1000, "ms")
            report.add("asking: a page, p99", told["late"] * 1000, "ms")
            report.add("asking: peak memory of the daemon", daemon.peak_mib(), "MiB", at_most=120)
            daemon.stop()


def walls(bench: Bench) -> None:
    """What those who look at a busy board cost, beside what the board itself does."""
    report, seconds = bench.report, bench.size.looked
    share = {}
    for number in (0, 1, 100):
        folder = bench.folder / f"walls-{number}"
        folder.mkdir()
        looked = child("walls", folder, str(number), str(seconds))
        share[number] = looked["cpu"] / looked["took"] * 100
        if number:
            report.add(f"walls: told to each of {number}", looked["bytes"] / number / looked["took"] / 1000, "KB/s")
    for number in (1, 100):
        of_core = max(0.0, share[number] - share[0])
        report.add(f"walls: {number}, CPU", of_core, "% of a core", at_most=2 if number == 100 else None)


def _first_post(receiver: Receiver, daemon: Daemon) -> float:
    """Seconds; both clocks are CLOCK_MONOTONIC."""
    return float(receiver.stats()["first_ns"] - daemon.began) / 1e9


ALL: dict[str, Callable[[Bench], None]] = {
    "reading": reading,
    "delivering": delivering,
    "peers": peers,
    "backlog": backlog,
    "following": following,
    "sustained": sustained,
    "draining": draining,
    "asking": asking,
    "walls": walls,
}

__all__ = ["ALL", "FULL", "QUICK", "Bench", "Count", "Measure", "Report"]
