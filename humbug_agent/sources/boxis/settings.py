"""agent.ini's settings of a source of type boxis."""

from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section
from humbug_agent.sources.polling.settings import ApiSettings, HostedSettings, read_api


@dataclass(frozen=True)
class BoxisSettings(HostedSettings):
    """The settings of a [source NAME] of type boxis."""

    type: ClassVar[str] = "boxis"
    name: str
    api: ApiSettings
    username: str
    user_key: Secret
    tenants: tuple[str, ...]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            api=read_api(section, "https://api.boxis.net/", default="https://api.boxis.net/"),
            username=section.text("username", required=True),
            user_key=section.secret("user_key", required=True) or Secret(""),
            tenants=section.listed("tenants", required=True),
        )
