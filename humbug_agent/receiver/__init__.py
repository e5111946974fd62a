"""The embedded receiver, which speaks Humbug's protocol.

Tests, the demo and anyone without an account send to it, and it is fit to be somebody's own collector.
"""

from humbug_agent.receiver.app import MOST_BYTES, Misbehaviour, Receiver
from humbug_agent.receiver.protocol import (
    DISPOSITIONS,
    REQUIRED,
    UNKNOWN,
    Faults,
    ReceiverError,
    WrongKey,
    decode,
    faults,
)
from humbug_agent.receiver.server import Background, serve
from humbug_agent.receiver.store import Store

__all__ = [
    "DISPOSITIONS",
    "MOST_BYTES",
    "REQUIRED",
    "UNKNOWN",
    "Background",
    "Faults",
    "Misbehaviour",
    "Receiver",
    "ReceiverError",
    "Store",
    "WrongKey",
    "decode",
    "faults",
    "serve",
]
