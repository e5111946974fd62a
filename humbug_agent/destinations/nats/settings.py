"""agent.ini's settings of a destination of type nats."""

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from humbug_agent.destinations.settings import DestinationSettings, Privacy
from humbug_agent.ini import Secret, Section, file, is_loopback
from humbug_agent.ini import host as a_host
from humbug_agent.routing import only

PLACES = ("pbx", "direction", "disposition", "accountcode", "event", "id")
"""What may stand in braces in a subject."""

DEFAULT_SUBJECT = "cdr.{pbx}.{direction}.{id}"
LONGEST_TOKEN = 64


@dataclass(frozen=True)
class Server:
    """Where a NATS server listens; ``tls``: it must speak TLS."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True)
class NatsSettings(DestinationSettings):
    """The settings of a [destination NAME] of type nats. ``pbx`` may be blank: then it is the name of this host."""

    type: ClassVar[str] = "nats"
    name: str
    url: tuple[Server, ...]
    user: str
    password: Secret | None
    token: Secret | None
    ca_file: Path | None
    stream: str
    subject: str
    create: bool
    replicas: int
    pbx: str
    timeout: int

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.url or (Server("127.0.0.1", 4222, tls=False),)

    def token_of_pbx(self) -> str:
        return safe(self.pbx or socket.gethostname())

    def warnings(self) -> list[str]:
        said = [
            f"[destination {self.name}] url: calls go to {one.host} unencrypted over nats://; use tls://"
            for one in self.servers
            if not one.tls and not is_loopback(one.host)
        ]
        if "{id}" not in self.subject:
            said.append(
                f"[destination {self.name}] subject: without {{id}} a call that is sent again is known for one only "
                "within the stream's duplicate window"
            )
        return said

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            only=only.read(section),
            url=section.converted("url", _servers, "nats://HOST:PORT or tls://HOST:PORT", private=True) or (),
            user=section.text("user"),
            password=section.secret("password"),
            token=section.secret("token"),
            ca_file=section.converted("ca_file", file, "a readable file"),
            stream=section.converted("stream", _stream, "a stream's name") or "CDR",
            subject=section.converted("subject", _subject, "a subject") or DEFAULT_SUBJECT,
            create=section.flag("create", True),
            replicas=section.whole("replicas", 1, 1, 5),
            pbx=section.text("pbx"),
            timeout=section.whole("timeout", 20, 1, 600),
            privacy=Privacy.read(section),
        )


def safe(text: str) -> str:
    """As one token of a subject, which may have neither dots and blanks nor wildcards in it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:LONGEST_TOKEN] or "_"


def _servers(value: str) -> tuple[Server, ...]:
    found = []
    for one in value.split(","):
        parts = urlsplit(one.strip())
        if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.path:
            raise ValueError("it needs nats:// or tls:// and a host, parted by commas where there are several")
        if parts.username or parts.password:
            raise ValueError("user and password, or token, have settings of their own")
        found.append(Server(a_host(parts.hostname), parts.port or 4222, tls=parts.scheme == "tls"))
    return tuple(found)


def _stream(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        raise ValueError("of letters, digits, _ and -, 32 at most")
    return value


def _subject(value: str) -> str:
    for token in value.split("."):
        bare = re.sub(r"\{(\w+)\}", lambda found: "x" if found[1] in PLACES else "{}", token)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", bare):
            raise ValueError(f"words of letters, digits, _ and -, or {{{'}, {'.join(PLACES)}}}, parted by dots")
    return value
