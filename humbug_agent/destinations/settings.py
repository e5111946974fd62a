"""What the settings of every type of destination answer, so that nobody asks of which type they are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from humbug_agent.ini import Section
from humbug_agent.routing.only import Only


@dataclass(frozen=True, kw_only=True)
class DestinationSettings(ABC):
    """The settings of one [destination NAME]. A type's own class adds its fields, and says here what differs."""

    type: ClassVar[str]
    """The word that agent.ini has for it."""

    name: str
    """NAME of [destination NAME]."""

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
