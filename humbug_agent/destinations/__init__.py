"""Where calls go: one file a destination."""

from humbug_agent.destinations.humbug import Humbug

DESTINATIONS = {"humbug": Humbug}
