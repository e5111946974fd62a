"""A call as a message: its subject, its headers and its body."""

import re
from datetime import tzinfo
from typing import NamedTuple

from humbug_agent.destinations.events import as_json, event
from humbug_agent.destinations.nats.settings import NatsSettings, safe
from humbug_agent.flat import Flat


class Message(NamedTuple):
    """What is published."""

    subject: str
    headers: dict[str, str]
    body: bytes


class Messages:
    """Makes them, as ``settings`` want them. ``zone`` is that of times that don't say."""

    def __init__(self, settings: NatsSettings, zone: tzinfo) -> None:
        self._settings = settings
        self._zone = zone
        self._pbx = settings.token_of_pbx()
        self._alone = "{id}" in settings.subject

    def of(self, flat: Flat) -> Message:
        """Raises ValueError, TypeError, OverflowError or OSError where it can't be one."""
        name = flat.identity.hex()
        headers = {"Nats-Msg-Id": f"{self._pbx}-{name}", "Nats-Expected-Stream": self._settings.stream}
        if self._alone:
            # Whatever the stream is set up to refuse, and for how long it looks back: there must be none of it yet.
            headers["Nats-Expected-Last-Subject-Sequence"] = "0"
        return Message(self._subject(flat, name), headers, as_json(event(flat, self._zone)).encode())

    def _subject(self, flat: Flat, name: str) -> str:
        return self._settings.subject.format(
            pbx=self._pbx,
            direction=safe(flat.direction or "unknown"),
            disposition=safe(flat.disposition),
            accountcode=safe(flat.accountcode),
            event=safe(flat.event),
            id=name,
        )


def pattern(subject: str) -> str:
    """What a stream that takes it must listen to: a wildcard where something differs from call to call."""
    return ".".join("*" if re.search(r"\{", token) else token for token in subject.split("."))
