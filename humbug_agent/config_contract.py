"""What the settings of every type of source answer, so that nobody asks of which type they are."""

import glob
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SourceContract:
    alone: ClassVar[str] = ""
    """What to know where there are only such sources; blank: nothing."""

    of_files: ClassVar[bool] = False
    """Whether it reads files of the PBX, beside those that reading agent.ini tries."""

    @property
    def hears_asterisk(self) -> bool:
        """Whether an Asterisk on this host tells it each call, once and as it ends."""
        return False

    @property
    def reads_asterisk(self) -> bool:
        """Whether it has all calls that an Asterisk on this host wrote down."""
        return False

    def held_as(self, *, board: bool) -> object:
        """The part of these settings that a port or a connection depends on; it stays open over a reload that keeps it.

        ``board``: the live board is wanted, which some of them feed.
        """
        return self

    def warnings(self) -> list[str]:
        """What is allowed, and not wise; each begins with ``[source NAME] KEY: ``."""
        return []

    @property
    def reads(self) -> Path | None:
        """Of one that reads files, the log or directory in which the PBX writes its calls."""
        path: Path | None = getattr(self, "path", None) if self.of_files else None
        return path

    def written(self) -> Path | None:
        """The log or directory that ``reads`` names, or None as long as neither it nor a rotated one of it exists."""
        path = self.reads
        return path if path and any(path.parent.glob(f"{glob.escape(path.name)}*")) else None

    def left_out(self) -> str:
        """Why a record that could be read makes no call: which of these settings leaves it out. Blank: none does."""
        return ""


def in_clear(url: str) -> str:
    """The other host to which everything would go unencrypted; blank: it does not."""
    parts = urlsplit(url)
    return parts.hostname or "" if parts.scheme == "http" and parts.hostname not in LOOPBACK else ""
