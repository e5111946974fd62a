"""The embedded receiver, which speaks Humbug's protocol: a collector for one PBX or many.

Tests, the demo and anyone without an account send to it.
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
from humbug_agent.receiver.store.sqlite import Store

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
