"""Fights the kill campaign with one random seed after another, and stops at the first that loses or doubles a call.

    python tests/campaign/seeds.py --runs 200

A run is a line: its number, its seed, how it ended and how many seconds it took. At the end stands a table: of each
test, how many receivers were judged and the sums of what they and the agent told. Of the run that fails, what the test
said follows. Exit status: 0 when all went well, 1 otherwise. README.md tells more.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
LONG = "hundred_kills"
"""The longest of the campaign's tests, and the one that rotates while it kills."""
LIVES = "40"
"""Of test_all_types.py."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="how many seeds (200)")
    parser.add_argument("--only", default=LONG, metavar="EXPRESSION", help=f"which tests, as pytest's -k ({LONG})")
    parser.add_argument("--seed", type=int, action="append", help="this seed and no random one; may be repeated")
    options = parser.parse_args()
    seeds = options.seed or [random.SystemRandom().randrange(10**6) for _ in range(options.runs)]
    sums: dict[str, Counter[str]] = {}
    failed = ""
    for number, seed in enumerate(seeds, 1):
        began = time.monotonic()
        done = fight(seed, options.only)
        ended = "ok" if done.returncode == 0 else "FAILED"
        print(f"{number} of {len(seeds)}: KILL_SEED={seed} {ended}, {time.monotonic() - began:.0f} s", flush=True)
        add(sums, done.stdout)
        if done.returncode:
            failed = done.stdout
            break
    print(table(sums))
    print(failed, end="")
    return 1 if failed else 0


def add(sums: dict[str, Counter[str]], said: str) -> None:
    """What the tests of a run told, one line of JSON for each agent and receiver, to the sums of each test."""
    for line in said.splitlines():
        if line.startswith('{"test":'):
            told = json.JSONDecoder().raw_decode(line)[0]
            sums.setdefault(told.pop("test"), Counter()).update(told | {"judged": 1})


def table(sums: dict[str, Counter[str]]) -> str:
    """In Markdown: what was done, how often, and what came of it."""
    columns = ("judged", "lives", "killed", "calls", "requests", "answered badly", "lost", "repeated")
    columns += ("repeated for no reason",)
    rows = [("campaign", *columns), ("---", *["---:"] * len(columns))]
    rows += [
        (test.removeprefix("test_").replace("_", " "), *(f"{told[column]:,}" for column in columns))
        for test, told in sums.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def fight(seed: int, only: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", "-k", only, str(HERE)]
    # As tests/run does it: without its bytecode each of a seed's hundred starts takes twice as long.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        command,
        cwd=HERE.parent.parent,
        env=environment | {"KILL_SEED": str(seed), "LIVES": LIVES},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main())
