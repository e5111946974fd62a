"""agent.ini's settings of a source of type freeswitch_http."""

from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section, address, is_loopback, shown
from humbug_agent.sources.freeswitch.settings import LegSettings, read_legs


@dataclass(frozen=True)
class FreeswitchHttpSettings(LegSettings):
    """The settings of a [source NAME] of type freeswitch_http.

    ``username`` and ``password`` are mod_json_cdr's or mod_xml_cdr's ``cred``.
    """

    type: ClassVar[str] = "freeswitch_http"
    certificate: ClassVar[None] = None
    private_key: ClassVar[None] = None
    name: str
    host: str
    port: int
    username: str
    password: Secret | None

    @property
    def label(self) -> str:
        """How its log lines begin."""
        return f"source {self.name}:"

    @property
    def where(self) -> str:
        """As messages name it."""
        return shown(self.host, self.port)

    def held_as(self, *, board: bool) -> object:
        return self.type, self.host, self.port

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        where, port = section.converted("listen", address, "HOST:PORT") or ("127.0.0.1", 8089)
        username, password = section.text("username"), section.secret("password")
        if not password and not is_loopback(where):
            section.wrong(
                "password", f"is missing: with listen = {shown(where, port)} others than this host can post calls"
            )
        if ":" in username:
            section.wrong("username", "has a colon, which HTTP's Basic authentication can't carry")
        return cls(name=name, host=where, port=port, username=username, password=password, **read_legs(section))
