#!/usr/bin/env python3
"""How fast, how lean, how soon, and nothing lost: measures humbug-agent on this machine. See README.md beside this."""

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from humbug_agent import __version__
from tests.bench import lab
from tests.bench.measures import ALL, FULL, QUICK, Bench, Report

SKIPPED = 77
"""The exit code for "could not be measured here", as automake has it."""

RECORDED = Path(__file__).with_name("recorded.json")
"""The ratios of the last run that somebody kept."""

GOALS = {
    "read: into the outbox": (40_000, "or more"),
    "deliver: CPU per 1,000, 0 ms x16": (0.06, "or less"),
    "deliver: ratio to the ideal, 50 ms x16": (0.98, "or more"),
    "drain: humbug": (12_000, "or more"),
    "drain: postgresql": (15_000, "or more"),
    "backlog: status": (0.15, "or less"),
    "backlog: outbox list": (0.15, "or less"),
    "backlog: start to first POST": (0.3, "or less"),
    "backlog: peak memory of the daemon": (50, "or less"),
    "follow: line to POST, p50 at 20/s": (2, "or less"),
    "follow: line to POST, p99 at 20/s": (10, "or less"),
    "follow: CPU per 1,000 at 20/s": (0.5, "or less"),
    "follow: line to POST, p50 at 200/s": (2, "or less"),
    "follow: line to POST, p99 at 200/s": (10, "or less"),
    "sustained: delivered so long after the end": (3, "or less"),
    "walls: 100, CPU": (2, "or less"),
}
"""What is to be reached on a quiet machine. The targets that a run fails for are wider, since machines differ."""

BEGINS, ENDS = "<!-- measured -->\n", "<!-- end -->"
"""What stands between these lines in a document is what a run writes there."""

NUMBERS = ("VALUE", "CALLS", "SENT", "ACCEPTED", "DISTINCT", "REPEATED")
"""Columns that are aligned to the right."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers; only a loss fails")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    parser.add_argument("--only", action="append", choices=ALL, help="only this part; can be given more than once")
    parser.add_argument("--dir", type=Path, help="work in here: the disk that is measured (default: the temporary one)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    parser.add_argument("--record", action="store_true", help=f"keep the ratios, in {RECORDED.name}, for later runs")
    args = parser.parse_args()
    # So that what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    machine = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "humbug_agent": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }
    report = Report()
    with tempfile.TemporaryDirectory(prefix="humbug-bench-", dir=args.dir) as folder:
        program = lab.compiled(Path(folder))
        if program is None:
            print("skipped: no C compiler (cc) here to build the receiver with", file=sys.stderr)
            return SKIPPED
        with lab.receiver(program) as receiver:
            bench = Bench(QUICK if args.quick else FULL, Path(folder), receiver, report)
            for name in args.only or ALL:
                print(f"{name} ...", file=sys.stderr)
                ALL[name](bench)
    machine["load_after"] = round(os.getloadavg()[0], 2)
    lost = [count.name for count in report.counts if not count.good]
    missed = [one.name for one in report.measures if one.met is False]
    show(machine, report)
    if args.json:
        found = {
            "mode": "quick" if args.quick else "full",
            "machine": machine,
            "measures": [dataclasses.asdict(one) for one in report.measures],
            "counts": [dataclasses.asdict(one) | {"good": one.good} for one in report.counts],
        }
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    if args.write:
        head, _, rest = args.write.read_text("utf-8").partition(BEGINS)
        text = as_document(machine, report)
        args.write.write_text(f"{head}{BEGINS}{text}{ENDS}{rest.partition(ENDS)[2]}", "utf-8")
    worse = report.worse_than(json.loads(RECORDED.read_text())["ratios"]) if RECORDED.exists() else []
    for title, names in (("LOST OR REPEATED", lost), ("targets missed", missed), ("worse than recorded", worse)):
        if names:
            print(f"\n{title}: {'; '.join(names)}")
    if args.record:
        ratios = {one.name: round(one.value, 3) for one in report.measures if one.ratio}
        RECORDED.write_text(json.dumps({"machine": machine, "ratios": ratios}, indent=2) + "\n")
    return 1 if lost or ((missed or worse) and not args.quick) else 0


def show(machine: dict[str, Any], report: Report) -> None:
    print(", ".join(f"{name} {value}" for name, value in machine.items()) + "\n")
    verdicts = {True: "ok", False: "NO", None: ""}
    table(
        ("WHAT", "VALUE", "", "TARGET", "VERDICT"),
        [(one.name, number(one.value), one.unit, one.target, verdicts[one.met]) for one in report.measures],
    )
    print()
    table(
        ("COUNTED", "CALLS", "SENT", "ACCEPTED", "DISTINCT", "REPEATED", "VERDICT"),
        [
            (
                one.name,
                *(f"{n:,}" for n in (one.lines, one.sent, one.accepted, one.distinct, one.duplicates)),
                verdicts[one.good],
            )
            for one in report.counts
        ],
    )


def as_document(machine: dict[str, Any], report: Report) -> str:
    """Every measure with its goal, as a table in Markdown."""
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    lines = [f"Of a run of {said}.", "", "| what | measured | to reach | |", "| --- | ---: | ---: | --- |"]
    for one in report.measures:
        goal, way = GOALS.get(one.name, (None, ""))
        reached = "" if goal is None else "reached" if (one.value >= goal) == (way == "or more") else "not reached"
        wanted = "" if goal is None else f"{goal:,} {way}"
        lines.append(f"| {one.name} | {number(one.value)} {one.unit} | {wanted} | {reached} |")
    return "\n".join(lines) + "\n"


def table(titles: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(titles, *lines, strict=True)]
    for line in [titles, *lines]:
        cells = [
            cell.rjust(width) if title in NUMBERS else cell.ljust(width)
            for cell, width, title in zip(line, widths, titles, strict=True)
        ]
        print("  ".join(cells).rstrip())


def number(value: float) -> str:
    """With three digits that mean something, or as a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
