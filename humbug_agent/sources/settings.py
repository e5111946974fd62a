"""What the settings of every type of source answer, so that nobody asks of which type they are."""

import codecs
import glob
from abc import ABC, abstractmethod
from encodings.aliases import aliases
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Section, nearest
from humbug_agent.text import AUTO, keeps_ascii


class SourceSettings(ABC):
    """The settings of one [source NAME]. A type's own class adds its fields, and says here what differs."""

    type: ClassVar[str]
    """The word that agent.ini has for it."""

    name: str
    """NAME of [source NAME]."""

    charset: str = AUTO
    """How the PBX's text is encoded, as Python calls it. A hosted PBX's answers say it themselves."""

    @classmethod
    @abstractmethod
    def read(cls, name: str, section: Section) -> Self:
        """What ``section`` says; each mistake in it goes to the section, and a harmless value stands in its place."""

    knows_users: ClassVar[bool] = False
    """Whether its server may know by the daemon's user on this host who asks."""

    alone: ClassVar[str] = ""
    """What to know where there are only such sources; blank: nothing."""

    @property
    def hears_asterisk(self) -> bool:
        """Whether an Asterisk on this host tells it each call, once and as it ends."""
        return False

    @property
    def reads_asterisk(self) -> bool:
        """Whether it has all calls that an Asterisk on this host wrote down."""
        return False

    @property
    def of_asterisk(self) -> bool:
        """Whether its calls are those of an Asterisk, of which others may tell, too."""
        return self.hears_asterisk or self.reads_asterisk

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
        return None

    def written(self) -> Path | None:
        """The log or directory that ``reads`` names, or None as long as neither it nor a rotated one of it exists."""
        path = self.reads
        return path if path and any(path.parent.glob(f"{glob.escape(path.name)}*")) else None

    def left_out(self) -> str:
        """Why a record that could be read makes no call: which of these settings leaves it out. Blank: none does."""
        return ""


def read_charset(section: Section) -> str:
    """The setting ``charset``, which all types have whose PBX writes bytes."""
    return section.converted("charset", _known_charset, "a charset such as cp1251, gbk or shift_jis") or AUTO


def _known_charset(name: str) -> str:
    """As Python calls it. Raises ValueError."""
    if name.lower() == AUTO:
        return AUTO
    try:
        if keeps_ascii(name):
            return codecs.lookup(name).name
    except LookupError:
        usable = [one.replace("_", "-") for one in sorted({*aliases, *aliases.values()}) if _is_usable(one)]
        raise ValueError(f"Python knows none of that name{nearest(name.lower(), [AUTO, *usable])}") from None
    raise ValueError("it is for something else than text, or what is ASCII in a PBX's text would become something else")


def _is_usable(name: str) -> bool:
    try:
        return keeps_ascii(name)
    except LookupError:
        return False
