"""What the settings of every type of destination answer, so that nobody asks of which type they are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from humbug_agent.ini import Secret, Section
from humbug_agent.routing.only import Only

LAST_THREE, PSEUDONYM = "last 3", "pseudonym"
SHORTEST_KEY = 16
"""Characters. What is shorter can be guessed."""


@dataclass(frozen=True)
class Privacy:
    """What a destination is told of the people who telephone.

    ``mask`` is how outside numbers are hidden, blank where they are not; ``names``: whether callers' names are told.
    Without a ``key`` the host's own is used (own_key.py).
    """

    mask: str = ""
    names: bool = True
    key: Secret | None = None

    @property
    def hides(self) -> bool:
        return bool(self.mask) or not self.names

    @classmethod
    def read(cls, section: Section) -> Self:
        mask = section.choice("mask", ("no", LAST_THREE, PSEUDONYM), "no").removeprefix("no")
        names, key = section.flag("names", True), section.secret("mask_key")
        if key and len(key.reveal()) < SHORTEST_KEY:
            section.wrong("mask_key", f"has fewer than {SHORTEST_KEY} characters, which can be guessed")
        if key and names and not section.text("mask"):
            section.wrong("mask_key", "hides nothing by itself; it needs mask, or names = no, beside it")
        return cls(mask, names, key)


ALL_TOLD = Privacy()


@dataclass(frozen=True, kw_only=True)
class DestinationSettings(ABC):
    """The settings of one [destination NAME]. A type's own class adds its fields, and says here what differs."""

    type: ClassVar[str]
    """The word that agent.ini has for it."""

    hides_itself: ClassVar[bool] = False
    """Whether the destination has to see what is hidden, and hides it where it makes its request."""

    knows_users: ClassVar[bool] = False
    """Whether it may know by the daemon's user on this host who sends."""

    name: str
    """NAME of [destination NAME]."""

    privacy: Privacy = ALL_TOLD
    only: Only | None = None
    """Which calls are the destination's; None: all are."""

    @classmethod
    @abstractmethod
    def read(cls, name: str, section: Section) -> Self:
        """What ``section`` says; each mistake in it goes to the section, and a harmless value stands in its place."""

    def warnings(self) -> list[str]:
        """What is allowed, and not wise; each begins with ``[destination NAME] KEY: ``."""
        return []

    def made_for(self, account: str) -> Mapping[str, Any] | None:
        """What a test call has that is to go to this account, by a CDR's fields; None where there is but one."""
        return None
