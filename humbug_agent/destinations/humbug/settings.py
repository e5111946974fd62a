"""agent.ini's settings of a destination of type humbug."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.destinations.settings import DestinationSettings
from humbug_agent.ini import Secret, Section, file, in_clear, pattern, url
from humbug_agent.routing import only

HUMBUG_URL = "http://api.humbuglabs.org/receiver.php"
EXAMPLE_KEY = "YOUR-API-KEY"


@dataclass(frozen=True)
class HumbugSettings(DestinationSettings):
    """The settings of a [destination NAME] of type humbug."""

    type: ClassVar[str] = "humbug"
    name: str
    url: str
    api_key: Secret
    encryption_key: Secret | None
    connections: int
    timeout: int
    accept_pattern: re.Pattern[str] | None
    reject_pattern: re.Pattern[str] | None
    value_escaping: str
    ca_file: Path | None
    proxy: Secret | None

    def warnings(self) -> list[str]:
        if not (there := in_clear(self.url)):
            return []
        return [
            f"[destination {self.name}] url: calls go to {there} unencrypted over http://; "
            "use https:// where the receiver offers it"
        ]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        if section.text("api_key") == EXAMPLE_KEY:
            section.wrong("api_key", "is still the example's; put your own there")
        proxy = section.converted("proxy", url, "a proxy's URL", private=True)
        return cls(
            name=name,
            only=only.read(section),
            url=section.converted("url", url, "a URL", private=True) or HUMBUG_URL,
            api_key=section.secret("api_key", required=True) or Secret(""),
            encryption_key=section.secret("encryption_key"),
            connections=section.whole("connections", 4, 1, 64),
            timeout=section.whole("timeout", 20, 1, 600),
            accept_pattern=section.converted("accept_pattern", pattern, "a regular expression"),
            reject_pattern=section.converted("reject_pattern", pattern, "a regular expression"),
            value_escaping=section.choice("value_escaping", ("reserved", "none"), "reserved"),
            ca_file=section.converted("ca_file", file, "a readable file"),
            proxy=Secret(proxy) if proxy else None,
        )
