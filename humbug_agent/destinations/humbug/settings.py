"""agent.ini's settings of a destination of type humbug."""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from humbug_agent.destinations.humbug.keys import Keys, read_keys
from humbug_agent.destinations.settings import DestinationSettings, Privacy
from humbug_agent.ini import Secret, Section, file, given, in_clear, pattern, url
from humbug_agent.routing import only
from humbug_agent.routing.fields import FIELDS

HUMBUG_URL = "http://api.humbuglabs.org/receiver.php"
EXAMPLE_KEY = "YOUR-API-KEY"


@dataclass(frozen=True)
class HumbugSettings(DestinationSettings):
    """The settings of a [destination NAME] of type humbug. ``api_key`` is blank where there are ``keys``."""

    type: ClassVar[str] = "humbug"
    # Whose account a call is for may be told by what is hidden.
    hides_itself: ClassVar[bool] = True
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
    keys: Keys | None = None

    def warnings(self) -> list[str]:
        said = []
        if there := in_clear(self.url):
            said.append(
                f"[destination {self.name}] url: calls go to {there} unencrypted over http://; "
                "use https:// where the receiver offers it"
            )
        if self.keys and given(self.keys.file).stat().st_mode & stat.S_IROTH:
            said.append(
                f"[destination {self.name}] api_keys_file: everybody on this host can read the keys in "
                f"{self.keys.file}; chmod 0600 {self.keys.file}"
            )
        return said

    def made_for(self, account: str) -> Mapping[str, Any] | None:
        return FIELDS[self.keys.by].made(account) if self.keys else None

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        if section.text("api_key") == EXAMPLE_KEY:
            section.wrong("api_key", "is still the example's; put your own there, or let humbug-agent init ask for it")
        keys = read_keys(section)
        proxy = section.converted("proxy", url, "a proxy's URL", private=True)
        return cls(
            name=name,
            only=only.read(section),
            url=section.converted("url", url, "a URL", private=True) or HUMBUG_URL,
            api_key=section.secret("api_key", required=keys is None) or Secret(""),
            encryption_key=section.secret("encryption_key"),
            connections=section.whole("connections", 4, 1, 64),
            timeout=section.whole("timeout", 20, 1, 600),
            accept_pattern=section.converted("accept_pattern", pattern, "a regular expression"),
            reject_pattern=section.converted("reject_pattern", pattern, "a regular expression"),
            value_escaping=section.choice("value_escaping", ("reserved", "none"), "reserved"),
            ca_file=section.converted("ca_file", file, "a readable file"),
            proxy=Secret(proxy) if proxy else None,
            privacy=Privacy.read(section),
            keys=keys,
        )
