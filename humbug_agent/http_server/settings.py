"""agent.ini's settings of what listens for requests; and [status]: where the board is served, and to whom."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section, address, file, is_loopback, shown

DEFAULT_LISTEN = "127.0.0.1:6494"
"""A port that IANA has assigned to nobody (6490 to 6499) and no PBX uses: 8088 and 8089 are Asterisk's own HTTP."""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where a section of agent.ini has a web server listen, and with which TLS.

    ``certificate`` and ``private_key`` are PEM files; the key may stand in the certificate's file.
    """

    label: ClassVar[str]
    """The section, as log lines name it."""

    host: str
    port: int
    require_tls: bool
    certificate: Path | None
    private_key: Path | None

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def where(self) -> str:
        """As messages name it."""
        return shown(self.host, self.port)


@dataclass(frozen=True, kw_only=True)
class StatusSettings(Listening):
    """The section [status]: where the page is served, and to whom."""

    label: ClassVar[str] = "[status]"
    username: str
    password: Secret | None
    sip_is_pjsip: bool = False

    @property
    def guarded(self) -> bool:
        return bool(self.username or self.password)

    @classmethod
    def read(cls, section: Section) -> Self:
        settings = cls(
            **vars(read_listening(section, DEFAULT_LISTEN)),
            username=section.text("username"),
            password=section.secret("password"),
            sip_is_pjsip=section.flag("sip_is_pjsip", False),
        )
        if not settings.password and not is_loopback(settings.host):
            section.wrong("password", f"is missing: with listen = {settings.where} others than this host can ask")
        if ":" in settings.username:
            section.wrong("username", "has a colon, which HTTP's Basic authentication can't carry")
        return settings


def read_listening(section: Section, default: str) -> Listening:
    """The settings ``listen``, which is ``default`` where nothing is said, and those of TLS."""
    host, port = section.converted("listen", address, "HOST:PORT") or address(default)
    settings = Listening(
        host=host,
        port=port,
        require_tls=section.flag("require_tls", False),
        certificate=section.converted("certificate", file, "a readable file"),
        private_key=section.converted("private_key", file, "a readable file", private=True),
    )
    if settings.private_key and not section.text("certificate"):
        section.wrong("certificate", "is missing; private_key needs one")
    if settings.require_tls and not section.text("certificate"):
        section.wrong("certificate", "is missing; require_tls needs one")
    return settings
