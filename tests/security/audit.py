"""Whether a vulnerability is known of any package that is installed beside this program: python tests/security/audit.py

It asks PyPI's advisory database by pip-audit (pip install -e '.[audit]'), and so needs the network; it is no part of
tests/run. 0: all were looked up, and nothing is known. 1: something is known. 2: not all could be looked up, which says
nothing about them. There is no copy of the database that pip-audit could take offline; on a host without a network,
``--osv-url`` of a mirror of osv.dev may be given, as any other option of pip-audit.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def main(options: list[str]) -> int:
    service = ["--vulnerability-service", "osv"] if any(one.startswith("--osv-url") for one in options) else []
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", *service, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        return _said(2, f"could not be done: {(done.stderr.strip() or 'pip-audit said nothing').splitlines()[-1]}")
    return judged(packages)


def judged(packages: Sequence[Mapping[str, Any]]) -> int:
    """``packages`` as pip-audit lists them: what it could not look up has a skip_reason."""
    for one in packages:
        for known in one.get("vulns") or []:
            fixed = ", ".join(known["fix_versions"]) or "no version"
            print(f"{one['name']} {one.get('version')}: {known['id']}, mended in {fixed}")
    skipped = [str(one["name"]) for one in packages if "skip_reason" in one and one["name"] != "humbug-agent"]
    if any(one.get("vulns") for one in packages):
        return _said(1, "something is known, see above")
    if skipped or not packages:
        return _said(2, f"not looked up, so nothing is known of them: {', '.join(skipped) or 'all'}")
    return _said(0, f"nothing is known of {len(packages)} packages")


def _said(code: int, words: str) -> int:
    print(f"audit: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
