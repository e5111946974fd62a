"""Where calls go: one folder a type of destination, named by the type's word."""

from datetime import tzinfo
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from humbug_agent.destinations.contract import Destination
from humbug_agent.destinations.settings import DestinationSettings
from humbug_agent.numbers.settings import NumbersSettings

DESTINATIONS = {
    "humbug": "humbug:Humbug",
    "webhook": "webhook:Webhook",
    "postgresql": "postgresql:Postgresql",
    "nats": "nats:Nats",
}
"""The type's word in agent.ini -> its folder in here, and its class in there: CLASS in destination.py sends calls, and
CLASSSettings in settings.py reads agent.ini. The former is imported only where something is to be sent."""


def settings_of(kind: str) -> type[DestinationSettings]:
    """The settings of a type of DESTINATIONS."""
    folder, _, name = DESTINATIONS[kind].partition(":")
    return cast("type[DestinationSettings]", resolve_name(f"{__name__}.{folder}.settings:{name}Settings"))


def sample_of(kind: str) -> str:
    """The block of a type of DESTINATIONS in agent.ini, as its home has it."""
    where = DESTINATIONS[kind].partition(":")[0].replace(".", "/")
    return (Path(__file__).parent / where / "sample.ini").read_text("utf-8")


def make_destination(
    settings: DestinationSettings, zone: tzinfo, numbers: NumbersSettings, own_key: Path
) -> Destination:
    """The destination that ``settings`` describe; making one opens nothing. ``zone`` is [agent] timezone.

    ``own_key`` is the file with the host's key, for one that hides something and has no other.
    """
    folder, _, name = DESTINATIONS[settings.type].partition(":")
    make = resolve_name(f"{__name__}.{folder}.destination:{name}")
    if not settings.privacy.hides:
        return cast("Destination", make(settings, zone, numbers))
    from humbug_agent.destinations.masking import Masked, Masking

    hide = Masking(settings.privacy, numbers.country, own_key)
    if settings.hides_itself:
        return cast("Destination", make(settings, zone, numbers, hide))
    return Masked(make(settings, zone, numbers), hide)
