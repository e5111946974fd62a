"""`reload`: has the running daemon read agent.ini again, and waits for what becomes of it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from humbug_agent.config import load
from humbug_agent.daemon.housekeeping import begins_empty
from humbug_agent.ini import ConfigError
from humbug_agent.outbox import lock
from humbug_agent.outbox.lock import AgentError
from humbug_agent.status import taken
from humbug_agent.status.taken import Taken

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 3.0


def reload(path: Path) -> str:
    """Returns when the daemon works as the agent.ini at ``path`` says, with what is to be known of that, or blank.

    Raises ConfigError where that was refused, and all goes on as before; AgentError where there is no daemon, or none
    any more.
    """
    # Whatever stands in agent.ini: it is the daemon who judges it.
    running, before = _working(path)
    empty = ""
    with suppress(ConfigError):
        empty = begins_empty(load(path).agent.outbox, running.outbox)
    os.kill(running.pid, signal.SIGHUP)
    # As long as it takes: it looks through the outbox before it begins anew. systemd's watchdog ends one that hangs.
    while not _has_ended(running.pid):
        time.sleep(LOOK_SECONDS)
        # It may have another outbox by now.
        now = lock.daemon_of(path)
        after = taken.read_back(now.outbox, running.pid) if now else None
        # Neither need be later: the clock may have been set back.
        if after and after.read != before.read:
            return empty
        if after and after.refused != before.refused:
            raise ConfigError(list(after.mistakes))
    where = f"journalctl -u {before.unit}" if before.unit else "what it wrote to its standard error"
    raise AgentError(f"the humbug-agent with pid {running.pid} ended; {where} says why")


def _working(path: Path) -> tuple[lock.Running, Taken]:
    """The daemon, and what it took last. It has its lock all the time; what it took is missing while it takes more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running := lock.daemon_of(path):
        if before := taken.read_back(running.outbox, running.pid):
            return running, before
        if time.monotonic() > deadline:
            raise AgentError(
                f"the humbug-agent with pid {running.pid} only begins, or is of another version; restart it"
            )
        time.sleep(LOOK_SECONDS)
    raise AgentError(f"no humbug-agent runs with {path}, or you may not see it: run this as root")


def _has_ended(pid: int) -> bool:
    """Also where nobody has taken note of it yet: then it has nothing open any more."""
    try:
        return not any(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return True
