"""The long form of the fuzzing: ``python tests/fuzz/fuzz.py --minutes 10 [TARGET...]``, of all targets by default.

atheris changes the corpus's files so that they reach more and more of the code, until an input breaks a target's
contract, takes longer than SECONDS or more memory than MEGABYTES. Such an input is kept beside the others in the
corpus, where test_fuzz.py tries it from then on. What it has found its way by stays in .fuzz, for the next time.

It needs the extra: pip install -e '.[test,fuzz]'
"""

import argparse
import logging
import os
import subprocess
import sys
from hashlib import sha1
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parent.parent
CORPUS, GROWN = HERE / "corpus", TOP / ".fuzz"
SECONDS, MEGABYTES, LONGEST = 10, 1024, 16 * 1024
FOUND = ("crash-", "timeout-", "oom-", "slow-unit-")
"""How libFuzzer begins the names of what it finds."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the parsers.")
    parser.add_argument("--minutes", type=float, default=10, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all by default")
    asked = parser.parse_args()
    known = sorted(folder.name for folder in CORPUS.iterdir())
    if unknown := set(asked.targets) - set(known):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    failed = [target for target in asked.targets or known if not _fuzzed(target, asked.minutes)]
    if failed:
        print(f"found something: {', '.join(failed)}; what it was is in {CORPUS}", file=sys.stderr)
    return 1 if failed else 0


def _fuzzed(target: str, minutes: float) -> bool:
    """Whether nothing was found; atheris ends its process in any case."""
    grown = GROWN / target
    grown.mkdir(parents=True, exist_ok=True)
    before = set((CORPUS / target).iterdir())
    print(f"{target}: {minutes:g} minutes", flush=True)
    limits = [f"-max_total_time={int(minutes * 60)}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}"]
    form = [f"-max_len={LONGEST}", f"-artifact_prefix={CORPUS / target}{os.sep}", "-print_final_stats=1"]
    done = subprocess.run(
        [sys.executable, __file__, "--child", target, *limits, *form, str(grown), str(CORPUS / target)],
        env=os.environ | {"PYTHONPATH": str(TOP)},
        check=False,
    )
    found = {path for path in (CORPUS / target).iterdir() if path.name.startswith(FOUND)} - before
    for path in found:
        print(f"{target}: found {path}", flush=True)
    return done.returncode == 0 and not found


def _child(target: str, arguments: list[str]) -> None:
    # What the parsers say of each input is no news.
    logging.disable()
    import atheris

    with atheris.instrument_imports(include=["humbug_agent", "tests.fuzz", "h11"]):
        from tests.fuzz.fuzz_all import TARGETS

        # What is only loaded once it is used.
        TARGETS[target](b"")

    def kept(data: bytes) -> None:
        # Here, since atheris does not always come to it.
        try:
            TARGETS[target](data)
        except BaseException:
            (CORPUS / target / f"crash-{sha1(data).hexdigest()}").write_bytes(data)
            raise

    atheris.Setup([sys.argv[0], *arguments], kept)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
