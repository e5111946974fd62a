"""Where calls go: one file a destination."""

from importlib import import_module

from humbug_agent.config import Config
from humbug_agent.destinations.contract import Destination

DESTINATIONS = {"humbug": "humbug:Humbug"}
"""Type -> module in this folder and class, imported only where something is to be sent."""


def make_destinations(config: Config) -> list[Destination]:
    """Those of agent.ini, in its order; making one opens nothing."""
    found = []
    for settings in config.destinations:
        module, _, name = DESTINATIONS[settings.type].partition(":")
        make = getattr(import_module(f"{__name__}.{module}"), name)
        destination: Destination = make(settings, config.agent.timezone, config.numbers)
        found.append(destination)
    return found
