"""What the settings of all four types of FreeSWITCH source share: which legs make a call, the zone, the charset."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import TypedDict

from humbug_agent.ini import Section, timezone
from humbug_agent.sources.settings import SourceSettings, read_charset
from humbug_agent.text import AUTO


@dataclass(frozen=True, kw_only=True)
class LegSettings(SourceSettings):
    """Settings of a source whose records are FreeSWITCH's legs. ``timezone`` None is the agent's."""

    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str = AUTO

    def left_out(self) -> str:
        doubles = "yes" if self.drop_doubles else "no"
        return f"legs = {self.legs} and drop_doubles = {doubles} of [source {self.name}] leave this leg out"


class Legs(TypedDict):
    """The fields that `read_legs` reads, by their names."""

    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str


def read_legs(section: Section) -> Legs:
    return {
        "legs": section.choice("legs", ("a", "b", "ab"), "a"),
        "drop_doubles": section.flag("drop_doubles", True),
        "timezone": section.converted("timezone", timezone, "an IANA time zone"),
        "charset": read_charset(section),
    }
