"""agent.ini's settings of a source of type asterisk_ami."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import LOOPBACK, Secret, Section, file, host
from humbug_agent.sources.settings import SourceSettings, read_charset
from humbug_agent.text import AUTO


@dataclass(frozen=True)
class AsteriskAmiSettings(SourceSettings):
    """The settings of a [source NAME] of type asterisk_ami."""

    type: ClassVar[str] = "asterisk_ami"
    alone: ClassVar[str] = (
        "no source but AMI: it never tells again the calls that end while it is not connected; "
        "a [source NAME] with type = asterisk_csv beside it has them"
    )
    name: str
    host: str
    port: int
    username: str
    secret: Secret
    tls: bool
    ca_file: Path | None
    events: frozenset[str]
    charset: str = AUTO

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"AMI {self.host}:{self.port}"

    @property
    def hears_asterisk(self) -> bool:
        return self.host in LOOPBACK and "cdr" in self.events

    def held_as(self, *, board: bool) -> object:
        return self, board

    def warnings(self) -> list[str]:
        if self.tls or self.host in LOOPBACK:
            return []
        there = f"the secret and all calls pass the network to {self.host} unencrypted"
        return [f"[source {self.name}] host: {there}; use tls = yes"]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        tls = section.flag("tls", False)
        return cls(
            name=name,
            host=section.converted("host", host, "a host") or "127.0.0.1",
            port=section.whole("port", 5039 if tls else 5038, 1, 65535),
            username=section.text("username", required=True),
            secret=section.secret("secret", required=True) or Secret(""),
            tls=tls,
            ca_file=section.converted("ca_file", file, "a readable file"),
            events=section.several("events", ("cdr", "reload", "shutdown", "alarm"), "cdr"),
            charset=read_charset(section),
        )
