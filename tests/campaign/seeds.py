"""Fights the campaign with one random seed after another, and stops at the first that loses or doubles a call.

    python tests/campaign/seeds.py --runs 200
    python tests/campaign/seeds.py --only together --runs 1000 --jobs 4 --write docs/campaign.md

A run is a line: its number, its seed, how it ended and how many seconds it took. At the end stand tables: of each
test, how many receivers were judged and the sums of what they and the agent told; and the same of each fault, alone and
with others, whose combination a seed draws. Of the run that fails, what the test said follows. Exit status: 0 when all
went well, 1 otherwise. README.md tells more.
"""

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
LONG = "hundred_kills"
"""The longest of the campaign's tests, and the one that rotates while it kills."""

DOCUMENT = """# What the fault campaign has found lost
Written by the command below, which fights the real agent with one random seed after another
([how](../tests/campaign/README.md)). A row is what those battles told in which the fault took part. *Lost* is a call
that was written whole, and is neither at the receiver nor named by the command line with the reason. *Repeated* is what
came again; *for no reason*, what did although no request was under way when the agent was killed, no answer was lost,
and no power cut took what had become of it. A file that `--keep` names has the seeds of earlier runs, which are in the
tables, too.

```sh
{command}
```

{ended} of {runs} seeds went well.

{tables}
"""


@dataclass(frozen=True, slots=True)
class Fought:
    seed: int
    failed: bool
    seconds: float
    said: str

    def told(self) -> Iterator[dict[str, Any]]:
        """One for each agent and receiver."""
        for line in self.said.splitlines():
            if line.startswith('{"test":'):
                yield json.JSONDecoder().raw_decode(line)[0]

    def append_to(self, file: Path) -> None:
        """As a line of JSON, with what the tests told alone."""
        with file.open("a") as lines:
            print(json.dumps([self.seed, self.failed, self.seconds, [*self.told()]]), file=lines)


def kept(file: Path) -> list[Fought]:
    """What earlier runs have put there."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [Fought(seed, failed, took, "\n".join(map(json.dumps, told))) for seed, failed, took, told in lines]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="how many seeds (200)")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (1)")
    parser.add_argument("--only", default=LONG, metavar="EXPRESSION", help=f"which tests, as pytest's -k ({LONG})")
    parser.add_argument("--lives", type=int, help="of the agent, in the tests of all types (40) and of faults (6)")
    parser.add_argument("--kills", type=int, help=f"in {LONG} (100)")
    parser.add_argument("--faults", metavar="NAME,NAME", help="these, and no combination that the seed draws")
    parser.add_argument("--go-on", action="store_true", help="after a seed that fails, too")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the tables as a document")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="put each seed there, and all there into the tables")
    parser.add_argument("--seed", type=int, action="append", help="this seed and no random one; may be repeated")
    options = parser.parse_args()
    seeds = options.seed or [random.SystemRandom().randrange(10**6) for _ in range(options.runs)]
    fought = kept(options.keep) if options.keep else []
    earlier = len(fought)
    for one in fight_all(seeds, options):
        fought.append(one)
        if options.keep:
            one.append_to(options.keep)
        ended = "FAILED" if one.failed else "ok"
        print(f"{len(fought)} of {earlier + len(seeds)}: KILL_SEED={one.seed} {ended}, {one.seconds:.0f} s", flush=True)
        if one.failed:
            print(one.said, flush=True)
    tables = "\n\n".join(filter(None, (of_tests(fought), of_faults(fought))))
    print(tables)
    failed = sum(one.failed for one in fought)
    if options.write:
        command = shlex.join([".venv/bin/python", "tests/campaign/seeds.py", *sys.argv[1:]])
        text = DOCUMENT.format(command=command, ended=len(fought) - failed, runs=len(fought), tables=tables)
        options.write.write_text(text)
    return 1 if failed else 0


def fight_all(seeds: Sequence[int], options: argparse.Namespace) -> Iterator[Fought]:
    """As they end. After one that fails no more are begun."""
    left, running = iter(seeds), set[Future[Fought]]()
    with ThreadPoolExecutor(options.jobs) as pool:
        running.update(pool.submit(fight, seed, options) for _, seed in zip(range(options.jobs), left, strict=False))
        going = True
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()
                going = going and (options.go_on or not one.result().failed)
                if going and (seed := next(left, None)) is not None:
                    running.add(pool.submit(fight, seed, options))


def fight(seed: int, options: argparse.Namespace) -> Fought:
    began = time.monotonic()
    # As tests/run does it: without its bytecode each of a seed's hundred starts takes twice as long.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    lives = options.lives or (6 if "together" in options.only else 40)
    environment |= {"KILL_SEED": str(seed), "LIVES": str(lives), "KILLS": str(options.kills or 100)}
    if options.faults:
        environment["FAULTS"] = options.faults
    with TemporaryDirectory(prefix=f"seed-{seed}-") as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
        done = subprocess.run(
            [*command, "-k", options.only, str(HERE)],
            cwd=HERE.parent.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return Fought(seed, done.returncode != 0, time.monotonic() - began, done.stdout)


def of_tests(fought: Sequence[Fought]) -> str:
    sums: dict[str, Counter[str]] = {}
    for one in fought:
        for told in one.told():
            add(sums, told["test"].removeprefix("test_").replace("_", " "), told)
    columns = ("judged", "lives", "killed", "calls", "requests", "answered badly", "lost", "repeated")
    return table("campaign", sums, (*columns, "repeated for no reason"))


def of_faults(fought: Sequence[Fought]) -> str:
    """Of each fault alone and with others, and of all of them."""
    sums: dict[str, Counter[str]] = {}
    for one in fought:
        for told in one.told():
            faults = told.get("faults", [])
            for fault in faults:
                add(sums, f"{fault}, alone" if len(faults) == 1 else f"{fault}, with others", told)
            if faults:
                add(sums, "~all", told)
    rows = {name.replace("~all", "**all**"): sums[name] for name in sorted(sums)}
    columns = ("judged", "lives", "killed", "cuts", "failed", "torn", "calls", "rejected", "lost", "repeated")
    return table("fault", rows, (*columns, "repeated for no reason")) if rows else ""


def add(sums: dict[str, Counter[str]], name: str, told: dict[str, Any]) -> None:
    numbers = {what: number for what, number in told.items() if isinstance(number, int)}
    sums.setdefault(name, Counter()).update(numbers | {"judged": 1})


def table(of: str, sums: dict[str, Counter[str]], columns: Sequence[str]) -> str:
    """In Markdown: what was done, how often, and what came of it."""
    rows = [(of, *columns), ("---", *["---:"] * len(columns))]
    rows += [(name, *(f"{told[column]:,}" for column in columns)) for name, told in sums.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
