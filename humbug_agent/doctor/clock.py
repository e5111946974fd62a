"""Whether this host's clock shows the same time as the receivers'."""

from humbug_agent.destinations.contract import Destination
from humbug_agent.words import age

MOST_SECONDS = 60
"""A clock that is kept is right to a fraction of a second; by a minute neither is."""


def clock_off(destination: Destination) -> str:
    """By how much, in words, as its last `check` told; blank where that is little, or the receiver did not tell."""
    off = destination.clock_off()
    if off is None or abs(off) < MOST_SECONDS:
        return ""
    return f"this host's clock is {age(abs(off))} {'ahead of' if off > 0 else 'behind'} the receiver's"
