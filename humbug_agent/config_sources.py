"""agent.ini's [source NAME]: the settings of each type of source, and how they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from humbug_agent.ini import Secret, Section, file, host

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class AsteriskCsvSettings:
    type: ClassVar[str] = "asterisk_csv"
    name: str
    path: Path
    start: str
    utc: bool


@dataclass(frozen=True)
class AsteriskAmiSettings:
    type: ClassVar[str] = "asterisk_ami"
    name: str
    host: str
    port: int
    username: str
    secret: Secret
    tls: bool
    ca_file: Path | None
    events: frozenset[str]

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"AMI {self.host}:{self.port}"


SourceSettings = AsteriskCsvSettings | AsteriskAmiSettings


def _asterisk_csv(name: str, section: Section) -> AsteriskCsvSettings:
    return AsteriskCsvSettings(
        name=name,
        path=Path(section.text("path", "/var/log/asterisk/cdr-csv/Master.csv")),
        start=section.choice("start", ("beginning", "end"), "beginning"),
        utc=section.flag("utc", False),
    )


def _asterisk_ami(name: str, section: Section) -> AsteriskAmiSettings:
    tls = section.flag("tls", False)
    return AsteriskAmiSettings(
        name=name,
        host=section.converted("host", host, "a host") or "127.0.0.1",
        port=section.whole("port", 5039 if tls else 5038, 1, 65535),
        username=section.text("username", required=True),
        secret=section.secret("secret", required=True) or Secret(""),
        tls=tls,
        ca_file=section.converted("ca_file", file, "a readable file"),
        events=section.several("events", ("cdr", "reload", "shutdown", "alarm"), "cdr"),
    )


SOURCE_TYPES: dict[str, Callable[[str, Section], SourceSettings]] = {
    "asterisk_csv": _asterisk_csv,
    "asterisk_ami": _asterisk_ami,
}
