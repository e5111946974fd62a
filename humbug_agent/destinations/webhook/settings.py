"""agent.ini's settings of a destination of type webhook."""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.destinations.events import FIELDS
from humbug_agent.destinations.settings import DestinationSettings, Privacy
from humbug_agent.ini import Secret, Section, file, in_clear, nearest, url
from humbug_agent.routing import only

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
"""How long a key is. Source: Standard Webhooks, "Signature scheme"."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS = ("host", "content-length", "transfer-encoding", "connection", "expect", "accept-encoding")


@dataclass(frozen=True)
class WebhookSettings(DestinationSettings):
    """The settings of a [destination NAME] of type webhook."""

    type: ClassVar[str] = "webhook"
    name: str
    url: str
    secret: Secret | None
    headers: tuple[tuple[str, Secret], ...]
    fields: tuple[str, ...]
    batch: int
    connections: int
    timeout: int
    client_cert: Path | None
    client_key: Path | None
    ca_file: Path | None
    proxy: Secret | None

    def warnings(self) -> list[str]:
        if not (there := in_clear(self.url)):
            return []
        return [f"[destination {self.name}] url: calls go to {there} unencrypted over http://; use https://"]

    def key(self) -> bytes | None:
        """What signs."""
        return decoded(self.secret.reveal()) if self.secret else None

    def certificate(self) -> tuple[Path, Path] | None:
        """The client's and its key, which may be one file."""
        return (self.client_cert, self.client_key or self.client_cert) if self.client_cert else None

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        if not section.text("url"):
            section.wrong("url", "is missing; it is where the calls are sent")
        proxy = section.converted("proxy", url, "a proxy's URL", private=True)
        secret = section.secret("secret")
        if secret:
            try:
                decoded(secret.reveal())
            except ValueError as error:
                section.wrong("secret", f"is none of Standard Webhooks: {error}")
                secret = None
        cert = section.converted("client_cert", file, "a readable file")
        key = section.converted("client_key", file, "a readable file")
        if key and not cert:
            section.wrong("client_key", "needs client_cert beside it")
        return cls(
            name=name,
            only=only.read(section),
            url=section.converted("url", url, "a URL", private=True) or "",
            secret=secret,
            headers=_headers(section),
            fields=_fields(section),
            batch=section.whole("batch", 1, 1, 1000),
            connections=section.whole("connections", 4, 1, 64),
            timeout=section.whole("timeout", 20, 1, 600),
            client_cert=cert,
            client_key=key,
            ca_file=section.converted("ca_file", file, "a readable file"),
            proxy=Secret(proxy) if proxy else None,
            privacy=Privacy.read(section),
        )


def decoded(secret: str) -> bytes:
    """The key that ``secret``, whsec_ and base64, stands for. Raises ValueError, which does not quote it."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"it needs {PREFIX} before its base64")
    digits = secret.removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        raise ValueError(f"what stands behind {PREFIX} is not base64") from None
    if len(key) not in KEY_BYTES:
        raise ValueError(f"its key is not of {KEY_BYTES.start} to {KEY_BYTES.stop - 1} bytes")
    return key


def _fields(section: Section) -> tuple[str, ...]:
    """In the order of FIELDS; none: all."""
    names = section.listed("fields")
    for name in names:
        if name not in FIELDS:
            section.wrong("fields", f"{name!r} is not one of {', '.join(FIELDS)}{nearest(name, FIELDS)}")
    return tuple(name for name in FIELDS if name in names)


def _headers(section: Section) -> tuple[tuple[str, Secret], ...]:
    found: dict[str, tuple[str, Secret]] = {}
    for number, line in enumerate(section.lines("headers"), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            section.wrong("headers", f"line {number} is not NAME: VALUE in ASCII")
        elif name.lower() in _OURS or name.lower().startswith("webhook-"):
            section.wrong("headers", f"line {number}: {name} is the agent's own")
        elif name.lower() in found:
            section.wrong("headers", f"line {number}: {name} stands there twice")
        else:
            found[name.lower()] = name, Secret(value)
            section.keep(Secret(value))
    return tuple(found.values())
