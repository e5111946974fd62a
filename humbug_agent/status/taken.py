"""What the running daemon took from agent.ini, written down in the outbox for the other processes that ask.

It is a row of the outbox's table of healths, part ``agent.ini``, whose message is JSON.
"""

import errno
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from humbug_agent.config import Config
from humbug_agent.host import systemd
from humbug_agent.ini import Secret
from humbug_agent.outbox.health import told
from humbug_agent.outbox.outbox import Outbox

PART = "agent.ini"

SCRYPT_COST = 2**12
"""4 MiB and some milliseconds: who has the outbox must not try millions of passwords against the digest."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the running daemon took from agent.ini, and what it refused.

    ``read`` and ``refused`` (0: never) are seconds since the epoch; ``page`` and ``api`` are where it
    listens, or blank.

    ``mistakes`` are those for which a later agent.ini was refused, at ``refused``. ``unit`` is systemd's, or blank.
    """

    path: str
    pid: int
    read: float
    salt: str
    digest: str
    page: str
    max_bytes: int
    unit: str
    refused: float = 0.0
    mistakes: Sequence[str] = ()
    api: str = ""

    def is_of(self, config: Config) -> bool:
        """Whether agent.ini says now what was taken."""
        return self.digest == _digest(config.said, self.salt)

    @property
    def was_unreadable(self) -> bool:
        """Whether what was refused is that the daemon's user may not read agent.ini."""
        return any(mistake.startswith(f"{self.path}: {os.strerror(errno.EACCES)}") for mistake in self.mistakes)

    def but_refused(self, mistakes: Sequence[str]) -> "Taken":
        return replace(self, refused=time.time(), mistakes=mistakes)


def taken_now(config: Config, pid: int, max_bytes: int) -> Taken:
    salt = os.urandom(16).hex()
    page = config.status.where if config.status else ""
    api = config.api.where if config.api else ""
    path, digest = str(config.path.absolute()), _digest(config.said, salt)
    return Taken(path, pid, time.time(), salt, digest, page, max_bytes, systemd.unit(), api=api)


def _digest(said: Secret, salt: str) -> str:
    return hashlib.scrypt(said.reveal().encode(), salt=salt.encode(), n=SCRYPT_COST, r=8, p=1, dklen=16).hex()


def write_down(outbox: Outbox, taken: Taken) -> None:
    """Raises OutboxError."""
    outbox.report(PART, "refused" if taken.mistakes else "taken", json.dumps(asdict(taken)))


def read_back(outbox: Path, pid: int) -> Taken | None:
    """What the daemon of this ``pid`` wrote down; None where it did not: it only begins, or is of another version."""
    try:
        message = told(outbox, PART)
        found = Taken(**json.loads(message)) if message else None
    except (TypeError, ValueError):
        return None
    return found if found and found.pid == pid else None
