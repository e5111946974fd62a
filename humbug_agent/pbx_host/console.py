"""Asks the console of the Asterisk that runs on this host."""

import shutil
import subprocess

ASK_SECONDS = 10.0


def said_to(command: str) -> str | None:
    """What it says to that; None where nobody answers, or this user may not ask."""
    program = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if not program:
        return None
    try:
        # Asterisk's own program, without a shell.
        done = subprocess.run([program, "-rx", command], capture_output=True, timeout=ASK_SECONDS, check=False)  # nosec B603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
