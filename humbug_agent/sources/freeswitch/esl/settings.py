"""agent.ini's settings of a source of type freeswitch_esl."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section, host
from humbug_agent.sources.freeswitch.settings import LegSettings, read_legs


@dataclass(frozen=True)
class FreeswitchEslSettings(LegSettings):
    """The settings of a [source NAME] of type freeswitch_esl."""

    type: ClassVar[str] = "freeswitch_esl"
    alone: ClassVar[str] = (
        "no source but the event socket: it never tells again the calls that end while it is not connected; "
        "a [source NAME] with type = freeswitch_json, freeswitch_http or freeswitch_csv beside it has them"
    )
    name: str
    host: str
    port: int
    password: Secret

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"event socket {self.host}:{self.port}"

    def held_as(self, *, board: bool) -> object:
        return replace(self, legs="a", drop_doubles=True, timezone=None), board

    def left_out(self) -> str:
        return f"{super().left_out()}, or its dialplan does: process_cdr, skip_cdr_causes"

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            host=section.converted("host", host, "a host") or "127.0.0.1",
            port=section.whole("port", 8021, 1, 65535),
            password=section.secret("password") or Secret("ClueCon"),
            **read_legs(section),
        )
