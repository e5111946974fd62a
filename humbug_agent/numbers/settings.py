"""agent.ini's [numbers]: how telephone numbers are written that leave the agent."""

from dataclasses import dataclass
from typing import Self

from humbug_agent.ini import Section


@dataclass(frozen=True)
class NumbersSettings:
    """The section [numbers]."""

    country: str | None
    domestic_max_length: int
    default_country: str

    @classmethod
    def read(cls, section: Section) -> Self:
        return cls(
            country=section.converted("country", _country, "a country's ISO code such as CH"),
            domestic_max_length=section.whole("domestic_max_length", 9, 0, 15),
            default_country=section.text("default_country"),
        )


def _country(value: str) -> str:
    # Loaded only where it is used: it takes its time.
    import phonenumbers

    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("two capital letters, GB for the United Kingdom")
    return value
