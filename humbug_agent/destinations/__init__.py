"""Where calls go: one file a destination."""

from pkgutil import resolve_name

from humbug_agent.config import Config
from humbug_agent.destinations.contract import Destination

DESTINATIONS = {"humbug": "humbug:Humbug"}
"""Type -> module in this folder and class, imported only where something is to be sent."""


def make_destinations(config: Config) -> list[Destination]:
    """Those of agent.ini, in its order; making one opens nothing."""
    found = []
    for settings in config.destinations:
        make = resolve_name(f"{__name__}.{DESTINATIONS[settings.type]}")
        destination: Destination = make(settings, config.agent.timezone, config.numbers)
        found.append(destination)
    return found
